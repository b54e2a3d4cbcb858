"""Makes a scenario that fails small: a record, rule, feature or key less at a time, as long as it fails."""

import json
from collections.abc import Iterator
from dataclasses import replace

from reference.compare import Scenario, differences
from reference.made_up import is_valid, text_of


def smallest(scenario: Scenario) -> Scenario:
    while True:
        smaller = next((one for one in _smaller(scenario) if _fails(one)), None)
        if smaller is None:
            return scenario
        scenario = smaller


def _fails(scenario: Scenario) -> bool:
    try:
        return bool(differences(scenario))
    except KeyError:
        return False  # an activation of a rulebook that is gone


def _smaller(scenario: Scenario) -> Iterator[Scenario]:
    if scenario.cuts:
        yield replace(scenario, cuts=())
    journal = list(scenario.journal)
    size = len(journal) // 2
    while size:
        for start in range(0, len(journal), size):
            yield replace(scenario, journal=journal[:start] + journal[start + size :])
        size //= 2
    for digest, text in scenario.packs.items():
        pack = json.loads(text)
        for section in ("rules", "features"):
            for name in pack[section]:
                left = {key: value for key, value in pack[section].items() if key != name}
                yield from _with(scenario, digest, {**pack, section: left})
        for name, rule in pack["rules"].items():
            for key in rule:
                less = {one: value for one, value in rule.items() if one != key}
                yield from _with(scenario, digest, {**pack, "rules": {**pack["rules"], name: less}})


def _with(scenario: Scenario, digest: str, pack: dict[str, object]) -> Iterator[Scenario]:
    if pack["rules"] and is_valid(pack):
        yield replace(scenario, packs={**scenario.packs, digest: text_of(pack)})


def story(scenario: Scenario) -> str:
    """Packs, journal and what differs, to be read by people."""
    lines = [f"{digest}: {text}" for digest, text in scenario.packs.items()]
    lines += [f"  {record}" for record in scenario.journal]
    return "\n".join([*lines, f"  features at {scenario.end_ms}", *differences(scenario)])
