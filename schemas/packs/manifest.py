"""`rulebook.yaml`: the version of a folder of packs, and what a deployment sets otherwise than they do."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from schemas.packs.model import AnyMapping, PackModel
from schemas.packs.pack import Setting
from schemas.packs.scalars import Identifier, Slug, refuse

_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,31}", re.ASCII)


def parse_version(value: object) -> str:
    """Read a version: letters, digits, `.`, `_` and `-`, at most 32."""
    if not isinstance(value, str) or not _VERSION.fullmatch(value):
        refuse("a version such as 2026.11", value if isinstance(value, str) else "a list or mapping")
    return value


Version = Annotated[str, BeforeValidator(parse_version), WithJsonSchema({"type": ["string", "number"]})]
PackSettings = Annotated[dict[Identifier, Setting], AnyMapping]


class Manifest(PackModel):
    """`rules/rulebook.yaml`.

    Attributes:
        settings: by pack and setting, a number, or numbers of a group, in the place of the pack's own.
    """

    version: Version
    settings: Annotated[dict[Slug, PackSettings], AnyMapping] = Field(default_factory=dict)
