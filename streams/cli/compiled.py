"""`tagger rules show --compiled`: the program that a rulebook becomes, for people to read.

By kind of event: the features that it updates, the rules it may concern, and the generated function that looks at
them. Then each rule with the Python of its expressions, and each feature with what its state is addressed by. Code
is shown as it runs, broken over lines.
"""

import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from textwrap import wrap
from typing import Any

from schemas.bankday import BankCalendar
from tagger.codegen.guards import Guarded, compile_look
from tagger.compiler.program import Program
from tagger.compiler.reach import ALL_SOURCES, GUARDED_SOURCES
from tagger.expr.compile import Expression
from tagger.kinds.contract import Rule
from tagger.kinds.signal import SignalRule
from tagger.lint.state_bounds import state_bounds
from tagger.packs.rulebook import Rulebook

_WIDTH = 115
_BREAKS = frozenset({"and", "or", "if", "else"})
_BOUND = re.compile(r"\b_[ck][0-9]+\b")


def compiled_lines(rulebook: Rulebook, calendar: BankCalendar) -> Iterator[str]:
    """The compiled form of a rulebook, line by line."""
    for line in (part for text in _lines(rulebook, calendar) for part in text.split("\n")):
        if line.startswith("#"):
            yield from wrap(line, _WIDTH, subsequent_indent="#       ", break_on_hyphens=False)
        else:
            yield line


def _lines(rulebook: Rulebook, calendar: BankCalendar) -> Iterator[str]:
    program = Program(rulebook, calendar)
    yield f"# rulebook {program.name}: {len(program.rules)} rules, {len(program.features)} features"
    bounds = {bound.name: bound.bytes for bound in state_bounds(rulebook)}
    for source in ALL_SOURCES:
        yield from _event(program, source)
    yield "\n# features: name, address of the state, what it means, bytes a customer"
    for name, feature in program.features.items():
        yield f"#   {name}  {feature.key:08x}  {feature.definition}  {bounds.get(name, 0)}"
    for rule in program.rules:
        yield from _rule(rule, bounds)


def _event(program: Program, source: str) -> Iterator[str]:
    updated = [name for name, feature in program.features.items() if feature.source == source]
    reach = program.reach[source]
    rules = reach.touched(reach.changeable)
    yield f"\n# --- {source}: updates {', '.join(updated) or 'no feature'}"
    yield f"# may concern {len(rules)} of {len(program.rules)} rules"
    if source not in GUARDED_SOURCES:
        yield "# each of them is evaluated"
        return
    try:
        guarded = compile_look(rules, source, reach.following(reach.changeable))
    except (SyntaxError, RecursionError, MemoryError):
        yield "# each of them is evaluated: an expression is nested too deeply to stand in one function"
        return
    yield from laid_out(guarded.code)
    yield from _legend(guarded)


def laid_out(code: str) -> Iterator[str]:
    """Python whose long lines are broken where conditions join, the deeper the further to the right."""
    for line in code.rstrip().splitlines():
        body = line.lstrip()
        if len(line) <= _WIDTH or body.startswith("#"):
            yield line
        else:
            yield from _broken(body, len(line) - len(body))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a line may be broken: how deep in brackets, and whether only where there is no more room."""

    at: int
    depth: int
    fills: bool


def _broken(body: str, indent: int) -> Iterator[str]:
    places: list[_Place] = []
    depth = 0
    for token in tokenize.generate_tokens(io.StringIO(body).readline):
        depth += (token.string in "([{") - (token.string in ")]}") if token.type == tokenize.OP else 0
        if token.string in _BREAKS and token.type == tokenize.NAME:
            places.append(_Place(token.start[1], depth, fills=False))
        elif token.type == tokenize.OP and token.string in (",", "="):
            places.append(_Place(token.end[1], depth, fills=True))
    yield from _pieces(body, (0, len(body)), places, indent, "")


def _pieces(body: str, span: tuple[int, int], places: Sequence[_Place], indent: int, ending: str) -> Iterator[str]:
    """One part of a line in as many as it needs; outside of brackets each but the last ends in a backslash."""
    start, end = span
    inside = [place for place in places if start < place.at < end]
    room = _WIDTH - indent - len(" \\")
    if end - start <= room or not inside:
        yield " " * indent + body[start:end].strip() + ending
        return
    least = min(place.depth for place in inside)
    cuts = [start]
    level = [place for place in inside if place.depth == least]
    for place, following in zip_longest(level, level[1:]):
        if not place.fills or (following.at if following else end) - cuts[-1] > room - 4:
            cuts.append(place.at)
    for first, last in pairwise([*cuts, end]):
        joined = ending if last == end else (" \\" if least == 0 else "")
        yield from _pieces(body, (first, last), inside, indent + (4 if first > start else 0), joined)


def _legend(guarded: Guarded) -> Iterator[str]:
    """What the names in generated code stand for: bound constants, and values that are measured once."""
    used = set(_BOUND.findall(guarded.code))
    bound = {name: _named(value) for name, value in guarded.look.__globals__.items() if name in used}
    for name, meaning in [*bound.items(), *guarded.meanings.items()]:
        yield f"#   {name} = {meaning}"


def _named(value: Any) -> str:
    owner = getattr(value, "__self__", None)
    if owner is not None:
        terms = getattr(owner, "terms", None)
        whose = terms.name if terms is not None else getattr(owner, "name", type(owner).__name__)
        return f"{whose}.{value.__name__}"
    if isinstance(value, frozenset):
        return f"{{{', '.join(sorted(map(repr, value)))}}}"
    return getattr(value, "__name__", None) or repr(value)


def _rule(rule: Rule, bounds: dict[str, int]) -> Iterator[str]:
    terms = rule.terms
    yield f"\n# rule {terms.name} ({type(rule).__name__}, pack {terms.pack}), at most {bounds[terms.name]} bytes"
    yield f"# reads {', '.join(feature.name for feature in terms.features) or 'nothing measured'}"
    times = {"for": terms.for_ms, "expires": terms.expires_ms, "cooldown": terms.cooldown_ms}
    if isinstance(rule, SignalRule) and rule.after is not None:
        times["within"] = rule.within_ms
    told = [f"{word} {ms / 1000:g} s" for word, ms in times.items() if ms]
    if told:
        yield f"# {', '.join(told)}"
    for word, expression in _expressions(rule):
        yield f"# {word}: {expression.text}"
        yield from laid_out(expression.code)


def _expressions(rule: Rule) -> Iterator[tuple[str, Expression]]:
    """A rule's expressions with what they are for, wherever its kind keeps them."""
    for name in getattr(type(rule), "__dataclass_fields__", ()):
        yield from _found(name, getattr(rule, name))


def _found(name: str, value: Any) -> Iterator[tuple[str, Expression]]:
    if isinstance(value, Expression):
        yield name, value
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            yield from _found(f"{name}[{index}]", item)
    elif type(value).__module__.startswith("tagger.kinds") and hasattr(type(value), "__dataclass_fields__"):
        for field in type(value).__dataclass_fields__:
            yield from _found(f"{name}.{field}", getattr(value, field))
