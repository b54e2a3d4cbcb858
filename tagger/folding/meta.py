"""The meta record of a journal partition: where to go on, what time it is, and what became of every offset.

It stands beside the customers in the changelog, is written in every transaction, and is the only truth about
the position (docs/operations.md, "Names"). Its value is JSON, for people to read.
"""

from collections.abc import Iterator

import msgspec

from schemas.journal import Activation, Source, Tick
from tagger.settings import CoreSettings
from tagger.state.customer import VersionError

META_VERSION = 1
# No customer id holds a `#`, so that the reserved key can never meet one.
META_KEY = "#meta"


class SourceTime(msgspec.Struct):
    """An input partition's time as last told. `of`: how many partitions its topic has."""

    of: int
    time_ms: int | None = None
    closed: bool = False


class Fates(msgspec.Struct, array_like=True):
    """What became of the records of one input partition that reached this journal partition.

    `high_water` is the largest offset folded: what lies at or below it again is a re-append, counted and dropped.
    """

    applied: int = 0
    duplicate: int = 0
    late: int = 0
    reappended: int = 0
    high_water: int = -1


class FeatureStart(msgspec.Struct, array_like=True):
    """Which activation brought a feature, counted from 1, and the bank day of the clock then."""

    activation: int
    day: int | None


class Meta(msgspec.Struct, kw_only=True):
    """Where one journal partition stands.

    Attributes:
        next_offset: the journal offset to go on at.
        clock_ms: the partition's clock C; None until every source has ticked. Never falls.
        sources: times by `topic-partition`.
        fates: by input partition.
        control: ticks, activations and pauses folded.
        rulebook: digest in force, "" for none.
        activations: how many have taken effect.
        waiting: activations whose time has not come, in journal order.
        features: which activation brought each feature in force, by the hash of its definition.
        upgrading_from: digest of the rulebook being replaced, while customers are re-evaluated; None when done.
        upgraded_to: the last customer re-evaluated, in order of ids.
        recorded: time follows recorded events, so that no tag may be pushed.
        paused: rules of which nothing may be pushed, in the order in which they were paused.
        resuming: the rule whose held tags are being let go, customer by customer up to `resumed_to`; None when
            done.
        unswept: the time up to which all deadlines are evaluated, then the times of the ticks since
            (`tagger.folding.sweep`); empty when no tick has left any.
    """

    version: int = META_VERSION
    next_offset: int = 0
    clock_ms: int | None = None
    sources: dict[str, SourceTime] = {}
    fates: dict[str, Fates] = {}
    control: int = 0
    rulebook: str = ""
    activations: int = 0
    waiting: list[Activation] = []
    features: dict[str, FeatureStart] = {}
    upgrading_from: str | None = None
    upgraded_to: str = ""
    recorded: bool = True
    paused: list[str] = []
    resuming: str | None = None
    resumed_to: str = ""
    unswept: list[int] = []


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Meta)


def encode_meta(meta: Meta) -> bytes:
    """Write the meta record's value."""
    return _ENCODER.encode(meta)


def decode_meta(encoded: bytes) -> Meta:
    """Read the meta record's value; the caller owns what it gets.

    Raises:
        VersionError: a newer worker wrote it.
    """
    meta = _DECODER.decode(encoded)
    if meta.version != META_VERSION:
        raise VersionError("meta", META_VERSION, meta.version)
    return meta


def source_key(source: Source | Tick) -> str:
    """The name of an input partition in the meta record."""
    return f"{source.topic}-{source.partition}"


def tell_time(meta: Meta, tick: Tick, core: CoreSettings) -> None:
    """Take a source's time into the partition's clock (docs/operations.md, "Time")."""
    meta.recorded = tick.recorded
    if tick.topic not in core.clock_topics:
        return
    known = meta.sources.get(source_key(tick))
    time_ms = tick.time_ms
    if known is not None and known.time_ms is not None and (time_ms is None or time_ms < known.time_ms):
        time_ms = known.time_ms
    meta.sources[source_key(tick)] = SourceTime(tick.of, time_ms, tick.closed)
    clock_ms = _clock(meta, core)
    if clock_ms is not None and (meta.clock_ms is None or clock_ms > meta.clock_ms):
        meta.clock_ms = clock_ms


def clock_holder(meta: Meta, core: CoreSettings) -> str | None:
    """The source that holds the partition's clock back: one that told no time yet, otherwise the slowest.

    Returns:
        Its name as in `meta.sources`, of equals the first; None when every source has closed.
    """
    open_times = list(_open_times(meta, core))
    untold = (name for name, time_ms in open_times if time_ms is None)
    told = ((time_ms, name) for name, time_ms in open_times if time_ms is not None)
    return next(untold, None) or min(told, default=(0, None))[1]


def _clock(meta: Meta, core: CoreSettings) -> int | None:
    """The minimum over open sources; the maximum of all once each has closed; None until each has ticked."""
    open_times = [time_ms for _, time_ms in _open_times(meta, core)]
    if not open_times:
        return max((time.time_ms for time in meta.sources.values() if time.time_ms is not None), default=None)
    if None in open_times:
        return None
    return min(time for time in open_times if time is not None)


def _open_times(meta: Meta, core: CoreSettings) -> Iterator[tuple[str, int | None]]:
    """The sources that have not closed, and their times; of a topic that nobody told of, the first partition."""
    for topic in core.clock_topics:
        of = next((time.of for key, time in meta.sources.items() if key.rpartition("-")[0] == topic), 1)
        for name in (f"{topic}-{partition}" for partition in range(of)):
            source = meta.sources.get(name)
            if source is None:
                yield name, None
            elif not source.closed:
                yield name, source.time_ms
