"""The compact record of one customer: all that decisions about the customer depend on.

It is the changelog's value. MessagePack arrays keep it small; the first fields are the ones a restore needs,
so that `decode_due` reads a deadline without building the rest. A new field goes to the end of its struct,
with a default, so that older changelogs still read; a change of meaning raises `STATE_VERSION`. From the first
release on it comes with an upgrade, and stored bytes of the old version as a test.

Bounds (bytes are MessagePack's): event ids `dedupe_count` × 12; closings 72 and 12 × days with a movement kept
(`KEPT_DAYS`), × account types used (four, and own transfers); accounts `MAX_ACCOUNTS` × 100, and `MAX_EARLY`
× 80 for one whose earliest transactions state no balance; recent flows `MAX_FLOWS` × 80; a feature as its
definition says; a rule at most eight watches and one open episode. `tagger rules check` prints the sum for a
rulebook.

A state is a tree, and its parts know nothing of what holds them: no cycle runs through them, and the garbage
collector need not see them (`gc=False`). A tenth less to decode, and half of what a collection walks.
"""

from typing import Any

import msgspec

from schemas.journal import Attributes
from schemas.tags import HeldReason, Printed
from tagger.state.contacts import Contacts
from tagger.state.day_values import DayValues

STATE_VERSION = 3
# Two whole years and the lateness: `year` with `previous` on 31 December looks back 731 days.
KEPT_DAYS = 800
NEVER = 1 << 62
# More accounts share one that has no opening balance of its own.
MAX_ACCOUNTS = 256
MAX_EARLY = 32
MAX_FLOWS = 64
MAX_WATCHES = 8


class VersionError(Exception):
    """A stored record of a version that this worker cannot read."""

    def __init__(self, what: str, expected: int, got: int) -> None:
        super().__init__(
            f"expected a {what} record of version {expected}, got version {got}: run the release that wrote it, "
            "or give the deployment a new `app`, changelog and tag topic to decide the journal again"
        )


class Series(DayValues, array_like=True, gc=False):
    """Daily net flows of one measure, and what stood before them; all in fen.

    Attributes:
        base_fen: the closing before the first day kept.
        total_fen: the balance now: base plus all flows.
        lowest_fen, highest_fen: no closing kept or since forgotten lies outside of these. They only widen, except
            that both move with the opening balance, so that they are bounds and not always closings.
    """

    base_fen: int = 0
    total_fen: int = 0
    lowest_fen: int = 0
    highest_fen: int = 0


class Aggregate(DayValues, array_like=True, gc=False):
    """What a feature sums up by day or period, in buckets named by their first day; `total` is their sum."""

    total: int = 0


class Account(msgspec.Struct, array_like=True, gc=False):
    """What fixes an account's opening balance (`tagger.features.balances`).

    Attributes:
        opening_fen: balance before the first transaction, 0 until one states its balance.
        moved_fen: sum of all signed amounts.
        anchor_ms, anchor_id: the earliest transaction that states a balance, in order of time and id.
        early: transactions before the anchor (all, while there is none) as (time, id, signed amount),
            ascending; an earlier anchor still to come needs them.
        early_fen: sum of the oldest ones that no longer fit in `early`.
        drift_fen: stated less computed balance at the latest statement.
    """

    opening_fen: int = 0
    moved_fen: int = 0
    anchor_ms: int | None = None
    anchor_id: str = ""
    early: list[tuple[int, str, int]] = []
    early_fen: int = 0
    latest_ms: int = -NEVER
    drift_fen: int = 0


class Watch(msgspec.Struct, array_like=True, gc=False):
    """What an `after` rule measures on its own since one event.

    Attributes:
        opened_ms, event_id: the event, by which later arrivals are told from earlier ones.
        amount_fen: its amount; None where it has none.
        above_fen: flow into `assets` by it and all after it in event time.
        since_ms: the clock at which the condition became true; None while it is not.
    """

    opened_ms: int
    event_id: str
    amount_fen: int | None
    above_fen: int
    since_ms: int | None = None


class Episode(msgspec.Struct, array_like=True, gc=False):
    """An open tag.

    Attributes:
        number: the how-manieth of its rule and customer, from 1; the tag's id follows from it.
        watch: the watch that tripped, measured on until the episode closes.
        refreshed: the printed value of the rule's `refresh` feature at the last revision.
        push, held: what the last revision's `delivery` said.
        unmet: the condition of `converts` was not true when last looked at, so that its becoming true converts.
        control: the last revision's `delivery` said that the customer is one of the control group.
    """

    number: int
    revision: int
    opened_ms: int
    expires_ms: int | None = None
    level: str | None = None
    previous_level: str | None = None
    rank: int | None = None
    previous_rank: int | None = None
    watch: Watch | None = None
    refreshed: Printed = None
    push: bool = False
    held: HeldReason | None = None
    unmet: bool = False
    control: bool = False


class RuleState(msgspec.Struct, array_like=True, gc=False):
    """Where one rule stands with one customer.

    Attributes:
        episodes: how many there have been.
        since_ms: the clock at which the condition (a ladder: the level in `pending`) became true.
        armed: the condition stopped being true at the last closing or since, or there was none.
        last_opened_ms: the cooldown counts from here.
        level: a ladder's level stood on, silent ones too.
        pending: a ladder's level waiting for `for`; "" is falling to none.
        used_up: watches that tripped while an episode was open or the cooldown ran.
        unwatched: events that found eight watches waiting.
        proposed: the episode of a level that waits for a checker; `open` then stands beside it.
        computed: the level reached where a checker must approve it, approved or not; None below those.
        ignored: approvals that met no proposal of theirs.
        left: while a level stood on waits for the cooldown to open, the level before it; "" is none.
    """

    episodes: int = 0
    since_ms: int | None = None
    armed: bool = True
    last_opened_ms: int | None = None
    open: Episode | None = None
    watches: list[Watch] = []
    level: str | None = None
    pending: str | None = None
    used_up: int = 0
    unwatched: int = 0
    proposed: Episode | None = None
    computed: str | None = None
    ignored: int = 0
    left: str | None = None


class Flow(msgspec.Struct, array_like=True, gc=False):
    """A recent movement of `assets`, for opening events that arrive after later ones."""

    occurred_ms: int
    event_id: str
    assets_fen: int


class CustomerState(msgspec.Struct, array_like=True, gc=False):
    """One customer.

    Attributes:
        version: `STATE_VERSION` of the writer.
        due_ms: the next deadline, `NEVER` when there is none; exact whenever encoded.
        clock_ms: the customer's clock when last touched.
        horizon_ms: deadlines before this have been evaluated, those from here on have not.
        created: activations seen by the partition when the customer was; a feature of a later one warms.
        revision: of the state; grows by one a record or deadline that touched it.
        seen: remembered events, oldest first, packed (tagger.state.dedupe).
        forgotten: hashes dropped for want of room before their time.
        features: state of each feature, by the hash of its definition; sums by day stand in `aggregates`.
        contacts: pushes counted and tags held back by the contact policy, None while there are none.
    """

    version: int = STATE_VERSION
    due_ms: int = NEVER
    clock_ms: int = -NEVER
    horizon_ms: int = -NEVER
    created: int = 0
    revision: int = 0
    seen: bytes = b""
    forgotten: int = 0
    accounts: dict[str, Account] = {}
    series: dict[str, Series] = {}
    features: dict[int, list[Any]] = {}
    aggregates: dict[int, Aggregate] = {}
    rules: dict[str, RuleState] = {}
    flows: list[Flow] = []
    attributes: Attributes | None = None
    profile_ms: int = -NEVER
    profile_id: str = ""
    contacts: Contacts | None = None


class _Due(msgspec.Struct, array_like=True, gc=False):
    version: int
    due_ms: int


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(CustomerState)
_DUE_DECODER = msgspec.msgpack.Decoder(_Due)
_WIDE_ENCODER = msgspec.json.Encoder()
_WIDE_DECODER = msgspec.json.Decoder(CustomerState)
_WIDE_DUE_DECODER = msgspec.json.Decoder(_Due)
# A MessagePack array never begins with this byte.
_WIDE = b"["


def encode_state(state: CustomerState) -> bytes:
    """Write a state; equal histories give equal bytes.

    MessagePack ends at 64 bits and sums of valid amounts do not: a state that holds a larger one is written as
    JSON, an array of the same shape.
    """
    try:
        return _ENCODER.encode(state)
    except OverflowError:
        return _WIDE_ENCODER.encode(state)


def decode_state(encoded: bytes) -> CustomerState:
    """Read a state; the caller owns it and may change it.

    Raises:
        VersionError: a newer worker wrote it; read and written back it would lose what this one does not know.
    """
    state = (_WIDE_DECODER if encoded[:1] == _WIDE else _DECODER).decode(encoded)
    if state.version != STATE_VERSION:
        raise VersionError("state", STATE_VERSION, state.version)
    return state


def decode_due(encoded: bytes) -> int:
    """Read just the next deadline of an encoded state.

    Raises:
        VersionError: as `decode_state`.
    """
    head = (_WIDE_DUE_DECODER if encoded[:1] == _WIDE else _DUE_DECODER).decode(encoded)
    if head.version != STATE_VERSION:
        raise VersionError("state", STATE_VERSION, head.version)
    return head.due_ms
