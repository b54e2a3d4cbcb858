"""A tick, an activation: however much they bring about, a batch is cut by bytes as well as by customers."""

from builders import activation, money, program_of, tick

from schemas.journal import JournalRecord
from tagger.folding.partition import Partition
from tagger.settings import CoreSettings

PACK = """
pack: p
rules:
  mondays: {when: today.weekday == 1}
  new_week: {when: today.weekday <= 3}
  early: {when: assets > 0 and today.weekday == 1}
"""
OTHER = "pack: p\nrules: {any: {when: assets > 0}}"
CUSTOMERS = 300
LIMIT = 20_000
ONE_MORE = 4_000
"""Above what one customer's tags take."""


def journal() -> list[JournalRecord]:
    """Everybody's deadlines fall due in one tick, and then everybody meets another rulebook."""
    events = [money("2026-02-27 09:00", 10, f"t{number}", customer=f"C{number:03}") for number in range(CUSTOMERS)]
    return [activation("a"), tick("2026-02-27 09:00"), *events, tick("2026-03-02 01:00"), activation("b")]


def run(max_bytes: int) -> tuple[list[list[bytes]], list[int], dict[str, bytes]]:
    """Tags of each batch, their bytes, and the states at the end."""
    core = CoreSettings(clock_topics=("bank.transactions",))
    partition = Partition(core, {"a": {"pack.yaml": PACK}, "b": {"pack.yaml": OTHER}}.__getitem__)
    batches, sizes = [], []

    def commit() -> None:
        nonlocal batch
        changes = batch.finish()
        partition.merge(changes)
        batches.append([tag for _, tag in changes.tags])
        sizes.append(sum(len(tag) for _, tag in changes.tags))
        batch = partition.batch(max_bytes=max_bytes)

    batch = partition.batch(max_bytes=max_bytes)
    for offset, record in enumerate(journal()):
        while not batch.fold(offset, record):
            commit()
        if batch.size_bytes >= max_bytes:
            commit()
    commit()
    return batches, sizes, partition.customers


def test_a_tick_and_an_activation_are_cut_by_bytes_and_give_the_same_tags_and_states() -> None:
    (whole_batches, whole_sizes, whole), (batches, sizes, states) = run(1 << 62), run(LIMIT)
    assert [tag for batch in batches for tag in batch] == [tag for batch in whole_batches for tag in batch]
    assert states == whole
    assert len(states) == CUSTOMERS
    assert len(whole_sizes) == 1
    assert whole_sizes[0] > 20 * LIMIT, "too little for a cut to show"
    assert max(sizes) < LIMIT + ONE_MORE


def test_packs_are_valid() -> None:
    assert program_of(PACK)
    assert program_of(OTHER)
