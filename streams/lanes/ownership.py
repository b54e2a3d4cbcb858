"""Who owns which input partition, and what that means at every rebalance.

One `streams.lanes.stage.Task` per owned partition of a stage, in a lane of its own (`streams.lanes.lane`).
`Ownership` reacts to what the consumer group decides:

- **revoked**: every rebalance revokes everything first. Intake stops at once, a take-over under way is
  cancelled, a batch in flight is awaited, or cancelled when it takes too long; all of it bounded, and before the
  callback returns.
- **assigned**: a partition is *kept* when the same member held it in the generation just before (or in this very
  one): its task keeps state and producer and goes on where it was. Any other claim is a new one: a task whose
  partition went through a generation this member was not part of is dropped, however alive it looks, because
  somebody else may have committed. New partitions are taken over in the background, so that heartbeats go on.
- **fenced**: a newer producer exists. The task is dropped and never fences by itself: the member asks the group
  to be assigned anew, and takes over only what the group then says is its own.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass

from aiokafka import TopicPartition

from streams import failpoints
from streams.lanes.intake import Fetch, Intake
from streams.lanes.lane import Lane
from streams.lanes.stage import Stage
from streams.partitioner import name_of
from streams.settings import Settings

log = logging.getLogger(__name__)

REJOIN_SECONDS = (0.2, 10.0)
"""Least and most to wait before a fenced member asks the group again; doubled each time in a row."""


@dataclass(frozen=True, slots=True)
class Claim:
    """By which membership the group gave partitions to this member."""

    member: str
    generation: int

    def continues(self, before: "Claim | None") -> bool:
        """Whether nobody else can have owned a partition that both claims hold."""
        return (
            before is not None
            and self.member == before.member
            and self.generation in (before.generation, before.generation + 1)
        )


class Ownership:
    """The lanes of one stage in this process.

    Args:
        fail: told of an exception after which the worker cannot go on.
    """

    def __init__(self, stage: Stage, settings: Settings, fail: Callable[[BaseException], None]) -> None:
        self.stage = stage
        self._settings = settings
        self._fail = fail
        self._intake: Intake | None = None
        self._lanes: dict[TopicPartition, Lane] = {}
        self._claim: Claim | None = None
        self.is_stopping = False
        self._is_between_generations = False
        self._fences_in_a_row = 0
        self._fenced_at = 0.0
        self._background: set[asyncio.Task[None]] = set()

    def attach(self, intake: Intake) -> None:
        """Say where records come from, before the first assignment."""
        self._intake = intake

    @property
    def owned(self) -> frozenset[TopicPartition]:
        """Partitions with a lane, taken over or not."""
        return frozenset(self._lanes)

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """Of the owned partitions."""
        return tuple(self._lanes.values())

    @property
    def intake(self) -> Intake | None:
        """Where records come from; None before it was attached."""
        return self._intake

    @property
    def claim(self) -> Claim | None:
        """The membership under which the lanes are held."""
        return self._claim

    def wants_more(self, tp: TopicPartition) -> bool:
        """Whether a partition is taken over and has room for another fetch; safe to ask from any thread."""
        lane = self._lanes.get(tp)
        return lane is not None and lane.wants_more

    def fail(self, error: BaseException) -> None:
        """Say that the worker cannot go on."""
        self._fail(error)

    def all_taken_over(self) -> bool:
        """Whether every assigned partition is being processed; False before the first assignment."""
        return self._claim is not None and all(lane.is_live for lane in self._lanes.values())

    def deliver(self, tp: TopicPartition, fetch: Fetch) -> None:
        """Hand a fetch to its lane; one from before the lane's last seek is dropped."""
        lane = self._lanes.get(tp)
        if lane is not None:
            lane.offer(fetch)

    async def revoke(self) -> None:
        """Stop intake and bring every lane to rest.

        All lanes at once, each within twice `lane.REVOKE_SECONDS`: to come to rest, then to be cancelled. That is
        16 s of the group's 30 s (`lane.REBALANCE_SECONDS`).
        """
        self._is_between_generations = True
        if failpoints.armed:
            await failpoints.reach("ownership.before-revoke")
        await asyncio.gather(*(lane.suspend() for lane in self._lanes.values()))
        if failpoints.armed:
            await failpoints.reach("ownership.after-revoke")

    async def assign(self, tps: Iterable[TopicPartition], claim: Claim) -> None:
        """Keep what is still ours, drop what is not, begin to take over what is new. Returns at once."""
        intake = self._intake
        assert intake is not None, "attach() comes before assign()"
        if failpoints.armed:
            await failpoints.reach("ownership.before-assign")
        if self.is_stopping:
            return
        assigned = set(tps)
        kept = set()
        if claim.continues(self._claim):
            kept = {tp for tp in assigned if tp in self._lanes and self._lanes[tp].is_live}
        for tp in [tp for tp in self._lanes if tp not in kept]:
            self._in_background(self._lanes.pop(tp).close())
        self._claim = claim
        self._is_between_generations = False
        for tp in sorted(assigned - kept):
            lane = Lane(tp, self.stage, intake, self._settings, fail=self._fail, fenced=self._on_fenced)
            self._lanes[tp] = lane
            lane.start()
        log.info(
            "assigned",
            extra={
                "stage": self.stage.name,
                "generation": claim.generation,
                "kept": _names(kept),
                "new": _names(assigned - kept),
            },
        )
        if failpoints.armed:
            await failpoints.reach("ownership.after-assign")

    async def resume(self) -> None:
        """Go on with the lanes that were kept, each where it was; after `assign`, once records may flow.

        Faust may still be resuming one generation when the next has revoked it: what is sought then is lost with
        that generation's positions, and a lane that believes it flows does not seek again. On a group without
        offsets the partition would stand still for good.
        """
        if self._is_between_generations:
            return
        await asyncio.gather(*(lane.resume() for lane in self._lanes.values()))

    async def stop(self) -> None:
        """Bring every lane to rest and let go of everything."""
        self.is_stopping = True
        await self.revoke()
        lanes, self._lanes = self._lanes, {}
        await asyncio.gather(*(lane.close() for lane in lanes.values()), *self._background)

    def _on_fenced(self, tp: TopicPartition) -> None:
        least, most = REJOIN_SECONDS
        now = time.monotonic()
        self._fences_in_a_row = self._fences_in_a_row + 1 if now - self._fenced_at < 6 * most else 0
        self._fenced_at = now
        delay = min(least * 2**self._fences_in_a_row, most)
        log.warning("fenced", extra={"stage": self.stage.name, "partition": name_of(tp), "ask_again_s": delay})
        self._in_background(self._rejoin_after(delay))

    async def _rejoin_after(self, delay: float) -> None:
        asked_under = self._claim
        await asyncio.sleep(delay)
        if self._intake is not None and self._claim == asked_under and self._lanes:
            if failpoints.armed:
                await failpoints.reach("ownership.before-rejoin")
            await self._intake.rejoin()

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _names(tps: Iterable[TopicPartition]) -> list[str]:
    return [name_of(tp) for tp in sorted(tps)]
