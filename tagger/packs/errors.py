"""What is wrong with packs, as an analyst is told: where, what was expected, what came, the nearest right name."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pydantic_core import ErrorDetails

from schemas.packs.cases import GIVEN_MODELS, GivenTick
from schemas.packs.model import PackModel, nearest
from schemas.packs.pack import model_at
from tagger.expr.errors import ExpressionError
from tagger.packs.yaml_tree import Path, Place, Tree


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong at a path of a file: in the value there, or in its key."""

    path: Path
    error: ExpressionError
    in_key: bool = False


@dataclass(frozen=True, slots=True)
class PackError:
    """One thing wrong with a pack.

    Attributes:
        line, column: from 1.
        expected: what would have been right.
        nearest: the right name most like the wrong one.
    """

    file: str
    line: int
    column: int
    message: str
    expected: str | None = None
    nearest: str | None = None

    def __str__(self) -> str:
        expected = f"; expected {self.expected}" if self.expected else ""
        near = f"; did you mean `{self.nearest}`?" if self.nearest else ""
        return f"{self.file}:{self.line}:{self.column}: {self.message}{expected}{near}"


class RulebookError(ValueError):
    """Packs that cannot be used.

    Attributes:
        errors: all of them, by file, line and column.
    """

    def __init__(self, errors: Iterable[PackError]) -> None:
        self.errors = sorted(set(errors), key=lambda e: (e.file, e.line, e.column, e.message))
        super().__init__("\n".join(str(error) for error in self.errors))


def placed(file: str, tree: Tree, problem: Problem) -> PackError:
    """A problem at its line and column, inside an expression where one is to blame."""
    error = problem.error
    node, place = tree.find(problem.path)
    if isinstance(node.value, str) and not problem.in_key and tree.leads_to(problem.path):
        place = node.place
        if node.inset is not None:
            place = Place(place.line, place.column + node.inset + error.column)
    return _at(file, place, error.message, error.expected, error.nearest)


def shape_error(
    file: str,
    tree: Tree,
    detail: ErrorDetails,
    model_of: Callable[[Path], type[PackModel]] = model_at,
) -> PackError:
    """What a model says of a pack's shape, in words and at its place."""
    path = tuple(detail["loc"])
    node, key_place = tree.find(path)
    context = detail.get("ctx", {})
    key = str(path[-1]) if path else ""
    if detail["type"] == "extra_forbidden":
        model = model_of(path[:-1])
        names = model.yaml_names()
        if model is GivenTick:
            names = list(dict.fromkeys(name for given in GIVEN_MODELS for name in given.yaml_names()))
        expected = f"one of {', '.join(names)}"
        return _at(file, key_place, f"unknown key `{key}`", expected, nearest(key, names))
    if detail["type"] == "missing":
        return _at(file, key_place, f"`{key}` is missing", f"`{key}: …` here")
    place = node.place if isinstance(node.value, str) else key_place
    if detail["type"] == "pack_value":
        if context["at"]:
            inner, inner_key = tree.find((*path, *context["at"]))
            place = inner_key if context["in_key"] else inner.place
        return _at(file, place, f"got '{context['got']}'", context["expected"], context["nearest"])
    if detail["type"] in _BOUNDS:
        word, bound = _BOUNDS[detail["type"]]
        written = _written(node, detail)
        unit = "d" if str(written).endswith("d") else ""
        return _at(file, place, f"got '{written}'", f"{key} {word} {context[bound]}{unit}")
    if detail["type"] in {"too_long", "string_too_long"}:
        what = "entries" if context.get("field_type") in {"List", "Tuple"} else "characters"
        got = context.get("actual_length") or len(str(detail["input"]))
        return _at(file, place, f"got {got} {what}", f"at most {context['max_length']} {what}")
    if detail["type"] == "bad_value":
        return _at(file, place, f"got '{_written(node, detail)}'", context["expected"])
    return _at(file, place, f"{key}: {detail['msg']}" if key else detail["msg"])


_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("of at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("of at most", "le"),
}


def _at(file: str, place: Place, message: str, expected: str | None = None, near: str | None = None) -> PackError:
    return PackError(file, place.line, place.column, message, expected, near)


def _written(node: Tree, detail: ErrorDetails) -> Any:
    """What stands in the pack, not what was made of it."""
    return node.value if isinstance(node.value, str) else detail["input"]
