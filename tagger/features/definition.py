"""What a feature means, as one canonical text, and the hash of it that addresses its state.

The text holds the verb, source, filter and window, settings resolved, names and thresholds elsewhere left out:
two packs that define the same aggregate share its state, a changed threshold keeps it, a changed definition
starts anew (docs/rulebook.md, "When a rulebook changes"). It must never change for an unchanged meaning: stored
states are addressed by it.
"""

from hashlib import blake2b

from tagger.expr import nodes
from tagger.expr.compile import plain_number


def definition_key(definition: str) -> int:
    """32 bits that stand for a definition; never 0. A program refuses two definitions of equal key."""
    return int.from_bytes(blake2b(definition.encode(), digest_size=4).digest(), "big") or 1


def canonical(node: nodes.Node) -> str:
    """An expression's meaning: fully bracketed, settings and literals by value (money in fen)."""
    match node:
        case nodes.Const():
            return repr(node.value) if isinstance(node.value, str | bool) else plain_number(node.number)
        case nodes.ListOf():
            return "[" + ", ".join(sorted(repr(value) for value in node.values)) + "]"
        case nodes.Read():
            return node.name
        case nodes.Today():
            return f"today.{node.part}" if node.part else "today"
        case nodes.Compare():
            operands = [canonical(operand) for operand in node.operands]
            pairs = zip(node.operators, operands[1:], strict=True)
            return f"({operands[0]}{''.join(f' {operator} {operand}' for operator, operand in pairs)})"
        case nodes.Logic():
            return "(" + f" {node.operator} ".join(canonical(item) for item in node.items) + ")"
        case nodes.Not():
            return f"(not {canonical(node.item)})"
        case nodes.Negate():
            return f"(-{canonical(node.item)})"
        case nodes.Arith():
            return f"({canonical(node.left)} {node.operator} {canonical(node.right)})"
        case nodes.Choose():
            return f"({canonical(node.yes)} if {canonical(node.test)} else {canonical(node.no)})"
        case nodes.Call():
            return f"{node.function}({', '.join(canonical(argument) for argument in node.arguments)})"
    raise AssertionError(f"a node of the language without a canonical form: {type(node).__name__}")
