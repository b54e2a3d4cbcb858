"""A pack read aloud, line by line, as `tagger rules show` prints it."""

from typing import Any

from schemas.packs.features import FeatureModel
from schemas.packs.pack import Pack
from schemas.packs.rules import (
    GradedRule,
    LadderRule,
    LeveledRule,
    MatrixRule,
    RuleModel,
    ScorecardRule,
    SignalRule,
)


def pack_lines(pack: Pack) -> list[str]:
    """Settings, features and rules of a pack, indented below its name."""
    lines = [f"{pack.pack}: {pack.title or ''}".rstrip(": "), f"  source: {pack.source or 'not stated'}"]
    if pack.settings:
        lines += ["  settings", *(f"    {name} = {_setting(value)}" for name, value in pack.settings.items())]
    if pack.features:
        lines += ["  features", *(f"    {name}: {_feature(model)}" for name, model in pack.features.items())]
    lines.append("  rules")
    for name, rule in pack.rules.items():
        lines += [f"    {name}: {rule.title or rule.kind}", *(f"      {line}" for line in _rule(rule))]
    return lines


def _setting(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {number:f}" for name, number in value.items())
    return f"{value:f}"


def _feature(model: FeatureModel) -> str:
    said = model.model_dump(by_alias=True, exclude_defaults=True)
    # The verb first, as a pack says it.
    keys = sorted(said, key=lambda key: key != model.verb)
    return ", ".join(f"{key} {said[key]}" for key in keys)


def _rule(rule: RuleModel) -> list[str]:
    lines: list[str] = []
    if isinstance(rule, SignalRule):
        if rule.after is not None:
            where = f" where {rule.after.where}" if rule.after.where else ""
            lines.append(f"after {rule.after.event}{where}, within {_duration(rule.within_ms)}")
        lines.append(f"when {rule.when}")
        lines += [f"until {rule.until}"] if rule.until else []
    if isinstance(rule, GradedRule):
        lines += _grades(rule)
    for word, duration in (("for", rule.for_ms), ("expires", rule.expires_ms), ("cooldown", rule.cooldown_ms)):
        lines += [f"{word} {_duration(duration)}"] if duration is not None else []
    if rule.converts is not None:
        converts = rule.converts.when or f"{rule.converts.event} where {rule.converts.where or 'any'}"
        lines.append(f"converts {converts}")
    return lines


def _grades(rule: GradedRule) -> list[str]:
    lines: list[str] = []
    if isinstance(rule, LadderRule) and rule.by:
        lines.append(f"by {rule.by}")
    if isinstance(rule, ScorecardRule):
        for name, part in rule.points.items():
            bins = ", ".join(f"{points} from {start}" for start, points in part.bins.items())
            lines.append(f"points of {name}: {part.weight} times, by {part.by}, {bins}")
    if isinstance(rule, MatrixRule):
        for word, axis in (("rows", rule.rows), ("columns", rule.columns)):
            lines.append(f"{word} by {axis.by}, cut at {', '.join(str(cut) for cut in axis.cuts)}")
        lines += [f"cells: {', '.join(row)}" for row in rule.cells]
    if isinstance(rule, LeveledRule):
        lines += [f"level {level} from {cut}" for level, cut in rule.levels.items()]
        lines += [f"left below {rule.leave_below:%} of a level's start"] if rule.leave_below else []
        lines += [f"approval from {rule.approval.from_} up"] if rule.approval else []
    return lines + ([f"silent: {', '.join(rule.silent)}"] if rule.silent else [])


def _duration(ms: int | None) -> str:
    for unit, length in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)):
        if ms is not None and ms % length == 0:
            return f"{ms // length}{unit}"
    return f"{(ms or 0) // 1000}s"
