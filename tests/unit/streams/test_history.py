"""The core over a file: which clock sources there are, cutting at a time, and reading `--at`."""

import csv
import json
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from schemas.bankday import BankCalendar
from schemas.journal import Tick, Transaction, decode_record, encode_record
from schemas.topics import APP_EVENTS, TRANSACTIONS
from streams.cli.backtest import backtest
from streams.cli.features import features
from streams.history import Refused, parse_time, read_journal, until
from streams.settings import Settings
from streams.sources.formats import OpenSource
from streams.sources.record import SourceError, SourceRecord

SETTINGS = Settings()
NOW_MS = 1_800_000_000_000
PACK = """\
pack: p
title: What stands
features:
  now: {expr: assets}
  views: {count: app_events, over: 7d}
"""


def transaction(number: int, at: str, amount: str = "10.00", direction: str = "credit") -> SourceRecord:
    value = {
        "event_id": f"t{number}",
        "customer_id": "C1",
        "occurred_at": at,
        "account_id": "A1",
        "direction": direction,
        "amount": amount,
    }
    return SourceRecord(TRANSACTIONS, b"C1", json.dumps(value).encode())


def view(number: int, at: str, customer_id: str = "C1") -> SourceRecord:
    value = {"event_id": f"a{number}", "customer_id": customer_id, "occurred_at": at, "action": "view"}
    return SourceRecord(APP_EVENTS, customer_id.encode(), json.dumps(value).encode())


def journal(records: list[SourceRecord], topics: frozenset[str] | None) -> list[object]:
    source = OpenSource(iter(records), topics, Counter())
    return list(read_journal(source, SETTINGS, NOW_MS, Refused(Counter())))


def test_a_clock_topic_that_the_file_does_not_feed_is_closed_before_the_first_event() -> None:
    read = journal([transaction(1, "2026-03-04T10:00:00+08:00")], frozenset({TRANSACTIONS}))
    first_event = next(i for i, record in enumerate(read) if isinstance(record, Transaction))
    told = [record for record in read[:first_event] if isinstance(record, Tick)]
    assert [(tick.topic, tick.time_ms, tick.closed) for tick in told] == [
        (TRANSACTIONS, None, False),
        (APP_EVENTS, None, False),
        (APP_EVENTS, None, True),
    ]


def test_where_topics_are_not_known_every_clock_topic_is_open_until_the_end() -> None:
    read = journal([transaction(1, "2026-03-04T10:00:00+08:00")], None)
    closed = [i for i, record in enumerate(read) if isinstance(record, Tick) and record.closed]
    last_event = max(i for i, record in enumerate(read) if isinstance(record, Transaction))
    assert len(closed) == 2
    assert min(closed) > last_event


def test_time_is_told_after_the_events_that_moved_it() -> None:
    read = journal([transaction(1, "2026-03-04T10:00:00+08:00")], frozenset({TRANSACTIONS}))
    kinds = [type(record).__name__ for record in read]
    assert kinds[3:] == ["Transaction", "Tick", "Tick"]
    last = read[-1]
    assert isinstance(last, Tick)
    assert last.closed
    assert last.time_ms == parse_time("2026-03-04 10:00", BankCalendar("Asia/Shanghai"))


def test_cut_at_a_time_the_journal_holds_no_later_event_and_ends_at_that_time_with_every_source_open() -> None:
    calendar = BankCalendar("Asia/Shanghai")
    records = [transaction(1, "2026-03-04T10:00:00+08:00"), transaction(2, "2026-03-04T10:00:01+08:00")]
    at_ms = parse_time("2026-03-04 10:00", calendar)
    read = list(until(journal(records, frozenset({TRANSACTIONS})), at_ms, SETTINGS))  # type: ignore[arg-type]
    assert [record.event_id for record in read if isinstance(record, Transaction)] == ["t1"]
    ticks = [record for record in read if isinstance(record, Tick)]
    assert all(tick.time_ms is None or tick.time_ms <= at_ms for tick in ticks)
    assert [(tick.topic, tick.time_ms, tick.closed) for tick in ticks[-2:]] == [
        (TRANSACTIONS, at_ms, False),
        (APP_EVENTS, at_ms, False),
    ]


def test_a_record_of_no_input_topic_is_wrong_usage() -> None:
    with pytest.raises(SourceError, match=r"expected one of the input topics .*, got 'bank\.cards'"):
        journal([SourceRecord("bank.cards", None, b"{}")], None)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-03-04", "2026-03-04T15:59:59.999+00:00"),
        ("2026-03-04 10:00", "2026-03-04T02:00:00+00:00"),
        ("2026-03-04 10:00:05", "2026-03-04T02:00:05+00:00"),
        ("2026-03-04T10:00:05Z", "2026-03-04T10:00:05+00:00"),
        ("2026-03-04T10:00:05+01:00", "2026-03-04T09:00:05+00:00"),
    ],
)
def test_a_time_is_rfc_3339_or_bank_time_or_a_days_end(text: str, utc: str) -> None:
    assert BankCalendar("UTC").format(parse_time(text, BankCalendar("Asia/Shanghai"))) == utc


@pytest.mark.parametrize("text", ["", "yesterday", "2026-02-30", "10:00"])
def test_another_text_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a date, a time like"):
        parse_time(text, BankCalendar("Asia/Shanghai"))


@pytest.mark.parametrize("text", ["0001-01-01", "1899-12-31", "2200-01-01", "9999-12-31", "9999-12-31 23:00"])
def test_a_time_in_which_no_event_can_lie_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"expected a time from 1900 to 2199, got '{text}'"):
        parse_time(text, BankCalendar("Asia/Shanghai"))


@pytest.mark.parametrize("year", [1901, 1950, 2020])
def test_time_is_told_on_the_way_in_whatever_century(year: int) -> None:
    records = [transaction(day, f"{year}-03-0{day}T10:00:00+08:00") for day in (1, 2, 3)]
    kinds = [type(record).__name__ for record in journal(records, frozenset({TRANSACTIONS}))]
    assert kinds[3:] == ["Transaction", "Tick"] * 3 + ["Tick"]


def run(command: object, folder: Path, records: list[SourceRecord], *options: str, name: str = "jsonl") -> Result:
    (folder / "rules").mkdir(exist_ok=True)
    (folder / "rules" / "p.yaml").write_text(PACK)
    file = folder / "events.jsonl"
    lines = [{"topic": r.topic, "value": (r.value or b"").decode("utf-8", "replace")} for r in records]
    file.write_text("\n".join(json.dumps(line) for line in lines))
    arguments = [str(file), "--format", name, "--rules", str(folder / "rules"), *options]
    return CliRunner().invoke(command, arguments, obj=SETTINGS)  # type: ignore[arg-type]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_features_are_of_every_customer_seen_with_the_windows_as_of_the_time(tmp_path: Path) -> None:
    records = [
        transaction(1, "2026-03-01T10:00:00+08:00", "10.50"),
        view(1, "2026-03-01T11:00:00+08:00", "C0"),
        view(2, "2026-03-09T11:00:00+08:00", "C9"),
    ]
    for at, expected in (
        ("2026-03-01 10:59", {"C1": ("10.50", "0")}),
        ("2026-03-07", {"C0": ("0.00", "1"), "C1": ("10.50", "0")}),
        ("2026-03-08", {"C0": ("0.00", "0"), "C1": ("10.50", "0")}),
    ):
        result = run(features, tmp_path, records, "--at", at, "--out", str(tmp_path / "f.csv"))
        assert result.exit_code == 0, result.output
        lines = table(tmp_path / "f.csv")
        assert {line["customer_id"]: (line["p.now"], line["p.views"]) for line in lines} == expected
        assert [line["customer_id"] for line in lines] == sorted(expected)


def test_a_backtest_counts_fates_and_writes_dead_letters(tmp_path: Path) -> None:
    first = transaction(1, "2026-03-01T10:00:00+08:00")
    records = [
        first,
        first,
        transaction(2, "2026-03-20T10:00:00+08:00"),
        SourceRecord(APP_EVENTS, None, b"{"),
        view(1, "2026-03-20T10:00:00+08:00"),
        transaction(3, "2026-03-01T10:00:00+08:00"),
    ]
    letters = tmp_path / "dead.jsonl"
    result = run(backtest, tmp_path, records, "--json", "--dead-letters", str(letters))
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["fates"] == {"applied": 3, "duplicate": 1, "late": 1, "dead-letter": 1}
    assert summary["dead_letters"] == {"not_json": 1}
    (letter,) = [json.loads(line) for line in letters.read_bytes().splitlines()]
    assert (letter["reason"], letter["payload"], letter["source"]["topic"]) == ("not_json", "{", APP_EVENTS)


def test_a_customer_of_whom_only_a_late_event_is_known_has_a_line(tmp_path: Path) -> None:
    records = [
        transaction(1, "2026-03-20T10:00:00+08:00"),
        view(1, "2026-03-20T10:00:00+08:00"),
        view(2, "2026-03-01T10:00:00+08:00", "C2"),
    ]
    result = run(features, tmp_path, records, "--at", "2026-03-20", "--out", str(tmp_path / "f.csv"))
    assert result.exit_code == 0, result.output
    lines = {line["customer_id"]: line["p.views"] for line in table(tmp_path / "f.csv")}
    assert lines["C1"] == "1"
    assert lines["C2"] in {"", "0"}


def test_a_journal_gives_what_its_file_gave(tmp_path: Path) -> None:
    records = [transaction(n, f"2026-03-{n:02d}T10:00:00+08:00") for n in range(1, 9)]
    written = [encode_record(record) for record in journal(records, frozenset({TRANSACTIONS}))]  # type: ignore[arg-type]
    assert [decode_record(value) for value in written] == journal(records, frozenset({TRANSACTIONS}))
    summaries = [
        run(backtest, tmp_path, records, "--json").stdout,
        run(backtest, tmp_path, [SourceRecord("x", None, v) for v in written], "--json", name="journal").stdout,
    ]
    assert json.loads(summaries[0])["fates"]["applied"] == 8
    assert json.loads(summaries[0])["fates"] == json.loads(summaries[1])["fates"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "csv"], "'csv' is not one of 'berka', 'taobao', 'jsonl', 'journal'"),
        (["--format", "berka"], "there is none"),
        (["--format", "jsonl", "--rules", "nowhere"], "expected rule packs"),
        (["--format", "jsonl", "--profiles"], "profiles is for the format berka"),
    ],
)
def test_wrong_usage_exits_2_and_says_what_was_expected(tmp_path: Path, options: list[str], message: str) -> None:
    (tmp_path / "p.yaml").write_text(PACK)
    arguments = [str(tmp_path / "missing"), "--rules", str(tmp_path), *options]
    result = CliRunner().invoke(backtest, arguments, obj=SETTINGS)
    assert result.exit_code == 2
    assert message in result.output
