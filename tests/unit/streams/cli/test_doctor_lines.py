"""What `tagger doctor` prints beside its findings."""

from streams.cli.doctor import clock_lines, verdict
from streams.doctor.report import PartitionClock, Report

EARLY, LATE = "2026-03-02T09:00:00+08:00", "2026-03-02T09:00:02+08:00"


def test_a_source_that_holds_the_clock_is_named_once_with_all_partitions_that_wait_for_it() -> None:
    slow, quiet = "bank.transactions-3", "bank.app-events-0"
    clocks = [PartitionClock(0, LATE, slow), PartitionClock(1, EARLY, slow), PartitionClock(2, None, quiet)]
    assert clock_lines([*clocks, PartitionClock(3, None, slow)]) == [
        f"clock {EARLY}, held by {slow} (journal partitions 0, 1)",
        f"clock not begun, held by {quiet} (journal partition 2)",
        f"clock not begun, held by {slow} (journal partition 3)",
    ]


def test_nobody_holds_the_clock_once_every_source_has_closed() -> None:
    assert clock_lines([PartitionClock(0, LATE, None)]) == [
        f"clock {LATE}, every source has closed (journal partition 0)"
    ]


def test_all_is_right_only_where_all_was_looked_at() -> None:
    assert verdict(Report()) == "all is right"
    for partly in (Report(not_checked=["customer C1"]), Report(unreachable="no Redis")):
        assert verdict(partly) == "nothing is wrong in what could be checked"
