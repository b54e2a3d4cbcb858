"""Log lines: JSON, with the fields given, and silent about what a record held."""

import io
import json
import logging

from streams.logs import describe, set_up_logs


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
