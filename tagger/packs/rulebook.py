"""Packs → a rulebook: every pack read, every expression checked, every error of every pack at once."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import Any, TypeVar

from pydantic import ValidationError

from schemas.packs.manifest import Manifest
from schemas.packs.model import PackModel, nearest
from schemas.packs.pack import Pack
from schemas.packs.policy import Policy, policy_model_at
from schemas.packs.rules import RuleModel
from tagger.expr.errors import ExpressionError
from tagger.packs.check import check_pack, find_cycles
from tagger.packs.cuts import resolve_cuts
from tagger.packs.digest import digest_of
from tagger.packs.errors import PackError, Problem, RulebookError, placed, shape_error
from tagger.packs.names import NameTable
from tagger.packs.overrides import override, unknown_packs
from tagger.packs.wrong_shapes import UNREADABLE, check_wrong_entries, remaining
from tagger.packs.yaml_tree import Path, Tree, YamlProblem, read_tree

MANIFEST = "rulebook.yaml"
POLICY = "policy.yaml"
MAX_FILES = 200
_NO_MANIFEST = Manifest(version="0")
_Model = TypeVar("_Model", bound=PackModel)


@dataclass(frozen=True)
class Rulebook:
    """All packs of one version.

    Attributes:
        version: from `rulebook.yaml`, "0" without it.
        digest: 16 hex digits of what decides.
        packs: by pack name; settings overridden, ladders' cuts resolved to numbers.
        files: the texts it was read from.
        policy: the contact policy, None without a `policy.yaml`.
    """

    version: str
    digest: str
    packs: tuple[Pack, ...]
    files: Mapping[str, str]
    trees: Mapping[str, Tree]
    policy: Policy | None = None

    @property
    def name(self) -> str:
        """As tags carry it: version and the digest's first 8 digits."""
        return f"{self.version}:{self.digest[:8]}"

    @cached_property
    def table(self) -> NameTable:
        """Names and types of every pack's expressions."""
        return NameTable({pack.pack: pack for pack in self.packs})

    @cached_property
    def rules(self) -> dict[str, tuple[Pack, RuleModel]]:
        """Every rule with its pack, by name, in order of packs and then of the pack."""
        return {name: (pack, rule) for pack in self.packs for name, rule in pack.rules.items()}

    def error_at(self, pack: str, path: tuple[str | int, ...], message: str, expected: str | None) -> PackError:
        """A finding about a pack's path, with its place."""
        for file, tree in self.trees.items():
            if tree.value["pack"].value == pack:
                _, place = tree.find(path)
                return PackError(file, place.line, place.column, message, expected)
        raise KeyError(pack)


def read_rulebook(files: Mapping[str, str]) -> Rulebook:
    """Read packs.

    Args:
        files: file name → YAML text. `rulebook.yaml` holds the version and the deployment's own settings,
            `policy.yaml` the contact policy, every other file is a pack.

    Raises:
        RulebookError: with every error of every pack.
    """
    reader = _Reader()
    for file in sorted(files):
        if PurePath(file).name == MANIFEST:
            reader.read_manifest(file, files[file])
        elif PurePath(file).name == POLICY:
            reader.read_policy(file, files[file])
        else:
            reader.read_pack(file, files[file])
    if len(files) > MAX_FILES:
        reader.errors.append(PackError(min(files), 1, 1, f"{len(files)} files", f"at most {MAX_FILES}"))
    packs = reader.check()
    if not packs and not reader.errors:
        reader.errors.append(
            PackError(next(iter(files), "rules"), 1, 1, "there is no pack", "a file `<pack>.yaml`")
        )
    if reader.errors:
        raise RulebookError(reader.errors)
    return Rulebook(
        reader.manifest.version, digest_of(packs, reader.policy), packs, dict(files), reader.trees, reader.policy
    )


class _Reader:
    def __init__(self) -> None:
        self.errors: list[PackError] = []
        self.trees: dict[str, Tree] = {}
        self.policy: Policy | None = None
        self._policy_at: tuple[str, Tree] | None = None
        self.manifest = _NO_MANIFEST
        self._manifest_at: tuple[str, Tree] | None = None
        self._packs: dict[str, Pack] = {}
        self._files: dict[str, str] = {}
        self._broken: set[str] = {UNREADABLE}
        self._unread: set[str] = set()
        self._wrong: dict[str, tuple[Mapping[str, Any], list[Path]]] = {}

    def _tree(self, file: str, text: str) -> Tree | None:
        tree = read_tree(text)
        problems = (tree,) if isinstance(tree, YamlProblem) else tree.problems
        for problem in problems:
            place = problem.place
            self.errors.append(PackError(file, place.line, place.column, problem.message, problem.expected))
        return None if isinstance(tree, YamlProblem) else tree

    def read_manifest(self, file: str, text: str) -> None:
        tree = self._only(file, text, self._manifest_at, "the version", "one rulebook.yaml")
        if tree is not None:
            self._manifest_at = (file, tree)
            manifest = self._validated(file, tree, Manifest, lambda path: Manifest)
            self.manifest = self.manifest if manifest is None else manifest

    def read_policy(self, file: str, text: str) -> None:
        tree = self._only(file, text, self._policy_at, "the contact policy", "one policy")
        if tree is not None:
            self._policy_at = (file, tree)
            self.policy = self._validated(file, tree, Policy, policy_model_at)

    def _only(self, file: str, text: str, first: tuple[str, Tree] | None, what: str, expected: str) -> Tree | None:
        """The tree of a file of which there may be one."""
        tree = self._tree(file, text)
        if tree is None or first is None:
            return tree
        message = f"{first[0]} holds {what} too"
        self.errors.append(PackError(file, tree.place.line, tree.place.column, message, expected))
        return None

    def _validated(
        self, file: str, tree: Tree, model: type[_Model], model_of: Callable[[Path], type[PackModel]]
    ) -> _Model | None:
        try:
            return model.model_validate(tree.plain())
        except ValidationError as error:
            details = error.errors(include_url=False)
            self.errors += [shape_error(file, tree, detail, model_of) for detail in details]
            return None

    def read_pack(self, file: str, text: str) -> None:
        tree = self._tree(file, text)
        if tree is None:
            return
        raw = tree.plain()
        pack, locs = self._validate(file, tree, raw)
        self._note_broken(raw, locs, pack)
        if pack is None:
            return
        if pack.pack in self._packs:
            place = tree.value["pack"].place
            other = self._files[pack.pack]
            self.errors.append(
                PackError(
                    file, place.line, place.column, f"`{pack.pack}` is the pack of {other} too", "another name"
                )
            )
            return
        self.trees[file] = tree
        self._packs[pack.pack] = pack
        self._files[pack.pack] = file
        self._wrong[pack.pack] = raw, locs

    def _note_broken(self, raw: Mapping[str, Any], locs: list[Path], pack: Pack | None) -> None:
        """Names that are meant and cannot be read, so that nobody is told that they do not exist."""
        name = raw.get("pack") if pack is None else pack.pack
        for section, *rest in locs:
            held = raw.get(str(section))
            names = rest[:1] or (list(held) if isinstance(held, dict) else [])
            if section in {"features", "rules"}:
                self._broken |= {f"{name}.{entry}" if section == "features" else str(entry) for entry in names}
        if pack is None:
            self._unread.add(str(name))
            self._broken |= {str(rule) for rule in raw.get("rules") or () if isinstance(raw.get("rules"), dict)}

    def _validate(self, file: str, tree: Tree, raw: dict[str, Any]) -> tuple[Pack | None, list[Path]]:
        """The pack, or what is left of it without what is wrong, and where that is."""
        try:
            return Pack.model_validate(raw), []
        except ValidationError as error:
            details = error.errors(include_url=False)
        self.errors += [shape_error(file, tree, detail) for detail in details]
        locs = [tuple(detail["loc"]) for detail in details]
        try:
            return Pack.model_validate(remaining(raw, locs, f"unnamed-{len(self._packs)}")), locs
        except ValidationError:
            return None, locs

    def _override(self) -> None:
        """Put the deployment's settings where the packs' own are."""
        if self._manifest_at is None:
            return
        file, tree = self._manifest_at
        given = self.manifest.settings
        problems = list(unknown_packs(given, {*self._packs, *self._unread}))
        for name in given.keys() & self._packs.keys():
            wrong = [loc[1:] for loc in self._wrong[name][1] if loc[0] == "settings"]
            if () in wrong:
                continue
            self._packs[name], found = override(self._packs[name], given[name], {str(loc[0]) for loc in wrong})
            problems += found
        self.errors += [placed(file, tree, problem) for problem in problems]

    def check(self) -> tuple[Pack, ...]:
        """The packs by name, all that is wrong with them being noted."""
        self._override()
        self._check_unique()
        packs: dict[str, Pack] = {}
        for name in sorted(self._packs):
            packs[name], problems = resolve_cuts(self._packs[name])
            self.errors += [self._placed(name, problem) for problem in problems]
        table = NameTable(packs, frozenset(self._broken))
        for name, checked in packs.items():
            found = [*check_pack(checked, table), *check_wrong_entries(*self._wrong[name], checked, table)]
            self.errors += [self._placed(name, problem) for problem in found]
        self.errors += [self._placed(name, problem) for name, problem in find_cycles(table)]
        self._check_policy()
        return tuple(packs.values())

    def _check_policy(self) -> None:
        """A cap on a family that nothing offers would hold back nothing."""
        if self.policy is None or self.policy.caps is None or self._policy_at is None:
            return
        offered = {family for pack in self._packs.values() for family in families(pack)}
        file, tree = self._policy_at
        for family in self.policy.caps.family:
            if family and family not in offered:
                _, place = tree.find(("caps", "family", family))
                message = f"no rule offers the family `{family}`"
                expected, near = "a family of an offer", nearest(family, offered)
                self.errors.append(PackError(file, place.line, place.column, message, expected, near))

    def _check_unique(self) -> None:
        count = Counter(rule for pack in self._packs.values() for rule in pack.rules)
        for name, pack in self._packs.items():
            for rule in pack.rules:
                if count[rule] > 1:
                    others = ", ".join(p for p, other in self._packs.items() if rule in other.rules and p != name)
                    error = ExpressionError(f"rule `{rule}` stands in pack {others} too", 0, "a name of its own")
                    self.errors.append(self._placed(name, Problem(("rules", rule), error)))

    def _placed(self, pack: str, problem: Problem) -> PackError:
        file = self._files[pack]
        return placed(file, self.trees[file], problem)


def families(pack: Pack) -> Iterator[str]:
    """The families of a pack's offers."""
    for rule in pack.rules.values():
        for offer in (rule.offer, *getattr(rule, "offers", {}).values()):
            if offer is not None:
                yield offer.family
