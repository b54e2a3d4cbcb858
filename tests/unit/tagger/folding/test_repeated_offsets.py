"""Offsets that were folded before leave no trace when they come again."""

import pytest
from builders import activation, app, money, pause, tick
from driver import CORE

from schemas.journal import JournalRecord
from tagger.folding.batch import Changes
from tagger.folding.partition import Partition

PACK = "pack: p\nrules: {in: {when: assets > 0}}\n"

AGAIN: dict[str, JournalRecord] = {
    "transaction": money("2026-03-02 09:00", 100, "t1"),
    "app event": app("2026-03-02 09:00", "a1", product="P"),
    "tick": tick("2026-03-02 09:00"),
    "activation": activation("b"),
    "pause": pause("in"),
}


def fold(partition: Partition, offset: int, record: JournalRecord) -> Changes:
    batch = partition.batch()
    assert batch.fold(offset, record)
    return batch.finish()


@pytest.mark.parametrize("kind", AGAIN)
def test_a_record_below_the_position_changes_nothing(kind: str) -> None:
    partition = Partition(CORE, {"a": {"p.yaml": PACK}, "b": {"p.yaml": PACK}}.__getitem__)
    partition.merge(fold(partition, 0, activation("a")))
    first = fold(partition, 1, AGAIN[kind])
    partition.merge(first)

    again = fold(partition, 1, AGAIN[kind])

    assert (again.customers, again.tags, again.dues) == ([], [], [])
    assert (again.meta, again.next_offset) == (first.meta, 2)


def test_a_record_at_the_position_changes_something() -> None:
    """Or the test above would pass on a fold that does nothing."""
    partition = Partition(CORE, {"a": {"p.yaml": PACK}}.__getitem__)
    partition.merge(fold(partition, 0, activation("a")))
    assert fold(partition, 1, AGAIN["transaction"]).tags
