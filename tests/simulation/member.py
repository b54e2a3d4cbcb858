"""The consumer of one stage in one process: a member of its group, and the `Intake` of its lanes.

It does what Faust's consumer with our fetch does (`streams.lanes.fetch`), callback by callback: everything is
revoked before a join and heartbeats go on meanwhile, none are sent between the join and the end of the
assignment's callback, lanes resume a moment later, fetches wait in buffers that a rebalance may empty.
"""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from aiokafka import TopicPartition
from aiokafka.errors import (
    IllegalGenerationError,
    KafkaError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)

from streams.lanes.intake import Fetch
from streams.lanes.ownership import Claim, Ownership

from .groups import Group

if TYPE_CHECKING:
    from .world import World

FETCH_WAIT_SECONDS = 1.0
"""How long a fetch that finds nothing waits at the broker for something new."""


class Member:
    """One stage's consumer."""

    def __init__(self, world: "World", group: Group, ownership: Ownership, process: str) -> None:
        self.member_id: str | None = None
        self.generation = -1
        self._world = world
        self._group = group
        self._ownership = ownership
        self._process = process
        self._assigned: dict[TopicPartition, int | None] = {}
        self._handed_over: dict[TopicPartition, tuple[int, int]] = {}
        self._stable: dict[TopicPartition, int] = {}
        self._rejoin = asyncio.Event()
        self._news = asyncio.Event()
        self._buffered = asyncio.Event()
        self._buffer: list[tuple[TopicPartition, Fetch]] = []
        self._heart: asyncio.Task[None] | None = None
        self._session = world.settings.session_timeout_ms / 1000
        ownership.attach(self)

    # -- what lanes call

    async def seek(self, tp: TopicPartition, offset: int, epoch: int) -> None:
        await asyncio.sleep(0)
        if tp in self._assigned:
            self._assigned[tp] = offset
            self._handed_over[tp] = epoch, offset
            self._stable.pop(tp, None)
            self._news.set()

    def wake(self) -> None:
        self._news.set()

    def is_caught_up(self, tp: TopicPartition, position: int, epoch: int) -> bool:
        at, stable = self._assigned.get(tp), self._stable.get(tp)
        if self._handed_over.get(tp) != (epoch, position) or at is None or stable is None:
            return False
        return at >= stable

    async def is_member(self) -> bool:
        claimed, member, generation = self._ownership.claim, self.member_id, self.generation
        if claimed is None or member is None:
            return False
        try:
            await self._world.network.call(lambda: self._group.heartbeat(member, generation))
        except KafkaError:
            return False
        return Claim(self.member_id or "", self.generation) == claimed and not self._rejoin.is_set()

    async def rejoin(self) -> None:
        self._rejoin.set()

    # -- what the consumer does by itself

    async def run(self) -> None:
        """Join, read, and join again, until cancelled."""
        reading = asyncio.create_task(self._read())
        delivering = asyncio.create_task(self._deliver())
        try:
            while True:
                await self._ownership.revoke()
                if self._world.chance(0.7):
                    self._buffer.clear()
                await self._stop_heart()
                await self._join()
                self._heart = asyncio.create_task(self._beat())
                await self._rejoin.wait()
        finally:
            reading.cancel()
            delivering.cancel()
            await self._stop_heart()

    async def leave(self) -> None:
        """Tell the coordinator."""
        member = self.member_id
        if member is not None:
            with suppress(KafkaError):
                await self._world.network.call(lambda: self._group.leave(member))

    async def _join(self) -> None:
        group, network = self._group, self._world.network
        self._rejoin.clear()
        known, process = self.member_id, self._process
        got: list[str] = []

        def ask() -> "asyncio.Future[tuple[int, list[TopicPartition]]]":
            member_id, coming = group.join(known, process)
            got[:] = [member_id]
            return coming

        generation, tps = await network.wait_for(ask)
        self.member_id, self.generation = got[0], generation
        self._assigned = dict.fromkeys(tps)
        self._handed_over.clear()
        self._stable.clear()
        await self._ownership.assign(set(tps), Claim(self.member_id, generation))
        if not self._world.plan.is_patient:
            await asyncio.sleep(self._world.network_random.random() * 0.2)
        await self._ownership.resume()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(min(3.0, self._session / 4))
            member, generation = self.member_id, self.generation
            assert member is not None
            try:
                await self._world.network.call(lambda m=member, g=generation: self._group.heartbeat(m, g))
            except UnknownMemberIdError:
                self.member_id = None
                self._rejoin.set()
            except (RebalanceInProgressError, IllegalGenerationError):
                self._rejoin.set()
            except KafkaError:
                continue
            if self.member_id is None:
                return

    async def _stop_heart(self) -> None:
        heart, self._heart = self._heart, None
        if heart is not None:
            heart.cancel()

    async def _read(self) -> None:
        while True:
            assigned = self._assigned
            wanted = {
                tp: at for tp, at in sorted(assigned.items()) if at is not None and self._ownership.wants_more(tp)
            }
            if not wanted:
                self._news.clear()
                await self._news.wait()
                continue
            broker, most = self._world.broker, self._world.fetch_records()
            committed = self._world.plan.reads_committed
            try:
                fetched = await self._world.network.call(
                    lambda b=broker, w=wanted, m=most, c=committed: b.fetch(w, m, committed=c)
                )
            except KafkaError:
                await asyncio.sleep(0.5)
                continue
            found = False
            for tp, (records, position, stable) in fetched.items():
                if self._assigned is not assigned or assigned[tp] != wanted[tp]:
                    continue
                assigned[tp], self._stable[tp] = position, stable
                if records:
                    found = True
                    epoch, start = self._handed_over[tp]
                    self._handed_over[tp] = epoch, position
                    self._world.fetch_ends.add((tp, position))
                    self._buffer.append((tp, Fetch(records, start, position, epoch)))
                    self._buffered.set()
            if found:
                await asyncio.sleep(0.001)
            else:
                self._world.when_changed(wanted, self._news)
                self._news.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(FETCH_WAIT_SECONDS):
                        await self._news.wait()

    async def _deliver(self) -> None:
        world = self._world
        while True:
            await self._buffered.wait()
            await asyncio.sleep(world.network_random.expovariate(1 / 0.005))
            if not self._buffer:
                self._buffered.clear()
                continue
            which = 0
            if world.chance(world.plan.disorder_share):
                which = world.network_random.randrange(len(self._buffer))
            tp, fetch = self._buffer.pop(which)
            if world.chance(world.plan.disorder_share):
                continue  # lost in a buffer
            self._ownership.deliver(tp, fetch)
            if world.chance(world.plan.disorder_share):
                self._ownership.deliver(tp, fetch)
