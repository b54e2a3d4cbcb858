"""Packs → compiled rules and features, each after those whose level, episode or value it reads."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from schemas.bankday import BankCalendar
from schemas.packs.pack import Pack
from schemas.packs.rules import GradedRule as GradedModel
from schemas.packs.rules import LeveledRule, RuleModel
from schemas.packs.rules import SignalRule as SignalModel
from schemas.tags import Offer
from tagger.compiler.gradings import compile_grading
from tagger.expr.compile import compile_expression
from tagger.expr.parse import referenced_names
from tagger.expr.scope import Name, Scope, Type
from tagger.expr.turns import day_turns
from tagger.features.bits import BALANCES, FeatureBits
from tagger.features.build import PackScope, RuleLevels, build_feature
from tagger.features.contract import RETAINED, Feature
from tagger.features.filters import compile_filter
from tagger.features.lookups import ActiveRule, Derived, LevelOf
from tagger.kinds.approvals import ApprovedRule
from tagger.kinds.contract import EventPattern, Measure, Rule, RuleTerms
from tagger.kinds.grades import GradedRule
from tagger.kinds.signal import SignalRule
from tagger.packs.check import rule_expressions
from tagger.printing import Print, printer


@dataclass(frozen=True, slots=True)
class Compiled:
    """What packs come to.

    Attributes:
        rules: all rules, a rule after those whose level or episode it reads.
        features: all features by `pack.feature`, in the packs' order.
        printers: how to print each feature, one a part.
        bits: the bits that `RuleTerms.depends` is made of.
    """

    rules: tuple[Rule, ...]
    features: dict[str, Feature]
    printers: dict[str, list[Print]]
    bits: FeatureBits


def compile_packs(packs: Sequence[Pack], calendar: BankCalendar) -> Compiled:
    """Compile checked packs.

    Raises:
        ValueError: rules read each other in a circle, or two features share a hash.
    """
    return _Compiler(packs, calendar).compile()


class _Compiler:
    def __init__(self, packs: Sequence[Pack], calendar: BankCalendar) -> None:
        self._packs, self._calendar = packs, calendar
        self._feature_bits = FeatureBits()
        self._levels: dict[str, RuleLevels] = {}
        self._depends: dict[str, int] = {}
        self._sources: dict[str, frozenset[str]] = {}

    def compile(self) -> Compiled:
        scopes = {
            pack.pack: PackScope(pack.pack, pack.settings, self._calendar, self._levels) for pack in self._packs
        }
        rules: dict[str, Rule] = {}
        waiting = [(pack, name, rule) for pack in self._packs for name, rule in pack.rules.items()]
        pending = [(pack, name, model) for pack in self._packs for name, model in pack.features.items()]
        owners = {name: pack.pack for pack, name, _ in waiting}
        while waiting or pending:
            built = [item for item in pending if self._is_ready(item, scopes, rules)]
            for pack, name, model in built:
                build_feature(scopes[pack.pack], name, model)
            pending = [item for item in pending if item not in built]
            unbuilt = {pack.pack for pack, _, _ in pending}
            ready = [item for item in waiting if item[0].pack not in unbuilt or self._reads_built(item, pending)]
            if not built and not ready:
                raise ValueError(f"rules that read each other in a circle: {sorted(owners)}")
            for pack, name, rule in ready:
                rules[name] = self._rule(scopes[pack.pack], name, rule)
            waiting = [item for item in waiting if item not in ready]
        features: dict[str, Feature] = {}
        printers: dict[str, list[Print]] = {}
        for pack in self._packs:
            names = scopes[pack.pack].names
            for name, feature in scopes[pack.pack].features.items():
                features[f"{pack.pack}.{name}"] = feature
                parts = [f"{name}.{part}" for part in feature.parts] or [name]
                printers[f"{pack.pack}.{name}"] = [printer(names[part].type) for part in parts]
        return Compiled(tuple(rules.values()), features, printers, self._feature_bits)

    def _is_ready(
        self, item: tuple[Pack, str, Any], scopes: Mapping[str, PackScope], rules: Mapping[str, Rule]
    ) -> bool:
        pack, _, model = item
        if model.verb in ("level", "active"):
            return model.rule in rules
        if model.verb == "expr":
            own = {name.split(".")[0] for name in referenced_names(model.text)} & set(pack.features)
            return own <= set(scopes[pack.pack].features)
        return True

    def _reads_built(self, item: tuple[Pack, str, RuleModel], pending: Sequence[tuple[Pack, str, Any]]) -> bool:
        pack, _, rule = item
        unbuilt = {name for other, name, _ in pending if other.pack == pack.pack}
        texts = [*rule_expressions(rule), *([rule.refresh] if rule.refresh else [])]
        read = {name.split(".")[0] for text in texts for name in referenced_names(text)}
        return not read & unbuilt

    def _rule(self, scope: PackScope, name: str, model: RuleModel) -> Rule:
        if isinstance(model, GradedModel):
            return self._graded(scope, name, model)
        assert isinstance(model, SignalModel)
        return self._signal(scope, name, model)

    def _signal(self, scope: PackScope, name: str, model: SignalModel) -> SignalRule:
        features, reading = scope.reading(*rule_expressions(model), model.refresh)
        if model.after is not None:
            reading = _with_retained(reading)
        when = compile_expression(model.when, reading, Type.BOOLEAN)
        until = None if model.until is None else compile_expression(model.until, reading, Type.BOOLEAN)
        after = None if model.after is None else self._pattern(scope, model.after)
        expressions = [when, *([until] if until else [])]
        reads_retained = any("retained" in expression.reads for expression in expressions)
        terms = self._terms(scope, name, model, features, reading, expressions, after)
        if reads_retained:
            terms = replace(terms, reads=terms.reads | BALANCES, depends=terms.depends | BALANCES)
            self._depends[name] = terms.depends
        return SignalRule(
            terms=terms,
            when=when,
            until=until,
            after=after,
            within_ms=model.within_ms or 0,
            reads_retained=reads_retained,
        )

    def _graded(self, scope: PackScope, name: str, model: GradedModel) -> GradedRule:
        features, reading = scope.reading(*rule_expressions(model), model.refresh)
        grading, expressions, self._levels[name] = compile_grading(model, reading)
        terms = self._terms(scope, name, model, features, reading, expressions, None)
        silent = frozenset(model.silent)
        approval = model.approval if isinstance(model, LeveledRule) else None
        if approval is None:
            return GradedRule(terms, model.level_names, grading, silent)
        first = model.level_names.index(approval.from_)
        return ApprovedRule(terms, model.level_names, grading, silent, first)

    def _pattern(self, scope: PackScope, model: Any) -> EventPattern:
        return EventPattern(model.event, compile_filter(model.event, model.where, scope.settings, self._calendar))

    def _terms(
        self,
        scope: PackScope,
        name: str,
        model: Any,
        features: tuple[Feature, ...],
        reading: Scope,
        expressions: Sequence[Any],
        after: EventPattern | None,
    ) -> RuleTerms:
        converts = converts_when = None
        if model.converts is not None and model.converts.event is not None:
            converts = self._pattern(scope, model.converts)
        elif model.converts is not None:
            converts_when = compile_expression(model.converts.when, reading, Type.BOOLEAN)
            expressions = [*expressions, converts_when]
        names = dict.fromkeys(
            read for expression in expressions for read in expression.reads if read != "retained"
        )
        if model.refresh is not None:
            names.setdefault(model.refresh)
        self._depends[name] = self._bits(features, self._depends)
        self._sources[name] = self._needed_sources(features, after, converts)
        return RuleTerms(
            name=name,
            pack=scope.pack,
            features=features,
            measures=tuple(_measure(scope, read) for read in names),
            shadow=model.mode == "shadow",
            valid=(
                _instant(model.valid and model.valid.from_, scope),
                _instant(model.valid and model.valid.to, scope),
            ),
            for_ms=model.for_ms or 0,
            expires_ms=model.expires_ms,
            cooldown_ms=model.cooldown_ms or 0,
            refresh=None if model.refresh is None else list(names).index(model.refresh),
            converts=converts,
            converts_when=converts_when,
            need=model.need,
            needs=model.needs,
            offers=_offers(model),
            sources=self._sources[name],
            reads=self._bits(features, {}),
            depends=self._depends[name],
            turns=day_turns(expression.tree for expression in expressions),
        )

    def _bits(self, features: Iterable[Feature], of_rules: Mapping[str, int]) -> int:
        """The bits of features, and those that the rules have whose level or episode is among them."""
        bits = 0
        for feature in features:
            if isinstance(feature, Derived):
                bits |= self._bits(feature.features, of_rules)
            elif isinstance(feature, LevelOf | ActiveRule):
                bits |= of_rules.get(feature.rule, 0)
            else:
                bits |= self._feature_bits.of(feature)
        return bits

    def _needed_sources(
        self, features: Iterable[Feature], after: EventPattern | None, converts: EventPattern | None
    ) -> frozenset[str]:
        sources = {"feedback", "approvals"}
        sources |= {pattern.source for pattern in (after, converts) if pattern is not None}
        for feature in features:
            if isinstance(feature, Derived):
                sources |= self._needed_sources(feature.features, None, None)
            elif isinstance(feature, LevelOf | ActiveRule):
                sources |= self._sources[feature.rule]
        return frozenset(sources)


def _with_retained(reading: Scope) -> Scope:
    retained = Name(Type.NUMBER, True, f"env[{RETAINED}]")
    return replace(reading, names={**reading.names, "retained": retained})


def _measure(scope: PackScope, read: str) -> Measure:
    known = scope.names[read]
    return Measure(read, known.feature, known.part, printer(known.type))


def _instant(moment: datetime | None, scope: PackScope) -> int | None:
    return None if moment is None else scope.calendar.instant_ms(moment)


def _offers(model: Any) -> dict[str | None, Offer]:
    offers: dict[str | None, Offer] = {}
    if model.offer is not None:
        offers[None] = _offer(model.offer)
    for level, offer in getattr(model, "offers", {}).items():
        offers[level] = _offer(offer)
    return offers


def _offer(model: Any) -> Offer:
    return Offer(
        family=model.family,
        also=tuple(model.also),
        channel=model.channel,
        priority=model.priority,
        policy=model.policy,
    )
