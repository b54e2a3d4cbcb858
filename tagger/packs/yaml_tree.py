"""YAML text → plain texts, lists and mappings, with the line and column of every key and value.

Every scalar stays text, so that `on`, `21:00` and dates mean what they say. What could surprise or blow up is
refused: anchors and aliases, tags, several documents, a key given twice, anything deep or long. Works on the
parser's events without recursion.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

MAX_CHARACTERS = 400_000
MAX_DEPTH = 12
# No UTF-8 can hold one, though an escape can name it.
_SURROGATE = re.compile("[\ud800-\udfff]")


Path = tuple[str | int, ...]
"""From a document's root: keys of mappings and positions in lists."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands, from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class YamlProblem:
    """Something about the YAML itself that stands in the way."""

    place: Place
    message: str
    expected: str | None = None


@dataclass(slots=True)
class Tree:
    """A node with its place.

    Attributes:
        value: a text, a list of trees, or a mapping of texts to trees.
        keys: of a mapping, where each key stands.
        inset: how far a text's first character lies behind `place`; None when the text is not written in one
            piece, so that columns inside it cannot be told.
        problems: of a root, what is wrong and did not stand in the way of reading on.
    """

    place: Place
    value: Any
    keys: dict[str, Place] = field(default_factory=dict)
    inset: int | None = 0
    problems: tuple[YamlProblem, ...] = ()

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        return [item.plain() for item in self.value] if isinstance(self.value, list) else self.value

    def find(self, path: Path) -> tuple["Tree", Place]:
        """The node a path leads to, as far as it exists, and the place to show for it.

        Steps that lead nowhere are passed over: a validator's path holds steps of its own.
        """
        node, place = self, self.place
        for step in path:
            if isinstance(node.value, dict) and step in node.value:
                place = node.keys[str(step)]
                node = node.value[str(step)]
            elif isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                place = node.place
        return node, place

    def leads_to(self, path: Path) -> bool:
        """Whether the last step of a path leads to a value of its own."""
        parent, _ = self.find(path[:-1])
        if isinstance(parent.value, dict):
            return path[-1] in parent.value
        return isinstance(parent.value, list) and isinstance(path[-1], int)


class _RefusedError(Exception):
    def __init__(self, problem: YamlProblem) -> None:
        super().__init__(problem.message)
        self.problem = problem


# The same packs are read over and over, a folder's whenever one of them was edited; whoever reads takes copies.
@lru_cache(maxsize=64)
def read_tree(text: str) -> Tree | YamlProblem:
    """Read one YAML document whose root is a mapping; of a key given twice the first stands, with a problem."""
    if len(text) > MAX_CHARACTERS:
        return YamlProblem(Place(1, 1), f"the file has {len(text)} characters", f"at most {MAX_CHARACTERS}")
    try:
        root = _build(iter(YAML(typ="safe", pure=True).parse(text)))
    except _RefusedError as refused:
        return refused.problem
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
        # `when: "wealth" in labels`: YAML takes the first string for the whole value.
        hint = "'…' around an expression that begins with a quotation mark" if "block end" in str(error) else None
        return YamlProblem(place, f"not YAML: {error.problem or error.context}", hint)
    except (YAMLError, ValueError, RecursionError) as error:
        return YamlProblem(Place(1, 1), f"not YAML: {str(error).splitlines()[0] if str(error) else 'unreadable'}")
    if root is None or not isinstance(root.value, dict):
        place = root.place if root else Place(1, 1)
        return YamlProblem(place, "the file holds no mapping", "a pack, beginning with `pack: name`")
    return root


def _build(events: Iterator[Any]) -> Tree | None:
    root: Tree | None = None
    stack: list[Tree] = []
    pending: list[tuple[str, Place] | None] = []
    problems: list[YamlProblem] = []
    for event in events:
        kind = type(event).__name__
        if kind == "DocumentStartEvent" and root is not None:
            raise _refused(event, "a second document", "one pack a file")
        if kind in {"SequenceEndEvent", "MappingEndEvent"}:
            stack.pop()
            pending.pop()
            continue
        if kind not in {"ScalarEvent", "SequenceStartEvent", "MappingStartEvent", "AliasEvent"}:
            continue
        _refuse_cleverness(event, kind, len(stack))
        node = _node(event, kind)
        if stack and isinstance(stack[-1].value, dict) and pending[-1] is None:
            pending[-1] = _key(node, event)
            continue
        if not stack:
            root = node
        elif isinstance(stack[-1].value, list):
            stack[-1].value.append(node)
        else:
            key, place = pending[-1] or ("", node.place)
            problems += _add(stack[-1], key, place, node)
            pending[-1] = None
        if kind != "ScalarEvent":
            stack.append(node)
            pending.append(None)
    if root is not None:
        root.problems = tuple(problems)
    return root


def _key(node: Tree, event: Any) -> tuple[str, Place]:
    if not isinstance(node.value, str):
        raise _refused(event, "a list or mapping as a key", "a plain word before the colon")
    return node.value, node.place


def _add(parent: Tree, key: str, place: Place, node: Tree) -> Iterator[YamlProblem]:
    """Put a value under its key; where the key has one already, the first stays."""
    if key in parent.value:
        first = parent.keys[key].line
        yield YamlProblem(place, f"`{key}` stands here twice (first in line {first})", "each name once")
    else:
        parent.value[key] = node
        parent.keys[key] = place


def _node(event: Any, kind: str) -> Tree:
    place = Place(event.start_mark.line + 1, event.start_mark.column + 1)
    if kind == "SequenceStartEvent":
        return Tree(place, [])
    if kind == "MappingStartEvent":
        return Tree(place, {})
    in_one_line = event.start_mark.line == event.end_mark.line
    quotes = 1 if event.style in {"'", '"'} else 0
    return Tree(place, event.value, inset=quotes if in_one_line else None)


def _refuse_cleverness(event: Any, kind: str, depth: int) -> None:
    if kind == "AliasEvent" or event.anchor is not None:
        raise _refused(event, "anchors and aliases are not used in packs", "the value written out")
    if event.tag is not None:
        raise _refused(event, f"the tag {event.tag} is not used in packs", "a plain value")
    if kind == "ScalarEvent" and _SURROGATE.search(event.value):
        raise _refused(event, "half of a character (a lone surrogate) stands here", "whole characters")
    if depth >= MAX_DEPTH:
        raise _refused(event, f"nested more than {MAX_DEPTH} deep", "the shape of a pack")


def _refused(event: Any, message: str, expected: str) -> _RefusedError:
    mark = event.start_mark
    return _RefusedError(YamlProblem(Place(mark.line + 1, mark.column + 1), message, expected))
