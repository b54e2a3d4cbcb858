"""`tagger rules publish|activate|list|diff|pause|resume`: rulebooks of a deployment, and which one decides."""

import json
import re
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import click

from schemas.bankday import BankCalendar
from streams.cli.exits import CommandError, run
from streams.cli.packs import packs_in, read_rules, rulebook_of
from streams.exits import BAD_CONFIGURATION, NOT_SO, UNREACHABLE
from streams.history import read_moment
from streams.lanes.unit_of_work import FencedError, OutcomeUnknownError
from streams.rulebooks import activation
from streams.rulebooks.activation import Published, published
from streams.rulebooks.diff import consequences, differences
from streams.settings import Settings
from tagger.packs.rulebook import Rulebook

ACTIVE = "active"
# Tags name a rulebook as `2026.11:ab12cd34`.
_DIGEST = re.compile(r"(?:[^:/]+:)?([0-9a-f]{4,16})")
_WHICH = "rule packs (*.yaml) in a folder, a published digest (or its beginning), or `active`"
_EXIT_CODES = (
    "Exit codes: 0 fine, 1 {not_so}, 2 no such rulebook or packs that cannot be read, 3 the broker is not reached."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")


def find_rulebook(settings: Settings, which: str) -> Rulebook:
    """The rulebook of a folder, or the published one of a digest, of its beginning, or in force.

    Raises:
        CommandError: there is none, or it cannot be read.
    """
    folder = Path(which)
    if folder.is_dir():
        return read_rules(folder)
    if which != ACTIVE and not _DIGEST.fullmatch(which):
        raise CommandError(f"expected {_WHICH}, got {which}", BAD_CONFIGURATION)
    found = run(published(settings))
    digest = _find_digest(found, which)
    return rulebook_of(found.rulebooks[digest].files, digest)


@click.command(epilog=_EXIT_CODES.format(not_so="never"))
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@_JSON
@click.pass_obj
def publish(settings: Settings, directory: Path | None, as_json: bool) -> None:
    """Store the packs of a folder under their digest; nothing decides by them yet.

    The same packs again change nothing. `tagger rules activate` puts them in force.
    """
    files = packs_in(directory or settings.rules)
    rulebook = rulebook_of(files, str(directory or settings.rules))
    digest = run(activation.publish(settings, files))
    told = {"digest": digest, "rulebook": rulebook.name, "rules": len(rulebook.rules)}
    _say(told, f"published {rulebook.name}, {len(rulebook.rules)} rules, as {digest}", as_json)


@click.command(epilog=_EXIT_CODES.format(not_so="somebody else activates at this moment"))
@click.argument("which", metavar="DIR|DIGEST")
@click.option("--at", "at_text", metavar="TIME", help="When the clock has reached this; at once without.")
@_JSON
@click.pass_obj
def activate(settings: Settings, which: str, at_text: str | None, as_json: bool) -> None:
    """Put a rulebook in force, in every partition at one event time.

    A folder is published first. TIME is RFC 3339, or a time of the bank, or a date, which stands for its first
    instant. Customers are re-evaluated, a changed feature begins to warm, a removed rule revokes its open
    episodes. Going back is activating the earlier digest; `tagger rules list` shows them.
    """
    from_ms = None if at_text is None else _instant(at_text, settings)
    if Path(which).is_dir():
        digest = run(activation.publish(settings, packs_in(Path(which))))
    else:
        digest = _find_digest(run(published(settings)), which)
    _write(activation.activate(settings, digest, from_ms))
    when = "at once" if from_ms is None else f"from {BankCalendar(settings.zone).format(from_ms)} on"
    _say({"digest": digest, "from_ms": from_ms}, f"activated {digest}, {when}", as_json)


@click.command("list", epilog=_EXIT_CODES.format(not_so="never"))
@_JSON
@click.pass_obj
def list_rulebooks(settings: Settings, as_json: bool) -> None:
    """List the published rulebooks; * is the one activated last."""
    found = run(published(settings))
    last = None if found.activated is None else found.activated.digest
    if as_json:
        told = [
            {"digest": digest, "version": book.version, "activated": digest == last}
            for digest, book in sorted(found.rulebooks.items())
        ]
        click.echo(json.dumps(told))
        return
    for digest, book in sorted(found.rulebooks.items()):
        click.echo(f"{'*' if digest == last else ' '} {digest}  {book.version}  {len(book.files)} files")


@click.command(epilog=_EXIT_CODES.format(not_so="they differ"))
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="[NEW]", required=False)
@_JSON
@click.pass_obj
def diff(settings: Settings, old: str, new: str | None, as_json: bool) -> None:
    """Compare any two rulebooks: what decides and differs, and what the second would do to customers.

    OLD and NEW are a folder of packs, a published digest (or its beginning), or `active`. With one of them, the
    rulebook in force is compared with it.

    \b
    tagger rules diff active rules
    tagger rules diff ab12cd34 my-rules
    """
    first, second = find_rulebook(settings, ACTIVE if new is None else old), find_rulebook(settings, new or old)
    found = differences(first, second)
    then = consequences(first, second, BankCalendar(settings.zone)) if found else []
    if as_json:
        lines = [{"path": one.path, "old": one.old, "new": one.new} for one in found]
        told = {"old": first.name, "new": second.name, "differences": lines, "consequences": then}
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        click.echo(f"{first.name} → {second.name}: {len(found)} differences")
        for line in (*found, *(f"! {one}" for one in then)):
            click.echo(str(line))
        if not found and first.digest != second.digest:
            click.echo("they say the same in another order")
    if first.digest != second.digest:
        raise SystemExit(NOT_SO)


@click.command(epilog=_EXIT_CODES.format(not_so="somebody else writes at this moment"))
@click.argument("rule")
@click.pass_obj
def pause(settings: Settings, rule: str) -> None:
    """Hold back every push of a rule from now on: its tags say `over_budget`.

    For a guard that watches budgets over all customers, and for people. `tagger rules resume` lets go what is
    still open.
    """
    _write(activation.pause(settings, rule))
    click.echo(f"paused {rule}")


@click.command(epilog=_EXIT_CODES.format(not_so="somebody else writes at this moment"))
@click.argument("rule")
@click.pass_obj
def resume(settings: Settings, rule: str) -> None:
    """Let the pushes of a paused rule go again; what it held and is still open comes as `released`."""
    _write(activation.pause(settings, rule, resumed=True))
    click.echo(f"resumed {rule}")


def _find_digest(found: Published, which: str) -> str:
    if which == ACTIVE:
        if found.activated is None:
            raise CommandError(
                "expected a rulebook in force, found that none was ever activated", BAD_CONFIGURATION
            )
        return found.activated.digest
    match = _DIGEST.fullmatch(which)
    digests = [digest for digest in sorted(found.rulebooks) if match is not None and digest.startswith(match[1])]
    if len(digests) != 1:
        known = ", ".join(sorted(found.rulebooks)) or "none"
        raise CommandError(f"expected {_WHICH}, got {which}; published: {known}", BAD_CONFIGURATION)
    return digests[0]


def _instant(text: str, settings: Settings) -> int:
    try:
        return BankCalendar(settings.zone).instant_ms(read_moment(text))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--at") from error


def _write(work: Coroutine[Any, Any, None]) -> None:
    try:
        run(work)
    except LookupError as error:
        raise CommandError(str(error), BAD_CONFIGURATION) from error
    except FencedError as error:
        raise CommandError(
            "somebody else activates or pauses at this moment; look, then try again", NOT_SO
        ) from error
    except OutcomeUnknownError as error:
        message = "the broker went away: it may have been written or not; look before trying again"
        raise CommandError(message, UNREACHABLE) from error


def _say(told: dict[str, Any], line: str, as_json: bool) -> None:
    click.echo(json.dumps(told) if as_json else line)
