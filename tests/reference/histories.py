"""Made-up journals: money, app events, profiles, approvals, feedback; in and out of order, repeated, late."""

from collections.abc import Sequence
from datetime import date
from hashlib import blake2b
from typing import Any

from builders import activation, app, feedback, money, profile, tick

from schemas.journal import Approval, Card, Holding, JournalRecord, Source, hash_event

MINUTE = 60_000
DAY = 1440
GAPS = (0, 0, 1, 10, 29, 30, 40, 45, 60, 90, 120, 240, 700, DAY, DAY, 2 * DAY)
SHORT_GAPS = (0, 10, 20, 30, 40, 40, 60, DAY)
YEAR_GAPS = (0, DAY, 91 * DAY, 364 * DAY, 365 * DAY, 365 * DAY, 366 * DAY)
CROWDED_GAPS = (0, 0, 0, 1, 1, 1, 2, 5)
LONG_GAPS = (10, 600, DAY, 3 * DAY, 9 * DAY, 28 * DAY, 30 * DAY)
DELAYS = (0, 0, 0, 0, 5, 40, 600, DAY, 2 * DAY, 4 * DAY)
AMOUNTS = ("100", "-100", "1000", "-1000", "2500", "-2400", "6000", "33.33", "-0.01", "500")
# Of which a crowd takes no inflow away at once.
SMALL_AMOUNTS = ("10", "-15", "-20", "25", "-5", "-10", "12.5", "-7.5", "1000", "-1000")
# What of a crowd is added to what else may come, and how often the account of the first is.
CROWDS = (["money"] * 100, ["app"] * 100, ["money", "app"] * 50)
CROWDED_ACCOUNTS = 30
MORE_STEPS = {"checked": ["rare"] * 3, "watched": ["money"] * 3, "years": ["money"] * 9}
STEPS = {"crowded": (80, 161), "years": (4, 13)}
ACCOUNTS = (("current", "A"), ("current", "A"), ("current", "B"), ("wealth", "W"), ("term", "T"), ("loan", "L"))
TOPICS = ("bank.transactions", "bank.app-events")


def made_up_journal(
    choose: Any, digests: Sequence[str], start_ms: int, theme: str
) -> tuple[list[JournalRecord], int]:
    """A journal that begins with the first rulebook, and when everything in it is over.

    One of the theme `crowded` has 80 to 160 steps, most within hours, and most of one kind, customer and account.
    """
    maker = _Maker(choose, start_ms, theme)
    journal: list[JournalRecord] = [activation(digests[0])]
    if choose.one([True, True, False]):
        journal += maker.time(0)
    waiting = list(digests[1:])
    steps = choose.one(range(*STEPS.get(theme, (2, 26))))
    for step in range(steps):
        maker.minute += maker.gap()
        journal += maker.step(step)
        if waiting and choose.one([False, False, False, True]):
            journal += maker.time(0)
            journal.append(activation(waiting.pop(0), choose.one([None, None, maker.now_ms + 30 * MINUTE])))
    journal += maker.time(0)
    journal += [activation(digest) for digest in waiting]
    maker.minute += choose.one([1, 41, DAY + 7, 3 * DAY, 40 * DAY])
    return [*journal, *maker.time(0)], maker.now_ms


class _Maker:
    def __init__(self, choose: Any, start_ms: int, theme: str) -> None:
        self._choose, self._start_ms, self._theme = choose, start_ms, theme
        self._crowd = choose.one(CROWDS) if theme == "crowded" else []
        self._amounts = choose.one([AMOUNTS, SMALL_AMOUNTS]) if self._crowd else AMOUNTS
        self.minute = 0
        self._made: list[JournalRecord] = []
        self._recorded = choose.one([False, True])

    @property
    def now_ms(self) -> int:
        return self._start_ms + self.minute * MINUTE

    def gap(self) -> int:
        """Minutes to the next step."""
        one = self._choose.one
        if self._crowd and one([*[True] * 29, False]):
            return int(one(CROWDED_GAPS))
        gaps = {"long": LONG_GAPS, "watched": SHORT_GAPS, "years": YEAR_GAPS}.get(self._theme, GAPS)
        is_plain = bool(self._crowd) or (self._theme != "years" and one([True, False]))
        return int(one(GAPS if is_plain else gaps))

    def time(self, back: int) -> list[JournalRecord]:
        when = self.now_ms - back * MINUTE
        return [tick(when, topic, recorded=self._recorded) for topic in TOPICS]

    def step(self, number: int) -> list[JournalRecord]:
        one = self._choose.one
        more = MORE_STEPS.get(self._theme, self._crowd)
        what = one(["money"] * 3 + ["app"] * 3 + ["tick"] * 2 + ["profile", "rare", "again", *more])
        if what == "tick":
            both = self.time(one([0, 0, 0, 30, DAY]))
            return both if one([True, True, False]) else both[:1]
        if what == "again" and self._made:
            return [one(self._made)]
        when = self.now_ms - one(DELAYS) * MINUTE
        # Ids that do not sort as they were made.
        event_id = f"e{number * 7 % 10}{number}"
        customer = one(["C1"] * (30 if self._crowd else 3) + ["C2"])
        record = getattr(self, f"_{what if what in ('money', 'app', 'profile') else 'rare'}")(
            when, event_id, customer
        )
        self._made.append(record)
        return [record]

    def _money(self, when: int, event_id: str, customer: str) -> JournalRecord:
        one = self._choose.one
        accounts = (ACCOUNTS[0],) * CROWDED_ACCOUNTS + ACCOUNTS if self._crowd else ACCOUNTS
        account_type, account = one(accounts)
        matures = one([None, None, 0, 1, 3, 20])
        return money(
            when, one(self._amounts), event_id, customer=customer, account=account, account_type=account_type,
            after=one([*[None] * (100 if self._crowd else 3), 0, 250, 5000]), own=one([False, False, True]),
            kind=one(["other", "salary", "salary", "card"]), channel=one([None, "atm"]),
            matures_day=None if matures is None else self._day(matures),
        )  # fmt: skip

    def _app(self, when: int, event_id: str, customer: str) -> JournalRecord:
        one = self._choose.one
        return app(
            when, event_id, customer=customer, action=one(["view", "view", "click", "purchase"]),
            product=one(["P1", "P1", "P2", None]), category=one(["wealth", None]), dwell_ms=one([None, 50, 500]),
        )  # fmt: skip

    def _profile(self, when: int, event_id: str, customer: str) -> JournalRecord:
        one = self._choose.one
        cards = [Card(card_id="1", kind="debit", grade=one([None, "gold"]), expires_day=self._day(one([0, 2, 5])))]
        cards += [Card(card_id="2", kind="credit", grade="gold", opened_day=self._day(-366))]
        holdings = [Holding(product_id="H", family="f", amount_fen=one([None, 50_000]), matures_day=self._day(1))]
        holdings += [Holding(product_id="I", family="g", amount_fen=1, matures_day=self._day(-1))]
        return profile(
            when, event_id, customer=customer, gender=one([None, "f", "m"]), labels=one([(), ("vip",)]),
            birth_date=one([None, self._day(-11_000), self._day(-10_957 + 1), date(1996, 2, 29).toordinal()]),
            children_birth_dates=one([(), (self._day(-18 * 365 - 3),)]), owner_id=one([None, "RM1"]),
            household_income_fen=one([None, 100_000, 100_001]), cards=tuple(one([(), cards, cards[1:]])),
            holdings=tuple(one([(), holdings])),
        )  # fmt: skip

    def _rare(self, when: int, event_id: str, customer: str) -> JournalRecord:
        one = self._choose.one
        rule = one(["r0", "r1", "r2"])
        if one([True, False, False]):
            return feedback(when, event_id, tag_id(rule, customer, one([1, 2])), one(["converted", "clicked"]),
                            customer=customer)  # fmt: skip
        return Approval(
            customer_id=customer, source=Source("bank.approvals", 0, -1), event_id=event_id,
            event_hash=hash_event("bank.approvals", event_id), occurred_ms=when,
            subject=one([rule, "p", "p", "else"]), maker="m", checker="c",
            grade=one(["mid", "high", "high"]), decision=one(["approve", "approve", "reject"]),
        )  # fmt: skip

    def _day(self, ahead: int) -> int:
        return date.fromtimestamp(self.now_ms / 1000 + 8 * 3600).toordinal() + ahead


def tag_id(rule: str, customer: str, number: int) -> str:
    named = f"{rule}\0{customer}\0{number}"
    return f"{rule}.{blake2b(named.encode(), digest_size=10).hexdigest()}"
