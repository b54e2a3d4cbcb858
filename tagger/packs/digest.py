"""The digest of a rulebook: what decides, in one canonical text.

It covers settings, features and rules with their order, all packs together, and the contact policy where there is
one. Titles, sources, cases, comments and file names are left out, so that a better-worded pack is the same
rulebook; the version is left out too, so that it names a state of the rules without being one.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, time
from decimal import Decimal
from hashlib import blake2b
from typing import Any

from schemas.packs.model import PackModel
from schemas.packs.pack import Pack
from schemas.packs.policy import Policy
from schemas.packs.rules import RuleModel
from schemas.packs.scalars import Window

_LEFT_OUT = ("title", "source", "cases")


def digest_of(packs: Iterable[Pack], policy: Policy | None) -> str:
    """16 hex digits; packs in the order given, their settings overridden and their cuts resolved."""
    # Without a policy as before there were any, so that digests stay what they were.
    deciding = [*packs, *([] if policy is None else [policy])]
    canonical = json.dumps([_canonical(one) for one in deciding], ensure_ascii=False, separators=(",", ":"))
    return blake2b(canonical.encode(), digest_size=8).hexdigest()


def _said(model: PackModel) -> Iterator[tuple[str, Any]]:
    """What a model says and is no default, so that a field added to the language changes no digest."""
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        # A `source` that tells where a pack comes from decides nothing; that of a feature does.
        if isinstance(model, Pack | RuleModel | Policy) and name in _LEFT_OUT:
            continue
        if info.is_required() or value != info.get_default(call_default_factory=True):
            yield info.alias or name, value


def _canonical(value: Any) -> Any:
    match value:
        case PackModel():
            return {alias: _canonical(item) for alias, item in sorted(_said(value), key=lambda said: said[0])}
        case Window():
            return value.text
        case Mapping():
            return {str(_canonical(key)): _canonical(item) for key, item in value.items()}
        case list() | tuple():
            return [_canonical(item) for item in value]
        case Decimal():
            return format(value.normalize(), "f")
        case datetime() | time():
            return value.isoformat()
        case _:
            return value
