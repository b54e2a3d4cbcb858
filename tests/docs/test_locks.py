"""The locks are in step with pyproject.toml, pin by hash, and name no index."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = {
    "requirements.lock": ("build",),
    "requirements-demo.lock": ("build", "demo"),
    "requirements-dev.lock": ("build", "demo", "dev"),
}
PIN = re.compile(r"^([a-z0-9][a-z0-9.-]*)==(\S+)(.*?)(?=^[a-z0-9]|\Z)", flags=re.M | re.S)


def entries(lock: str) -> dict[str, tuple[str, str]]:
    """Package name → version, and the rest of its entry: hashes and who asked for it."""
    text = (ROOT / lock).read_text()
    return {canonicalize_name(name): (version, rest) for name, version, rest in PIN.findall(text)}


def wanted(lock: str) -> dict[str, Requirement]:
    lines = [*PROJECT["dependencies"]]
    for extra in EXTRAS[lock]:
        lines += PROJECT["optional-dependencies"][extra]
    return {canonicalize_name(requirement.name): requirement for requirement in map(Requirement, lines)}


@pytest.mark.parametrize("lock", EXTRAS)
def test_every_dependency_is_pinned_to_a_version_it_allows_and_no_other_is_asked_for(lock: str) -> None:
    pinned = entries(lock)
    asked = {name for name, (_, rest) in pinned.items() if "tagger (pyproject.toml)" in rest}
    assert asked == wanted(lock).keys(), "run: make lock"
    for name, requirement in wanted(lock).items():
        assert requirement.specifier.contains(pinned[name][0]), (
            f"{requirement} but {pinned[name][0]}; run: make lock"
        )


@pytest.mark.parametrize("lock", EXTRAS)
def test_every_pin_has_a_hash(lock: str) -> None:
    assert [name for name, (_, rest) in entries(lock).items() if "--hash=sha256:" not in rest] == []


@pytest.mark.parametrize("lock", EXTRAS)
def test_no_index_is_named(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links|--trusted-host", text)


def test_the_locks_agree_on_versions() -> None:
    developers = entries("requirements-dev.lock")
    for lock in EXTRAS:
        differing = {name for name, (version, _) in entries(lock).items() if developers[name][0] != version}
        assert not differing, f"{lock} differs in {differing}; run: make lock"
