"""docs/packs.md: the packs under rules/ in words, for a bank's reviewer."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from schemas.packs.cases import Case, Expected, GivenModel, GivenTick
from schemas.packs.features import FeatureModel
from schemas.packs.pack import Pack
from schemas.packs.rules import (
    GradedRule,
    LadderRule,
    LeveledRule,
    MatrixRule,
    Offer,
    RuleModel,
    ScorecardRule,
    SignalRule,
)
from schemas.packs.scalars import Window
from streams.rulebooks.folder import read_folder
from tagger.packs.rulebook import Rulebook, read_rulebook

RULES = Path(__file__).resolve().parent.parent / "rules"

_HEAD = """# Packs

Generated from `rules/` by `make docs`: what each pack measures, from where on its rules speak, and the cases that
show it. Amounts are CNY. Which line of the domain is covered by what stands in [coverage.md](coverage.md).

"""


def packs_page() -> str:
    """Every pack under rules/, in their order."""
    rulebook = read_rulebook(read_folder(RULES))
    return (
        _HEAD
        + "\n".join([*_contents(rulebook), *(line for pack in rulebook.packs for line in _pack(pack))])
        + "\n"
    )


def _contents(rulebook: Rulebook) -> Iterator[str]:
    yield from _table("pack | what it is | rules | cases", (
        (f"[{pack.pack}](#{pack.pack})", pack.title or "", str(len(pack.rules)), str(len(pack.cases)))
        for pack in rulebook.packs
    ))  # fmt: skip


def _pack(pack: Pack) -> Iterator[str]:
    yield from ("", f"## {pack.pack}", "", f"{pack.title}. Source: {pack.source}.")
    if pack.settings:
        yield from ("", *_table("setting | value", ((f"`{n}`", _setting(v)) for n, v in pack.settings.items())))
    if pack.features:
        rows = ((f"`{name}`", feature_words(model)) for name, model in pack.features.items())
        yield from ("", *_table("measured | what it is", rows))
    for name, rule in pack.rules.items():
        yield from ("", f"### {name}", "", f"{rule.title} ({rule.kind}).", "", *_rule(rule))
        cases = [case for case in pack.cases if name in _shown(case, pack)]
        yield from ("", *(line for case in cases for line in _case(case)))


def _shown(case: Case, pack: Pack) -> tuple[str, ...]:
    """The rule a case stands under: those it expects tags of, or else all it looks at, the first of them."""
    expected = tuple(dict.fromkeys(tag.rule for tag in case.expect))
    looked_at = expected or case.rules or tuple(pack.rules)
    return looked_at[:1]


def _table(head: str, rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    columns = head.count("|") + 1
    yield from (f"| {head} |", "|---" * columns + "|")
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def number_words(value: Decimal) -> str:
    """A number with its thousands apart."""
    return f"{value.normalize():,f}"


def _setting(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {number_words(number)}" for name, number in value.items())
    return number_words(value)


def window_words(window: Window, previous: bool = False) -> str:
    """A window, as one would say it."""
    unit = {"days": "days", "months": "calendar months"}.get(window.unit)
    if window.unit == "ever":
        return "since the beginning"
    if window.unit == "ms":
        return f"in the last {duration_words(window.count)}"
    if window.count == 1:
        one = {"days": "day", "months": "month"}.get(window.unit, window.unit)
        return f"in the {one} that closed last" if previous else f"in the running {one}"
    return f"in {window.count} {unit}, today's included"


def duration_words(ms: int) -> str:
    """Elapsed time in the largest whole unit."""
    for unit, length in (("days", 86_400_000), ("hours", 3_600_000), ("minutes", 60_000)):
        if ms % length == 0 and ms >= length:
            count = ms // length
            return f"{count} {unit if count > 1 else unit[:-1]}"
    return f"{ms // 1000} seconds"


def feature_words(model: FeatureModel) -> str:
    """What a feature measures."""
    said = model.model_dump(by_alias=True)
    subject = said[model.verb]
    of = said.get("of", subject)
    where = f" where `{said['where']}`" if said.get("where") else ""
    over = f", {window_words(model.over, said.get('previous', False))}" if hasattr(model, "over") else ""
    words = {
        "average_balance": f"mean of the daily closings of `{subject}`",
        "low": f"lowest daily closing of `{subject}`",
        "high": f"highest daily closing of `{subject}`",
        "sum": f"sum of `{subject}` of {of}",
        "count": f"how many {subject}",
        "top": f"most frequent `{subject}` of {of}",
        "distinct": f"how many values of `{subject}` of {of}",
        "days_since": f"days since the last of {subject}",
        "next": f"the next `{subject}` of {of}",
        "recurring": f"what comes every {said.get('every')}, at least {said.get('times')} times, "
        f"give or take {said.get('slack')} days, of {subject}",
        "summary": f"how often, how recently and how much since the beginning, of {subject}",
        "level": f"the level of the rule `{subject}`",
        "active": f"whether the rule `{subject}` has a tag open",
        "expr": f"`{subject}`",
    }[model.verb]
    return words + where + over


def _rule(rule: RuleModel) -> Iterator[str]:
    yield from _condition(rule)
    for words, duration in (
        ("Has to hold for {}.", rule.for_ms),
        ("Ends by itself after {}.", rule.expires_ms),
        ("Comes again no sooner than {} after it came last.", rule.cooldown_ms),
    ):
        if duration is not None:
            yield "- " + words.format(duration_words(duration))
    if rule.converts is not None:
        what = rule.converts.when or f"{rule.converts.event} where {rule.converts.where}"
        yield f"- Counts as success: `{what}`."
    if rule.mode == "shadow":
        yield "- Decides, and is not pushed (shadow)."
    if rule.need is not None:
        needs = f" The group's needs: {', '.join(rule.needs)}." if rule.needs else ""
        yield f"- Need: {rule.need}.{needs}"
    if rule.offer is not None:
        yield f"- Offer: {_offer(rule.offer)}."
    if isinstance(rule, GradedRule):
        yield from (f"- Offer at {level}: {_offer(offer)}." for level, offer in rule.offers.items())


def _condition(rule: RuleModel) -> Iterator[str]:
    if isinstance(rule, SignalRule):
        if rule.after is not None:
            where = f" where `{rule.after.where}`" if rule.after.where else ""
            yield f"- Watches for {duration_words(rule.within_ms or 0)} after {rule.after.event}{where}."
        yield f"- Speaks when `{rule.when}`."
        if rule.until is not None:
            yield f"- Ends when `{rule.until}`."
    if isinstance(rule, ScorecardRule):
        for name, part in rule.points.items():
            bins = ", ".join(f"{_cut(points)} from {_cut(start)}" for start, points in part.bins.items())
            yield f"- Points for {name}: {_cut(part.weight)} × ({bins}), by `{part.by}`."
    if isinstance(rule, MatrixRule):
        for word, axis in (("Rows", rule.rows), ("Columns", rule.columns)):
            yield f"- {word} by `{axis.by}`, cut at {', '.join(_cut(cut) for cut in axis.cuts)}."
        yield from (f"- Row {number}: {', '.join(row)}." for number, row in enumerate(rule.cells, start=1))
    if isinstance(rule, LeveledRule):
        by = f" by `{rule.by}`" if isinstance(rule, LadderRule) and rule.by else ""
        yield f"- Levels{by}: " + "; ".join(_level(rule, name, cut) for name, cut in rule.levels.items()) + "."
        if rule.leave_below is not None:
            yield f"- A level is left below {number_words(rule.leave_below * 100)}% of where it begins."
        if rule.approval is not None:
            yield f"- From {rule.approval.from_} up a second person approves before it takes effect."
    if isinstance(rule, GradedRule) and rule.silent:
        yield f"- Makes no tag at: {', '.join(rule.silent)}."


def _level(rule: LeveledRule, name: str, cut: Decimal | str) -> str:
    if name == rule.otherwise:
        return f"{name} otherwise"
    return f"{name} from {_cut(cut)}" if rule.is_measured else f"{name} when `{cut}`"


def _cut(value: Decimal | str) -> str:
    return number_words(value) if isinstance(value, Decimal) else f"`{value}`"


def _offer(offer: Offer) -> str:
    also = f" (also {', '.join(offer.also)})" if offer.also else ""
    policy = f", service policy {offer.policy}" if offer.policy else ""
    return f"{offer.family}{also} by {offer.channel}, priority {offer.priority}{policy}"


def _case(case: Case) -> Iterator[str]:
    yield f"- It {case.it}."
    yield f"  - Given: {'; '.join(_given(given) for given in case.given)}."
    yield f"  - Tags: {'; '.join(_expected(tag) for tag in case.expect) or 'none'}."


def _at(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="seconds").removesuffix(":00")


def _given(given: GivenModel) -> str:
    said = given.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    at = _at(given.at)
    if isinstance(given, GivenTick):
        return f"{at} time passes"
    del said["at"]
    cents = ("credit", "debit", "balance_after")
    words = [f"{key} {_given_value(value, key in cents)}" for key, value in said.items()]
    return f"{at} {', '.join(words)}"


def _given_value(value: Any, is_fen: bool) -> str:
    if is_fen:
        return number_words(Decimal(value) / 100)
    if isinstance(value, dict):
        return "(" + ", ".join(f"{key} {_given_value(item, False)}" for key, item in value.items()) + ")"
    if isinstance(value, list):
        return "[" + ", ".join(_given_value(item, False) for item in value) + "]"
    return "yes" if value is True else str(value)


def _expected(tag: Expected) -> str:
    level = f" at {tag.level}" if tag.level else ""
    reason = f" ({tag.reason})" if tag.reason else ""
    value = ", ".join(f"{name} {text}" for name, text in (tag.value or {}).items())
    return f"{_at(tag.at)} {tag.change} {tag.rule}{level}{reason}" + (f", with {value}" if value else "")
