"""`tagger rules`: exit codes, what is printed, and the same as JSON."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streams.cli.rules import rules

GOOD = """\
pack: p
title: A small pack
settings: {line: 100}
rules:
  rich: {title: Rich, when: assets >= line}
cases:
  - it: opens at the line
    given: [{at: 2026-03-02 09:00, credit: 100, balance_after: 100}]
    expect: [{at: 2026-03-02 09:00, opened: rich}]
  - it: stays silent below it
    given: [{at: 2026-03-02 09:00, credit: 99.99, balance_after: 99.99}]
    expect: []
"""


def run(folder: Path, command: str, *options: str, text: str = GOOD) -> Result:
    (folder / "p.yaml").write_text(text, encoding="utf-8")
    return CliRunner().invoke(rules, [command, str(folder), *options])


def test_check_and_test_of_a_good_pack(tmp_path: Path) -> None:
    checked = run(tmp_path, "check")
    assert checked.exit_code == 0, checked.output
    assert "1 packs, 1 rules, 2 cases, 0 findings" in checked.stdout
    assert "rich" in checked.stdout
    tested = run(tmp_path, "test", "-v")
    assert tested.exit_code == 0
    assert "passed p: opens at the line" in tested.stdout
    assert "2 of 2 cases pass" in tested.stdout


def test_a_finding_ends_with_1_and_its_place(tmp_path: Path) -> None:
    told = run(tmp_path, "check", text=GOOD.replace("line: 100", "line: 100, spare: 1"))
    assert told.exit_code == 1
    assert f"{tmp_path.as_posix()}/p.yaml:3:23: nothing reads `spare`" in told.stdout


def test_a_failed_case_ends_with_1_and_says_why(tmp_path: Path) -> None:
    wrong = GOOD.replace("credit: 99.99, balance_after: 99.99", "credit: 100, balance_after: 100")
    told = run(tmp_path, "test", text=wrong)
    assert told.exit_code == 1
    assert "FAILED p: stays silent below it" in told.stdout
    assert "1 of 2 cases pass" in told.stdout


@pytest.mark.parametrize("command", ["check", "test", "show"])
def test_a_broken_pack_ends_with_2_and_every_error(tmp_path: Path, command: str) -> None:
    told = run(tmp_path, command, text=GOOD.replace("assets >= line", "asets >= lin"))
    assert told.exit_code == 2
    assert f"{tmp_path.as_posix()}/p.yaml:5:29: unknown name `asets`" in told.stderr
    assert told.stdout == ""


@pytest.mark.parametrize("command", ["check", "test", "show"])
def test_no_folder_no_pack_or_no_text_ends_with_2(tmp_path: Path, command: str) -> None:
    for folder in (tmp_path / "nosuch", tmp_path):
        told = CliRunner().invoke(rules, [command, str(folder)])
        assert told.exit_code == 2
        assert "expected rule packs" in told.stderr
    (tmp_path / "p.yaml").write_bytes(b"pack: \xff")
    assert CliRunner().invoke(rules, [command, str(tmp_path)]).exit_code == 2


def test_json(tmp_path: Path) -> None:
    checked = json.loads(run(tmp_path, "check", "--json").stdout)
    assert checked["errors"] == checked["findings"] == []
    assert set(checked["state_bytes"]) == {"rich"}
    cases = json.loads(run(tmp_path, "test", "--json").stdout)["cases"]
    assert [(case["pack"], case["passed"]) for case in cases] == [("p", True), ("p", True)]
    shown = json.loads(run(tmp_path, "show", "--json").stdout)
    assert shown["packs"][0]["rules"]["rich"]["when"] == "assets >= line"
    broken = run(tmp_path, "check", "--json", text=GOOD.replace("assets >=", "asets >="))
    assert broken.exit_code == 2
    (error,) = json.loads(broken.stdout)["errors"]
    assert (error["line"], error["column"], error["nearest"]) == (5, 29, "assets")


def test_only_one_pack(tmp_path: Path) -> None:
    assert "2 of 2" in run(tmp_path, "test", "--pack", "p").stdout
    told = run(tmp_path, "test", "--pack", "q")
    assert told.exit_code == 2
    assert "expected one of the packs p, got q" in told.stderr


def test_show_reads_a_pack_aloud(tmp_path: Path) -> None:
    shown = run(tmp_path, "show").stdout
    assert "p: A small pack" in shown
    assert "line = 100" in shown
    assert "when assets >= line" in shown
    assert "birthday_in(date, days)" in run(tmp_path, "show", "--functions").stdout
