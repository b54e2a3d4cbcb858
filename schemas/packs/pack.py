"""A rule pack as an analyst writes it (docs/rulebook.md): settings, features, rules and cases.

Every scalar arrives as text. The union of features, of rules and of a case's inputs is chosen by one telling
key, so that an error names what was meant and not every model that did not fit. Python names carry the unit
(`within_ms`), the YAML names are the aliases (`within`).
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from schemas.packs.cases import (
    GIVEN_MODELS,
    ApprovalText,
    Case,
    Expected,
    FeedbackText,
)
from schemas.packs.features import (
    FEATURE_MODELS,
    LIST_MODELS,
    Feature,
    feature_tag,
)
from schemas.packs.model import (
    AnyMapping,
    AnySequence,
    PackModel,
)
from schemas.packs.profile import CardText, ConsentText, HoldingText, ProfileText
from schemas.packs.rules import (
    RULE_MODELS,
    Approval,
    Conversion,
    MatrixAxis,
    Offer,
    RecordFilter,
    Rule,
    ScorePart,
    Validity,
)
from schemas.packs.scalars import Identifier, Slug, Text, parse_number, refuse

SettingValue = Decimal | dict[str, Decimal]


def _setting(value: Any) -> Any:
    if not isinstance(value, dict):
        return parse_number(value)
    numbers = {}
    for key, item in value.items():
        try:
            numbers[str(key)] = parse_number(item)
        except PydanticCustomError as error:
            context = error.context or {}
            refuse(context["expected"], context["got"], at=(str(key),))
    return numbers


Setting = Annotated[SettingValue, BeforeValidator(_setting)]


class Pack(PackModel):
    """One YAML file under `rules/`: a scheme of the domain with its cases."""

    pack: Slug
    title: Text | None = None
    source: Text | None = None
    settings: Annotated[dict[Identifier, Setting], AnyMapping] = Field(default_factory=dict)
    features: Annotated[dict[Identifier, Feature], AnyMapping] = Field(default_factory=dict)
    rules: Annotated[dict[Slug, Rule], AnyMapping] = Field(default_factory=dict)
    cases: Annotated[tuple[Case, ...], AnySequence] = ()


# Where in a pack which model stands, by the last telling step of a path: for naming the nearest key.
_MODELS_BY_STEP: Mapping[str, type[PackModel]] = {
    **{feature_tag(model): model for model in (*FEATURE_MODELS.values(), *LIST_MODELS.values())},
    **{f"<{kind}>": model for kind, model in RULE_MODELS.items()},
    "after": RecordFilter,
    "converts": Conversion,
    "valid": Validity,
    "offer": Offer,
    "offers": Offer,
    "approval": Approval,
    "points": ScorePart,
    "rows": MatrixAxis,
    "columns": MatrixAxis,
}
_CASE_MODELS: Mapping[str, type[PackModel]] = {
    **{f"<{model.__name__}>": model for model in GIVEN_MODELS},
    "profile": ProfileText,
    "cards": CardText,
    "holdings": HoldingText,
    "consent": ConsentText,
    "approval": ApprovalText,
    "feedback": FeedbackText,
    "expect": Expected,
    "cases": Case,
}


def model_at(path: tuple[int | str, ...]) -> type[PackModel]:
    """The model that the value at a validator's path is read by."""
    models = _CASE_MODELS if path and path[0] == "cases" else _MODELS_BY_STEP
    step = next((str(step) for step in reversed(path) if str(step) in models), None)
    return Pack if step is None else models[step]
