"""Consumer groups as a coordinator keeps them: members, generations, sessions, eager rebalances, sticky shares."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from aiokafka import TopicPartition
from aiokafka.errors import IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError

Joined = tuple[int, list[TopicPartition]]


@dataclass(eq=False, slots=True)
class Member:
    """`joining` is the answer a member waits for; None while it has not joined the round."""

    name: str
    seen: float
    joining: "asyncio.Future[Joined] | None" = None


class Group:
    """One group over some partitions.

    Args:
        session, rebalance: timeouts, seconds.
    """

    def __init__(
        self,
        name: str,
        tps: Sequence[TopicPartition],
        random: Random,
        clock: Callable[[], float],
        later: Callable[[float, Callable[[], None]], None],
        tell: Callable[..., None],
        *,
        session: float,
        rebalance: float,
    ) -> None:
        self.name = name
        self.generation = 0
        self.members: dict[str, Member] = {}
        self.owners: dict[TopicPartition, str] = {}
        self._tps = list(tps)
        self._random = random
        self._clock = clock
        self._later = later
        self._tell = tell
        self._session = session
        self._rebalance = rebalance
        self._round: int | None = None
        self._rounds = 0
        self._names = 0

    def join(self, member_id: str | None, process: str) -> tuple[str, "asyncio.Future[Joined]"]:
        """Ask for a share; the future resolves when the round ends."""
        if member_id is None or member_id not in self.members:
            self._names += 1
            member_id = f"{process}/{self._names}"
            self.members[member_id] = Member(member_id, self._clock())
            self._watch(self.members[member_id])
        member = self.members[member_id]
        member.joining = asyncio.get_running_loop().create_future()
        self._begin()
        self._end_if_all()
        return member_id, member.joining

    def heartbeat(self, member_id: str, generation: int) -> None:
        """Raise what the coordinator answers."""
        member = self.members.get(member_id)
        if member is None:
            raise UnknownMemberIdError
        member.seen = self._clock()
        if generation != self.generation:
            raise IllegalGenerationError
        if self._round is not None:
            raise RebalanceInProgressError

    def leave(self, member_id: str) -> None:
        if self.members.pop(member_id, None) is not None:
            self._tell("left", self.name, member_id)
            self._begin()
            self._end_if_all()

    def upset(self) -> None:
        """Make everybody join again, as a change of the topics' metadata does."""
        if self.members:
            self._begin()

    def _watch(self, member: Member) -> None:
        def look() -> None:
            if self.members.get(member.name) is not member:
                return
            idle = self._clock() - member.seen
            if member.joining is None and idle >= self._session:
                self._tell("session ended", self.name, member.name)
                self.leave(member.name)
                return
            self._later(max(0.1, self._session - idle), look)

        self._later(self._session, look)

    def _begin(self) -> None:
        if self._round is not None:
            return
        self._rounds += 1
        number = self._round = self._rounds
        self._later(self._rebalance, lambda: self._time_out(number))

    def _time_out(self, number: int) -> None:
        if self._round == number:
            for name in [name for name, member in self.members.items() if member.joining is None]:
                self._tell("did not rejoin", self.name, name)
                del self.members[name]
            self._end_if_all()

    def _end_if_all(self) -> None:
        if not self.members:
            self._round = None
            return
        if self._round is None or any(member.joining is None for member in self.members.values()):
            return
        number = self._round
        # others may join in the meantime
        self._later(self._random.uniform(0.01, 0.5), lambda: self._end(number))

    def _end(self, number: int) -> None:
        if self._round != number or any(member.joining is None for member in self.members.values()):
            return
        self._round = None
        self.generation += 1
        shares = self._shares()
        self.owners = {tp: name for name, tps in shares.items() for tp in tps}
        self._tell(
            f"generation {self.generation}", self.name, {k: [_short(tp) for tp in v] for k, v in shares.items()}
        )
        for name, member in self.members.items():
            answer, member.joining, member.seen = member.joining, None, self._clock()
            assert answer is not None
            if not answer.done():
                answer.set_result((self.generation, shares[name]))

    def _shares(self) -> dict[str, list[TopicPartition]]:
        """Sticky: a partition stays where it is as long as shares are even."""
        shares: dict[str, list[TopicPartition]] = {name: [] for name in self.members}
        most = -(-len(self._tps) // len(shares))
        homeless = []
        for tp in self._tps:
            owner = self.owners.get(tp)
            if owner in shares and len(shares[owner]) < most:
                shares[owner].append(tp)
            else:
                homeless.append(tp)
        self._random.shuffle(homeless)
        for tp in homeless:
            min(shares.values(), key=len).append(tp)
        return shares


def _short(tp: TopicPartition) -> str:
    return f"{tp.topic.rpartition('.')[2]}-{tp.partition}"
