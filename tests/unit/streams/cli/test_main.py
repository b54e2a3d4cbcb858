"""The root of the command line: settings in, friendly errors and exit codes out."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from streams.cli.main import COMMANDS, main


def invoke(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, arguments, env=environment)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_explains_itself(name: str) -> None:
    result = invoke(name, "--help")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("Usage:")


def test_help_lists_every_command() -> None:
    output = invoke("--help").output
    assert [name for name in COMMANDS if f"\n  {name}" not in output] == []


def test_a_command_whose_module_is_missing_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "later", ("streams.cli.later", "later"))
    result = invoke("--help")
    assert result.exit_code == 0
    assert "worker" in result.output
    assert "later" not in result.output
    assert invoke("later").exit_code == 2


def test_a_setting_of_the_wrong_type_is_named_and_ends_with_2() -> None:
    result = invoke("worker", TAGGER_BATCH_RECORDS="many")
    assert result.exit_code == 2
    assert "TAGGER_BATCH_RECORDS" in result.output
    assert "'many'" in result.output


def test_an_unknown_setting_in_the_file_is_named_and_ends_with_2(tmp_path: Path) -> None:
    config = tmp_path / "tagger.toml"
    config.write_text('bootstrap = "b:1"\nbatch_record = 5\n')
    result = invoke("--config", str(config), "worker")
    assert result.exit_code == 2
    assert "no such setting" in result.output
    assert "batch_record" in result.output


def test_a_file_that_is_not_there_or_not_toml_ends_with_2(tmp_path: Path) -> None:
    assert invoke("--config", str(tmp_path / "none.toml"), "worker").exit_code == 2
    broken = tmp_path / "broken.toml"
    broken.write_text("bootstrap = ")
    result = invoke("--config", str(broken), "worker")
    assert result.exit_code == 2
    assert f"{broken}: expected a TOML file" in result.output


def test_the_command_line_goes_before_variables_and_those_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "tagger.toml"
    config.write_text('bootstrap = "file:1"\napp = "from-file"\nzone = "Europe/Prague"\n')
    seen = []

    @click.command()
    @click.pass_obj
    def probe(settings: object) -> None:
        seen.append(settings)

    monkeypatch.setattr(type(main), "get_command", lambda self, context, name: probe)
    environment = {"TAGGER_BOOTSTRAP": "variable:1", "TAGGER_APP": "from-variable"}
    result = invoke("--config", str(config), "--bootstrap", "option:1", "probe", **environment)
    assert result.exit_code == 0, result.output
    (settings,) = seen
    assert (settings.bootstrap, settings.app, settings.zone) == ("option:1", "from-variable", "Europe/Prague")


def test_stages_that_do_not_exist_are_refused() -> None:
    result = invoke("worker", "--only", "decide,resolve")
    assert result.exit_code == 2
    assert "expected some of ingest, decide, project, got resolve" in result.output
