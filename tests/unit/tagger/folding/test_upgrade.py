"""A second rulebook in the middle of a journal: what stays, what warms, what closes."""

from builders import activation, app, at, money, ticks
from driver import Run, run

from schemas.journal import JournalRecord
from tagger.folding.meta import decode_meta

LARGE = "pack: p\nfeatures: {n: {count: transactions, over: 3d}}\nrules: {many: {when: n >= 3}}\n"
SMALL = LARGE.replace("n >= 3", "n >= 2")
NONE = "pack: p\nfeatures: {n: {count: transactions, over: 3d}}\nrules: {other: {when: n >= 99}}\n"
LONGER = LARGE.replace("3d", "4d").replace("n >= 3", "n >= 2")


def run_two(before: list[JournalRecord], packs: tuple[str, str], after: list[JournalRecord], **how: object) -> Run:
    records = [activation("r1"), *before, activation("r2"), *after]
    return run(records, {"r1": packs[0], "r2": packs[1]}, **how)  # type: ignore[arg-type]


def two_payments(customer: str = "C1", day: str = "2026-03-02") -> list[JournalRecord]:
    return [
        money(f"{day} 09:00", 10, f"t1{customer}{day}", customer=customer),
        money(f"{day} 10:00", 10, f"t2{customer}{day}", customer=customer),
    ]


def test_a_changed_threshold_keeps_its_window_and_is_evaluated_at_once() -> None:
    result = run_two([*ticks("2026-03-02 08:00"), *two_payments(), *ticks("2026-03-02 12:00")], (LARGE, SMALL), [])
    assert result.brief() == [("2026-03-02 12:00:00", "opened", "many")]
    assert result.told()[0]["cause"] == {"deadline": "2026-03-02T12:00:00+08:00"}


def test_a_changed_definition_warms_for_those_seen_before_and_not_for_newcomers() -> None:
    before = [*ticks("2026-03-02 08:00"), *two_payments(), *ticks("2026-03-02 12:00")]
    after = [*two_payments(day="2026-03-03"), *two_payments("C2", "2026-03-03")]
    result = run_two(before, (LARGE, LONGER), [*after, *ticks("2026-03-05 12:00")])
    assert result.brief("C2") == [("2026-03-03 10:00:00", "opened", "many")]
    assert result.brief("C1") == []
    assert result.measure(at("2026-03-05 12:00"))["p.n"] is None
    # Four whole days after 2 March the window holds nothing it did not see.
    full = run_two(before, (LARGE, LONGER), [*after, *ticks("2026-03-06 00:00:01")])
    assert full.brief("C1") == [("2026-03-06 00:00:00", "opened", "many")]


def test_the_first_rulebook_warms_for_those_seen_before_it() -> None:
    unseen = LARGE.replace("n >= 3", "n == 0")
    records = [*ticks("2026-03-02 08:00"), *two_payments(), activation("r1"), app("2026-03-02 12:00", "a1")]
    newcomer = app("2026-03-02 12:00", "a2", customer="C2")
    result = run([*records, newcomer, *ticks("2026-03-05 00:00:01")], {"r1": unseen})
    assert result.brief("C1") == [("2026-03-05 00:00:00", "opened", "many")]
    assert result.brief("C2") == [("2026-03-02 12:00:00", "opened", "many")]


def test_what_is_derived_from_a_warming_feature_is_unknown_unless_it_says_otherwise() -> None:
    derived = LARGE.replace("over: 3d}", "over: 4d}, twice: {expr: n * 2}, known: {expr: 'coalesce(n, 7)'}")
    derived = derived.replace("n >= 3", "twice >= 2 or known == 7")
    result = run_two(
        [*ticks("2026-03-02 08:00"), *two_payments(), *ticks("2026-03-02 12:00")], (LARGE, derived), []
    )
    values = result.measure(at("2026-03-02 12:00"))
    assert (values["p.n"], values["p.twice"], values["p.known"]) == (None, None, "7")
    assert result.brief() == [("2026-03-02 12:00:00", "opened", "many")]


def test_unknown_by_warming_alone_neither_opens_nor_ends_anything() -> None:
    before = [
        *ticks("2026-03-02 08:00"),
        *two_payments(),
        money("2026-03-02 11:00", 1, "t3"),
        *ticks("2026-03-02 12:00"),
    ]
    result = run_two(before, (LARGE, LONGER), [money("2026-03-03 09:00", 1, "t4"), *ticks("2026-03-05 09:00")])
    assert result.brief() == [("2026-03-02 11:00:00", "opened", "many")]
    # Once full it is known again: one payment in four days ends it.
    ended = run_two(before, (LARGE, LONGER), [money("2026-03-03 09:00", 1, "t4"), *ticks("2026-03-06 09:00")])
    assert ended.brief()[1:] == [("2026-03-06 00:00:00", "revoked", "many")]


def test_a_removed_rule_revokes_its_open_episodes() -> None:
    before = [*ticks("2026-03-02 08:00"), *two_payments(), *ticks("2026-03-02 12:00")]
    result = run_two(before, (SMALL, NONE), [])
    assert result.brief()[1:] == [("2026-03-02 12:00:00", "revoked", "many")]
    assert result.told()[1]["reason"] == "rule removed"


def test_a_rule_that_comes_back_numbers_its_episodes_on() -> None:
    records = [activation("r1"), *ticks("2026-03-02 08:00"), *two_payments(), activation("r2"), activation("r1")]
    opened = [tag for tag in run(records, {"r1": SMALL, "r2": NONE}).told() if tag["change"] == "opened"]
    assert len({tag["tag_id"] for tag in opened}) == len(opened) == 2


def test_a_cooldown_outlives_the_rule() -> None:
    cooling = SMALL.replace("n >= 2", "n >= 2, cooldown: 1d")
    records = [activation("r1"), *ticks("2026-03-02 08:00"), *two_payments(), activation("r2"), activation("r1")]
    result = run([*records, *ticks("2026-03-03 10:00:01")], {"r1": cooling, "r2": NONE})
    assert result.brief() == [
        ("2026-03-02 10:00:00", "opened", "many"),
        ("2026-03-02 10:00:00", "revoked", "many"),
        ("2026-03-03 10:00:00", "opened", "many"),
    ]


def test_a_condition_that_becomes_a_watch_begins_anew() -> None:
    watched = SMALL.replace("when: n >= 2", "after: {event: transactions}, within: 1d, when: n >= 2, for: 1h")
    before = [*ticks("2026-03-02 08:00"), *two_payments(), *ticks("2026-03-02 12:00")]
    result = run_two(before, (SMALL, watched), [money("2026-03-02 13:00", 1, "t3"), *ticks("2026-03-02 15:00")])
    assert result.brief()[1:] == [
        ("2026-03-02 12:00:00", "revoked", "many"),
        ("2026-03-02 14:00:00", "opened", "many"),
    ]
    back = run_two(before, (watched, SMALL), [money("2026-03-02 13:00", 1, "t3"), *ticks("2026-03-03 15:00")])
    assert back.brief() == [("2026-03-02 11:00:00", "opened", "many"), ("2026-03-02 12:00:00", "revoked", "many"),
                            ("2026-03-02 12:00:00", "opened", "many")]  # fmt: skip
    assert back.state().rules["many"].watches == []


def test_a_deadline_of_the_new_rulebook_is_met_within_the_same_batch() -> None:
    waiting = SMALL.replace("n >= 2", "n >= 2, for: 30m")
    before = [*ticks("2026-03-02 08:00"), *two_payments(), *ticks("2026-03-02 12:00")]
    result = run_two(before, (LARGE, waiting), [app("2026-03-02 20:00", "a1")])
    assert result.brief() == [("2026-03-02 12:30:00", "opened", "many")]


LADDER = "pack: p\nrules: {steps: {by: assets, levels: {low: 10, mid: 20, high: 30}, expires: 1d}}\n"


def test_a_level_that_is_gone_is_left_and_one_that_moved_is_kept() -> None:
    before = [*ticks("2026-03-02 08:00"), money("2026-03-02 09:00", 30, "t1")]
    shorter = LADDER.replace("low: 10, mid: 20, ", "")
    kept = run_two(before, (LADDER, shorter), [*ticks("2026-03-03 09:00:01")])
    assert kept.brief() == [
        ("2026-03-02 09:00:00", "opened", "steps.high"),
        ("2026-03-03 09:00:00", "expired", "steps.high"),
    ]
    gone = run_two(before, (LADDER, LADDER.replace(", high: 30", "")), [])
    assert gone.brief()[1:] == [
        ("2026-03-02 09:00:00", "revoked", "steps.high"),
        ("2026-03-02 09:00:00", "opened", "steps.mid"),
    ]
    assert gone.told()[1]["reason"] == "level"


def test_an_upgrade_is_bounded_per_batch_and_survives_restarts() -> None:
    people = [payment for n in range(7) for payment in two_payments(f"C{n}")]
    before = [*ticks("2026-03-02 08:00"), *people, *ticks("2026-03-02 12:00")]
    whole = run_two(before, (LARGE, SMALL), [])
    parts = run_two(before, (LARGE, SMALL), [], cuts=None, max_customers=2, restart=True)
    assert len(whole.tags) == 7
    assert (parts.tags, parts.customers, parts.meta) == (whole.tags, whole.customers, whole.meta)
    # Three full batches and a last one, for one record.
    assert parts.batches == len(before) + 2 + 3 + 1


def test_a_rulebook_waits_for_its_time() -> None:
    records = [
        activation("r1"),
        *ticks("2026-03-02 08:00"),
        *two_payments(),
        activation("r2", at("2026-03-02 12:00")),
    ]
    early = run([*records, *ticks("2026-03-02 11:59:59")], {"r1": LARGE, "r2": SMALL})
    assert (early.tags, decode_meta(early.meta).rulebook) == ([], "r1")
    later = run([*records, *ticks("2026-03-02 12:00")], {"r1": LARGE, "r2": SMALL}, cuts=None, restart=True)
    assert later.brief() == [("2026-03-02 12:00:00", "opened", "many")]
    assert decode_meta(later.meta).waiting == []
