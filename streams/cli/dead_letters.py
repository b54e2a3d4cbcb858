"""`tagger dead-letters`: records that broke the contract; look at them, mend them, send them again."""

import re
from base64 import b64decode
from collections.abc import AsyncIterator
from operator import attrgetter
from typing import BinaryIO

import click
import msgspec

from schemas.deadletters import REASONS, DeadLetter, DeadLetterSource, decode_dead_letter
from schemas.topics import DEAD_LETTERS
from streams.cli.exits import CommandError, run
from streams.cli.show import JSON_HELP, LIMIT, Columns, largest, partition_for, print_json, print_table, reading
from streams.clients import read_topic
from streams.dead_letters import Edit, Outcome, place_of
from streams.dead_letters import replay as resend
from streams.exits import NOT_SO, UNREACHABLE
from streams.lanes.unit_of_work import FencedError, OutcomeUnknownError
from streams.settings import Settings


@click.group("dead-letters")
def dead_letters() -> None:
    """Look at input records that broke the contract, and send them again."""


@dead_letters.command("list")
@click.option("--reason", type=click.Choice(sorted(REASONS)), help="Of this reason only.")
@click.option("--limit", default=LIMIT, show_default=True, type=click.IntRange(min=1), help="The last N.")
@click.option("--json", "as_json", is_flag=True, help=JSON_HELP)
@click.pass_obj
def list_dead_letters(settings: Settings, reason: str | None, limit: int, as_json: bool) -> None:
    """List the dead letters written last, the newest at the end.

    The first column is what `dead-letters show` takes.
    """
    with reading(settings.topic(DEAD_LETTERS)):
        found = run(_last_dead_letters(settings, reason, limit))
    if as_json:
        print_json(*found)
        return
    columns: Columns = {
        "source": place_of,
        "reason": lambda letter: letter.reason,
        "field": lambda letter: letter.field,
        "expected": lambda letter: letter.expected,
        "got": lambda letter: letter.got,
        "at": lambda letter: letter.at,
    }
    print_table(columns, found)


async def _last_dead_letters(settings: Settings, reason: str | None, limit: int) -> list[DeadLetter]:
    async def wanted() -> AsyncIterator[tuple[tuple[int, int, int], DeadLetter]]:
        async for record in read_topic(settings, settings.topic(DEAD_LETTERS)):
            letter = decode_dead_letter(record.value)
            if reason is None or letter.reason == reason:
                yield (record.timestamp, record.partition, record.offset), letter

    return [letter for _, letter in sorted(await largest(limit, wanted()), key=lambda item: item[0])]


@dead_letters.command("show")
@click.argument("place", metavar="TOPIC-PARTITION@OFFSET")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def show_dead_letter(settings: Settings, place: str, as_json: bool) -> None:
    """Show one dead letter whole, by where its record lies, such as bank.transactions-3@812.

    Exits 1 when that record is no dead letter.
    """
    source, _, offset = _checked(place).rpartition("@")
    with reading(settings.topic(DEAD_LETTERS)):
        letter = run(_dead_letter(settings, source, int(offset)))
    if letter is None:
        topic = settings.topic(DEAD_LETTERS)
        raise CommandError(f"expected a dead letter of {place} in {topic}, found none", NOT_SO)
    if as_json:
        print_json(letter)
        return
    fields = {"field": lambda item: item[0], "value": lambda item: item[1]}
    print_table(fields, [("meaning", REASONS[letter.reason]), *msgspec.to_builtins(letter).items()])


async def _dead_letter(settings: Settings, source: str, offset: int) -> DeadLetter | None:
    found = None
    async for record in partition_for(settings, settings.topic(DEAD_LETTERS), source.encode()):
        letter = decode_dead_letter(record.value)
        if letter.message_key == source and letter.source.offset == offset:
            found = letter
    return found


@dead_letters.command()
@click.argument("places", metavar="[TOPIC-PARTITION@OFFSET]...", nargs=-1)
@click.option("--reason", type=click.Choice(sorted(REASONS)), help="All of this reason, in the place of places.")
@click.option(
    "--file",
    "lines",
    metavar="FILE",
    type=click.File("rb"),
    help="Those that `list --json` wrote there, with `payload` mended, or `value` (JSON) put in its place.",
)
@click.option(
    "--set",
    "assignments",
    metavar="FIELD=TEXT",
    multiple=True,
    help="Set a field of the payload to a text; FIELD:=JSON sets another value.",
)
@click.option("--unset", metavar="FIELD", multiple=True, help="Leave a field of the payload out.")
@click.option("--dry-run", is_flag=True, help="Send nothing, and say what would be sent.")
@click.option("--json", "as_json", is_flag=True, help=JSON_HELP)
@click.pass_obj
def replay(
    settings: Settings,
    *,
    places: tuple[str, ...],
    reason: str | None,
    lines: BinaryIO | None,
    assignments: tuple[str, ...],
    unset: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Send dead letters to their input partitions again, mended or as they are, each once.

    The record says in the header tagger-replayed-from where the first of its history lies; one that was sent
    before and not refused again is passed over, whatever is set in it. What would be refused again is not sent.

    \b
    tagger dead-letters replay bank.transactions-3@812 --set currency=CNY
    tagger dead-letters replay --reason no_rate        # once the rate is set
    tagger dead-letters list --json > mended.jsonl     # mend the payloads, then
    tagger dead-letters replay --file mended.jsonl

    Exits 1 when one was not sent, for want of the dead letter or of a mended payload; the others are sent.
    """
    if sum((bool(places), reason is not None, lines is not None)) != 1:
        raise click.UsageError("expected places, or --reason, or --file")
    members = _members(assignments, unset)
    edits = _read_mended(lines) if lines is not None else {_checked(place): Edit(members) for place in places}
    if lines is not None and members:
        raise click.UsageError("--set and --unset are for places and --reason; mend the payload in the file")

    def wanted(letter: DeadLetter) -> Edit | None:
        if reason is not None:
            return Edit(members) if letter.reason == reason else None
        return edits.get(place_of(letter))

    async def outcomes() -> list[Outcome]:
        try:
            return [outcome async for outcome in resend(settings, wanted, dry_run=dry_run)]
        except FencedError as error:
            told = "expected to be the only one that replays, found another: what it sent, a new run passes over"
            raise CommandError(told, NOT_SO) from error
        except OutcomeUnknownError as error:
            told = (
                f"the broker went away, some may have been sent: run the same again, it passes over them ({error})"
            )
            raise CommandError(told, UNREACHABLE) from error

    with reading(settings.topic(DEAD_LETTERS)):
        found = run(outcomes())
    missing = sorted(edits.keys() - {outcome.place for outcome in found})
    found += [Outcome(place, "refused", "expected a dead letter of this record, found none") for place in missing]
    if as_json:
        print_json(*found)
    else:
        print_table({name: attrgetter(name) for name in ("place", "outcome", "why")}, found)
    refused = sum(outcome.outcome == "refused" for outcome in found)
    if refused:
        raise CommandError(f"expected to send all, {refused} of {len(found)} were refused", NOT_SO)


_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(:?)=(.*)", re.DOTALL)
_PLACE = re.compile(r".+-[0-9]{1,10}@[0-9]{1,19}")


class _Mended(msgspec.Struct):
    """A line of `--file`; a dead letter's other fields are left unread."""

    source: DeadLetterSource
    value: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    payload: str | None = None
    payload_encoding: str | None = None


_MENDED = msgspec.json.Decoder(_Mended)


def _checked(place: str) -> str:
    if not _PLACE.fullmatch(place):
        raise click.BadParameter(f"expected TOPIC-PARTITION@OFFSET such as bank.transactions-3@812, got {place}")
    return place


def _members(assignments: tuple[str, ...], unset: tuple[str, ...]) -> dict[str, bytes | None]:
    members: dict[str, bytes | None] = dict.fromkeys(unset)
    for assignment in assignments:
        match = _ASSIGNMENT.fullmatch(assignment)
        if match is None:
            raise click.BadParameter(f"expected --set FIELD=TEXT or FIELD:=JSON, got {assignment}")
        name, is_json, text = match.groups()
        members[name] = msgspec.json.encode(text)
        if is_json:
            try:
                members[name] = msgspec.json.encode(msgspec.json.decode(text))
            except msgspec.DecodeError as error:
                raise click.BadParameter(f"expected JSON after {name}:=, got {text}: {error}") from error
    return members


def _read_mended(lines: BinaryIO) -> dict[str, Edit]:
    edits = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            mended = _MENDED.decode(line)
            if not isinstance(mended.value, msgspec.UnsetType):
                value = bytes(mended.value)
            else:
                payload = mended.payload or ""
                value = b64decode(payload) if mended.payload_encoding == "base64" else payload.encode()
        except (ValueError, RecursionError) as error:
            told = f"line {number}: expected a dead letter as `list --json` writes it: {error}"
            raise click.BadParameter(told) from error
        source = mended.source
        edits[f"{source.topic}-{source.partition}@{source.offset}"] = Edit(value=value)
    return edits
