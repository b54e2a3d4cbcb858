"""What the contact policy keeps of a customer: bounded as `rules check` says, and shown in the view."""

import msgspec
from builders import activation, app, at, profile, ticks
from driver import CORE, run

from schemas.bankday import BankCalendar
from schemas.journal import Consent
from tagger.lint.state_bounds import state_bounds
from tagger.packs.rulebook import read_rulebook
from tagger.state.contacts import Contacts
from tagger.view import project_customer

RULE = "  r{n}: {{when: f > {n}, need: n{n}, offer: {{family: f{n}, priority: {n}}}}}\n"
PACK = "pack: p\nfeatures: {f: {count: app_events, over: 60d}}\nrules:\n" + "".join(
    RULE.format(n=n) for n in range(9)
)
POLICY = """
consent: true
quiet_hours: {from: 21:00, to: 09:00}
caps: {push: {per_week: 4}, family: {per_day: 1}}
arbitrate: {within: 100d}
"""


def test_what_is_kept_stays_below_the_bound_that_is_told() -> None:
    views = [app(f"2026-03-{2 + n // 3:02} {10 + n % 3}:00", f"e{n}") for n in range(12)]
    records = [
        activation("r"),
        *ticks("2026-03-02 08:00"),
        profile("2026-03-01 00:00", "p", consent=Consent(push=True)),
    ]
    result = run([*records, *views], {"r": f"{PACK}---\n{POLICY}"})
    contacts = result.state().contacts
    assert contacts is not None
    assert len(contacts.needs) == 4
    assert len(contacts.counts) == 5
    assert len(contacts.held) == 5
    bounds = {
        bound.name: bound.bytes for bound in state_bounds(read_rulebook({"p.yaml": PACK, "policy.yaml": POLICY}))
    }
    assert len(msgspec.msgpack.encode(contacts)) <= bounds["policy"]
    assert contacts == msgspec.msgpack.decode(msgspec.msgpack.encode(contacts), type=Contacts)


def test_counts_and_pushes_of_the_past_are_forgotten() -> None:
    policy = "consent: false\ncaps: {push: {per_day: 9}}\narbitrate: {within: 1h}"
    records = [activation("r"), *ticks("2026-03-02 08:00")]
    views = [app("2026-03-02 10:00", "e1"), app("2026-03-10 10:00", "e2")]
    contacts = run([*records, *views], {"r": f"{PACK}---\n{policy}"}).state().contacts
    assert contacts is not None
    assert contacts.counts == {"push": (1, 1)}
    assert contacts.needs == {"n1": (at("2026-03-10 10:00"), "r1")}


def test_the_view_says_what_holds_a_tag_now() -> None:
    policy = "consent: true\nquiet_hours: {from: 21:00, to: 09:00}"
    agreed = profile("2026-03-01 00:00", "p1", consent=Consent(push=True))
    records = [activation("r"), *ticks("2026-03-02 08:00"), agreed, app("2026-03-02 22:00", "e1")]
    night = run(records, {"r": f"{PACK}---\n{policy}"})
    (tag,) = project_customer("C1", night.customers["C1"], BankCalendar(CORE.zone)).tags.values()
    assert (tag.delivery.reason, tag.delivery.not_before) == ("quiet_hours", "2026-03-03T09:00:00+08:00")
    refused = profile("2026-03-03 08:00", "p2")
    morning = run([*records, refused, *ticks("2026-03-03 10:00")], {"r": f"{PACK}---\n{policy}"})
    (tag,) = project_customer("C1", morning.customers["C1"], BankCalendar(CORE.zone)).tags.values()
    assert (tag.revision, tag.delivery.reason, tag.delivery.not_before) == (1, "no_consent", None)
