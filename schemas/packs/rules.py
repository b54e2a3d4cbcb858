"""The rules of a rule pack: one model a kind.

Wherever a number grades something (a level's start, a bin, points, a weight, a cut) the name of a setting may
stand in its place, which `tagger.packs.rulebook` resolves.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from schemas.packs.model import AnyMapping, AnySequence, ContactChannel, PackModel, Source, nearest, one_of
from schemas.packs.scalars import (
    DurationMs,
    FirstMoment,
    Integer,
    LastMoment,
    NumberOrName,
    Share,
    Slug,
    Text,
    parse_number,
    parse_number_or_name,
    refuse,
)

OTHERWISE = "otherwise"
# What a tag's value says besides measured names and the parts of a scorecard.
VALUE_NAMES = ("total", "rank", "previous_rank")
MAX_PARTS = 32
MAX_CUTS = 32
Placed = tuple[tuple[str, ...], str]


class RecordFilter(PackModel):
    """Records of one source, all of them or those of which `where` is true."""

    event: Source
    where: Text | None = None


class Conversion(PackModel):
    """What counts as success: a record (`event`, `where`) or a condition (`when`)."""

    event: Source | None = None
    where: Text | None = None
    when: Text | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.event is None) == (self.when is None) or (self.when is not None and self.where is not None):
            refuse("either {event, where} or {when}", ", ".join(sorted(self.model_fields_set)) or "nothing")
        return self


class Validity(PackModel):
    """Closed interval outside which a condition is not true; naive times are bank time."""

    from_: FirstMoment | None = Field(None, alias="from")
    to: LastMoment | None = None


class Offer(PackModel):
    family: Slug
    also: Annotated[tuple[Slug, ...], AnySequence] = ()
    channel: Annotated[ContactChannel, one_of(*get_args(ContactChannel))] = "push"
    priority: Integer = 0
    policy: Slug | None = None


class RuleModel(PackModel):
    """What every kind of rule may say. Durations are elapsed milliseconds, both ends included."""

    kind: ClassVar[str]
    title: Text | None = None
    mode: Annotated[Literal["live", "shadow"], one_of("live", "shadow")] = "live"
    valid: Validity | None = None
    for_ms: DurationMs | None = Field(None, alias="for")
    expires_ms: DurationMs | None = Field(None, alias="expires")
    cooldown_ms: DurationMs | None = Field(None, alias="cooldown")
    refresh: Text | None = None
    converts: Conversion | None = None
    need: Slug | None = None
    needs: Annotated[tuple[Slug, ...], AnySequence] = ()
    offer: Offer | None = None

    def expressions(self) -> Iterator[Placed]:
        """The expressions over features, each with its path inside the rule."""
        if self.converts is not None and self.converts.when is not None:
            yield ("converts", "when"), self.converts.when


class SignalRule(RuleModel):
    """Opens when its condition becomes true; with `after`, once for each watch that trips."""

    kind = "signal"
    when: Text
    after: RecordFilter | None = None
    within_ms: DurationMs | None = Field(None, alias="within")
    until: Text | None = None

    @model_validator(mode="after")
    def _watch_is_whole(self) -> Self:
        if (self.after is None) != (self.within_ms is None):
            have, lack = ("after", "within") if self.within_ms is None else ("within", "after")
            refuse("`after` and `within` together", f"{have} without {lack}", at=(have,), in_key=True)
        return self

    def expressions(self) -> Iterator[Placed]:
        yield ("when",), self.when
        if self.until is not None:
            yield ("until",), self.until
        yield from super().expressions()


class GradedRule(RuleModel):
    """A rule that puts a customer on one level.

    Attributes:
        silent: levels that make no tag.
    """

    silent: Annotated[tuple[Slug, ...], AnySequence] = ()
    offers: Annotated[dict[Slug, Offer], AnyMapping] = Field(default_factory=dict)

    @property
    def level_names(self) -> tuple[str, ...]:
        """Its levels, from the lowest up where they have an order."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _names_its_levels(self) -> Self:
        if self.offer is not None and self.offers:
            refuse("either `offer` or `offers`", "both", at=("offers",), in_key=True)
        for index, name in enumerate(self.silent):
            self.check_level(name, "silent", index)
        for name in self.offers:
            self.check_level(name, "offers", name)
        return self

    def check_level(self, name: str, *at: str | int) -> None:
        """Refuse a name that stands at a path and is no level of this rule."""
        levels = self.level_names
        if name not in levels:
            refuse(
                f"a level of this {self.kind} ({', '.join(levels)})",
                name,
                nearest(name, levels),
                at=at,
                in_key=at[-1] == name,
            )


class Approval(PackModel):
    """From which level up a checker must approve."""

    from_: Slug = Field(alias="from")


def _cut_or_expression(value: object) -> Decimal | str:
    if isinstance(value, Decimal):
        return value
    try:
        return parse_number(value)
    except PydanticCustomError:
        if not isinstance(value, str):
            raise
    return value.strip()


CutOrExpression = Annotated[
    Decimal | str, BeforeValidator(_cut_or_expression), WithJsonSchema({"type": ["number", "string"]})
]


class LeveledRule(GradedRule):
    """Levels from the lowest up; the last one that is met wins.

    Attributes:
        levels: where each level starts (yuan when money is measured): a number or the name of a setting. In a
            ladder without `by`, an expression. The first may be `otherwise`.
        leave_below: hysteresis; a level is left when what is measured falls below this share of its start.
        approval: from which level up a person must approve.
    """

    levels: Annotated[dict[Slug, CutOrExpression], AnyMapping]
    leave_below: Share | None = None
    approval: Approval | None = None

    @property
    def level_names(self) -> tuple[str, ...]:
        return tuple(self.levels)

    @property
    def otherwise(self) -> str | None:
        """The level that takes everyone else, if there is one."""
        first = next(iter(self.levels))
        return first if self.levels[first] == OTHERWISE else None

    @property
    def is_measured(self) -> bool:
        """Whether levels start at numbers."""
        return True

    @model_validator(mode="after")
    def _has_levels(self) -> Self:
        if not self.levels:
            refuse("at least one level", "none", at=("levels",))
        for name, start in list(self.levels.items())[1:]:
            if start == OTHERWISE:
                refuse("`otherwise` only as the first level", "it further up", at=("levels", name))
        if self.approval is not None:
            self._check_approval(self.approval.from_)
        return self

    def _check_approval(self, first: str) -> None:
        self.check_level(first, "approval", "from")
        names = self.level_names
        for name in names[names.index(first) :]:
            if name in self.silent:
                refuse(
                    "levels that make a tag from `approval` up",
                    f"{name}, which is silent",
                    at=("approval", "from"),
                )


class LadderRule(LeveledRule):
    """Levels of a number (`by`), or each an expression of its own."""

    kind = "ladder"
    by: Text | None = None

    @property
    def is_measured(self) -> bool:
        return self.by is not None

    def expressions(self) -> Iterator[Placed]:
        if self.by is not None:
            yield ("by",), self.by
        else:
            for name, text in self.levels.items():
                if name != self.otherwise:
                    yield ("levels", name), str(text)
        yield from super().expressions()

    @model_validator(mode="after")
    def _fits_by(self) -> Self:
        if self.by is not None:
            return self
        if self.leave_below is not None:
            refuse("`leave_below` only with `by`", "levels that are expressions", at=("leave_below",))
        for name, value in self.levels.items():
            if isinstance(value, Decimal):
                refuse("`by` with levels that are numbers", f"{name}: {value} without `by`", at=("levels", name))
        return self


def _apart(value: Any) -> Any:
    """Refuse two keys that are one number, which would otherwise become one bin."""
    seen: set[Decimal | str] = set()
    for key in value if isinstance(value, dict) else ():
        number = parse_number_or_name(key)
        if number in seen:
            refuse("bins that begin apart", key, at=(key,), in_key=True)
        seen.add(number)
    return value


class ScorePart(PackModel):
    """One part of a scorecard: weight × the points of the bin that `by` falls into.

    Attributes:
        bins: where each bin begins, from the lowest up, and its points; below the first, 0 points.
    """

    by: Text
    weight: NumberOrName = Decimal(1)
    bins: Annotated[dict[NumberOrName, NumberOrName], BeforeValidator(_apart), AnyMapping]

    @model_validator(mode="after")
    def _has_bins(self) -> Self:
        if not 1 <= len(self.bins) <= MAX_CUTS:
            refuse(f"1 to {MAX_CUTS} bins", len(self.bins), at=("bins",))
        return self


class ScorecardRule(LeveledRule):
    """Levels of a total of points."""

    kind = "scorecard"
    points: Annotated[dict[Slug, ScorePart], AnyMapping]

    def expressions(self) -> Iterator[Placed]:
        yield from ((("points", name, "by"), part.by) for name, part in self.points.items())
        yield from super().expressions()

    @model_validator(mode="after")
    def _has_parts(self) -> Self:
        if not 1 <= len(self.points) <= MAX_PARTS:
            refuse(f"1 to {MAX_PARTS} parts", len(self.points), at=("points",))
        for name in self.points:
            if name in VALUE_NAMES:
                refuse("another name: a tag's value says this already", name, at=("points", name), in_key=True)
        return self


class MatrixAxis(PackModel):
    """One axis: n cuts part it into n + 1 steps; a number equal to a cut belongs above it."""

    by: Text
    cuts: Annotated[tuple[NumberOrName, ...], AnySequence]

    @model_validator(mode="after")
    def _has_cuts(self) -> Self:
        if not 1 <= len(self.cuts) <= MAX_CUTS:
            refuse(f"1 to {MAX_CUTS} cuts", len(self.cuts), at=("cuts",))
        return self


class MatrixRule(GradedRule):
    """The cell that two measures meet in; the cell's name is the level, and there is no rank."""

    kind = "matrix"
    rows: MatrixAxis
    columns: MatrixAxis
    cells: Annotated[tuple[Annotated[tuple[Slug, ...], AnySequence], ...], AnySequence]

    @property
    def level_names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for row in self.cells for name in row))

    def expressions(self) -> Iterator[Placed]:
        yield ("rows", "by"), self.rows.by
        yield ("columns", "by"), self.columns.by
        yield from super().expressions()

    @model_validator(mode="after")
    def _fills_its_cells(self) -> Self:
        rows, columns = len(self.rows.cuts) + 1, len(self.columns.cuts) + 1
        if len(self.cells) != rows:
            refuse(f"{rows} lists of cells, one more than `rows` has cuts", len(self.cells), at=("cells",))
        for index, row in enumerate(self.cells):
            if len(row) != columns:
                expected = f"{columns} cells a list, one more than `columns` has cuts"
                refuse(expected, f"[{', '.join(row)}]", at=("cells", index))
        return self


RULE_MODELS: Mapping[str, type[RuleModel]] = {
    model.kind: model for model in (SignalRule, LadderRule, ScorecardRule, MatrixRule)
}
# The first of these keys that a rule holds tells its kind.
_TELLING = {"points": "scorecard", "rows": "matrix", "columns": "matrix", "cells": "matrix", "levels": "ladder",
            "by": "ladder"}  # fmt: skip


def _rule_kind(value: Any) -> str:
    if isinstance(value, RuleModel):
        return f"<{value.kind}>"
    return f"<{next((kind for key, kind in _TELLING.items() if key in value), 'signal')}>"


def _check_kind(value: Any) -> Any:
    if not isinstance(value, RuleModel | dict):
        refuse("a rule such as {when: assets >= 50000}", value)
    return value


Rule = Annotated[
    Annotated[SignalRule, Tag("<signal>")]
    | Annotated[LadderRule, Tag("<ladder>")]
    | Annotated[ScorecardRule, Tag("<scorecard>")]
    | Annotated[MatrixRule, Tag("<matrix>")],
    Discriminator(_rule_kind),
    BeforeValidator(_check_kind),
]
