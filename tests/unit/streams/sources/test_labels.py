"""Scoring a run by its labels."""

from streams.sources.labels import Label, SeenTag, read_labels, read_tags, score, unscored_levels


def label(**fields: str) -> Label:
    return Label(**({"customer_id": "C1", "story": "s", "rule": "r"} | fields))  # type: ignore[arg-type]


def tag(**fields: str) -> SeenTag:
    seen = {"customer_id": "C1", "rule": "r", "change": "opened", "at": "2026-03-04T10:00:00+08:00"}
    return SeenTag(**(seen | fields))


AT = "2026-03-04T02:00:00Z"


def counts(labels: list[Label], tags: list[SeenTag]) -> tuple[int, int, int]:
    (one,) = score(labels, tags)
    return one.hits, one.missing, one.extra


def test_a_tag_at_the_labelled_instant_is_a_hit_however_it_is_written() -> None:
    assert counts([label(change="opened", at=AT)], [tag()]) == (1, 0, 0)


def test_a_tag_at_another_time_is_both_missing_and_extra() -> None:
    assert counts([label(change="opened", at=AT)], [tag(at="2026-03-04T10:00:01+08:00")]) == (0, 1, 1)


def test_a_label_with_an_interval_takes_any_time_in_it() -> None:
    within = label(change="opened", at=AT, by="2026-03-05T02:00:00Z")
    assert counts([within], [tag(at="2026-03-05T10:00:00+08:00")]) == (1, 0, 0)
    assert counts([within], [tag(at="2026-03-05T10:00:01+08:00")]) == (0, 1, 1)


def test_one_label_is_answered_once() -> None:
    assert counts([label(change="opened", at=AT)], [tag(), tag()]) == (1, 0, 1)


def test_another_level_does_not_answer() -> None:
    assert counts([label(change="opened", at=AT, level="mid")], [tag(level="high")]) == (0, 1, 1)


def test_where_nothing_should_open_any_opening_is_extra_and_closings_are_not_looked_at() -> None:
    assert counts([label()], [tag(), tag(change="expired")]) == (0, 0, 1)
    assert counts([label()], []) == (0, 0, 0)


def test_a_signal_of_a_rule_that_no_label_of_the_customer_names_is_extra() -> None:
    labels = [label(change="opened", at=AT), label(customer_id="C2", rule="other", change="opened", at=AT)]
    tags = [tag(), tag(rule="other"), tag(rule="other"), tag(customer_id="C2", rule="other")]
    named, other = score(labels, tags)
    assert (named.rule, named.hits, named.extra) == ("r", 1, 0)
    assert (other.rule, other.customers, other.hits, other.extra) == ("other", 1, 1, 2)
    assert (other.precision, other.wrong) == (1 / 3, ["C1"])


def test_a_signal_that_no_label_at_all_names_has_a_line_of_its_own() -> None:
    _, other = score([label()], [tag(rule="other")])
    assert (other.story, other.rule, other.customers, other.extra) == ("s", "other", 0, 1)
    assert (other.precision, other.recall) == (0, None)


def test_levels_and_closings_that_no_label_names_and_customers_without_labels_are_not_scored() -> None:
    tags = [tag(rule="other", level="mid"), tag(rule="other", change="expired"), tag(customer_id="C2")]
    assert counts([label()], tags) == (0, 0, 0)


def test_levels_that_no_label_names_are_counted_by_rule() -> None:
    tags = [tag(level="mid"), tag(rule="other", level="mid"), tag(rule="other", level="high"), tag(rule="third")]
    unknown = tag(customer_id="C2", rule="other", level="mid")
    closed = tag(rule="other", level="mid", change="expired")
    assert unscored_levels([label()], [*tags, unknown, closed]) == {"other": 2}


def test_lines_stand_story_by_story() -> None:
    labels = [label(), label(customer_id="C2", story="t"), label(customer_id="C3", rule="q")]
    assert [(one.story, one.rule) for one in score(labels, [])] == [("s", "r"), ("s", "q"), ("t", "r")]


def test_precision_and_recall_are_per_story_and_name_who_was_wrong() -> None:
    labels = [
        label(change="opened", at=AT),
        label(customer_id="C2", change="opened", at=AT),
        label(customer_id="C3"),
    ]
    (one,) = score(labels, [tag(), tag(customer_id="C3"), tag(customer_id="C3")])
    assert one.recall == 1 / 2
    assert one.precision == 1 / 3
    assert one.wrong == ["C2", "C3"]


def test_labels_and_tags_are_read_a_line_each() -> None:
    assert list(read_labels([b'{"customer_id":"C1","story":"s","rule":"r"}\n', b"\n"])) == [label()]
    line = b'{"tag_id":"x","customer_id":"C1","rule":"r","change":"opened","at":"2026-03-04T10:00:00+08:00"}'
    assert list(read_tags([line])) == [tag()]
