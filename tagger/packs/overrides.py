"""Settings of a deployment in the place of the packs' own (`rulebook.yaml`, docs/rulebook.md)."""

from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal

from schemas.packs.model import nearest
from schemas.packs.pack import Pack, SettingValue
from tagger.expr.errors import ExpressionError
from tagger.packs.errors import Problem
from tagger.packs.yaml_tree import Path

Overrides = Mapping[str, Mapping[str, SettingValue]]


def override(
    pack: Pack, given: Mapping[str, SettingValue], unreadable: Collection[str]
) -> tuple[Pack, list[Problem]]:
    """A pack with other settings, and what is wrong with them by their path in the manifest.

    Args:
        unreadable: settings of the pack that are wrong there and say nothing here.
    """
    settings = dict(pack.settings)
    problems: list[Problem] = []
    for name, value in given.items():
        found = [] if name in unreadable else list(_problems(pack, name, value))
        problems += found
        own = settings.get(name)
        if found or own is None:
            continue
        if isinstance(own, Mapping) and isinstance(value, Mapping):
            settings[name] = {**own, **value}
        elif isinstance(own, Decimal) and isinstance(value, Decimal):
            settings[name] = value
    return pack.model_copy(update={"settings": settings}), problems


def _problems(pack: Pack, name: str, value: SettingValue) -> Iterator[Problem]:
    path: Path = ("settings", pack.pack, name)
    own = pack.settings.get(name)
    match own, value:
        case None, _:
            known = ", ".join(pack.settings) or "none: the pack has no settings"
            message = f"pack `{pack.pack}` has no setting `{name}`"
            yield Problem(path, ExpressionError(message, 0, f"one of {known}", nearest(name, pack.settings)), True)
        case Mapping(), Mapping():
            for part in value:
                if part not in own:
                    message = f"setting `{name}` of pack `{pack.pack}` has no `{part}`"
                    error = ExpressionError(message, 0, f"one of {', '.join(own)}", nearest(part, own))
                    yield Problem((*path, part), error, True)
        case Mapping(), _:
            expected = "{" + ", ".join(f"{part}: …" for part in own) + "}, or some of these"
            yield Problem(path, ExpressionError(f"`{name}` is a group of numbers", 0, expected), True)
        case _, Mapping():
            yield Problem(path, ExpressionError(f"`{name}` is one number", 0, f"`{name}: 5万`"), True)


def unknown_packs(given: Overrides, packs: Collection[str]) -> Iterator[Problem]:
    """Packs that the manifest sets something for and that are not there."""
    for name in given:
        if name not in packs:
            known = f"one of {', '.join(sorted(packs))}"
            error = ExpressionError(f"there is no pack `{name}`", 0, known, nearest(name, packs))
            yield Problem(("settings", name), error, True)
