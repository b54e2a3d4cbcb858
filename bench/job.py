"""The job: transactions of one seeded bank, the same for everything that is compared.

Balances wander between 1,500 and 20,000. About one event in a hundred is a withdrawal that leaves 500, and the
customer's next event brings the money back: each such dip makes two tags of the rule in `rules/bench.yaml`, one as
it opens and one as it ends. `Bank.tags` counts them as the records are made, so that every contender can be held
to having done the work.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from streams.partitioner import partition_of

WINDOW_DAYS = 30
LOW_FEN = 1_000_00
ACTIVE_FEN = 1_000_00
LEAST_MOVES = 2
DEDUPE_COUNT = 16
PARTITIONS = 4
BEGIN = datetime.fromisoformat("2026-03-01T00:00:00+08:00")

_DIP_SHARE = 0.01
_DIP_TO_FEN = 500_00
_REFILL_BELOW_FEN = 2_000_00
_FULL_FEN = 20_000_00


@dataclass(frozen=True, slots=True)
class Record:
    """One record; `partition` is where Kafka's own partitioner puts `key`, the customer's id (none: a tick)."""

    partition: int
    key: bytes | None
    value: bytes


@dataclass(slots=True)
class _Customer:
    key: bytes
    partition: int
    tail: str
    balance_fen: int = 5_000_00
    spent_fen: int = 0
    moves: int = 0
    is_low: bool = False


class Bank:
    """Makes records one after the other; the same for the same arguments.

    Args:
        events: how many are spread over the first `WINDOW_DAYS` bank days.
        customers: how many share them, each event being one of them at random.
    """

    def __init__(self, events: int, customers: int, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._step = timedelta(days=WINDOW_DAYS) / max(events, 1)
        self._at = BEGIN
        self.made = 0
        self.tags = 0
        """Tags that the records so far bring about; exact for the first `WINDOW_DAYS`."""
        self._customers = [_customer(number) for number in range(customers)]

    def go_live(self, rate: float) -> None:
        """From here on events lie as far apart as `rate` a second says."""
        self._step = timedelta(seconds=1) / rate

    def records(self, count: int) -> Iterator[Record]:
        """The next `count` records, in order of their time."""
        rng = self._random
        customers = self._customers
        for _ in range(count):
            customer = customers[int(rng.random() * len(customers))]
            is_credit, amount_fen = self._move(customer)
            value = (
                f'{{"event_id":"{event_id(self.made)}","occurred_at":"{self._at.isoformat(timespec="milliseconds")}",'
                f'"direction":"{"credit" if is_credit else "debit"}","amount":"{_money(amount_fen)}",'
                f'"balance_after":"{_money(customer.balance_fen)}",{customer.tail}'
            )
            self.made += 1
            self._at += self._step
            yield Record(customer.partition, customer.key, value.encode())

    def _move(self, customer: _Customer) -> tuple[bool, int]:
        rng, balance_fen = self._random, customer.balance_fen
        if balance_fen < _REFILL_BELOW_FEN:
            is_credit, amount_fen = True, 2_000_00 + int(rng.random() * 4_000_00)
        elif rng.random() < _DIP_SHARE:
            is_credit, amount_fen = False, balance_fen - _DIP_TO_FEN
        else:
            is_credit = balance_fen < _FULL_FEN and rng.random() < 0.5
            amount_fen = 10_00 + int(rng.random() * 490_00)
        customer.balance_fen += amount_fen if is_credit else -amount_fen
        customer.spent_fen += 0 if is_credit else amount_fen
        customer.moves += 1
        is_low = customer.balance_fen < LOW_FEN and customer.spent_fen >= ACTIVE_FEN
        is_low = is_low and customer.moves >= LEAST_MOVES
        self.tags += is_low is not customer.is_low
        customer.is_low = is_low
        return is_credit, amount_fen


def event_id(number: int) -> str:
    return f"t{number:010d}"


def number_of(event_id: str) -> int:
    """Which event it is, in the order they were made."""
    return int(event_id[1:])


def _customer(number: int) -> _Customer:
    customer_id = f"C{number:08d}"
    key = customer_id.encode()
    tail = (
        f'"customer_id":"{customer_id}","account_id":"A{number:08d}","account_type":"current","currency":"CNY",'
        '"kind":"card","channel":"pos"}'
    )
    return _Customer(key, partition_of(key, PARTITIONS), tail)


def _money(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"
