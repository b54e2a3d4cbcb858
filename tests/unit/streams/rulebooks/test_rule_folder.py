"""The folder of packs is read whole or refused with the place, whoever asks."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from streams.cli.main import main
from streams.rulebooks.folder import UnreadablePacksError, read_folder


def test_folder_is_read_with_what_lies_below(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "a.yaml").write_text("a")
    (tmp_path / "c.yml").write_text("c")
    (tmp_path / "sub" / "b.yaml").write_text("b")
    (tmp_path / "README.md").write_text("no pack")
    assert read_folder(tmp_path) == {"a.yaml": "a", "c.yml": "c", "sub/b.yaml": "b"}


@pytest.mark.parametrize("name", ["rulebook.yaml", "policy.yaml", "b.yaml"])
def test_a_link_to_nowhere_and_a_pipe_are_refused_by_name(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a")
    (tmp_path / name).symlink_to(tmp_path / "none")
    with pytest.raises(UnreadablePacksError, match=f"{name}: expected a file to read"):
        read_folder(tmp_path)
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    with pytest.raises(UnreadablePacksError, match=f"{name}: expected a file to read"):
        read_folder(tmp_path)


def test_a_folder_without_packs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UnreadablePacksError, match=r"expected rule packs .*, found none: name another, or set TAGG"
    ):
        read_folder(tmp_path)


def test_a_folder_that_is_not_there_is_told_from_one_without_packs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # as who runs a command from another folder than the checkout
    with pytest.raises(UnreadablePacksError, match=f"in the folder rules, there is no such folder in {tmp_path}"):
        read_folder(Path("rules"))


@pytest.mark.parametrize(
    "command",
    [
        ("rules", "check", "RULES"),
        ("rules", "test", "RULES"),
        ("backtest", "-", "--format", "jsonl", "--rules", "RULES"),
        ("features", "-", "--format", "jsonl", "--at", "2026-03-02", "--out", "-", "--rules", "RULES"),
    ],
)
def test_a_pack_that_is_not_utf8_is_named_with_its_line(command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"pack: a\ntitle: \xb4\xf3\xb6\xee\n")  # GB 18030, as a spreadsheet saves it
    arguments = [str(tmp_path) if word == "RULES" else word for word in command]
    result = CliRunner().invoke(main, arguments, input=b"")
    assert result.exit_code == 2, result.output
    assert f"{tmp_path / 'a.yaml'}:2: expected UTF-8, got byte 0xb4" in result.stderr
