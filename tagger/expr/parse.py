"""Text → Python syntax tree, of which only a small part may occur (docs/rulebook.md, "Expressions").

What Python's own parser would forgive is refused before it sees the text: comments, escapes, characters beyond
ASCII outside strings (which it would normalise), and anything long or deep enough to hurt.
"""

import ast
import re
import warnings
from decimal import Decimal

from tagger.expr.errors import ExpressionError

MAX_LENGTH = 2000
MAX_DEPTH = 40
_MAX_LITERAL_DIGITS = 18

_ALLOWED = (
    ast.Name, ast.Attribute, ast.Constant, ast.List, ast.Compare, ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.IfExp,
    ast.Call,
)  # fmt: skip
_OPERATORS = (
    ast.And, ast.Or, ast.Not, ast.USub, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Eq, ast.NotEq, ast.Lt, ast.LtE,
    ast.Gt, ast.GtE, ast.In, ast.NotIn, ast.Load,
)  # fmt: skip
_NUMBER = re.compile(r"([0-9]+(?:_[0-9]+)*)(\.[0-9]+)?(j)?", re.ASCII)
_WAN = re.compile(r"(?<=[0-9])万")
_STRING = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'")
EXPECTED = "names, numbers, strings, lists, comparisons, and/or/not/in, + - * /, `a if b else c` and the functions"


class Parsed:
    """A checked syntax tree and the text it came from."""

    def __init__(self, text: str, source: str, root: ast.expr) -> None:
        self.text = text
        self._lead = len(text) - len(text.lstrip())
        self._source = source
        self._ascii = source.isascii()
        self._bytes = source.encode()
        self.root = root

    def _offset(self, byte_column: int) -> int:
        return byte_column if self._ascii else len(self._bytes[:byte_column].decode(errors="ignore"))

    def span(self, node: ast.expr) -> tuple[int, int]:
        """Start and end of a node in `text`."""
        end = node.end_col_offset if node.end_col_offset is not None else node.col_offset
        return self._offset(node.col_offset) + self._lead, self._offset(end) + self._lead

    def column(self, node: ast.expr) -> int:
        return self.span(node)[0]

    def segment(self, node: ast.expr) -> str:
        """A node as it was written."""
        start, end = self.span(node)
        return self.text[start:end]

    def names(self) -> list[tuple[str, int, int]]:
        """Every name with its start and end in `text`, in order; functions left out."""
        found: list[tuple[str, int, int]] = []
        stack: list[ast.AST] = [self.root]
        while stack:
            node = stack.pop()
            if isinstance(node, ast.Name | ast.Attribute):
                found.append((dotted(node) or "", *self.span(node)))
            else:
                stack.extend(node.args if isinstance(node, ast.Call) else ast.iter_child_nodes(node))
        return sorted(found, key=lambda item: item[1])


def parse(text: str) -> Parsed:
    """Parse an expression.

    Raises:
        ExpressionError: it is not one of the language's, or too long or too deep.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"an expression has at most {MAX_LENGTH} characters, this one has {len(text)}")
    source = _python_source(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            root = ast.parse(source, mode="eval").body
    except SyntaxError as error:
        column = max((error.offset or 1) - 1, 0) + len(text) - len(text.lstrip())
        detail = "nothing stands here" if not source else f"this cannot be read: {error.msg}"
        raise ExpressionError(detail, min(column, len(text)), EXPECTED) from None
    except (ValueError, RecursionError, MemoryError):
        raise ExpressionError("this cannot be read, or is nested too deeply", 0, EXPECTED) from None
    parsed = Parsed(text, source, root)
    _check_tree(parsed)
    return parsed


def number_of(parsed: Parsed, node: ast.Constant) -> Decimal:
    """The exact value of a numeric literal, from its text."""
    written = parsed.segment(node).replace("万", "j")
    match = _NUMBER.fullmatch(written)
    if match is None or len(written) > _MAX_LITERAL_DIGITS + 6:
        raise ExpressionError(
            f"`{parsed.segment(node)[:32]}` is no number of the language",
            parsed.column(node),
            f"a plain decimal of at most {_MAX_LITERAL_DIGITS} digits, such as 0.2, 50000 or 5万",
        )
    number = Decimal(match[1].replace("_", "") + (match[2] or ""))
    return number * 10_000 if match[3] else number


def dotted(node: ast.expr) -> str | None:
    """`a` or `a.b` as text; None for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return None


def referenced_names(text: str) -> tuple[str, ...]:
    """Every name an expression mentions, dotted, in order of first use; functions are left out.

    Raises:
        ExpressionError: as `parse`.
    """
    return tuple(dict.fromkeys(name for name, _, _ in parse(text).names()))


def _python_source(text: str) -> str:
    """The text as Python can parse it, character for character in the same place.

    `5万` becomes the imaginary `5j`, the one literal of Python that needs just as many characters and means
    nothing else here.
    """
    parts: list[str] = []
    position = 0
    for match in _STRING.finditer(text):
        parts.append(_outside_strings(text, position, match.start()))
        if "\\" in match[0]:
            raise ExpressionError(
                "a string holds no backslash", match.start() + match[0].index("\\"), "plain text"
            )
        parts.append(match[0])
        position = match.end()
    parts.append(_outside_strings(text, position, len(text)))
    return "".join(parts).strip(" \t\n\r")


def _outside_strings(text: str, start: int, end: int) -> str:
    piece = text[start:end]
    imaginary = re.search(r"(?<![A-Za-z_])[0-9][0-9_.]*[jJ]", piece)
    if imaginary:
        raise ExpressionError(
            f"`{imaginary[0][:32]}` is no number of the language", start + imaginary.start(), "a plain decimal"
        )
    piece = _WAN.sub("j", piece)
    for index, character in enumerate(piece):
        if character in "\r\n\t":
            continue
        if not character.isascii() or not character.isprintable() or character in "#\\`@$;:\"'":
            raise ExpressionError(f"`{character}` has no meaning here", start + index, EXPECTED)
    return re.sub(r"[\r\n\t]", " ", piece)


def _check_tree(parsed: Parsed) -> None:
    stack: list[tuple[ast.AST, int]] = [(parsed.root, 1)]
    place = parsed.root
    while stack:
        node, depth = stack.pop()
        place = node if isinstance(node, ast.expr) else place
        column = parsed.column(place)
        if depth > MAX_DEPTH:
            raise ExpressionError(f"nested more than {MAX_DEPTH} deep", column, "a feature of its own for a part")
        if isinstance(node, _OPERATORS):
            continue
        if not isinstance(node, _ALLOWED):
            raise ExpressionError(f"{_describe(node)} is not part of the language", column, EXPECTED)
        _check_node(parsed, node, column)
        stack.extend((child, depth + 1) for child in ast.iter_child_nodes(node))


def _check_node(parsed: Parsed, node: ast.AST, column: int) -> None:
    if isinstance(node, ast.Attribute) and dotted(node) is None:
        raise ExpressionError("a dot stands only between two names", column, "name.part")
    if isinstance(node, ast.Name | ast.Attribute) and "__" in (dotted(node) or ""):
        raise ExpressionError("no name holds two underscores in a row", column)
    if isinstance(node, ast.Call) and (node.keywords or not isinstance(node.func, ast.Name)):
        raise ExpressionError("a function is called by its plain name, without keywords", column, "min(a, b)")
    if isinstance(node, ast.Constant):
        _check_constant(parsed, node, column)


def _check_constant(parsed: Parsed, node: ast.Constant, column: int) -> None:
    if isinstance(node.value, bool):
        return
    if isinstance(node.value, int | float | complex):
        number_of(parsed, node)
    elif isinstance(node.value, str):
        # The parser joins neighbouring strings: in a list that is a forgotten comma.
        if parsed.segment(node)[1:-1] != node.value:
            raise ExpressionError("one plain string was expected here", column, "a comma between two strings")
    else:
        raise ExpressionError(
            f"`{parsed.segment(node)}` is not part of the language",
            column,
            "coalesce(x, …) to stand in for unknown",
        )


_NAMES_OF_NODES = {
    "Lambda": "a lambda", "ListComp": "a comprehension", "SetComp": "a comprehension",
    "DictComp": "a comprehension",
    "GeneratorExp": "a comprehension", "NamedExpr": "an assignment", "JoinedStr": "an f-string", "Pow": "a power",
    "Subscript": "an index", "Is": "`is`", "IsNot": "`is not`", "Mod": "`%`", "FloorDiv": "`//`", "Starred": "`*`",
    "Dict": "a mapping", "Set": "a set", "Tuple": "a tuple", "Await": "`await`", "Yield": "`yield`",
    "UAdd": "a leading `+`",
}  # fmt: skip


def _describe(node: ast.AST) -> str:
    kind = type(node).__name__
    return _NAMES_OF_NODES.get(kind, f"`{kind}`")
