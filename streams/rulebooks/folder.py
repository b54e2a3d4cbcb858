"""The folder of rule packs: which of its files are packs, and what they say."""

from pathlib import Path

_SUFFIXES = {".yaml", ".yml"}


class UnreadablePacksError(Exception):
    """The folder cannot be read as packs; the message names it, or the file, and what was expected."""


def read_packs(folder: Path) -> dict[Path, str]:
    """The YAML files of a folder and those below it, in order of their paths, with their text.

    Raises:
        UnreadablePacksError: there is no such folder, no YAML file in it, or one that is no readable UTF-8.
    """
    found = folder.rglob("*") if folder.is_dir() else ()
    # A link to nowhere is refused by name: left out, its settings or the contact policy would go unseen.
    paths = sorted(path for path in found if path.suffix in _SUFFIXES and not path.is_dir())
    if not paths:
        instead = "found none" if folder.is_dir() else f"there is no such folder in {Path.cwd()}"
        raise UnreadablePacksError(
            f"expected rule packs (*.yaml) in the folder {folder}, {instead}: name another, or set TAGGER_RULES"
        )
    return {path: _read(path) for path in paths}


def read_folder(rules: Path) -> dict[str, str]:
    """The same by name below the folder, with `/`, as a rulebook is published.

    Raises:
        UnreadablePacksError: as `read_packs`.
    """
    return {path.relative_to(rules).as_posix(): text for path, text in read_packs(rules).items()}


def _read(path: Path) -> str:
    if path.exists() and not path.is_file():  # reading a pipe would wait for ever
        raise UnreadablePacksError(f"{path}: expected a file to read, got something else")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UnreadablePacksError(
            f"{path}:{line}: expected UTF-8, got byte 0x{error.object[error.start]:02x}"
        ) from error
    except OSError as error:
        raise UnreadablePacksError(f"{path}: expected a file to read: {error.strerror}") from error
