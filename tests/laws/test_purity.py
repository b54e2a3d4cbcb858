"""Law: folding changes no committed byte, no hash seed matters, and a state is bounded."""

import os
import random
import subprocess
import sys
from hashlib import blake2b
from pathlib import Path

from builders import activation, app, at, feedback, money, profile, tick, ticks
from driver import CORE, Run, run
from journals import MINUTE, both, events
from rulebooks import CHANGED, RICH, WITHOUT

from schemas.journal import JournalRecord
from tagger.folding.partition import Partition
from tagger.state.customer import KEPT_DAYS, MAX_ACCOUNTS, MAX_EARLY, MAX_FLOWS, MAX_WATCHES
from tagger.state.dedupe import ENTRY_BYTES

START = at("2026-03-29 20:00")
DAY_MS = 86_400_000
PACKS = {"r1": RICH, "r2": CHANGED, "r3": WITHOUT}


def busy_journal(seed: int = 7, count: int = 400) -> list[JournalRecord]:
    """One of everything, many times over."""
    chance = random.Random(seed)
    records: list[JournalRecord] = [activation("r1"), *ticks(START)]
    for number in range(count):
        when = START + number * 13 * MINUTE + chance.randrange(0, 300) * MINUTE
        customer = f"C{chance.randrange(5)}"
        kind = chance.randrange(8)
        if kind < 3:
            yuan = chance.choice([-3000, -500, -10, 20, 700, 5000])
            records.append(money(when, yuan, f"t{number}", customer=customer, after=chance.choice([None, 900])))
        elif kind < 6:
            records.append(app(when, f"a{number}", customer=customer, product=chance.choice(["P", "Q"])))
        elif kind == 6:
            records.append(profile(when, f"p{number}", customer=customer, occupation=f"o{number % 3}"))
        else:
            records += both(when)
        if number in (150, 300):
            records.append(activation("r2" if number == 150 else "r3"))
    return records


def fingerprint(result: Run) -> str:
    digest = blake2b(result.meta)
    for key, value in [*result.customers.items(), *result.tags]:
        digest.update(key.encode() + b"\0" + value)
    return digest.hexdigest()


def test_hash_seeds_change_no_byte() -> None:
    root = Path(__file__).parents[2]
    code = (
        "import sys; sys.path[:0] = ['tests', 'tests/laws', '.']\n"
        "from test_purity import PACKS, busy_journal, fingerprint\n"
        "from driver import run\n"
        "print(fingerprint(run(busy_journal(), PACKS, cuts=range(0, 900, 31), restart=True)))\n"
    )
    prints = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert prints == {fingerprint(run(busy_journal(), PACKS)) + "\n"}


def test_a_batch_changes_no_committed_byte_and_can_be_thrown_away() -> None:
    records = busy_journal()
    base = run(records[:200], PACKS)
    partition = base.partition
    before = (dict(partition.customers), partition.meta.next_offset, base.meta)
    batch = partition.batch()
    for offset, record in enumerate(records[200:], 200):
        assert batch.fold(offset, record)
    changes = batch.finish()
    assert changes.tags
    assert (partition.customers, partition.meta.next_offset) == before[:2]
    assert partition.customers == base.customers
    # A partition restored from the changelog goes on as if that batch had never been.
    restored = Partition(CORE, partition._rulebooks, dict(base.customers), base.meta, partition._programs)
    again = restored.batch()
    for offset, record in enumerate(records[200:], 200):
        assert again.fold(offset, record)
    assert again.finish() == changes


def test_records_below_the_position_leave_no_trace() -> None:
    records = busy_journal(count=60)
    result = run(records, PACKS)
    batch = result.partition.batch()
    assert all(batch.fold(offset, record) for offset, record in enumerate(records))
    changes = batch.finish()
    assert (changes.customers, changes.tags, changes.meta) == ([], [], result.meta)


EVERYTHING = """
pack: p
features:
  days: {sum: amount, of: transactions, over: 62d}
  months: {sum: amount, of: transactions, over: 14mo}
  minutes: {count: transactions, over: 90m}
  seen: {top: product_id, of: app_events, over: 62d}
rules:
  in: {after: {event: transactions}, within: 60d, when: retained < 0 or days < 0 or months < 0}
  out: {when: minutes >= 1 and seen.count >= 1}
"""
LONGEST = 64


def written_bound() -> int:
    """What `tagger.state.customer` says a state may take, with these rules."""
    closings = 14 * (KEPT_DAYS + 1) * 5
    accounts = MAX_ACCOUNTS * (100 + LONGEST) + MAX_EARLY * 80
    watches = MAX_WATCHES * (LONGEST + 32)
    features = 62 * 14 + 15 * 14 + 64 * 14 + 32 * (2 * LONGEST + 20 + 62 * 8)
    return CORE.dedupe_count * ENTRY_BYTES + closings + accounts + MAX_FLOWS * 80 + watches + features + 1024


def test_a_state_is_bounded_however_much_happens() -> None:
    records: list[JournalRecord] = [*ticks("2020-01-01 00:00")]
    start = at("2020-01-01 00:00")
    types = ("current", "term", "wealth", "loan")
    # Early transactions of one account, none of which states a balance.
    records += [money(start, 1, f"{n:e>{LONGEST}}", account="E") for n in range(200)]
    for number in range(4000):
        when = start + number * 10 * 60 * MINUTE
        event_id, account = f"{number:x>{LONGEST}}", f"{number % 700:a>{LONGEST // 2}}"
        kind = types[number % 4]
        records.append(
            money(when, 10**6, event_id, account=account, account_type=kind, own=number % 3 == 0, after=5)
        )
        records.append(app(when, event_id, product=f"{number:p>{LONGEST}}"))
    records += [money(when, 1, f"burst{n}", account="E") for n in range(100)]
    result = run(records, EVERYTHING, cuts=range(0, 10_000, 500))
    size = len(result.customers["C1"])
    assert 20_000 < size < written_bound()
    state = result.state()
    assert len(state.accounts) == MAX_ACCOUNTS + 1
    assert (len(state.flows), len(state.rules["in"].watches)) == (MAX_FLOWS, MAX_WATCHES)
    assert len(state.seen) == CORE.dedupe_count * ENTRY_BYTES
    assert max(len(account.early) for account in state.accounts.values()) <= MAX_EARLY


def test_a_midnight_of_many_deadlines_is_bounded_per_batch() -> None:
    pack = "pack: p\nfeatures: {quiet: {days_since: app_events}}\nrules: {idle: {when: quiet >= 1}}\n"
    people = [app("2026-03-02 09:00", f"a{n}", customer=f"C{n:02d}") for n in range(23)]
    journal = [*ticks("2026-03-02 08:00"), *people, *ticks("2026-03-04 00:00:01")]
    whole = run(journal, pack)
    parts = run(journal, pack, cuts=None, max_customers=5, restart=True)
    assert (parts.tags, parts.customers, parts.meta) == (whole.tags, whole.customers, whole.meta)
    assert parts.batches - len(journal) - 2 == -(-23 // 5) - 1
    opened = [customer for customer, tag in whole.tags if b'"opened"' in tag]
    assert opened == [f"C{n:02d}" for n in range(23)]


def test_time_passes_for_a_quiet_customer() -> None:
    records = events([("app", 0, "P1", "C1"), ("money", 0, 100, "current", "C2")])
    result = run([*records, feedback(START, "f1", "nothing"), tick(START), *both(START + 9 * DAY_MS)], RICH)
    assert ("2026-03-31 00:00:00", "opened", "dormant") in result.brief("C2")
