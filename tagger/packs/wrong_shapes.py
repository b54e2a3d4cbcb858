"""What can still be checked of a pack whose shape is wrong somewhere, so that one mistake hides no other.

Entries whose shape is right stay as they are. Of a wrong one the expressions are read from the text, as far as
they stand where expressions stand; a case keeps the lines that are right.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from schemas.packs.cases import Case, Expected
from schemas.packs.features import FEATURE_MODELS, LIST_MODELS, feature_tag
from schemas.packs.pack import Pack
from schemas.packs.rules import OTHERWISE
from schemas.packs.scalars import parse_number
from tagger.expr.fields import FIELDS, LIST_FIELDS, record_scope
from tagger.packs.check import (
    Problems,
    attempt,
    check_condition,
    check_measure,
    check_read,
    feature_attempts,
)
from tagger.packs.names import NameTable
from tagger.packs.yaml_tree import Path

# No rule has this name; whatever is said of it has been told where its shape is wrong.
UNREADABLE = "a-rule-that-cannot-be-read"
_TICK = {"at": "2000-01-01 00:00"}
_TAGS = {feature_tag(model): model for model in (*FEATURE_MODELS.values(), *LIST_MODELS.values())}


def remaining(raw: Mapping[str, Any], locs: Iterable[Path], name: str) -> dict[str, Any]:
    """A pack's text without what is wrong in it.

    Args:
        locs: where its shape is wrong, as the validator says.
        name: of a pack whose own cannot be read.
    """
    kept = dict(raw)
    wrong: dict[int | str, list[Path]] = {}
    for section, *rest in locs:
        wrong.setdefault(section, []).append(tuple(rest))
    for section, places in wrong.items():
        held = kept.get(str(section))
        if section == "pack":
            kept["pack"] = name
        elif () in places:
            kept.pop(str(section), None)
        elif section == "settings" and isinstance(held, dict):
            kept["settings"] = held | {str(place[0]): _numbers(held.get(str(place[0]))) for place in places}
        elif section == "cases" and isinstance(held, list):
            kept["cases"] = [
                _case(case, [place[1:] for place in places if place[0] == index])
                for index, case in enumerate(held)
            ]
        elif isinstance(held, dict):
            entries = {place[0] for place in places}
            kept[str(section)] = {key: value for key, value in held.items() if key not in entries}
    return kept


def _numbers(setting: Any) -> Any:
    """Numbers in a setting's place, so that whoever names it is not wrong as well."""
    return dict.fromkeys(setting, "1") if isinstance(setting, dict) else "1"


def _case(raw: Any, places: list[Path]) -> Any:
    """A case whose wrong lines say nothing, and whose other lines keep their numbers."""
    if not places:
        return raw
    if not isinstance(raw, dict):
        return {"it": "-", "given": [], "expect": []}
    kept = dict(raw)
    for place in places:
        match place:
            case ("given", int(index), *_):
                kept["given"] = [_TICK if at == index else line for at, line in enumerate(kept["given"])]
            case ("expect", int(index), *rest):
                lines = enumerate(kept["expect"])
                kept["expect"] = [_expectation(line, rest) if at == index else line for at, line in lines]
            case ("features", name, *_) if isinstance(kept.get("features"), dict):
                kept["features"] = {key: text for key, text in kept["features"].items() if key != name}
            case (key, *_):
                kept.pop(str(key), None)
    try:
        Case.model_validate(kept)
    except ValidationError:
        return {"it": "-", "given": [], "expect": []}
    return kept


def _expectation(raw: Any, wrong: list[int | str]) -> Any:
    unreadable = {**_TICK, "opened": UNREADABLE}
    kept = {key: value for key, value in raw.items() if key not in wrong} if isinstance(raw, dict) else unreadable
    try:
        Expected.model_validate(kept)
    except ValidationError:
        return unreadable
    return kept


def check_wrong_entries(raw: Mapping[str, Any], locs: Iterable[Path], pack: Pack, table: NameTable) -> Problems:
    """What is wrong with the expressions of the features and rules whose shape is wrong.

    Args:
        pack: what is left of it, for its settings and names.
    """
    wrong: dict[tuple[str, str], list[Path]] = {}
    for loc in locs:
        if len(loc) > 1 and loc[0] in {"features", "rules"}:
            wrong.setdefault((str(loc[0]), str(loc[1])), []).append(loc[2:])
    for (section, name), places in wrong.items():
        held = raw.get(section)
        entry = held.get(name) if isinstance(held, dict) else None
        if not isinstance(entry, dict):
            continue
        if section == "features":
            yield from _check_feature(("features", name), entry, places, pack, table)
            continue
        told = {tuple(step for step in place if not str(step).startswith("<")) for place in places}
        for problem in _check_rule(("rules", name), entry, pack, table):
            if problem.path[2:] not in told:
                yield problem


def _check_feature(
    path: Path, entry: dict[str, Any], places: list[Path], pack: Pack, table: NameTable
) -> Problems:
    model = next((_TAGS[str(place[0])] for place in places if place and str(place[0]) in _TAGS), None)
    if model is None:
        return
    told = {place[1] for place in places if len(place) > 1}
    names = [name for name in model.yaml_names() if name not in told and isinstance(entry.get(name), str)]
    texts: dict[str, Any] = {name: entry[name] for name in names}
    feature = model.model_construct(**texts)
    if getattr(feature, "source", "cards") not in (*FIELDS, *LIST_FIELDS):
        return
    for step, action in feature_attempts(pack, feature, table):
        yield from attempt((*path, step), action)


def _check_rule(path: Path, rule: dict[str, Any], pack: Pack, table: NameTable) -> Problems:
    scope = table.scope(pack, retained="after" in rule)
    for place, text in _conditions(rule):
        yield from check_condition((*path, *place), text, scope)
    for place, text in _measures(rule):
        yield from check_measure((*path, *place), text, scope)
    for key in ("after", "converts"):
        records = rule.get(key)
        event, where = (records.get("event"), records.get("where")) if isinstance(records, dict) else (None, None)
        if isinstance(event, str) and event in FIELDS and isinstance(where, str):
            yield from check_condition((*path, key, "where"), where, record_scope(event, pack.settings))
    if isinstance(rule.get("refresh"), str):
        yield from check_read((*path, "refresh"), rule["refresh"], scope)


def _conditions(rule: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    for key in ("when", "until"):
        if isinstance(rule.get(key), str):
            yield (key,), rule[key]
    converts, levels = rule.get("converts"), rule.get("levels")
    if isinstance(converts, dict) and isinstance(converts.get("when"), str):
        yield ("converts", "when"), converts["when"]
    if isinstance(levels, dict) and not {"by", "points"} & set(rule):
        for name, text in levels.items():
            if isinstance(text, str) and not _is_start(text):
                yield ("levels", name), text


def _measures(rule: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    points = rule.get("points")
    parts = points.items() if isinstance(points, dict) else ()
    held = [(("by",), rule), *((("points", name, "by"), part) for name, part in parts)]
    held += [((axis, "by"), rule.get(axis)) for axis in ("rows", "columns")]
    for path, mapping in held:
        if isinstance(mapping, dict) and isinstance(mapping.get("by"), str):
            yield path, mapping["by"]


def _is_start(text: str) -> bool:
    """A level that starts at a number, or takes everyone else."""
    try:
        parse_number(text)
    except PydanticCustomError:
        return text == OTHERWISE
    return True
