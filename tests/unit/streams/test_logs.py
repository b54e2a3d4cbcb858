"""Log lines: JSON, with the fields given, and silent about what a record held."""

import io
import json
import logging

from streams.logs import REPEAT_SECONDS, describe, set_up_logs


def logged(level: str, write: object) -> list[dict[str, object]]:
    root, ours = logging.getLogger(), logging.getLogger("streams")
    before = root.handlers[:], root.level, ours.level
    out = io.StringIO()
    try:
        set_up_logs(level, out)
        write(logging.getLogger("streams.test"))  # type: ignore[operator]
    finally:
        root.handlers[:], root.level = before[0], before[1]
        ours.setLevel(before[2])
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_has_event_level_and_the_fields_given() -> None:
    (line,) = logged("info", lambda log: log.info("restored", extra={"partition": "journal-3", "seconds": 0.5}))
    assert line.pop("at")
    assert line == {
        "level": "info",
        "event": "restored",
        "logger": "streams.test",
        "partition": "journal-3",
        "seconds": 0.5,
    }


def test_the_message_of_an_unknown_exception_is_not_told() -> None:
    def write(log: logging.Logger) -> None:
        try:
            raise ValueError("occupation: farmer")
        except ValueError:
            log.exception("cannot go on")

    (line,) = logged("info", write)
    assert line["error"] == "ValueError"
    assert "farmer" not in json.dumps(line)
    assert "test_logs.py" in str(line["trace"])


def test_an_exception_that_names_addresses_only_is_told() -> None:
    assert describe(ConnectionRefusedError("no broker at b:1")) == "ConnectionRefusedError: no broker at b:1"


def test_lines_below_the_level_are_left_out() -> None:
    assert logged("warning", lambda log: log.info("restored")) == []


def said(name: str, event: str, at: float) -> None:
    record = logging.LogRecord(name, logging.WARNING, __file__, 1, event, (), None)
    record.created = at
    logging.getLogger(name).handle(record)


def test_a_library_that_repeats_itself_is_told_once_in_a_while() -> None:
    def write(_: object) -> None:
        for tick in range(25):
            said("aiokafka.consumer", "coordinator dead", 1000.0 + tick * REPEAT_SECONDS / 10)
            said("aiokafka.client", "coordinator dead", 1000.0)
        said("aiokafka.consumer", "coordinator found", 1000.0)

    lines = [(line["logger"], line["event"], line.get("left_out")) for line in logged("info", write)]
    assert lines == [
        ("aiokafka.consumer", "coordinator dead", None),
        ("aiokafka.client", "coordinator dead", None),
        ("aiokafka.consumer", "coordinator dead", 9),
        ("aiokafka.consumer", "coordinator dead", 9),
        ("aiokafka.consumer", "coordinator found", None),
    ]


def test_what_we_say_ourselves_is_told_each_time() -> None:
    assert len(logged("info", lambda log: [log.info("restored") for _ in range(3)])) == 3
