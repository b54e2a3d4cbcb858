"""Planted bugs that the simulation finds: ownership, units of work, restore, transport, view."""

import inspect
from pathlib import Path

import pytest
from mutants import planted
from mutants.focus import (
    Focus,
    Plant,
    disorder,
    failing_sends,
    frequent,
    frozen_after_the_first_restore,
    frozen_between_two_writes_to_a_wiped_view,
    hunt,
    lost_answers,
    raising,
    slow_answers,
)
from simulation.plan import Plan

pytestmark = pytest.mark.mutant

FOUND_BY: list[tuple[Plant, Focus | None]] = [
    (planted.skip_the_fence, frequent("pause", "cut")),
    (planted.offsets_fetched_before_the_fence, frequent("pause", "cut", "restart")),
    (planted.keep_the_overlay_after_a_failed_commit, lost_answers),
    (planted.treat_a_cancelled_commit_as_aborted, slow_answers),
    (planted.leave_a_send_future_unawaited, failing_sends),
    (planted.no_guard_on_next_offset, disorder),
    (planted.restore_to_the_stable_offset, frequent("foreign", "crash", "restart")),
    (planted.exception_swallowed, raising),
    (planted.offsets_outside_the_transaction, frequent("crash", "cut", "pause")),
    (planted.redis_written_without_version, frequent("cut", "pause")),
    (planted.redis_written_by_whoever_once_had_it, frozen_between_two_writes_to_a_wiped_view),
    (planted.deadline_lost_on_restore, frequent("crash")),
    (planted.ids_shared_by_two_topics, Plan.calm_down),
    (planted.markers_behind_the_last_record_not_counted, frequent("foreign")),
    (planted.position_compared_with_a_later_offset, frequent("pause", "cut")),
    (planted.a_newer_owners_tags_taken_for_a_lost_changelog, frozen_after_the_first_restore),
    (planted.restore_reading_uncommitted, frequent("foreign", "crash")),
    (planted.position_from_the_groups_offset, frequent("pause", "cut", "restart")),
    (planted.a_lost_last_fetch_is_waited_for, disorder),
    (planted.old_fetches_taken_after_a_seek, frequent("upset", "restart")),
    (planted.a_group_offset_without_its_metadata, frequent("crash")),
]


def test_every_planted_bug_has_its_test() -> None:
    pointed = (Path(__file__).parent / "test_pointed_mutants.py").read_text(encoding="utf-8")
    bugs = {
        name
        for name, plant in vars(planted).items()
        if inspect.isfunction(plant) and plant.__module__ == planted.__name__ and name[0] != "_"
    }
    assert len(bugs) >= 20
    assert bugs - {plant.__name__ for plant, _ in FOUND_BY} == {
        bug for bug in bugs if f"def test_{bug}(" in pointed
    }


@pytest.mark.parametrize(("plant", "focus"), FOUND_BY, ids=[plant.__name__ for plant, _ in FOUND_BY])
def test_the_simulation_finds(plant: Plant, focus: Focus | None) -> None:
    verdict = hunt(plant, focus)
    assert verdict is not None, f"{plant.__name__} survived"
