"""One input partition's ingest: fates, the source's time, control records, and what is committed of it."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.bankday import epoch_ms
from schemas.decode import Decoder
from schemas.journal import Tick
from tagger.ingest.committed import MAX_METADATA_BYTES, IngestState
from tagger.ingest.partition import Ingested, IngestSettings, InputPartition, RawRecord

DECODER = Decoder({"USD": Decimal("7.1")})
MINUTE, DAY = 60_000, 86_400_000
NOW = 1_772_589_617_000  # 2026-03-04T10:00:17+08:00
EVENTS = IngestSettings(clock="events")
WALL = IngestSettings(clock="wall")
BEGIN, END = (RawRecord(None, headers=(("tagger-control", word),)) for word in (b"begin", b"end"))


def source(config: IngestSettings = EVENTS, topic: str = "bank.transactions") -> InputPartition:
    return InputPartition(topic, partition=2, of=4, decoder=DECODER, settings=config)


def at_ms(ms: int, **record: Any) -> RawRecord:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    assert epoch_ms(at) == ms
    value = {
        "event_id": f"t{ms}",
        "customer_id": "C1",
        "occurred_at": at.isoformat(),
        "account_id": "a",
        "direction": "credit",
        "amount": "5",
    }
    return RawRecord(json.dumps(value).encode(), **record)


def profile_at(ms: int) -> RawRecord:
    value = json.loads(at_ms(ms).value or b"")
    return RawRecord(json.dumps({key: value[key] for key in ("event_id", "customer_id", "occurred_at")}).encode())


def read(
    one: InputPartition, *records: RawRecord, state: IngestState | None = None
) -> tuple[IngestState, Ingested]:
    return one.read(state or IngestState(), records, NOW)


def test_a_valid_record_is_passed_on_with_its_origin_and_moves_the_clock() -> None:
    state, out = read(source(), at_ms(NOW - DAY, offset=7))
    assert [event.occurred_ms for event in out.events] == [NOW - DAY]
    assert out.events[0].source.offset == 7
    assert (state.first_offset, state.next_offset, state.time_ms, state.passed_on) == (7, 8, NOW - DAY, 1)


def test_fields_that_the_contract_does_not_know_are_counted_of_what_is_passed_on() -> None:
    def with_more(record: RawRecord, **more: Any) -> RawRecord:
        return RawRecord(json.dumps(json.loads(record.value or b"") | more).encode())

    one, other = with_more(at_ms(NOW), x=1, y={"z": 2}), with_more(at_ms(NOW + 2), x=3)
    state, _ = read(source(), one, at_ms(NOW + 1), other)
    assert state.unknown_fields == 3
    state, out = read(source(), with_more(at_ms(NOW + 3), amount="-5", x=4), state=state)
    assert (len(out.dead_letters), state.unknown_fields) == (1, 3)
    assert IngestState.from_metadata(state.to_metadata()).unknown_fields == 3


def test_a_dead_letter_holds_the_record_and_moves_nothing() -> None:
    state, out = read(source(), RawRecord(b'{"x":1}', key=b"k", timestamp=123, offset=5))
    letter = out.dead_letters[0]
    assert not out.events
    assert (letter.source.topic, letter.source.partition, letter.source.offset) == ("bank.transactions", 2, 5)
    assert (letter.source.timestamp, letter.key, letter.payload) == (123, "k", '{"x":1}')
    assert (letter.reason, letter.field) == ("missing_field", "event_id")
    assert letter.at == "2026-03-04T10:00:17+08:00"
    assert letter.message_key == "bank.transactions-2"
    assert (state.dead_letters, state.time_ms) == (1, None)


class TestEventsClock:
    def test_time_is_the_largest_accepted_and_never_falls(self) -> None:
        state, out = read(source(), at_ms(1000), at_ms(5000), at_ms(3000))
        assert state.time_ms == 5000
        assert len(out.events) == 3

    @pytest.mark.parametrize(("jump", "accepted"), [(0, True), (1, False)])
    def test_a_jump_up_to_the_limit_is_taken_and_one_beyond_moves_no_clock(
        self, jump: int, accepted: bool
    ) -> None:
        state, out = read(source(), at_ms(NOW - 99 * DAY), at_ms(NOW - 68 * DAY + jump))
        assert len(out.events) == (2 if accepted else 1)
        assert state.time_ms == (NOW - 68 * DAY if accepted else NOW - 99 * DAY)
        assert [letter.reason for letter in out.dead_letters] == ([] if accepted else ["far_future"])

    @pytest.mark.parametrize(("ahead", "accepted"), [(5 * MINUTE, True), (5 * MINUTE + 1, False)])
    def test_an_absurd_first_record_does_not_poison_the_clock(self, ahead: int, accepted: bool) -> None:
        state, out = read(source(), at_ms(NOW + ahead), at_ms(NOW - 9 * DAY))
        assert len(out.dead_letters) == (0 if accepted else 1)
        assert state.time_ms == (NOW + ahead if accepted else NOW - 9 * DAY)

    def test_later_records_may_lie_beyond_now(self) -> None:
        state, out = read(source(), at_ms(NOW), at_ms(NOW + 30 * DAY))
        assert len(out.events) == 2
        assert state.time_ms == NOW + 30 * DAY

    def test_far_past_is_accepted(self) -> None:
        state, out = read(source(), at_ms(NOW), at_ms(-2_000_000_000_000))
        assert len(out.events) == 2
        assert state.time_ms == NOW

    def test_being_caught_up_says_nothing(self) -> None:
        assert source().catch_up(IngestState(time_ms=5), NOW).time_ms == 5


class TestWallClock:
    def test_behind_it_is_the_broker_timestamp_of_the_last_record_read(self) -> None:
        state, _ = read(source(WALL), at_ms(1, timestamp=NOW - 500), RawRecord(b"bad", timestamp=NOW - 400))
        assert state.time_ms == NOW - 400

    def test_it_is_now_when_caught_up_and_never_falls(self) -> None:
        one = source(WALL)
        state = one.catch_up(IngestState(), NOW)
        assert state.time_ms == NOW
        assert one.catch_up(state, NOW - 1).time_ms == NOW
        assert read(one, at_ms(1, timestamp=NOW - 5), state=state)[0].time_ms == NOW

    def test_a_timestamp_from_the_future_counts_as_now_and_a_missing_one_as_none(self) -> None:
        assert read(source(WALL), at_ms(1, timestamp=NOW + DAY))[0].time_ms == NOW
        assert read(source(WALL), at_ms(1, timestamp=-1))[0].time_ms is None
        assert read(source(WALL), at_ms(1))[0].time_ms is None

    @pytest.mark.parametrize(("ahead", "reasons"), [(5 * MINUTE, []), (5 * MINUTE + 1, ["far_future"])])
    def test_far_future_is_five_minutes_beyond_now(self, ahead: int, reasons: list[str]) -> None:
        _, out = read(source(WALL), at_ms(NOW + ahead))
        assert [letter.reason for letter in out.dead_letters] == reasons


class TestControl:
    def test_begin_opens_and_end_closes(self) -> None:
        one = source()
        state, out = read(one, BEGIN)
        assert (state.began, state.closed, state.control, out.has_control) == (True, False, 1, True)
        assert one.make_tick(state) == Tick(
            topic="bank.transactions", partition=2, of=4, time_ms=None, recorded=True
        )
        state, _ = read(one, at_ms(1000), END, state=state)
        assert one.make_tick(state) == Tick(
            topic="bank.transactions", partition=2, of=4, time_ms=1000, closed=True, recorded=True
        )
        state, _ = read(one, BEGIN, state=state)
        assert (state.closed, state.time_ms, state.control) == (False, 1000, 3)

    @pytest.mark.parametrize(
        "headers",
        [
            (),
            (("tagger-control", b"stop"),),
            (("other", b"end"),),
            (("tagger-control", b"end"), ("tagger-control", b"")),
        ],
    )
    def test_any_other_null_value_is_a_dead_letter(self, headers: tuple[tuple[str, bytes], ...]) -> None:
        state, out = read(source(), RawRecord(None, headers=headers))
        assert (state.dead_letters, state.control, state.closed, out.has_control) == (1, 0, False, False)
        assert out.dead_letters[0].reason == "no_value"
        assert out.dead_letters[0].payload is None

    def test_a_value_beside_the_header_is_a_record(self) -> None:
        record = at_ms(1000, headers=(("tagger-control", b"end"),))
        assert read(source(), record)[0].passed_on == 1


class TestTopicsOutsideTheClock:
    def test_they_move_no_clock_and_make_no_tick(self) -> None:
        for config in (EVENTS, WALL):
            one = source(config, "bank.profiles")
            state, out = read(one, profile_at(NOW - DAY))
            assert len(out.events) == 1
            assert one.catch_up(state, NOW).time_ms is None
            assert one.make_tick(state) is None

    def test_their_far_future_is_beyond_now_whatever_the_clock(self) -> None:
        for config in (EVENTS, WALL):
            _, out = read(source(config, "bank.profiles"), profile_at(NOW + 5 * MINUTE), profile_at(NOW + DAY))
            assert len(out.events) == 1
            assert [letter.reason for letter in out.dead_letters] == ["far_future"]


class TestTicks:
    def test_there_is_none_before_there_is_anything_to_tell(self) -> None:
        assert source().make_tick(IngestState()) is None

    @pytest.mark.parametrize(
        ("config", "recorded"),
        [(EVENTS, True), (WALL, False), (IngestSettings(clock="events", push_recorded=True), False)],
    )
    def test_recorded_time_is_said_unless_pushing_it_was_allowed(
        self, config: IngestSettings, recorded: bool
    ) -> None:
        tick = source(config).make_tick(IngestState(time_ms=5))
        assert tick is not None
        assert tick.recorded is recorded

    @pytest.mark.parametrize(("config", "closed"), [(EVENTS, True), (WALL, False)])
    def test_the_end_of_a_recorded_run_closes_no_source_that_follows_the_time_of_day(
        self, config: IngestSettings, closed: bool
    ) -> None:
        one = source(config)
        end = RawRecord(None, None, (("tagger-control", b"end"),), None)
        tick = one.make_tick(one.catch_up(read(one, end)[0], NOW))
        assert tick is not None
        assert tick.closed is closed


class TestOffsets:
    def test_gaps_are_control_and_fates_add_up(self) -> None:
        one = source()
        state = one.start_at(IngestState(), 10)
        state, _ = read(one, at_ms(1, offset=12), RawRecord(b"", offset=13), at_ms(2, offset=17), state=state)
        state = one.skip_to(state, 20)
        assert (state.passed_on, state.dead_letters, state.control) == (2, 1, 7)
        assert state.passed_on + state.dead_letters + state.control == 20 - 10

    def test_records_before_the_position_are_dropped(self) -> None:
        state, out = read(source(), at_ms(5, offset=3), at_ms(6, offset=4), state=IngestState(next_offset=4))
        assert [event.occurred_ms for event in out.events] == [6]
        assert (state.passed_on, state.next_offset) == (1, 5)

    def test_a_known_position_is_not_moved_back(self) -> None:
        state = IngestState(next_offset=9)
        assert source().start_at(state, 0) is state
        assert source().skip_to(state, 3) is state


class TestMetadata:
    def test_it_stays_far_below_the_limit(self) -> None:
        big = 2**62
        state = IngestState(
            first_offset=big, next_offset=big, time_ms=-big, began=True, closed=True,
            passed_on=big, dead_letters=big, control=big, unknown_fields=big,
        )  # fmt: skip
        assert IngestState.from_metadata(state.to_metadata()) == state
        assert len(state.to_metadata()) < MAX_METADATA_BYTES / 10

    def test_no_metadata_is_a_partition_not_begun(self) -> None:
        assert IngestState.from_metadata("") == IngestState()

    @pytest.mark.parametrize("text", ["x", "[]", '{"time_ms":"5"}', '{"time_ms":1.5}'])
    def test_foreign_metadata_is_an_error_that_quotes_it(self, text: str) -> None:
        with pytest.raises(ValueError, match="offset metadata: expected an ingest state"):
            IngestState.from_metadata(text)


records = st.lists(
    st.integers(0, 60 * DAY).map(lambda ms: at_ms(NOW - 60 * DAY + ms, timestamp=NOW - 5))
    | st.sampled_from([BEGIN, END, RawRecord(b"{}"), RawRecord(None), at_ms(NOW + 900 * DAY)]),
    max_size=20,
)


@settings(max_examples=100, deadline=None)
@given(records, st.lists(st.integers(0, 20), max_size=4), st.sampled_from([EVENTS, WALL]))
def test_how_records_are_batched_makes_no_difference(
    given_records: list[RawRecord], cuts: list[int], config: IngestSettings
) -> None:
    numbered = [
        RawRecord(record.value, record.key, record.headers, record.timestamp, offset)
        for offset, record in enumerate(given_records)
    ]
    one = source(config)
    whole_state, whole = read(one, *numbered)
    state, events, letters = IngestState(), [], []
    bounds = [0, *sorted(cuts), len(numbered)]
    for start, end in itertools.pairwise(bounds):
        state = IngestState.from_metadata(state.to_metadata())
        state, out = read(one, *numbered[start:end], state=state)
        events += out.events
        letters += out.dead_letters
    assert state == whole_state
    assert (events, letters) == (whole.events, whole.dead_letters)
    assert state.passed_on + state.dead_letters + state.control == len(numbered)
