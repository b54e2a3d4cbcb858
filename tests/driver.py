"""Runs journals through the real decode → fold → encode path, with a list for a log.

`run` folds a journal in any batching, with a restart (the partition rebuilt from the changelog's bytes) between
any two batches, and gives the bytes a reader of the topics would see.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from builders import activation, program_of

from schemas.journal import JournalRecord, decode_record, encode_record
from tagger.folding.meta import Meta, decode_meta
from tagger.folding.partition import Partition
from tagger.settings import CoreSettings
from tagger.state.customer import CustomerState, decode_state

CORE = CoreSettings()
_ENDLESS = 100_000


@dataclass
class Run:
    """What a journal came to."""

    customers: dict[str, bytes] = field(default_factory=dict)
    tags: list[tuple[str, bytes]] = field(default_factory=list)
    meta: bytes = b""
    partition: Any = None
    batches: int = 0

    def told(self, customer: str = "C1") -> list[dict[str, Any]]:
        """A customer's tags, decoded."""
        return [msgspec.json.decode(tag) for one, tag in self.tags if one == customer]

    def brief(self, customer: str = "C1") -> list[tuple[str, str, str]]:
        """A customer's tags as (bank time, change, rule or rule.level)."""
        return [
            (
                tag["at"][:19].replace("T", " "),
                tag["change"],
                f"{tag['rule']}.{tag['level']}" if tag["level"] else tag["rule"],
            )
            for tag in self.told(customer)
        ]

    def state(self, customer: str = "C1") -> CustomerState:
        return decode_state(self.customers[customer])

    @property
    def clock(self) -> Meta:
        return decode_meta(self.meta)

    def measure(self, when_ms: int, customer: str = "C1") -> dict[str, str | None]:
        result: dict[str, str | None] = self.partition.measure(customer, when_ms)
        return result

    def by_customer(self) -> dict[str, list[bytes]]:
        tags: dict[str, list[bytes]] = {}
        for customer, tag in self.tags:
            tags.setdefault(customer, []).append(tag)
        return tags


def _unpublished(digest: str) -> dict[str, str]:
    raise LookupError(digest)


def run(
    records: Sequence[JournalRecord],
    packs: Mapping[str, str] | str,
    *,
    core: CoreSettings = CORE,
    cuts: Collection[int] | None = (),
    max_customers: int = 1 << 30,
    max_deadlines: int = 1 << 62,
    restart: bool = False,
    sweeps: Mapping[int, int] | None = None,
    is_swept: bool = True,
) -> Run:
    """Fold a journal.

    Args:
        packs: pack text by digest, for the journal's activations; one text is put in force at the beginning.
        cuts: commit after these numbers of records; None after each one.
        max_customers, max_deadlines: of a batch.
        restart: forget all but the changelog's bytes after each commit.
        sweeps: let ticks leave deadlines behind, and evaluate so many after these numbers of records. Those a tick
            makes due are evaluated at once when None.
        is_swept: evaluate at the end what is left of them.
    """
    if isinstance(packs, str):
        packs, records = {"r1": packs}, [activation("r1"), *records]
    programs = {digest: program_of(text, core.zone) for digest, text in packs.items()}
    result = Run()
    partition = Partition(core, _unpublished, programs=dict(programs))
    defers = sweeps is not None
    batch = partition.batch(max_customers, max_deadlines=max_deadlines, defers=defers)

    def commit() -> None:
        nonlocal partition, batch
        changes = batch.finish()
        assert len({customer for customer, _ in changes.customers}) == len(changes.customers)
        result.customers.update(changes.customers)
        result.tags += changes.tags
        result.meta = changes.meta
        result.batches += 1
        assert result.batches < _ENDLESS, "a record that is never done"
        if restart:
            restored = dict(sorted(result.customers.items(), reverse=True))
            partition = Partition(core, _unpublished, restored, changes.meta, dict(programs))
        else:
            partition.merge(changes)
        batch = partition.batch(max_customers, max_deadlines=max_deadlines, defers=defers)

    for offset, record in enumerate(records):
        wire = decode_record(encode_record(record))
        while not batch.fold(offset, wire):
            commit()
        if sweeps is not None and offset + 1 in sweeps:
            batch.sweep(sweeps[offset + 1])
        if cuts is None or offset + 1 in cuts:
            commit()
    commit()
    while is_swept and partition.is_behind:
        batch.sweep(1)
        commit()
    result.partition = partition
    assert partition.customers == result.customers
    return result
