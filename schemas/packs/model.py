"""What the models of a rule pack share: the base, the names of sources and of money."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from schemas.packs.scalars import parse_mapping, parse_sequence, refuse

SourceName = Literal["transactions", "app_events"]
ListName = Literal["cards", "holdings"]
Balance = Literal["assets", "current", "term", "wealth", "loan"]
ContactChannel = Literal["push", "call", "branch"]
AnyMapping = BeforeValidator(parse_mapping)
AnySequence = BeforeValidator(parse_sequence)

MONEY_NAMES: tuple[str, ...] = get_args(Balance)
EVENT_SOURCES: tuple[SourceName, ...] = get_args(SourceName)
LIST_SOURCES: tuple[ListName, ...] = get_args(ListName)


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name most like `name`, if any is like it at all."""
    return next(iter(get_close_matches(name, list(names), n=1, cutoff=0.6)), None)


class PackModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=False)

    @model_validator(mode="before")
    @classmethod
    def _is_mapping(cls, value: Any) -> Any:
        return parse_mapping(value)

    @classmethod
    def yaml_names(cls) -> list[str]:
        """The keys a pack may use here."""
        return [field.alias or name for name, field in cls.model_fields.items()]


def one_of(*words: str) -> BeforeValidator:
    """Refuse any text but these."""

    def check(value: object) -> object:
        if value not in words:
            expected = " or ".join((", ".join(words[:-1]), words[-1]) if len(words) > 1 else words)
            refuse(expected, value, nearest(str(value), words))
        return value

    return BeforeValidator(check)


# Records, and records where the verb takes the profile's lists too.
Source = Annotated[SourceName, one_of(*EVENT_SOURCES)]
SourceOrList = Annotated[SourceName, one_of(*EVENT_SOURCES, *LIST_SOURCES)]
Transactions = Annotated[Literal["transactions"], one_of("transactions")]
ListSource = Annotated[ListName, one_of(*LIST_SOURCES)]
MoneyName = Annotated[Balance, one_of(*MONEY_NAMES)]
