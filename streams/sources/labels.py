"""What a made-up bank's customers should be tagged with, and how well a run did.

A label speaks about one customer and one rule. Together, the labels of a customer and rule are *all* tags that may
open there: a label without a change says that there is none. Other changes (closings) are compared only where a
label names them.

Together, the labels of a customer are all *signals* that may open: one of a rule that no label names is extra. A
signal is a tag without a level. Levels are grades, of which everybody has some under every scheme; they are scored
only where a label names their rule. Customers without labels are not scored.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from schemas.bankday import epoch_ms


class Label(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that should happen, or that nothing should.

    Attributes:
        story: what the customer lives out.
        change: `opened` and so on; None: no tag of this rule for this customer.
        at: when, exactly.
        by: where records come out of order, the tag may come from `at` up to this time, as the clock stands.
        level: of a ladder.
    """

    customer_id: str
    story: str
    rule: str
    change: str | None = None
    level: str | None = None
    at: str | None = None
    by: str | None = None


class SeenTag(msgspec.Struct, frozen=True):
    """The part of a tag event that is scored."""

    customer_id: str
    rule: str
    change: str
    at: str
    level: str | None = None


@dataclass(slots=True)
class Score:
    """How a story's tags of one rule came out.

    Attributes:
        customers: with labels for the rule; none where only a signal came that nobody spoke of.
        hits: labels that a tag answered.
        missing: labels without a tag.
        extra: tags without a label.
    """

    story: str
    rule: str
    customers: int = 0
    hits: int = 0
    missing: int = 0
    extra: int = 0
    wrong: list[str] = field(default_factory=list)  # customers that did not come out right, ids only

    @property
    def precision(self) -> float | None:
        """Share of tags that were right; None where there was no tag."""
        return self.hits / (self.hits + self.extra) if self.hits + self.extra else None

    @property
    def recall(self) -> float | None:
        """Share of labels that were answered; None where nothing was to come."""
        return self.hits / (self.hits + self.missing) if self.hits + self.missing else None


def read_labels(lines: Iterable[bytes]) -> Iterator[Label]:
    """Read labels, one a line.

    Raises:
        msgspec.DecodeError: a line is no label.
    """
    decoder = msgspec.json.Decoder(Label)
    return (decoder.decode(line) for line in lines if line.strip())


def read_tags(lines: Iterable[bytes]) -> Iterator[SeenTag]:
    """Read tag events, one a line, as `tagger backtest --tags` writes them.

    Raises:
        ValueError: a line is no tag event, or its time has no zone; says which line.
    """
    decoder = msgspec.json.Decoder(SeenTag)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            tag = decoder.decode(line)
            _ms(tag.at)
        except (msgspec.DecodeError, ValueError, TypeError) as error:
            raise ValueError(f"line {number}: {error}") from error
        yield tag


def score(labels: Iterable[Label], tags: Iterable[SeenTag]) -> list[Score]:
    """Compare a run's tags with its labels.

    Returns:
        One score a story and rule, story by story in the order in which they first appear.
    """
    expected: dict[tuple[str, str], list[Label]] = defaultdict(list)
    story_of: dict[str, str] = {}
    for label in labels:
        expected[label.customer_id, label.rule].append(label)
        story_of[label.customer_id] = label.story
    seen: dict[tuple[str, str], list[SeenTag]] = defaultdict(list)
    for tag in tags:
        pair = tag.customer_id, tag.rule
        if pair in expected or (tag.customer_id in story_of and _is_new_signal(tag)):
            seen[pair].append(tag)
    scores: dict[tuple[str, str], Score] = {}
    for customer_id, rule in dict.fromkeys((*expected, *seen)):
        wanted = expected.get((customer_id, rule), [])
        story = story_of[customer_id]
        total = scores.setdefault((story, rule), Score(story, rule))
        _add(total, customer_id, wanted, seen.get((customer_id, rule), []))
    stories = {story: place for place, story in enumerate(dict.fromkeys(story_of.values()))}
    return sorted(scores.values(), key=lambda total: stories[total.story])


def unscored_levels(labels: Iterable[Label], tags: Iterable[SeenTag]) -> Counter[str]:
    """How many levels opened, by rule, that were not compared with anything."""
    labelled = {(label.customer_id, label.rule) for label in labels}
    customers = {customer_id for customer_id, _ in labelled}
    return Counter(
        tag.rule
        for tag in tags
        if tag.change == "opened" and tag.level is not None
        if tag.customer_id in customers and (tag.customer_id, tag.rule) not in labelled
    )


def _is_new_signal(tag: SeenTag) -> bool:
    return tag.change == "opened" and tag.level is None


def _add(total: Score, customer_id: str, wanted: list[Label], seen: list[SeenTag]) -> None:
    hits, missing, extra = _match(wanted, seen)
    total.customers += bool(wanted)
    total.hits += hits
    total.missing += missing
    total.extra += extra
    if missing or extra:
        total.wrong.append(customer_id)


def _match(labels: list[Label], tags: list[SeenTag]) -> tuple[int, int, int]:
    open_labels = [label for label in labels if label.change is not None]
    compared = {label.change for label in open_labels} | {"opened"}
    hits = extra = 0
    for tag in tags:
        if tag.change not in compared:
            continue
        answered = next((label for label in open_labels if _answers(tag, label)), None)
        if answered is None:
            extra += 1
        else:
            open_labels.remove(answered)
            hits += 1
    return hits, len(open_labels), extra


def _answers(tag: SeenTag, label: Label) -> bool:
    if tag.change != label.change or (label.level is not None and tag.level != label.level):
        return False
    if label.at is None:
        return True
    return _ms(label.at) <= _ms(tag.at) <= _ms(label.by or label.at)


def _ms(text: str) -> int:
    return epoch_ms(datetime.fromisoformat(text))
