"""Holds the compiled core to the reference: one journal, the same tags and the same features in the end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from builders import ZONE, activation, program_of
from driver import Run, run

from reference.book import Book, read_pack
from reference.interpreter import Interpreter
from schemas.journal import JournalRecord
from tagger.settings import CoreSettings


@dataclass(frozen=True)
class Scenario:
    """Packs by digest, and a journal that activates them.

    Attributes:
        cuts: after which records the core commits, and restores from what it committed.
        end_ms: when features are compared; the journal's clock has passed it.
    """

    packs: Mapping[str, str]
    journal: Sequence[JournalRecord]
    end_ms: int
    cuts: tuple[int, ...] = ()
    zone: str = ZONE


def core_of(scenario: Scenario) -> Run:
    return run(
        scenario.journal,
        scenario.packs,
        core=CoreSettings(zone=scenario.zone),
        cuts=scenario.cuts,
        restart=bool(scenario.cuts),
        max_customers=2,
    )


def reference_of(scenario: Scenario) -> Interpreter:
    books = {}
    for digest, text in scenario.packs.items():
        pack = read_pack(text)
        books[digest] = Book(program_of(text, scenario.zone).name, {pack.pack: pack})
    return Interpreter(books, scenario.zone).read(scenario.journal)


def differences(scenario: Scenario) -> list[str]:
    """What the core says otherwise than the reference, in words."""
    core, reference = core_of(scenario), reference_of(scenario)
    found = []
    for customer in sorted({*reference.customers, *core.customers}):
        theirs = by_rule(core.told(customer))
        ours = by_rule([tag for tag in reference.tags if tag["customer_id"] == customer])
        for rule in sorted({*theirs, *ours}):
            found += _tag_differences(f"{customer} {rule}", theirs.get(rule, []), ours.get(rule, []))
        if customer in core.customers and customer in reference.customers:
            measured = core.measure(scenario.end_ms, customer)
            expected = reference.measure(customer, scenario.end_ms)
            found += [
                f"{customer} feature {name}: core {measured.get(name)}, reference {value}"
                for name, value in expected.items()
                if plain(measured.get(name)) != plain(value)
            ]
            found += [f"{customer}: core has a column {name}" for name in measured.keys() - expected.keys()]
    fates = {"applied": 0, "duplicate": 0, "late": 0}
    for fate in core.clock.fates.values():
        fates["applied"] += fate.applied
        fates["duplicate"] += fate.duplicate
        fates["late"] += fate.late
    expected_fates = {name: reference.fates.get(name, 0) for name in fates}
    return found if fates == expected_fates else [*found, f"fates: core {fates}, reference {expected_fates}"]


def by_rule(tags: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """A customer's tags, apart by rule: among rules there is no order within an instant."""
    found: dict[str, list[dict[str, Any]]] = {}
    for tag in tags:
        found.setdefault(tag["rule"], []).append(tag)
    return found


def _tag_differences(who: str, core: list[dict[str, Any]], reference: list[dict[str, Any]]) -> list[str]:
    for number, expected in enumerate(reference):
        if number >= len(core):
            return [f"{who}: core lacks {brief(expected)}"]
        got = core[number]
        compared = [name for name in expected if expected[name] is not None or name != "evidence"]
        wrong = [name for name in compared if plain(_as_compared(name, got.get(name))) != plain(expected[name])]
        if wrong:
            said = [f"{name}: core {got.get(name)}, reference {expected[name]}" for name in wrong]
            return [
                f"{who}: tag {number} differs, core {brief(got)}, reference {brief(expected)}; " + "; ".join(said)
            ]
    return [f"{who}: core has besides {brief(tag)}" for tag in core[len(reference) :][:1]]


def _as_compared(name: str, value: Any) -> Any:
    if name == "needs":
        return value or []
    if name == "evidence":
        return [(one["holds"], one["measured"]) for one in value]
    return (value["push"], value["reason"]) if name == "delivery" else value


def brief(tag: dict[str, Any]) -> str:
    return f"{tag['at']} {tag['change']} {tag['level'] or ''} r{tag['revision']} {tag['reason'] or ''}"


def plain(value: Any) -> Any:
    """A value as it is compared: numbers as numbers, however they are written."""
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bool) or value in ("true", "false"):
        return str(value).lower()
    try:
        return value if value is None else Decimal(str(value))
    except InvalidOperation:
        return str(value)


def begin(digest: str = "r1") -> JournalRecord:
    """Puts the first rulebook in force."""
    return activation(digest)
