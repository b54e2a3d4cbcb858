"""What differs between two rulebooks, as an analyst says it, and what putting the second in force would do."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from schemas.bankday import BankCalendar
from schemas.packs.pack import Pack
from tagger.compiler.program import Program
from tagger.packs.rulebook import Rulebook

_SECTIONS = ("settings", "features", "rules")
_WORDS = ("title", "source")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing said in one rulebook and not in the other; None where it is not said.

    Attributes:
        path: `pack.section.name.key`, or `policy.key`.
    """

    path: str
    old: Any
    new: Any

    def __str__(self) -> str:
        if self.old is None:
            return f"+ {self.path}: {self.new}"
        if self.new is None:
            return f"- {self.path}: {self.old}"
        return f"~ {self.path}: {self.old} → {self.new}"


def differences(old: Rulebook, new: Rulebook) -> list[Difference]:
    """What decides and differs, in order of packs; titles, sources and cases decide nothing."""
    before, after = dict(_said(old)), dict(_said(new))
    return [
        Difference(path, before.get(path), after.get(path))
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    ]


def consequences(old: Rulebook, new: Rulebook, calendar: BankCalendar) -> list[str]:
    """What putting `new` in force after `old` does to customers' state: what docs/rulebook.md says of changes."""
    before, after = Program(old, calendar), Program(new, calendar)
    told = [
        f"feature {name} begins to warm: it is new, or counts something else than before"
        for name, feature in after.features.items()
        if feature.key and feature.key not in before.feature_keys
    ]
    rules = {rule.terms.name for rule in after.rules}
    told += [
        f"rule {rule.terms.name} is gone: its open episodes are revoked"
        for rule in before.rules
        if rule.terms.name not in rules
    ]
    if old.policy != new.policy:
        told.append("the contact policy changes: every held tag is looked at again")
    return told


def _said(rulebook: Rulebook) -> Iterator[tuple[str, Any]]:
    for pack in rulebook.packs:
        yield from _pack(pack)
    if rulebook.policy is not None:
        said = rulebook.policy.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        yield from _flat("policy", {key: value for key, value in said.items() if key not in _WORDS})


def _pack(pack: Pack) -> Iterator[tuple[str, Any]]:
    said = pack.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    for section in _SECTIONS:
        for name, value in said.get(section, {}).items():
            deciding = value
            if isinstance(value, dict):
                deciding = {key: item for key, item in value.items() if key not in _words(section)}
            yield from _flat(f"{pack.pack}.{section}.{name}", deciding)


def _words(section: str) -> tuple[str, ...]:
    """What of an entry decides nothing; the `source` of a feature does."""
    return _WORDS if section == "rules" else ("title",)


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _flat(f"{path}.{key}", item)
    else:
        yield path, value
