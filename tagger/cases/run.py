"""Runs the cases that packs carry: events in, all tags out (docs/rulebook.md, "A pack and its cases").

A case is a journal of one customer: an activation, a first tick that leaves the clock far behind, the given
records in order. It runs under all packs of the folder, without policy, as live input (`clock: wall`) does.
"""

from dataclasses import dataclass, replace
from typing import Any

import msgspec

from schemas.bankday import BankCalendar
from schemas.convert import Rates, profile
from schemas.journal import (
    Activation,
    AppEvent,
    Approval,
    Feedback,
    JournalRecord,
    Profile,
    Source,
    Tick,
    Transaction,
    hash_event,
)
from schemas.packs.cases import (
    Case,
    GivenAppEvent,
    GivenApproval,
    GivenFeedback,
    GivenModel,
    GivenProfile,
    GivenTransaction,
)
from schemas.packs.pack import Pack
from schemas.topics import APP_EVENTS, APPROVALS, FEEDBACK, PROFILES, TRANSACTIONS
from tagger.cases.compare import feature_differences, tag_differences
from tagger.compiler.program import Program
from tagger.episodes import tag_id
from tagger.folding.partition import Partition
from tagger.packs.rulebook import Rulebook
from tagger.settings import CoreSettings
from tagger.state.customer import decode_state

CUSTOMER = "CASE"


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of one case; `message` says what was expected and what came where it failed."""

    pack: str
    it: str
    passed: bool
    message: str = ""


def run_cases(rulebook: Rulebook, core: CoreSettings) -> list[CaseResult]:
    """Run every case of every pack; the contact policy decides nothing in a case."""
    program = Program(replace(rulebook, policy=None), BankCalendar(core.zone))
    return [run_case(program, core, pack, case) for pack in rulebook.packs for case in pack.cases]


def run_case(program: Program, core: CoreSettings, pack: Pack, case: Case) -> CaseResult:
    """Run one case under all packs of its rulebook."""
    runner = _Runner(program, core)
    for given in case.given:
        runner.give(given)
    watched = set(pack.rules if case.rules is None else case.rules)
    tags = [tag for tag in runner.tags if tag["rule"] in watched]
    message = tag_differences(case.expect, tags, runner.calendar)
    if case.features and not message:
        values = runner.partition.measure(CUSTOMER, runner.now_ms)
        message = feature_differences(pack.pack, case.features, values)
    return CaseResult(pack.pack, case.it, not message, message)


class _Runner:
    def __init__(self, program: Program, core: CoreSettings) -> None:
        self.calendar = BankCalendar(core.zone)
        self._core = core
        self.partition = Partition(core, _nothing_published, programs={program.digest: program})
        self.tags: list[dict[str, Any]] = []
        self._offset = 0
        self._events = 0
        self.now_ms = 0
        self._fold(Activation(digest=program.digest))
        for topic in core.clock_topics:
            self._fold(Tick(topic=topic, partition=0, of=1, time_ms=None, recorded=False))

    def give(self, given: GivenModel) -> None:
        """Fold one line of a case."""
        at_ms = self.calendar.instant_ms(given.at)
        self.now_ms = max(self.now_ms, at_ms)
        if type(given) in _RECORDS:
            self._events += 1
            self._fold(_RECORDS[type(given)](self, given, at_ms))
            return
        for topic in self._core.clock_topics:
            self._fold(Tick(topic=topic, partition=0, of=1, time_ms=at_ms, recorded=False))

    def _fold(self, record: JournalRecord) -> None:
        batch = self.partition.batch()
        batch.fold(self._offset, record)
        changes = batch.finish()
        self.partition.merge(changes)
        self._offset += 1
        self.tags += [msgspec.json.decode(encoded) for _, encoded in changes.tags]

    def common(self, given: Any, topic: str, at_ms: int) -> dict[str, Any]:
        """What every event has; ids count up in the order given."""
        event_id = given.event_id or f"e{self._events}"
        return {
            "customer_id": CUSTOMER,
            "source": Source(topic, 0, -1),
            "event_id": event_id,
            "event_hash": hash_event(topic, event_id),
            "occurred_ms": at_ms,
        }

    def latest_tag(self, rule: str) -> str:
        """The id of a rule's latest episode."""
        encoded = self.partition.customers.get(CUSTOMER)
        rule_state = None if encoded is None else decode_state(encoded).rules.get(rule)
        return tag_id(rule, CUSTOMER, 1 if rule_state is None else max(rule_state.episodes, 1))


def _nothing_published(digest: str) -> dict[str, str]:
    raise LookupError(digest)


def _transaction(runner: _Runner, given: GivenTransaction, at_ms: int) -> JournalRecord:
    return Transaction(
        **runner.common(given, TRANSACTIONS, at_ms),
        account_id=given.account or given.account_type,
        account_type=given.account_type,
        direction=given.direction,
        amount_fen=given.amount_fen,
        currency=given.currency,
        balance_after_fen=given.balance_after_fen,
        kind=given.kind,
        channel=given.channel,
        product_id=given.product_id,
        product_family=given.product_family,
        matures_day=None if given.matures_on is None else given.matures_on.toordinal(),
        own_transfer=given.own_transfer,
    )


def _app_event(runner: _Runner, given: GivenAppEvent, at_ms: int) -> JournalRecord:
    return AppEvent(
        **runner.common(given, APP_EVENTS, at_ms),
        action=given.action,
        category=given.category,
        product_id=given.product_id,
        channel=given.channel,
        dwell_ms=given.dwell_ms,
    )


def _profile(runner: _Runner, given: GivenProfile, at_ms: int) -> JournalRecord:
    said = profile(given.profile.event(), Source(PROFILES, 0, -1), lambda event_id: 0, Rates({}))
    return Profile(**runner.common(given, PROFILES, at_ms), attributes=said.attributes)


def _approval(runner: _Runner, given: GivenApproval, at_ms: int) -> JournalRecord:
    approval = given.approval
    return Approval(
        **runner.common(given, APPROVALS, at_ms),
        subject=approval.subject,
        grade=approval.grade,
        maker=approval.maker,
        checker=approval.checker,
        decision=approval.decision,
    )


def _feedback(runner: _Runner, given: GivenFeedback, at_ms: int) -> JournalRecord:
    return Feedback(
        **runner.common(given, FEEDBACK, at_ms),
        tag_id=runner.latest_tag(given.feedback.rule),
        outcome=given.feedback.outcome,
    )


_RECORDS: dict[type[GivenModel], Any] = {
    GivenTransaction: _transaction,
    GivenAppEvent: _app_event,
    GivenProfile: _profile,
    GivenApproval: _approval,
    GivenFeedback: _feedback,
}
