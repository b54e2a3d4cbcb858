"""What the README tells people to type exists."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from streams.cli.main import main
from streams.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
BLOCKS = "\n".join(re.findall(r"```sh\n(.*?)```", README, flags=re.S))

TAGGER_LINES = sorted(set(re.findall(r"^(?:TAGGER_\w+=\S+ )*(\.venv/bin/tagger [^#\n]+)", BLOCKS, flags=re.M)))
TABLE_COMMANDS = re.findall(r"^\| `tagger ([a-z-]+)", README, flags=re.M)
MAKE_LINES = sorted(
    {line.split("#")[0].strip() for line in BLOCKS.splitlines() if line.startswith("make ")}
    | set(re.findall(r"^\| `(make [a-z]+)", README, flags=re.M))
)
# Plumbing that a reader of the README has no use for.
UNLISTED_TARGETS = {"help", "format", "clean"}


def help_of(arguments: list[str]) -> str:
    """`--help` is looked at once all options are parsed, so one that does not exist fails here."""
    result = CliRunner().invoke(main, [*arguments, "--help"])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("line", TAGGER_LINES)
def test_command_line_is_understood(line: str) -> None:
    assert "Usage:" in help_of(shlex.split(line)[1:])


@pytest.mark.parametrize("command", TABLE_COMMANDS)
def test_listed_command_answers_help(command: str) -> None:
    assert "Usage:" in help_of([command])


def test_every_command_is_listed() -> None:
    assert isinstance(main, click.Group)
    assert set(main.list_commands(click.Context(main))) == set(TABLE_COMMANDS)


@pytest.mark.parametrize("line", MAKE_LINES)
def test_make_target_exists(line: str) -> None:
    make = shutil.which("make")
    assert make is not None
    done = subprocess.run(
        [make, "-n", *shlex.split(line)[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_make_target_is_listed() -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", MAKEFILE, flags=re.M)) - UNLISTED_TARGETS
    assert targets == set(re.findall(r"^\| `make ([a-z]+)", README, flags=re.M))


def test_variables_named_are_settings() -> None:
    named = {name.lower() for name in re.findall(r"TAGGER_([A-Z_]+)", README)}
    assert named <= Settings.model_fields.keys()


def test_linked_files_exist() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_page_of_the_manual_is_linked() -> None:
    pages = {page.relative_to(ROOT).as_posix() for page in (ROOT / "docs").glob("*.md")}
    assert sorted(page for page in pages if f"]({page})" not in README) == []
