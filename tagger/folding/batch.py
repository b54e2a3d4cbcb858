"""Uncommitted decisions over a partition: the loop that live workers, replays, backtests and case runs share.

A `Batch` folds journal records on top of what a `Partition` holds, reading its own writes; `finish` gives what one
transaction must hold.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from schemas.journal import Activation, AppEvent, CustomerEvent, JournalRecord, Pause, Tick, Transaction
from schemas.tags import encode_tag
from tagger.folding.deadlines import Due
from tagger.folding.fold import Fold
from tagger.folding.meta import Fates, decode_meta, encode_meta, tell_time
from tagger.folding.sweep import forget_times, has_room, note_time, pass_times
from tagger.folding.upgrade import begin_upgrade, end_upgrade, find_ready, upgrade_customer, warming
from tagger.kinds.contract import Context
from tagger.policy.gate import Gate, is_paused, reconsider
from tagger.state.customer import NEVER, CustomerState, decode_state, encode_state

if TYPE_CHECKING:
    from tagger.folding.partition import Partition


@dataclass(frozen=True, slots=True)
class Changes:
    """What one transaction holds.

    Attributes:
        customers: changelog records, customer id → encoded state, each id once.
        tags: `tagging.tags` records in order, customer id and encoded tag event.
        meta: the meta record's value.
        next_offset: the journal offset to go on at.
        dues: new deadlines of customers, for the partition's own queue.
    """

    customers: list[tuple[str, bytes]]
    tags: list[tuple[str, bytes]]
    meta: bytes
    next_offset: int
    dues: list[Due] = field(default_factory=list)


class Batch:
    """Uncommitted decisions over a partition."""

    def __init__(
        self, partition: "Partition", max_customers: int, max_bytes: int, max_deadlines: int, defers: bool
    ) -> None:
        self._partition = partition
        self._max_customers = max_customers
        self._max_bytes = max_bytes
        self._max_deadlines = max_deadlines
        self._defers = defers
        self._meta = decode_meta(encode_meta(partition.meta))
        self._states: dict[str, CustomerState] = {}
        self._dues: dict[str, int] = {}
        self._tags: list[tuple[str, bytes]] = []
        self._fates_of = ("", -1)
        self._fates = Fates()
        self.size_bytes = 0
        """Lower estimate of the transaction's size so far."""
        self._use_program()

    def _use_program(self) -> None:
        partition, meta = self._partition, self._meta
        program = partition.program(meta.rulebook)
        self.context = Context(
            partition.calendar, program.name, recorded=meta.recorded, warming=warming(meta, program)
        )
        self._set_gate()
        self._fold = Fold(program, self.context, partition.core, partition.calendar)
        self._fold.set_clock(meta.clock_ms)

    def _set_gate(self) -> None:
        """Let tags pass the contact policy; nothing where it holds none back and none waits for its release."""
        partition, meta = self._partition, self._meta
        program = partition.program(meta.rulebook)
        if program.policy is None and not meta.paused and meta.upgrading_from is None and meta.resuming is None:
            self.context.gate = None
        else:
            self.context.gate = Gate(program.policy, program.rules, frozenset(meta.paused), partition.calendar)

    def fold(self, offset: int, record: JournalRecord) -> bool:
        """Fold one record.

        Records below the partition's `next_offset` are dropped without a trace.

        Returns:
            False when the batch is full before the record is done (a tick may make a million deadlines due):
            commit what `finish` gives, merge, begin another batch and fold the same record again.
        """
        meta = self._meta
        if offset < meta.next_offset:
            return True
        if type(record) is Transaction or type(record) is AppEvent:  # nearly all of them, so asked first
            self._fold_event(record)
            meta.next_offset = offset + 1
            return True
        if isinstance(record, Tick):
            done = self._fold_tick(record)
        elif isinstance(record, Activation):
            done = self._fold_activation(record)
        elif isinstance(record, Pause):
            done = self._fold_pause(record)
        else:
            self._fold_event(record)
            done = True
        if done:
            meta.next_offset = offset + 1
        return done

    def _fold_event(self, event: CustomerEvent) -> None:
        source = event.source
        # Records of one input partition come in runs.
        if source.partition != self._fates_of[1] or source.topic != self._fates_of[0]:
            self._fates_of = (source.topic, source.partition)
            self._fates = self._meta.fates.setdefault(f"{source.topic}-{source.partition}", Fates())
        fates = self._fates
        if source.offset >= 0:
            if source.offset <= fates.high_water:
                fates.reappended += 1
                return
            fates.high_water = source.offset
        customer_id = event.customer_id
        state = self._states.get(customer_id)
        is_touched = state is not None
        is_new = False
        if state is None:
            encoded = self._partition.customers.get(customer_id)
            is_new = encoded is None
            state = self._new_state() if encoded is None else self._load(customer_id, encoded)
        self.context.customer_id = customer_id
        unswept = self._meta.unswept
        if unswept and state.due_ms < unswept[-1]:
            self._catch_up(customer_id, state)
            is_touched = True
        fate = self._fold.fold_event(state, event, is_new)
        if fate == "applied":
            fates.applied += 1
        elif fate == "duplicate":
            fates.duplicate += 1
            return
        else:
            fates.late += 1
            if not isinstance(event, Transaction):
                return
        if not is_touched:
            self._states[customer_id] = state
        if self.context.tags:
            self._take_tags(customer_id)

    def _new_state(self) -> CustomerState:
        return CustomerState(created=self._meta.activations)

    def _load(self, customer_id: str, encoded: bytes) -> CustomerState:
        state = decode_state(encoded)
        self._dues[customer_id] = state.due_ms
        self.size_bytes += len(encoded)
        return state

    def _is_full(self, customers: int) -> bool:
        return (
            customers >= self._max_customers
            or self.size_bytes >= self._max_bytes
            or self._fold.deadlines >= self._max_deadlines
        )

    def _take_tags(self, customer_id: str) -> None:
        for tag in self.context.tags:
            encoded = encode_tag(tag)
            self.size_bytes += len(encoded)
            self._tags.append((customer_id, encoded))
        self.context.tags.clear()
        self.context.gated = 0

    # Time

    @property
    def is_behind(self) -> bool:
        """Whether ticks have made deadlines due that are not evaluated yet."""
        return bool(self._meta.unswept)

    def sweep(self, most: int) -> bool:
        """Evaluate deadlines that ticks have made due, first due first, about `most` of them.

        Returns:
            Whether it can go on: there are more of them, and the batch is not full.
        """
        return self._sweep(self._fold.deadlines + most) and not self._is_full(len(self._states))

    def _fold_tick(self, tick: Tick) -> bool:
        meta = self._meta
        # Whether tags may be pushed is as of the tick that made a deadline due.
        if tick.recorded != meta.recorded and not self._sweep_all():
            return False
        before_ms = meta.clock_ms
        tell_time(meta, tick, self._partition.core)
        self.context.recorded = meta.recorded
        if meta.upgrading_from is None and meta.clock_ms is not None:
            if before_ms != meta.clock_ms:
                self._fold.set_clock(meta.clock_ms)
            # Not only when the clock moved: a full batch comes back to the same tick.
            policy = self._fold.program.policy
            note_time(meta, before_ms, None if policy is None else policy.stale_ms)
            if not (self._defers and has_room(meta)) and not self._sweep_all():
                return False
        if not self._put_in_force():
            return False
        meta.control += 1
        return True

    def _catch_up(self, customer_id: str, state: CustomerState) -> None:
        """Evaluate what ticks have made due for a customer, before its next record."""
        self._states[customer_id] = state
        self._pass_times(customer_id, state)

    def _pass_times(self, customer_id: str, state: CustomerState) -> None:
        self.context.customer_id = customer_id
        pass_times(self._fold, state, self._meta)
        self._take_tags(customer_id)

    def _sweep_all(self) -> bool:
        """Evaluate all deadlines that ticks have made due; False when the batch is full."""
        return not self._sweep(self._max_deadlines)

    def _sweep(self, max_deadlines: int) -> bool:
        """Whether some are left; first due first, until the batch is full or has evaluated so many."""
        if not self._meta.unswept:
            return False
        before_ms = self._meta.unswept[-1]
        own = self._own_dues(before_ms)
        while True:
            committed = self._partition.due.first(before_ms, self._states)
            if committed is None and not own:
                forget_times(self._meta, None)
                return False
            first = min(due for due in (committed, own[-1] if own else None) if due is not None)
            if self._is_full(len(self._states)) or self._fold.deadlines >= max_deadlines:
                # The queue gave up the deadlines of customers touched here: `finish` tells it of them again.
                for _, customer_id in own:
                    self._dues.pop(customer_id, None)
                forget_times(self._meta, first[0])
                return True
            customer_id = first[1]
            if first == committed:
                state = self._load(customer_id, self._partition.customers[customer_id])
                self._states[customer_id] = state
            else:
                own.pop()
                state = self._states[customer_id]
            self._pass_times(customer_id, state)

    def _own_dues(self, before_ms: int) -> list[Due]:
        """Deadlines before an instant of customers the batch has touched, last due first."""
        own = []
        for customer_id, state in self._states.items():
            if state.due_ms < before_ms:
                self._fold.raise_due(state, before_ms)
                if state.due_ms < before_ms:
                    own.append((state.due_ms, customer_id))
        return sorted(own, reverse=True)

    # Rulebooks

    def _fold_activation(self, activation: Activation) -> bool:
        meta = self._meta
        if meta.upgrading_from is None:
            if not self._sweep_all():
                return False
            meta.waiting.append(activation)
        if not self._put_in_force():
            return False
        meta.control += 1
        return True

    def _put_in_force(self) -> bool:
        """Let the waiting rulebooks take effect whose time has come; False when the batch is full."""
        meta, partition = self._meta, self._partition
        while True:
            if meta.upgrading_from is None:
                ready = find_ready(meta)
                if ready is None:
                    return True
                # The deadlines before it are those of the rulebook before it.
                if not self._sweep_all():
                    return False
                meta.waiting.remove(ready)
                begin_upgrade(meta, ready.digest, partition.program(ready.digest), partition.calendar)
                self._use_program()
            if not self._upgrade():
                return False
            end_upgrade(meta)
            self._set_gate()

    def _upgrade(self) -> bool:
        """Re-evaluate customers under the new rulebook, in order of ids; False when the batch is full."""
        meta, partition = self._meta, self._partition
        assert meta.upgrading_from is not None
        old = partition.program(meta.upgrading_from)
        now_ms = -NEVER if meta.clock_ms is None else meta.clock_ms
        left = sorted(one for one in {*partition.customers, *self._states} if one > meta.upgraded_to)
        for count, customer_id in enumerate(left):
            if self._is_full(count):
                return False
            state = self._states.get(customer_id)
            if state is None:
                state = self._states[customer_id] = self._load(customer_id, partition.customers[customer_id])
            self.context.customer_id = customer_id
            upgrade_customer(
                state, old, self._fold, now_ms, partition.calendar.day_of(max(now_ms, state.clock_ms))
            )
            self._take_tags(customer_id)
            meta.upgraded_to = customer_id
        return True

    # Pauses

    def _fold_pause(self, pause: Pause) -> bool:
        """Hold back a rule's pushes, or let them go; False when the batch is full."""
        meta = self._meta
        if not self._sweep_all():
            return False
        if not pause.resumed and pause.rule not in meta.paused:
            meta.paused.append(pause.rule)
        elif pause.resumed and pause.rule in meta.paused:
            meta.paused.remove(pause.rule)
            meta.resuming = pause.rule
        self._set_gate()
        if meta.resuming is not None:
            if not self._resume(meta.resuming):
                return False
            meta.resuming, meta.resumed_to = None, ""
            self._set_gate()
        meta.control += 1
        return True

    def _resume(self, rule: str) -> bool:
        """Reconsider a rule's held tags, customers in order of ids; False when the batch is full."""
        meta, partition = self._meta, self._partition
        now_ms = -NEVER if meta.clock_ms is None else meta.clock_ms
        left = sorted(one for one in {*partition.customers, *self._states} if one > meta.resumed_to)
        for count, customer_id in enumerate(left):
            if self._is_full(count):
                return False
            state = self._states.get(customer_id) or decode_state(partition.customers[customer_id])
            if is_paused(state, rule):
                if customer_id not in self._states:
                    state = self._states[customer_id] = self._load(customer_id, partition.customers[customer_id])
                self.context.customer_id = customer_id
                reconsider(state, self.context, now_ms)
                self._take_tags(customer_id)
            meta.resumed_to = customer_id
        return True

    def finish(self) -> Changes:
        """Encode what was touched."""
        customers, dues = [], []
        for customer_id, state in self._states.items():
            self._fold.settle(state)
            customers.append((customer_id, encode_state(state)))
            if state.due_ms not in (NEVER, self._dues.get(customer_id)):
                dues.append((state.due_ms, customer_id))
        return Changes(customers, self._tags, encode_meta(self._meta), self._meta.next_offset, dues)
