"""CLV against figures of the papers and of `lifetimes` 0.11.3, and as a function of the language.

The figures of lifetimes: `BetaGeoFitter.conditional_expected_number_of_purchases_up_to_time`,
`GammaGammaFitter.conditional_expected_average_profit` and `.customer_lifetime_value(time=36, freq="D")` with the
monthly rate 1.1^(30/365) − 1, parameters as below.
"""

from datetime import date

import pytest
from builders import at, money, ticks
from driver import run

from tagger.values.clv import clv, expected_transactions, expected_value, refuses

BG = (0.2426, 30.92, 0.7928, 2.4259)
GG = (6.25, 3.74, 15.44)
OTHER_BG = (1.5, 60.0, 1.7, 3.1)
SETTINGS = "{r: 0.2426, alpha: 30.92, a: 0.7928, b: 2.4259, p: 6.25, q: 3.74, v: 15.44, discount: 0.1}"


def test_the_paper_s_customer_is_expected_1_226_times() -> None:
    # Fader, Hardie & Lee (2005): CDNOW in weeks, x = 2, t_x = 30.43, T = 38.86, the next 39 weeks.
    found = expected_transactions(39, 2, 30.43, 38.86, 0.243, 4.414, 0.793, 2.426)  # type: ignore[arg-type]
    assert found == pytest.approx(1.226, abs=5e-4)


@pytest.mark.parametrize(
    ("summary", "days", "expected"),
    [
        ((0, 0, 272), 30, 0.023672998770396577),
        ((0, 0, 272), 1095, 0.6264616887766479),
        ((2, 213, 272), 273, 1.226005363961721),
        ((1, 5, 30), 1095, 4.6996050750826335),
        ((7, 180, 181), 273, 6.292980483487871),
        ((26, 200, 266), 1095, 2.215937318099547),
        ((0, 0, 0), 1095, 2.7580896165260627),
        ((3, 30, 900), 273, 0.0007130551654587119),
    ],
)
def test_expected_transactions_are_those_of_lifetimes(
    summary: tuple[int, int, int], days: int, expected: float
) -> None:
    assert expected_transactions(days, *summary, *BG) == pytest.approx(expected, rel=1e-9)


def test_a_dropout_above_one_is_no_other_case() -> None:
    assert expected_transactions(273, 7, 180, 181, *OTHER_BG) == pytest.approx(4.626000113730149, rel=1e-9)


@pytest.mark.parametrize(
    ("x", "m", "expected"),
    [(0, 0.0, 35.21897810218978), (2, 30.0, 30.938320209973753), (7, 100.0, 96.18197461819746)],
)
def test_the_expected_value_is_drawn_towards_that_of_all(x: int, m: float, expected: float) -> None:
    assert expected_value(x, m, *GG) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("summary", "m_fen", "expected_fen"),
    [
        ((0, 0, 272), None, 1920),
        ((2, 213, 272), 3000, 9661),
        ((1, 5, 30), 1250, 8158),
        ((7, 180, 181), 10_000, 137_198),
        ((26, 200, 266), 5500, 10_707),
        ((0, 0, 0), None, 8672),
        ((3, 30, 900), 2000, 5),
    ],
)
def test_clv_is_that_of_lifetimes_to_the_fen(
    summary: tuple[int, int, int], m_fen: int | None, expected_fen: int
) -> None:
    assert clv(*summary, m_fen, *BG, *GG, 0.1, 1080) == expected_fen  # type: ignore[arg-type]


def test_a_customer_of_no_transaction_has_no_clv() -> None:
    assert clv(None, None, None, None, *BG, *GG, 0.1, 1095) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "expected"),
    [({}, None), ({"q": 1}, "`q` above 1"), ({"a": 1}, "`a` other than 1"), ({"alpha": 0}, "`alpha` above 0"),
     ({"discount": -1}, "`discount` as a share")],
)  # fmt: skip
def test_parameters_that_make_no_model_are_told(change: dict[str, float], expected: str | None) -> None:
    names = ("r", "alpha", "a", "b", "p", "q", "v", "discount")
    told = refuses(dict(zip(names, (*BG, *GG, 0.1), strict=True)) | change)
    assert told == expected or (expected is not None and told is not None and told.startswith(expected))


PACK = f"""
pack: p
settings: {{model: {SETTINGS}, years: 1080}}
features:
  bought: {{summary: transactions, where: 'kind == "purchase"'}}
  worth: {{expr: 'clv(bought, model, years)'}}
rules:
  valuable: {{when: 'worth >= 96.61'}}
  direct: {{when: 'clv(bought, model, years) > 50'}}
"""


def test_a_pack_asks_what_a_customer_is_worth() -> None:
    # 2, 213 and 272 days, and 30 yuan a day after the first.
    days = [
        ("2026-01-01 09:00", 500),
        ("2026-03-01 09:00", 12),
        ("2026-03-01 10:00", 18),
        ("2026-08-02 09:00", 30),
    ]
    records = [money(when, yuan, f"t{n}", kind="purchase") for n, (when, yuan) in enumerate(days)]
    values = run(records, PACK).measure(at("2026-09-30 12:00"))
    assert [values[f"p.bought.{part}"] for part in ("x", "t_x", "T", "m")] == ["2", "213", "272", "30.00"]
    assert values["p.worth"] == "96.61"


def test_a_rule_that_asks_is_asked_again_each_day() -> None:
    days = [date(2026, 1, 1), date(2026, 3, 1), date(2026, 4, 2)]
    records = [money(f"{day} 09:00", 31, f"t{n}", kind="purchase") for n, day in enumerate(days)]
    tags = run([*records, *ticks("2026-12-31 00:00:01")], PACK).told()
    expected, before = [], False
    for number in range(date(2026, 1, 1).toordinal(), date(2026, 12, 31).toordinal()):
        today = date.fromordinal(number)
        so_far = [day for day in days if day <= today]
        summary = (len(so_far) - 1, (so_far[-1] - so_far[0]).days, (today - so_far[0]).days)
        worth = clv(*summary, 3100, *BG, *GG, 0.1, 1080)  # type: ignore[arg-type]
        assert worth is not None
        if (worth >= 9661) is not before:
            before = not before
            expected.append((today.isoformat(), "opened" if before else "revoked"))
    assert len(expected) == 2
    assert [(tag["at"][:10], tag["change"]) for tag in tags if tag["rule"] == "valuable"] == expected
    direct = next(tag for tag in tags if tag["rule"] == "direct")
    assert list(direct["value"]) == ["bought.x", "bought.t_x", "bought.T", "bought.m"]


@pytest.mark.parametrize(("x", "t_x", "age"), [(0, 0, -200_000), (3, 50, 10), (400_000, 0, 110_000)])
def test_what_no_float_holds_and_what_is_yet_to_come_is_unknown(x: int, t_x: int, age: int) -> None:
    parameters = {"r": 0.243, "alpha": 4.4, "a": 0.793, "b": 2.426, "p": 6.25, "q": 3.74, "v": 15.4}
    assert clv(x=x, t_x=t_x, age=age, m=10**13, discount=0.1, days=1095, **parameters) is None
