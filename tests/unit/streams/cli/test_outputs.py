"""What a command writes is whole, or the command says why not with exit code 2."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streams.cli.main import main

RECORD = (
    b'{"topic": "bank.transactions", "value": {"event_id": "t-1", "customer_id": "C1", "account_id": "A1", '
    b'"occurred_at": "2026-03-02T09:00:00+08:00", "direction": "credit", "amount": "600000.00"}}\n'
)


def invoke(*arguments: str, stdin: bytes = RECORD) -> Result:
    return CliRunner().invoke(main, arguments, input=stdin)


FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="expected /dev/full, which Linux has")
WRITERS = {
    "features": ("features", "-", "--format", "jsonl", "--at", "2026-03-02", "--out"),
    "tags": ("backtest", "-", "--format", "jsonl", "--tags"),
    "state": ("backtest", "-", "--format", "jsonl", "--state"),
    "simulate": ("simulate", "--customers", "13", "--out"),
    "labels": ("simulate", "--customers", "13", "--out", "/dev/null", "--labels"),
}


@needs_full
@pytest.mark.parametrize("command", WRITERS)
def test_a_full_disk_is_told_even_at_the_last_write(command: str) -> None:
    result = invoke(*WRITERS[command], str(FULL))
    assert result.exit_code == 2, result.output
    assert "Error: /dev/full: expected a file to write to: No space left on device" in result.stderr


@pytest.mark.parametrize("command", WRITERS)
def test_a_file_that_cannot_be_made_is_told_before_the_work(command: str, tmp_path: Path) -> None:
    result = invoke(*WRITERS[command], str(tmp_path / "none" / "out"))
    assert result.exit_code == 2, result.output
    assert "No such file or directory" in result.stderr
    assert result.stdout == ""


def test_a_run_without_tags_leaves_no_old_ones_behind(tmp_path: Path) -> None:
    tags = tmp_path / "tags.jsonl"
    tags.write_text("yesterday's\n")
    assert invoke(*WRITERS["tags"], str(tags), stdin=b"").exit_code == 0
    assert tags.read_text() == ""
    assert invoke(*WRITERS["tags"], str(tags)).exit_code == 0
    assert '"rule":"joint-stock-layer"' in tags.read_text()


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_tags_on_standard_output_stand_there_alone(more: tuple[str, ...]) -> None:
    result = invoke(*WRITERS["tags"], "-", *more)
    assert result.exit_code == 0, result.output
    assert "joint-stock-layer" in [json.loads(line)["rule"] for line in result.stdout.splitlines()]
    assert "joint-stock-layer" in result.stderr
    assert "applied" in result.stderr


def test_a_dash_is_standard_output() -> None:
    result = invoke(*WRITERS["features"], "-")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[1].startswith("C1,")


def started(*arguments: str, redirected: str) -> "subprocess.CompletedProcess[str]":
    """Run in a process of its own by a shell, which redirects what a runner in this process cannot."""
    command = ["sh", "-c", f'exec "$@" {redirected}', "sh", sys.executable, "-m", "streams.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@needs_full
@pytest.mark.parametrize(
    "arguments",
    [("rules", "check", "rules"), ("contracts", "--help"), ("--help",), ("--version",), WRITERS["tags"][:4]],
)
def test_a_full_disk_under_standard_output_is_told(arguments: tuple[str, ...]) -> None:
    done = started(*arguments, redirected=f"</dev/null >{FULL}")
    assert done.stderr.endswith("Error: what was printed could not be written: No space left on device\n")
    assert done.returncode == 2


@pytest.mark.parametrize("writer", ["features", "tags", "simulate"])
def test_a_closed_standard_output_is_told_to_who_writes_to_it(writer: str) -> None:
    done = started(*WRITERS[writer], "-", redirected="</dev/null >&-")
    assert done.stderr.endswith("-: expected a file to write to: standard output is closed\n")
    assert done.returncode == 2


@pytest.mark.parametrize("arguments", [("tags", "list"), ("customers", "show", "C1"), ("doctor",)])
def test_a_closed_standard_output_changes_no_exit_code(arguments: tuple[str, ...]) -> None:
    done = started("--bootstrap", "127.0.0.1:1", *arguments, redirected="</dev/null >&-")
    assert done.stderr.startswith("Error: expected a Kafka broker at 127.0.0.1:1")
    assert done.stderr.rstrip().endswith(": start it, or name another by TAGGER_BOOTSTRAP")
    assert done.returncode == 3


def test_what_belongs_on_a_closed_standard_error_is_not_put_on_standard_output() -> None:
    done = started(*WRITERS["tags"], "-", redirected="</dev/null 2>&-")
    assert (done.returncode, done.stdout) == (0, "")


def test_a_closed_standard_input_is_told() -> None:
    done = started(*WRITERS["tags"][:4], redirected="<&-")
    assert done.stderr.endswith("Error: -: cannot be read as JSON lines: standard input is closed\n")
    assert done.returncode == 2


@pytest.mark.parametrize("output", [("backtest", "--tags"), ("features", "--at", "2026-03-02", "--out")])
def test_the_file_that_is_read_is_not_written_over(output: tuple[str, ...], tmp_path: Path) -> None:
    source = tmp_path / "events.jsonl"
    source.write_bytes(RECORD)
    command, *options = output
    result = invoke(
        command, *options, f"{tmp_path}/../{tmp_path.name}/events.jsonl", "--format", "jsonl", str(source)
    )
    assert result.exit_code == 2, result.output
    assert "expected another file than the one that is read" in result.stderr
    assert source.read_bytes() == RECORD


def test_tags_that_are_scored_are_not_written_over(tmp_path: Path) -> None:
    tags = tmp_path / "tags.jsonl"
    tags.write_bytes(b"kept")
    for option in ("--labels", "--out"):
        result = invoke("simulate", "--customers", "13", option, str(tags), "--score", str(tags))
        assert result.exit_code == 2, result.output
        assert tags.read_bytes() == b"kept"


def test_a_score_keeps_the_labels_that_it_was_asked_for_whatever_it_says(tmp_path: Path) -> None:
    labels, tags = tmp_path / "labels.jsonl", tmp_path / "none.jsonl"
    tags.touch()
    result = invoke("simulate", "--customers", "15", "--labels", str(labels), "--score", str(tags))
    assert result.exit_code == 1, result.output
    assert labels.read_bytes().count(b"\n") > 15


@pytest.mark.parametrize("at", ["yesterday", "2025-01-22T14:38:52"])
def test_a_scored_tag_without_a_time_is_told_with_its_line(at: str, tmp_path: Path) -> None:
    tag = {"customer_id": "S000001", "rule": "inflow-not-retained", "change": "opened"}
    lines = [json.dumps(tag | {"at": time}) for time in ("2025-01-22T14:38:52+08:00", at)]
    (tmp_path / "tags.jsonl").write_text("\n".join(lines))
    result = invoke("simulate", "--customers", "15", "--score", str(tmp_path / "tags.jsonl"))
    assert result.exit_code == 2, result.output
    assert "expected a tag event a line: line 2: " in result.stderr


def test_a_made_up_bank_may_end_on_the_last_day_that_is_accepted() -> None:
    result = invoke("simulate", "--customers", "1", "--days", "14", "--out", "-", "--start", "2199-12-18")
    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize("days", [("--start", "1972-12-31"), ("--start", "9999-12-30"), ("--days", "9999999999")])
def test_a_made_up_bank_lies_in_years_that_are_accepted(days: tuple[str, str]) -> None:
    result = invoke("simulate", "--customers", "1", "--out", "-", *days)
    assert result.exit_code == 2, result.output
    assert "expected days from 1973-01-01 to 2199-12-31" in result.stderr


def test_what_is_piped_holds_no_boxes(tmp_path: Path) -> None:
    bank, tags = str(tmp_path / "bank.jsonl"), str(tmp_path / "tags.jsonl")
    assert invoke("simulate", "--customers", "13", "--out", bank).exit_code == 0
    summary = invoke("backtest", bank, "--format", "jsonl", "--against", "rules", "--tags", tags)
    scores = invoke("simulate", "--customers", "13", "--score", tags)
    assert "rule\tchange\ttags\n" in summary.output
    assert "story\trule\tcustomers\thits\tmissing\textra\tprecision\trecall\n" in scores.output
    assert not set("│┃━") & set(summary.output + scores.output)


def test_two_outputs_to_one_file_are_refused(tmp_path: Path) -> None:
    out = str(tmp_path / "out.jsonl")
    result = invoke("simulate", "--customers", "13", "--out", out, "--labels", out)
    assert result.exit_code == 2
    assert "expected another file than the one that another option writes to" in result.stderr
    assert invoke("simulate", "--customers", "13", "--out", "/dev/null", "--labels", "/dev/null").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--midnight", "10", "--restore", "10"), "expected one of --restore and --midnight"),
        (("--midnight", "10", "--live-seconds", "nan"), "'nan' is not a valid integer range"),
        (("--midnight", "10", "--live-seconds", "99999"), "99999 is not in the range"),
    ],
)
def test_a_bench_that_cannot_be_meant_is_refused_before_the_work(arguments: tuple[str, ...], told: str) -> None:
    result = invoke("bench", *arguments)
    assert (result.exit_code, told in result.stderr) == (2, True), result.stderr


@pytest.mark.parametrize("number", ["nan", "inf", "0"])
@pytest.mark.parametrize("command", [("simulate", "--rate"), ("replay", "-", "--format", "jsonl", "--rate")])
def test_a_rate_that_is_no_number_is_refused_before_the_work(command: tuple[str, ...], number: str) -> None:
    result = invoke("--bootstrap", "127.0.0.1:1", *command, number)
    assert result.exit_code == 2, result.output
    assert "Invalid value for '--rate'" in result.stderr
