"""Every feature and level of a customer as of an instant, printed: what `tagger features` writes."""

from schemas.packs.model import MONEY_NAMES
from schemas.tags import Printed
from tagger.compiler.program import Program
from tagger.features.balances import balance
from tagger.features.contract import Moment
from tagger.kinds.contract import Context
from tagger.kinds.grades import GradedRule
from tagger.printing import print_money
from tagger.state.customer import CustomerState


def columns(program: Program) -> list[str]:
    """`pack.feature`, or `pack.feature.part` where it has parts, in the packs' order; then rules with levels."""
    names = [
        f"{name}.{part}" if part else name
        for name, feature in program.features.items()
        for part in feature.parts or ("",)
    ]
    return names + [_level_column(rule) for rule in program.rules if isinstance(rule, GradedRule)]


def measure(program: Program, context: Context, state: CustomerState, moment: Moment) -> dict[str, str | None]:
    """Values by column; None is unknown, or no level. Money names (`assets`, …) stand beside them."""
    values: dict[str, str | None] = {name: _text(print_money(balance(state, name))) for name in MONEY_NAMES}
    for name, feature in program.features.items():
        prints = program.printers[name]
        value = context.value(feature, state, moment)
        if not feature.parts:
            values[name] = _text(prints[0](value))
            continue
        for index, part in enumerate(feature.parts):
            values[f"{name}.{part}"] = _text(prints[index](value[index]))
    for rule in program.rules:
        if isinstance(rule, GradedRule):
            rule_state = state.rules.get(rule.terms.name)
            values[_level_column(rule)] = None if rule_state is None else rule_state.level
    return values


def _level_column(rule: GradedRule) -> str:
    return f"{rule.terms.pack}.{rule.terms.name}"


def _text(printed: Printed) -> str | None:
    if printed is None or isinstance(printed, str):
        return printed
    return str(printed).lower()
