"""`tagger rules show --compiled`: the program that a rulebook becomes, for people to read.

By kind of event: the features that it updates, the rules it may concern, and the generated function that looks at
them. Then each rule with the Python of its expressions, and each feature with what its state is addressed by.
"""

from collections.abc import Iterator
from typing import Any

from schemas.bankday import BankCalendar
from tagger.expr.compile import Expression
from tagger.features.bits import BALANCES, PROFILE
from tagger.guards import compile_look
from tagger.kinds.contract import Rule
from tagger.kinds.signal import SignalRule
from tagger.program import Program
from tagger.reach import ALL_SOURCES
from tagger.rulebook import Rulebook
from tagger.state_bounds import state_bounds

_GUARDED = ("transactions", "app_events", "profiles")


def compiled_lines(rulebook: Rulebook, calendar: BankCalendar) -> Iterator[str]:
    """The compiled form of a rulebook, line by line."""
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
    reach = program.reach[source]
    updated = [name for name, feature in program.features.items() if feature.source == source]
    changed = _changeable(program, source)
    rules = reach.touched(changed)
    yield f"\n# --- {source}: updates {', '.join(updated) or 'no feature'}"
    yield f"# may concern {len(rules)} of {len(program.rules)} rules"
    if source not in _GUARDED:
        yield "# each of them is evaluated"
        return
    try:
        code, look = compile_look(rules, source)
    except (SyntaxError, RecursionError, MemoryError):
        yield "# each of them is evaluated: an expression is nested too deeply to stand in one function"
        return
    yield from code.rstrip().splitlines()
    yield from _legend(look)


def _changeable(program: Program, source: str) -> int:
    """The bits that any event of a kind may change."""
    return program.reach[source].changeable | {"transactions": BALANCES, "profiles": PROFILE}.get(source, 0)


def _legend(look: Any) -> Iterator[str]:
    """What the names bound in generated code stand for."""
    for name, value in look.__globals__.items():
        if name.startswith("_k"):
            yield f"#   {name} = {_named(value)}"


def _named(value: Any) -> str:
    owner = getattr(value, "__self__", None)
    if owner is not None:
        terms = getattr(owner, "terms", None)
        return f"{terms.name if terms is not None else owner.name}.{value.__name__}"
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
        yield from expression.code.rstrip().splitlines()


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
