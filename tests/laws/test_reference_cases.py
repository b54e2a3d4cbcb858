"""Law: the reference interpreter passes the cases that packs carry, told as the case runner tells them."""

from pathlib import Path
from typing import Any

import pytest
from reference.book import Book, read_pack
from reference.compare import plain
from reference.interpreter import Interpreter

from schemas.bankday import BankCalendar
from schemas.journal import JournalRecord
from schemas.packs.features import ActiveRule, LevelOf
from tagger.cases import run as cases
from tagger.compiler.program import Program
from tagger.packs.rulebook import read_rulebook
from tagger.settings import CoreSettings

RULES = Path(__file__).parents[2] / "rules"
CORE = CoreSettings()


class _Told(cases._Runner):
    """Keeps what it folds."""

    def __init__(self, program: Program, core: CoreSettings) -> None:
        self.journal: list[JournalRecord] = []
        super().__init__(program, core)

    def _fold(self, record: JournalRecord) -> None:
        self.journal.append(record)
        super()._fold(record)


TEXTS = {
    path.stem: path.read_text(encoding="utf-8")
    for path in sorted(RULES.glob("*.yaml"))
    if path.stem not in ("rulebook", "policy")
}
PACKS = {name: read_pack(text) for name, text in TEXTS.items()}


def together(name: str) -> set[str]:
    """A pack and those whose rules it reads, with theirs."""
    read = {feature.rule for feature in PACKS[name].features.values() if isinstance(feature, LevelOf | ActiveRule)}
    others = {other for other, pack in PACKS.items() if other != name and read & set(pack.rules)}
    return {name}.union(*(together(other) for other in others))


@pytest.mark.parametrize("name", PACKS)
def test_the_reference_says_what_a_packs_cases_expect(name: str) -> None:
    packs = {one: PACKS[one] for one in sorted(together(name))}
    program = Program(read_rulebook({one: TEXTS[one] for one in packs}), BankCalendar(CORE.zone))
    for case in PACKS[name].cases:
        runner = _Told(program, CORE)
        for given in case.given:
            runner.give(given)
        book = Book(program.name, packs)
        reference = Interpreter({program.digest: book}, CORE.zone).read(runner.journal)
        assert _brief(reference.tags) == _brief(runner.tags), case.it
        if cases.CUSTOMER in reference.customers:
            core = runner.partition.measure(cases.CUSTOMER, runner.now_ms)
            measured = reference.measure(cases.CUSTOMER, runner.now_ms)
            assert {name: plain(value) for name, value in measured.items()} == {
                name: plain(value) for name, value in core.items()
            }, case.it


def _brief(tags: list[dict[str, Any]]) -> list[Any]:
    said = ("rule", "at", "change", "level", "previous_level", "reason", "revision", "value", "expires_at")
    return sorted(
        ({name: plain(tag[name]) for name in said} for tag in tags),
        key=lambda tag: (str(tag["rule"]), tag["revision"], tag["at"], str(tag["level"])),
    )
