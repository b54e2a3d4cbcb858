"""Which rules an occasion may move: one generated function, instead of an evaluation of each rule.

Most occasions move nothing: a balance stays on its level, a condition stays false. A rule's *guard* is Python
that tells so from the values it reads, each measured at most once an occasion and only when asked for; what passes
it is evaluated in full (`Rule.evaluate`). A guard may let through what then moves nothing, and never the reverse:
this is sound only while no unknown is owed to warming, and for occasions that bring neither feedback nor
approvals, which callers see to.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tagger.codegen.cheapest import cost
from tagger.codegen.writer import RESTS, Writer
from tagger.expr.compile import Expression, define
from tagger.kinds.contract import Context, Occasion, Rule, RuleTerms
from tagger.kinds.grades import GradedRule
from tagger.kinds.ladder import ByConditions, ByNumber
from tagger.kinds.matrix import Matrix
from tagger.kinds.readers import rules_read
from tagger.kinds.scorecard import Scorecard, WholePoints
from tagger.kinds.signal import SignalRule
from tagger.state.customer import CustomerState

Look = Callable[[CustomerState, Occasion, Context, int], int]
"""Evaluates the rules that an occasion may move; takes a bound on the next deadline and returns it, brought down
to the timers of what was evaluated."""

_HEAD = """def look(state, occasion, context, due_ms):
    today, now_ms = occasion.today, occasion.now_ms
"""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A generated function.

    Attributes:
        code: its source.
        meanings: what stands under the names of values that are read once.
    """

    look: Look
    code: str
    meanings: Mapping[str, str]


def compile_look(rules: Sequence[Rule], source: str | None, following: Collection[str] = ()) -> Guarded:
    """The function for these rules, in their order.

    Args:
        source: the kind of event of the occasions; None for deadlines.
        following: names of those that only a move of the rules concerns whose level or episode they read.

    Raises:
        SyntaxError, RecursionError, MemoryError: an expression is nested too deeply to stand in it.
    """
    draft = Writer(source, None)
    for rule in rules:
        _rule_lines(draft, rule)
    writer = Writer(source, draft)
    leaders = _leaders(rules, following)
    # Where something falls due at this very instant, after all that occurs at it, they may see more than a move.
    lines = ["    _moved = -1 if state.due_ms <= now_ms else 0\n"] if leaders else []
    for rule in rules:
        written = _rule_lines(writer, rule, leaders.get(rule.terms.name, ""))
        if rule.terms.name in following:
            read = {name for feature in rule.terms.features for name in rules_read(feature)}
            bits = " | ".join(bit for name, bit in leaders.items() if name in read)
            written = [f"    if _moved & ({bits}):\n", *(f"    {line}" for line in written)]
        lines += written
    code = f"{_HEAD}{writer.beginning()}{''.join(lines)}    return due_ms\n"
    return Guarded(define(code, "look", writer.constants), code, writer.meanings)


def _leaders(rules: Sequence[Rule], following: Collection[str]) -> dict[str, str]:
    """The rules that a following one reads, each with its bit."""
    read = {
        name
        for rule in rules
        if rule.terms.name in following
        for feature in rule.terms.features
        for name in rules_read(feature)
    }
    leading = [rule.terms.name for rule in rules if rule.terms.name in read]
    return {name: str(1 << place) for place, name in enumerate(leading)}


def _rule_lines(writer: Writer, rule: Rule, bit: str = "") -> list[str]:
    terms = rule.terms
    may_move = _may_move(writer, rule)
    lines = [f"    # {terms.name}\n", f"    _s = rules.get({terms.name!r})\n", *writer.prelude()]
    lines += [f"    if {may_move}:\n", f"        {writer.bind(rule.evaluate)}(state, occasion, context)\n"]
    if bit:
        lines.append(f"        _moved |= {bit}\n")
    if rule.has_timers:
        timer = f"(_t := {writer.bind(rule.next_deadline)}(state)) is not None and _t < due_ms"
        # Validity begins and ends for customers whom the rule keeps no state of, too.
        asked = (
            f"    if {timer}:\n" if terms.has_validity else f"        if {terms.name!r} in rules and {timer}:\n"
        )
        lines += [asked, "            due_ms = _t\n"]
    return lines


# Guards, by kind. `_s` is the rule's state, None where it has none.


def _may_move(writer: Writer, rule: Rule) -> str:
    if isinstance(rule, SignalRule):
        return _signal(writer, rule) if rule.after is None else _watched_signal(writer, rule)
    if isinstance(rule, GradedRule) and not rule.terms.has_validity:
        return _graded(writer, rule)
    return "True"


def _signal(writer: Writer, rule: SignalRule) -> str:
    terms = rule.terms
    holds = f"{writer.expression(rule.when, terms.features)} is True"
    # Still false, and false before: nothing waits for it to become true, and it may open when it does.
    rests = f"_s is None or {RESTS}"
    if terms.has_validity:
        return f"{holds} or not ({rests})"
    # Still true, and true before: open, or not to open again before it has been false.
    goes_on = (
        f"_s is not None and not _s.armed and _s.since_ms is not None and {_stays_open(writer, terms, rule.until)}"
    )
    return f"not (({goes_on}) if {holds} else ({rests}))"


def _stays_open(writer: Writer, terms: RuleTerms, until: Expression | None = None) -> str:
    """That an open episode, if there is one, neither converts, refreshes nor expires."""
    converts = terms.converts_when is not None or (
        terms.converts is not None and terms.converts.source == writer.source
    )
    if converts or terms.refresh is not None or until is not None:
        return "_s.open is None"
    if terms.expires_ms is None:
        return "True"
    return "(_s.open is None or _s.open.expires_ms is None or now_ms < _s.open.expires_ms)"


def _watched_signal(writer: Writer, rule: SignalRule) -> str:
    assert rule.after is not None
    waits = "(_s is not None and (_s.watches or _s.open is not None))"
    if rule.after.source != writer.source:
        return waits
    opens = "not occasion.late"
    if rule.after.where is not None:
        opens += f" and {writer.condition(rule.after.where)}"
    return f"{waits} or ({opens})"


def _graded(writer: Writer, rule: GradedRule) -> str:
    unsettled = "_s.left is None and _s.pending is None and _s.computed is None and _s.proposed is None"
    steady = f"(_s is None or ({unsettled} and {_stays_open(writer, rule.terms)}))"
    level = "(None if _s is None else _s.level)"
    grading, features = rule.grading, rule.terms.features
    if isinstance(grading, ByNumber) and grading.by is not None:
        same = _same_band(writer, grading, rule.levels, level, writer.expression(grading.by, features))
    elif isinstance(grading, Scorecard):
        same = _same_total(writer, grading, rule, level)
    elif isinstance(grading, ByConditions):
        met = "-1"
        for index, condition in enumerate(grading.levels):
            holds = "True" if condition is None else f"{writer.expression(condition, features)} is True"
            met = f"({index} if {holds} else {met})"
        same = _same_place(writer, rule.levels, level, met)
    elif isinstance(grading, Matrix):
        rows, columns = (writer.expression(axis.by, features) for axis in (grading.rows, grading.columns))
        same = _same_place(writer, rule.levels, level, f"{writer.bind(_Cells(grading))}({rows}, {columns})")
    else:
        return "True"
    return f"not ({steady} and {same})"


def _same_band(writer: Writer, grading: ByNumber, levels: Sequence[str], level: str, measure: str) -> str:
    """That a number still lies where the level stood on begins, or hysteresis keeps it, and ends."""
    bands = _bands(grading, levels, 1)
    if bands is None:
        return "False"
    band = f"(_b := {writer.bind(bands)}.get(_l := {level})) is not None"
    unknown = f"_l == {_unmet(grading, levels)!r}"
    return f"{band} and ({unknown} if (_m := {measure}) is None else _b[0] <= _m < _b[1])"


def _same_total(writer: Writer, grading: Scorecard, rule: GradedRule, level: str) -> str:
    """The same of a total. What may be unknown is measured first: without it there is no total."""
    features, grades = rule.terms.features, grading.grades
    points = WholePoints(grading.parts)
    bands = _bands(grades, rule.levels, points.scale)
    if bands is None:
        return "False"
    unknown, measures = [], []
    for place in sorted(range(len(grading.parts)), key=lambda one: cost(grading.parts[one].by.tree, features)):
        by = grading.parts[place].by
        if by.optional:
            unknown.append(f"(_p{place} := {writer.expression(by, features)}) is None")
    for place, part in enumerate(grading.parts):
        measures.append(f"_p{place}" if part.by.optional else writer.expression(part.by, features))
    band = f"(_b := {writer.bind(bands)}.get(_l := {level})) is not None"
    same = f"_b[0] <= {writer.total(points.parts, measures)} < _b[1]"
    if unknown:
        same = f"_l == {_unmet(grades, rule.levels)!r} if {' or '.join(unknown)} else {same}"
    return f"{band} and ({same})"


def _unmet(grading: ByNumber, levels: Sequence[str]) -> str | None:
    """The level met by something unknown."""
    return levels[0] if grading.otherwise else None


def _bands(grading: ByNumber, levels: Sequence[str], scale: int) -> dict[str | None, tuple[Any, Any]] | None:
    """Where each level's numbers, times `scale`, begin and end; None where levels have no bands of their own."""
    if not grading.ascends:
        return None
    bands: dict[str | None, tuple[Any, Any]] = {}
    lowest, highest = float("-inf"), float("inf")
    for index, name in enumerate(levels):
        cut = grading.cut(index)
        begins = lowest if cut is None else cut * scale
        if cut is not None and grading.leave_below is not None:
            begins = min(cut, grading.leave_below * cut) * scale
        bands[name] = (begins, grading.cuts[index + 1] * scale if index + 1 < len(levels) else highest)
    if not grading.otherwise:
        bands[None] = (lowest, grading.cuts[0] * scale)
    return bands


def _same_place(writer: Writer, levels: Sequence[str], level: str, met: str) -> str:
    places: dict[str | None, int] = {None: -1, **{name: index for index, name in enumerate(levels)}}
    return f"{writer.bind(places)}.get({level}) == {met}"


class _Cells:
    """Which level two measures meet in, −1 where one is unknown."""

    def __init__(self, matrix: Matrix) -> None:
        self._rows, self._columns, self._cells = matrix.rows, matrix.columns, matrix.cells

    def __repr__(self) -> str:
        return f"level by {self._rows.by.text} and {self._columns.by.text}"

    def __call__(self, row: Any, column: Any) -> int:
        if row is None or column is None:
            return -1
        return self._cells[self._rows.step(row)][self._columns.step(column)]
