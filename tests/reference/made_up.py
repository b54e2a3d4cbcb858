"""Made-up packs and histories: every verb, kind and common field, chosen by whatever chooses.

The choices come from hypothesis (which shrinks what fails) or from a seeded random (which goes through many).
"""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from builders import at, program_of
from hypothesis import strategies as st

from reference.compare import Scenario
from reference.histories import made_up_journal
from reference.language import kind_of
from tagger.packs.errors import RulebookError

T = TypeVar("T")
Pack = dict[str, Any]


class Choose(Protocol):
    def one(self, options: Sequence[T]) -> T: ...


class RandomChoice:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def one(self, options: Sequence[T]) -> T:
        return self._random.choice(options)


class DrawnChoice:
    def __init__(self, draw: Callable[..., Any]) -> None:
        self._draw = draw

    def one(self, options: Sequence[T]) -> T:
        return self._draw(st.sampled_from(options))  # type: ignore[no-any-return]


WHERE = {
    "transactions": [
        None, None, 'direction == "credit"', 'direction == "debit"', "amount >= large", 'kind == "salary"',
        'account_type in ["wealth", "term"] and not own_transfer', "hour >= 21 or weekday > 5", 'channel == "atm"',
        "balance_after > 1000", "amount * 2 >= 1万 - 100",
    ],
    "app_events": [None, None, 'action == "view"', 'action != "click"', 'product_id == "P1"', "dwell_ms > 100",
                   'category == "wealth" and action == "view"'],
    "cards": [None, 'kind == "credit"', "days_to(expires_on) <= 3", 'grade == "gold"', "age(opened_on) < 1"],
    "holdings": [None, 'family == "f"', "days_to(matures_on) >= 1", "amount > 100"],
}  # fmt: skip
SHORT = ["1d", "2d", "3d", "7d", "45m", "2h", "30h", "month", "quarter"]
LONG = ["2d", "30d", "62d", "2mo", "14mo", "month", "quarter", "year", "ever", "36h"]
CROWDED = ["45m", "2h", "2h", "30h", "30h", "2d", "month"]
DAYS = ["1d", "2d", "3d", "5d"]
SETTINGS: dict[str, Any] = {
    "large": "1000",
    "cuts": {"low": "500", "high": "2000"},
    # As docs/rulebook.md has it, and one by which customers come seldom and stay.
    "model": {"r": "0.2426", "alpha": "30.92", "a": "0.7928", "b": "2.4259",
              "p": "6.25", "q": "3.74", "v": "15.44", "discount": "0.1"},
    "loyal": {"r": "2", "alpha": "200", "a": "1.5", "b": "9",
              "p": "2", "q": "4", "v": "300", "discount": "0"},
}  # fmt: skip
PARTS_OF_TODAY = [*[("today.weekday", "today.day")] * 3, ("today.day", "today.month")]
AHEAD = [("365",), ("1", "31"), ("30", "730")]
MEASURES = ["assets", "assets", "current", "wealth", "term", "loan"]


class PackMaker:
    """Puts a pack together; `names` is what expressions may read so far, by kind."""

    def __init__(self, choose: Choose, theme: str) -> None:
        self._choose, self._theme = choose, theme
        self._windows = {"long": LONG, "crowded": CROWDED}.get(theme, SHORT)
        self.pack: Pack = {"pack": "p", "settings": {**SETTINGS}}
        self.names: dict[str, list[str]] = {
            "money": ["assets", "current", "loan"], "number": list(choose.one(PARTS_OF_TODAY)), "text": [],
            "boolean": [], "date": ["birth_date"],
        }  # fmt: skip
        self.features: dict[str, Any] = {}

    def make(self) -> Pack:
        for number in range(self._choose.one([2, 3, 4, 5])):
            self._feature(f"f{number}")
        self.pack["features"] = self.features
        rules = self.pack["rules"] = {}
        for number in range(self._choose.one([1, 2, 3])):
            name = f"r{number}"
            rules[name] = self.rule()
            self._look_up(name, rules[name])
        return self.pack

    # Features

    def _feature(self, name: str) -> None:
        one = self._choose.one
        verb = one([*_VERBS, *_MORE_VERBS.get(self._theme, [])])
        feature, kinds = _VERBS[verb](self)
        self.features[name] = feature
        for part, kind in kinds.items():
            self.names[kind].append(f"{name}.{part}" if part else name)
        if verb == "summary":
            values = [f"clv({name}, {one(['model', 'loyal'])}, {days})" for days in one(AHEAD)]
            self.features[f"v_{name}"] = {"expr": values[0]}
            self.names["money"] += [f"v_{name}", *values]

    def where(self, source: str) -> dict[str, str]:
        where = self._choose.one(WHERE[source])
        return {} if where is None else {"where": where}

    def over(self, windows: Sequence[str] | None = None) -> dict[str, str]:
        over = self._choose.one(self._windows if windows is None else windows)
        is_previous = over in ("month", "quarter", "year") and self._choose.one([False, False, True])
        return {"over": over} | ({"previous": "true"} if is_previous else {})

    def balance(self) -> Any:
        over = self.over(["1d", "2d", "3d", "month", "quarter", "year"])
        return {"average_balance": self._choose.one(MEASURES), **over}, {"": "money"}

    def extreme(self) -> Any:
        verb = self._choose.one(["low", "high"])
        return {verb: self._choose.one(MEASURES), "over": self._choose.one(DAYS)}, {"": "money"}

    def total(self) -> Any:
        return {"sum": "amount", "of": "transactions", **self.where("transactions"), **self.over()}, {"": "money"}

    def dwelled(self) -> Any:
        return {"sum": "dwell_ms", "of": "app_events", **self.where("app_events"), **self.over()}, {"": "number"}

    def count(self) -> Any:
        source = self._choose.one(["transactions", "app_events", "app_events"])
        return {"count": source, **self.where(source), **self.over()}, {"": "number"}

    def distinct(self) -> Any:
        source, field = self._choose.one([("transactions", "kind"), ("app_events", "product_id")])
        most = self._choose.one([{}, {"at_most": "2"}])
        over = self._choose.one(DAYS)
        return {"distinct": field, "of": source, **self.where(source), "over": over, **most}, {"": "number"}

    def top(self) -> Any:
        source, field = self._choose.one([("transactions", "kind"), ("app_events", "product_id")])
        over = self._choose.one(DAYS)
        feature = {"top": field, "of": source, **self.where(source), "over": over}
        return feature, {"value": "text", "count": "number"}

    def days_since(self) -> Any:
        source = self._choose.one(["transactions", "app_events"])
        return {"days_since": source, **self.where(source)}, {"": "number"}

    def next_date(self) -> Any:
        return {"next": "matures_on", "of": "transactions", **self.where("transactions")}, {"": "date"}

    def recurring(self) -> Any:
        one = self._choose.one
        kinds = {"recurs": "boolean", "day": "number", "next": "date", "amount": "money"}
        if self._theme == "years":
            terms = {"every": one(["year", "year", "quarter"]), "slack": one(["3d", "9d"]), "times": "2"}
            return {"recurring": "transactions", **terms}, kinds
        terms = {"every": one(["month", "month", "quarter"]), "slack": one(["0d", "3d"]), "times": one(["2", "3"])}
        return {"recurring": "transactions", **self.where("transactions"), **terms}, kinds

    def summary(self) -> Any:
        kinds = {
            "count": "number",
            "days": "number",
            "mean": "money",
            "x": "number",
            "t_x": "number",
            "T": "number",
            "m": "money",
        }
        return {"summary": "transactions", **self.where("transactions")}, kinds

    def listed(self) -> Any:
        source = self._choose.one(["cards", "holdings"])
        verb = self._choose.one(["count", "sum", "distinct", "next"])
        if verb == "count":
            return {"count": source, **self.where(source)}, {"": "number"}
        if verb == "sum":
            return {"sum": "amount", "of": "holdings", **self.where("holdings")}, {"": "money"}
        field = {"cards": ("grade", "expires_on"), "holdings": ("family", "matures_on")}[source][verb == "next"]
        return {verb: field, "of": source, **self.where(source)}, {"": "number" if verb == "distinct" else "date"}

    def derived(self) -> Any:
        kind = self._choose.one(["number", "money", "boolean"])
        return {"expr": self.expression(kind)}, {"": kind}

    def _look_up(self, rule: str, model: dict[str, Any]) -> None:
        kind = self._choose.one(["", "", "level", "active"])
        if kind == "active" or (kind == "level" and "when" in model):
            self.features[f"a_{rule}"] = {"active": rule}
            self.names["boolean"].append(f"a_{rule}")
        elif kind == "level":
            self.features[f"l_{rule}"] = {"level": rule}
            self.names["text"].append(f"l_{rule}.name")
            if "cells" not in model:
                self.names["number"].append(f"l_{rule}.rank")
                self.names[self._level_kind(model)] += [f"l_{rule}.next"] * 2

    def _level_kind(self, model: dict[str, Any]) -> str:
        """In what the levels of a ladder or scorecard start."""
        kinds = {name: kind for kind, names in self.names.items() for name in names}
        return kind_of(model["by"], kinds.__getitem__, SETTINGS) if "by" in model else "number"

    # Expressions

    def expression(self, kind: str) -> str:
        one = self._choose.one
        if kind == "boolean":
            return self.condition()
        name = one(self.names[kind])
        other = one(self.names[kind])
        return one([
            f"{name} + {other}", f"{name} * 2 - {other}", f"{name} / 3", f"min({name}, {other})",
            f"coalesce({name}, {other})", f"{name} if {self.comparison()} else {other}", f"-{name} + 0.5",
            f"max({name}, 10)",
        ])  # fmt: skip

    def condition(self) -> str:
        one = self._choose.one
        first = self.comparison()
        match one(["", "", "and", "or", "not", "both"]):
            case "and":
                return f"{first} and {self.comparison()}"
            case "or":
                return f"{first} or {self.comparison()}"
            case "not":
                return f"not ({first})"
            case "both":
                return f"({first} or {self.comparison()}) and not {self.comparison(plain=True)}"
        return first

    def comparison(self, plain: bool = False) -> str:
        one = self._choose.one
        kind = one(
            [
                kind
                for kind in ("money", "money", "number", "number", "text", "boolean", "date")
                if self.names[kind]
            ]
        )
        name = one(self.names[kind])
        op = one([">=", ">", "<", "<=", "=="] if kind != "text" else ["==", "!="])
        match kind:
            case "money":
                bound = one(["0", "100", "large", "5000", "0.1万", "cuts.low", "-500"])
                found = one([f"{name} {op} {bound}", f"{name} / assets > 0.5", f"0 <= {name} < {bound}"])
            case "number":
                bound = one(["0", "1", "2", "3", "2.5"])
                found = one([f"{name} {op} {bound}", f"{name} {op} {bound}", f"coalesce({name}, 1) {op} {bound}",
                             f"1 <= {name} <= 2", f"{name} in [1, 2]"])  # fmt: skip
            case "text":
                found = one([f'{name} {op} "P1"', f'{name} in ["salary", "P2", "mid"]', f'not {name} == "low"'])
            case "date":
                found = one([f"days_to({name}) {op} 2", f"{name} == today", f'{name} >= "2026-04-01"',
                             "birthday_in(birth_date, 1)", "age(birth_date) >= 30", '"vip" in labels',
                             'gender == "f"', "any_age(children_birth_dates, 0, 17)", "household_income > large",
                             "today - birth_date > 9000"])  # fmt: skip
            case _:
                found = name
        return f"({found})" if plain else found

    # Rules

    def rule(self) -> dict[str, Any]:
        one = self._choose.one
        graded = [self._ladder, self._ladder, self._conditions, self._scorecard]
        watched = [self._watching, self._watching, self._signal]
        kinds = {"checked": graded, "watched": watched, "crowded": [*watched, self._ladder]}
        rule = one(kinds.get(self._theme, [self._signal, self._signal, self._watching, self._matrix, *graded]))()
        for name, options in _COMMON.items():
            is_likely = name == "cooldown" and self._theme == "watched"
            chosen = one(["40m", "40m"] if is_likely else [None, None, None, *options])
            if chosen is not None:
                rule[name] = chosen
        match one(["", "", "event", "when"]):
            case "event":
                source = one(["transactions", "app_events"])
                rule["converts"] = {"event": source, **self.where(source)}
            case "when":
                rule["converts"] = {"when": self.comparison()}
        if one([False, False, True]):
            kind = one(["money", "number"])
            rule["refresh"] = one(
                [name for name in self.names[kind] if not name.startswith(("today", "clv"))] or ["assets"]
            )
        if one([False, True]):
            rule["need"] = "n"
            rule["needs"] = one([[], ["a", "b"]])
        if one([False, True]):
            rule["offer"] = {"family": "f", "channel": "call", "priority": "7"}
        return rule

    def _until(self) -> dict[str, str]:
        until = self._choose.one(["", "", self.comparison(), "assets >= 2000 or loan > 0"])
        return {"until": until} if until else {}

    def _signal(self) -> dict[str, Any]:
        return {"when": self.condition(), **self._until()}

    def _watching(self) -> dict[str, Any]:
        one = self._choose.one
        source = one(["transactions", "transactions", "transactions", "app_events"])
        after = {"event": source, **self.where(source)}
        if self._theme == "crowded":
            after = one([after, {"event": "transactions", "where": "amount >= large"}])
        when = one(["retained < 0.5", "retained <= 0.9 and {}", "retained == 0", "{}", "{} or retained >= 0.3"])
        return {
            "after": after,
            "within": one(["40m", "90m", "1d", "2d"]),
            "when": when.format(self.comparison()) if "{}" in when else when,
            **self._until(),
        }

    def _leveled(self, levels: dict[str, str]) -> dict[str, Any]:
        one = self._choose.one
        rule: dict[str, Any] = {"levels": levels}
        names = list(levels)
        start = one([1, len(names) - 1, 0] if self._theme == "checked" else [None, None, None, 1, len(names) - 1])
        if start is not None:
            rule["approval"] = {"from": names[start]}
        elif one([False, False, True]):
            rule["silent"] = [one(names)]
        if one([False, False, True]):
            rule["leave_below"] = one(["90%", "50%"])
        return rule

    def _ladder(self) -> dict[str, Any]:
        one = self._choose.one
        kind = one(["money", "money", "number"])
        cuts = [["-100", "100", "2000"], ["cuts.low", "large", "cuts.high"], ["otherwise", "100", "large"]]
        starts = one(cuts) if kind == "money" else one([["0", "1", "2"], ["otherwise", "1", "3"]])
        name = one(self.names[kind])
        by = name if one([True, True, False]) else self.expression(kind)
        return {"by": by, **self._leveled(dict(zip(("low", "mid", "high"), starts, strict=True)))}

    def _conditions(self) -> dict[str, Any]:
        first = self._choose.one(["otherwise", self.condition()])
        rule = self._leveled({"low": first, "mid": self.condition(), "high": self.condition()})
        rule.pop("leave_below", None)
        return rule

    def _scorecard(self) -> dict[str, Any]:
        one = self._choose.one
        money, number = one(self.names["money"]), one(self.names["number"])
        points = {
            "size": {
                "by": money,
                "weight": one(["1", "0.5", "2"]),
                "bins": {"0": "10", "large": "20", "5000": "35.5"},
            },
            "often": {"by": number, "bins": {"1": "5", "2": "8"}},
        }
        starts = one([["0", "15", "30"], ["otherwise", "10", "25"]])
        levels = dict(zip(("low", "mid", "high"), starts, strict=True))
        return {"points": points, **self._leveled(levels)}

    def _matrix(self) -> dict[str, Any]:
        one = self._choose.one
        rule: dict[str, Any] = {
            "rows": {"by": one(self.names["money"]), "cuts": ["100", "2000"]},
            "columns": {"by": one(self.names["number"]), "cuts": ["2"]},
            "cells": [["low", "mid"], ["mid", "high"], ["high", "top"]],
        }
        if one([False, True]):
            rule["silent"] = ["low"]
        return rule


_VERBS: dict[str, Callable[[PackMaker], Any]] = {
    "average": PackMaker.balance,
    "extreme": PackMaker.extreme,
    "sum": PackMaker.total,
    "dwelled": PackMaker.dwelled,
    "count": PackMaker.count,
    "more": PackMaker.count,
    "distinct": PackMaker.distinct,
    "top": PackMaker.top,
    "days_since": PackMaker.days_since,
    "next": PackMaker.next_date,
    "recurring": PackMaker.recurring,
    "summary": PackMaker.summary,
    "listed": PackMaker.listed,
    "derived": PackMaker.derived,
}
_MORE_VERBS = {"years": ["recurring"] * 6, "crowded": ["count"] * 4}
_COMMON: dict[str, list[Any]] = {
    "for": ["30m", "2h", "1d"],
    "expires": ["90m", "1d", "2d"],
    "cooldown": ["1h", "36h", "3d"],
    "mode": ["shadow"],
    "valid": [
        {"from": "2026-03-30 01:00"},
        {"to": "2026-03-31"},
        {"from": "2026-03-30", "to": "2026-04-01 02:30"},
    ],
}


def changed(choose: Choose, pack: Pack, theme: str) -> Pack:
    """Another rulebook of the same names: rules gone or become another kind, thresholds and features changed."""
    other: Pack = json.loads(json.dumps(pack))
    maker = PackMaker(choose, theme)
    rules, features = other["rules"], other["features"]
    for _ in range(choose.one([1, 2])):
        match choose.one(["setting", "remove", "rule", "feature", "field"]):
            case "setting":
                other["settings"]["large"] = choose.one(["100", "2500"])
            case "remove" if len(rules) > 1:
                del rules[choose.one(sorted(rules))]
            case "rule":
                rules[choose.one(sorted(rules))] = maker.rule()
            case "feature":
                name = choose.one(sorted(features))
                if "over" in features[name]:
                    features[name] = {**features[name], "over": choose.one(DAYS)}
                    features[name].pop("previous", None)
            case "field":
                name = choose.one(sorted(rules))
                field = choose.one(sorted(_COMMON))
                rules[name] = {**rules[name], field: choose.one(_COMMON[field])}
    return other


def text_of(pack: Pack) -> str:
    """JSON is YAML, and what a made-up pack needs of it."""
    return json.dumps(pack, ensure_ascii=False)


def is_valid(pack: Pack) -> bool:
    try:
        program_of(text_of(pack))
    except (RulebookError, ValueError):
        return False
    return True


# What a scenario has more of: months, levels that need approval, watches.
SMALL_THEMES = ("mixed", "mixed", "mixed", "long", "checked", "watched")
# Years; and so many records that bounds by number are met.
THEMES = (*SMALL_THEMES * 2, "years", "crowded", "crowded")
ZONES = ("Asia/Shanghai", "Asia/Shanghai", "Europe/Berlin")
# Turns of a quarter, a year and a leap February; in Berlin, of the clocks too.
STARTS = ("2026-03-29 20:00", "2025-12-30 12:10", "2024-02-27 23:30", "2026-03-28 20:00", "2025-10-25 20:00")


def made_up(choose: Choose, themes: Sequence[str] = THEMES) -> Scenario | None:
    """A scenario; None when the choices make no valid pack."""
    theme = choose.one(themes)
    pack = PackMaker(choose, theme).make()
    if not is_valid(pack):
        return None
    packs = {"r1": text_of(pack)}
    for digest in choose.one([(), (), ("r2",), ("r2", "r3")]):
        other = changed(choose, pack, theme)
        if is_valid(other):
            packs[digest] = text_of(other)
    zone = choose.one(ZONES)
    journal, end_ms = made_up_journal(choose, list(packs), at(choose.one(STARTS), zone), theme)
    cuts = choose.one([(), (), (3, 5, 8, 13), tuple(range(1, 60, 4))])
    return Scenario(packs, journal, end_ms, cuts, zone)
