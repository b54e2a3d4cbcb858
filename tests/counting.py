"""A partition that counts, in the place of `tagger.folding.partition.Partition`: for tests of the transport.

Each customer's state is how many events it had and a running hash of their ids in order; every third event makes a
tag of both. An event lost, doubled or out of order changes every tag of its customer from there on. Runs as a
program too: a worker with `decide` only, over the environment's settings. While the file in `FAIL_WHILE` exists it
fails on the event id in `FAIL_ON_EVENT`, or with `FAIL_IN=deliver` where Faust's agent hands a fetch to its lane.
"""

import os
import sys
from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path

import msgspec
from aiokafka import TopicPartition

from schemas.journal import JournalRecord, Source, Transaction, encode_record, hash_event
from streams.lanes.intake import Fetch
from streams.lanes.ownership import Ownership
from streams.settings import Settings, load_settings
from streams.stages.decide import Decide, Rulebooks
from tagger.folding.batch import Changes
from tagger.settings import CoreSettings

EVENTS_A_TAG = 3

State = tuple[int, str]


def count_event(state: State, event_id: str) -> State:
    """The fold: how many, and a hash of the order."""
    count, digest = state
    return count + 1, blake2b(f"{digest}{event_id}".encode(), digest_size=6).hexdigest()


def tag_of(state: State) -> bytes:
    return msgspec.json.encode({"count": state[0], "hash": state[1]})


def expected_tags(events: Iterable[tuple[str, str]]) -> dict[str, list[bytes]]:
    """Tags a customer of (customer id, event id) in journal order: the oracle."""
    states: dict[str, State] = {}
    tags: dict[str, list[bytes]] = {}
    for customer, event_id in events:
        states[customer] = state = count_event(states.get(customer, (0, "")), event_id)
        if state[0] % EVENTS_A_TAG == 0:
            tags.setdefault(customer, []).append(tag_of(state))
    return tags


class CountingPartition:
    """Same shape as `tagger.folding.partition.Partition`."""

    def __init__(
        self,
        core: CoreSettings,
        rulebooks: Callable[[str], dict[str, str]],
        customers: dict[str, bytes] | None = None,
        meta: bytes | None = None,
    ) -> None:
        self.states = customers if customers is not None else {}
        self.next_offset = msgspec.json.decode(meta)["next_offset"] if meta is not None else 0

    is_behind = False

    def batch(
        self, max_customers: int, max_bytes: int = 1 << 62, max_deadlines: int = 1 << 62, defers: bool = False
    ) -> "CountingBatch":
        return CountingBatch(self)

    def merge(self, changes: Changes) -> None:
        self.states.update(changes.customers)
        self.next_offset = changes.next_offset


class CountingBatch:
    is_behind = False

    def __init__(self, partition: CountingPartition) -> None:
        self._partition = partition
        self._touched: dict[str, State] = {}
        self._tags: list[tuple[str, bytes]] = []
        self._next_offset = partition.next_offset
        self.size_bytes = 0

    def fold(self, offset: int, record: JournalRecord) -> bool:
        assert offset >= self._next_offset, f"expected an offset from {self._next_offset} on, got {offset}"
        self._next_offset = offset + 1
        if not isinstance(record, Transaction):
            return True
        if record.event_id == os.environ.get("FAIL_ON_EVENT") and Path(os.environ["FAIL_WHILE"]).exists():
            raise ZeroDivisionError("planted")
        customer = record.customer_id
        state = self._touched.get(customer)
        if state is None:
            stored = self._partition.states.get(customer)
            state = (0, "") if stored is None else msgspec.json.decode(stored, type=State)
        state = self._touched[customer] = count_event(state, record.event_id)
        if state[0] % EVENTS_A_TAG == 0:
            self._tags.append((customer, tag_of(state)))
        return True

    def finish(self) -> Changes:
        return Changes(
            customers=[(customer, msgspec.json.encode(state)) for customer, state in self._touched.items()],
            tags=self._tags,
            meta=msgspec.json.encode({"next_offset": self._next_offset}),
            next_offset=self._next_offset,
        )


class NoRulebooks(Rulebooks):
    async def refresh(self) -> None:
        """There are none."""


def counting_stage(settings: Settings, partition: type = CountingPartition) -> Decide:
    return Decide(settings, partition, NoRulebooks(settings))


def journal_value(customer: str, event_id: str, number: int = 0) -> bytes:
    """A journal record as ingest would write it."""
    return encode_record(
        Transaction(
            customer_id=customer,
            source=Source("bank.transactions", 0, number),
            event_id=event_id,
            event_hash=hash_event("bank.transactions", event_id),
            occurred_ms=1_700_000_000_000 + number,
            account_id=f"A-{customer}",
            direction="credit",
            amount_fen=100,
        )
    )


def fail_where_fetches_are_delivered() -> None:
    """Have `Ownership.deliver` raise while the file in `FAIL_WHILE` is there."""
    deliver, fail_while = Ownership.deliver, Path(os.environ["FAIL_WHILE"])

    def planted(self: Ownership, tp: TopicPartition, fetch: Fetch) -> None:
        if fail_while.exists():
            raise ZeroDivisionError("planted")
        deliver(self, tp, fetch)

    Ownership.deliver = planted  # type: ignore[method-assign]


if __name__ == "__main__":
    import asyncio

    from streams import failpoints
    from streams.logs import set_up_logs
    from streams.worker import Worker, end_process

    set_up_logs("info")
    failpoints.arm_from(os.environ)
    if os.environ.get("FAIL_IN") == "deliver":
        fail_where_fetches_are_delivered()
    SETTINGS = load_settings()

    async def run() -> int:
        return await Worker(SETTINGS, [counting_stage(SETTINGS)]).run()

    sys.path.insert(0, str(Path(__file__).parent))
    end_process(asyncio.run(run()))
