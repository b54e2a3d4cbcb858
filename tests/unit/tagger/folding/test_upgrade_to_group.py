"""A rule that a new rulebook makes a group loses the end of its open episode, whatever else is looked at."""

from builders import activation, money, ticks
from driver import run

PACK = "pack: p\nrules: {{in: {{when: assets > 0{expires}}}, tick: {{when: assets > 1, for: 3d}}}}\n"
PACKS = {"r1": PACK.format(expires=", expires: 2d"), "r2": PACK.format(expires="")}


def test_an_episode_of_what_is_a_group_now_goes_on() -> None:
    records = [
        activation("r1"),
        *ticks("2026-03-02 08:00"),
        money("2026-03-02 09:00", 100, "t1"),
        activation("r2"),
        money("2026-03-09 09:00", 1, "t2"),
        *ticks("2026-03-10 09:00"),
    ]
    result = run(records, PACKS)
    assert [one[1:] for one in result.brief()] == [("opened", "in"), ("opened", "tick")]
