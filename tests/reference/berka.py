"""Tiers over a real bank's history: upgrades and downgrades by month, by the core and by the reference.

    python -m tests.reference.berka --scale 0.2 --jobs 2      every account of Berka, from the data folder
    python -m tests.reference.berka --every 300               one account of each 300

The ladders are those of `rules/`, their cuts scaled by a setting, and every level makes a tag, so that falls to
the lowest one show. Each account is a journal of its own, in booking order, which ends when the data does.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from builders import ZONE, ticks
from ruamel.yaml import YAML

from reference.book import Book, read_pack
from reference.interpreter import Interpreter
from reference.language import names_in
from schemas.bankday import BankCalendar
from schemas.decode import Decoder
from schemas.journal import Activation, CustomerEvent, JournalRecord
from streams.sources.berka import read_berka
from tagger.compiler.program import Program
from tagger.folding.partition import Partition
from tagger.folding.plain_fold import fold
from tagger.packs.rulebook import read_rulebook
from tagger.settings import CoreSettings

ROOT = Path(__file__).resolve().parents[2]
BERKA = Path(os.environ.get("TAGGER_DATA", ROOT.parent / "shared" / "data")) / "berka"
# The ladder, and the setting that holds its cuts, by pack.
LADDERS = {
    "ccb": ("ccb-level", "cuts"),
    "psbc": ("psbc-level", "averages"),
    "joint_stock": ("joint-stock-layer", "cuts"),
}
SCALE = "0.2"
Moves = Counter[tuple[str, str, str]]
"""How often: by ladder, month, and `up` or `down`."""


class Account(NamedTuple):
    """An account's number, its transactions as ingest passes them on, and when the data ends."""

    number: str
    events: list[CustomerEvent]
    end_ms: int


def accounts(folder: Path, every: int = 1) -> list[Account]:
    """The accounts by number, their transactions in booking order.

    Args:
        every: only each so manieth account, by number.
    """
    decoder = Decoder({})
    found: dict[str, list[CustomerEvent]] = {}
    for number, raw in enumerate(read_berka(folder, ZONE)):
        if raw.key is not None and int(raw.key) % every == 0:
            event = decoder.decode(raw.topic, 0, number, raw.value).event
            found.setdefault(event.customer_id, []).append(event)
    calendar = BankCalendar(ZONE)
    last = max(calendar.day_of(events[-1].occurred_ms) for events in found.values())
    # A second into the day after, so that what turns with that day has turned.
    end_ms = calendar.start_ms(last + 1) + 1000
    return [Account(number, found[number], end_ms) for number in sorted(found, key=int)]


@lru_cache
def pack_text(pack: str, scale: str) -> str:
    """One ladder of `rules/`, with what it reads; cuts scaled, no level silent."""
    text = (ROOT / "rules" / f"{pack}.yaml").read_text(encoding="utf-8")
    raw: dict[str, Any] = YAML(typ="base").load(text)
    settings: dict[str, Any] = dict(read_pack(text).settings)
    rule, scaled = LADDERS[pack]
    settings[scaled] = {name: cut * Decimal(scale) for name, cut in settings[scaled].items()}
    ladder = {key: value for key, value in raw["rules"][rule].items() if key not in ("silent", "offers")}
    model = read_pack(text).rules[rule]
    names = {name.split(".")[0] for _, written in model.expressions() for name in names_in(written)}
    features = {name: feature for name, feature in raw["features"].items() if name in names}
    kept = {"pack": pack, "settings": _as_text(settings), "features": features, "rules": {rule: ladder}}
    return msgspec.json.encode(kept).decode()


def _as_text(settings: Any) -> Any:
    if isinstance(settings, dict):
        return {name: _as_text(value) for name, value in settings.items()}
    return f"{settings:f}"


def moves(tags: Iterable[dict[str, Any]]) -> Moves:
    """Upgrades and downgrades in the tags that open a level after another."""
    found: Moves = Counter()
    for tag in tags:
        before, after = tag["value"].get("previous_rank"), tag["value"].get("rank")
        if tag["change"] == "opened" and before is not None:
            found[tag["rule"], tag["at"][:7], "up" if after > before else "down"] += 1
    return found


def by_core(account: Account, texts: dict[str, str]) -> list[dict[str, Any]]:
    program = _program(tuple(texts.items()))
    tags: list[dict[str, Any]] = []
    partition = Partition(CoreSettings(), _unpublished, programs={program.digest: program})
    fold(partition, program.digest, _journal(account), lambda tag: tags.append(msgspec.json.decode(tag)))
    return tags


@lru_cache
def _program(texts: tuple[tuple[str, str], ...]) -> Program:
    return Program(read_rulebook(dict(texts)), BankCalendar(ZONE))


def _unpublished(digest: str) -> dict[str, str]:
    raise LookupError(digest)


def by_reference(account: Account, texts: dict[str, str]) -> list[dict[str, Any]]:
    packs = [read_pack(text) for text in texts.values()]
    book = Book("reference", {pack.pack: pack for pack in packs})
    return Interpreter({"r": book}).read([Activation(digest="r"), *_journal(account)]).tags


def _journal(account: Account) -> Iterator[JournalRecord]:
    yield from account.events
    yield from ticks(account.end_ms)


def compared(account: Account, scale: str) -> tuple[str, Moves, str]:
    """An account's moves by the core, and in what the reference differs."""
    texts = {f"{pack}.yaml": pack_text(pack, scale) for pack in LADDERS}
    tags = by_core(account, texts)
    core, reference = _steps(tags), _steps(by_reference(account, texts))
    return account.number, moves(tags), "" if core == reference else f"core {core}, reference {reference}"


def _steps(tags: Sequence[dict[str, Any]]) -> list[tuple[Any, ...]]:
    said = [(tag["rule"], tag["at"], tag["change"], tag["level"], tag["previous_level"]) for tag in tags]
    return sorted(said, key=lambda step: step[0])


def table(found: Moves) -> str:
    """Markdown: a line a month, two columns a ladder."""
    rules = [rule for rule, _ in LADDERS.values()]
    lines = ["| month | " + " | ".join(f"{rule} up | {rule} down" for rule in rules) + " |"]
    lines.append("|---|" + "---|" * (2 * len(rules)))
    for month in sorted({month for _, month, _ in found}):
        counts = [found[rule, month, way] for rule in rules for way in ("up", "down")]
        lines.append(f"| {month} | " + " | ".join(map(str, counts)) + " |")
    sums = [sum(n for (one, _, how), n in found.items() if (one, how) == (rule, way))
            for rule in rules for way in ("up", "down")]  # fmt: skip
    return "\n".join([*lines, "| all | " + " | ".join(map(str, sums)) + " |"])


def compared_all(of: Sequence[Account], scale: str, jobs: int) -> tuple[Moves, list[str]]:
    """All accounts' moves by the core, and the accounts for which the reference says otherwise."""
    found: Moves = Counter()
    differing = []
    with ProcessPoolExecutor(jobs) as pool:
        results = pool.map(compared, of, [scale] * len(of), chunksize=20)
        for done, (account, one, differs) in enumerate(results, 1):
            found += one
            differing += [f"{account}: {differs}"] if differs else []
            if done % 500 == 0:
                sys.stderr.write(f"{done} of {len(of)} accounts\n")
    return found, differing


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="only each so manieth account")
    parser.add_argument("--scale", default=SCALE, help="by what the ladders' cuts are multiplied")
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    of = accounts(BERKA, arguments.every)
    found, differing = compared_all(of, arguments.scale, arguments.jobs)
    events = sum(len(account.events) for account in of)
    sys.stdout.write(f"{table(found)}\n\n{len(of)} accounts, {events} transactions, cuts × {arguments.scale}; ")
    sys.stdout.write(f"core and reference differ on {len(differing)}\n")
    sys.stdout.writelines(f"{line}\n" for line in differing[:5])
    return 1 if differing else 0


if __name__ == "__main__":
    raise SystemExit(main())
