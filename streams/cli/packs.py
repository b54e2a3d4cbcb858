"""The packs that a command is given, or its end with what is wrong with them."""

from pathlib import Path

from streams.cli.exits import CommandError
from streams.exits import BAD_CONFIGURATION
from streams.rulebooks.folder import UnreadablePacksError, read_folder
from tagger.packs.errors import RulebookError
from tagger.packs.rulebook import Rulebook, read_rulebook


def packs_in(folder: Path) -> dict[str, str]:
    """The packs' texts by name below their folder."""
    try:
        return read_folder(folder)
    except UnreadablePacksError as error:
        raise CommandError(str(error), BAD_CONFIGURATION) from error


def rulebook_of(files: dict[str, str], what: str) -> Rulebook:
    """The rulebook that packs make; `what` names them where they are not valid."""
    try:
        return read_rulebook(files)
    except RulebookError as error:
        raise CommandError(f"the packs in {what} are not valid:\n{error}", BAD_CONFIGURATION) from error


def read_rules(folder: Path) -> Rulebook:
    """The rulebook of a folder of packs."""
    return rulebook_of(packs_in(folder), str(folder))
