"""Fitting CLV parameters: the likelihoods are those of the models, and the fit is where they are greatest."""

import math
from random import Random

import pytest

from tools.fit_clv import (
    Spending,
    Summary,
    bg_nbd_log_likelihood,
    fit_bg_nbd,
    fit_gamma_gamma,
    gamma_gamma_log_likelihood,
    minimise,
    read_summaries,
)

BG = (0.8, 12.0, 1.2, 3.1)
GG = (3.0, 4.0, 30.0)


def integral(density: object, low: float, high: float, steps: int) -> float:
    """By the midpoints."""
    width = (high - low) / steps
    return math.fsum(density(low + (i + 0.5) * width) for i in range(steps)) * width  # type: ignore[operator]


@pytest.mark.parametrize("summary", [(0, 0, 30), (1, 4, 30), (3, 20, 21), (2, 40, 40)])
def test_the_likelihood_of_a_purchase_history_is_the_model_s_integral(summary: Summary) -> None:
    """A customer buys at a rate from a gamma and after each purchase is gone with a chance from a beta."""
    x, t_x, age = summary
    r, alpha, a, b = BG

    def rate_density(rate: float) -> float:
        return alpha**r * rate ** (r - 1) * math.exp(-alpha * rate) / math.gamma(r)

    def gone_density(gone: float) -> float:
        return gone ** (a - 1) * (1 - gone) ** (b - 1) * math.gamma(a + b) / math.gamma(a) / math.gamma(b)

    # Rate and chance are independent: a sum of products of integrals. rate = u² tames the pole at 0.
    def over_rates(until: float) -> float:
        return integral(
            lambda u: (u * u) ** x * math.exp(-u * u * until) * rate_density(u * u) * 2 * u, 0, 1.8, 20_000
        )

    stays = integral(lambda gone: (1 - gone) ** x * gone_density(gone), 0, 1, 20_000)
    likelihood = stays * over_rates(age)
    if x > 0:
        leaves = integral(lambda gone: gone * (1 - gone) ** (x - 1) * gone_density(gone), 0, 1, 20_000)
        likelihood += leaves * over_rates(t_x)
    assert bg_nbd_log_likelihood(summary, *BG) == pytest.approx(math.log(likelihood), abs=1e-4)


def test_the_likelihood_of_a_mean_is_the_model_s_integral() -> None:
    """The mean of x purchases is gamma with shape p·x and rate ν·x, and ν is gamma with shape q and rate v."""
    (x, m), (p, q, v) = (3, 14.5), GG

    def joint(nu: float) -> float:
        mean = (nu * x) ** (p * x) * m ** (p * x - 1) * math.exp(-nu * x * m) / math.gamma(p * x)
        return mean * v**q * nu ** (q - 1) * math.exp(-v * nu) / math.gamma(q)

    density = integral(joint, 0, 3, 20_000)
    assert gamma_gamma_log_likelihood((x, m), *GG) == pytest.approx(math.log(density), abs=1e-6)


def made_up(customers: int) -> tuple[list[Summary], list[Spending]]:
    """Customers who live as the two models say, in whole days."""
    random, (r, alpha, a, b), (p, q, v) = Random(7), BG, GG
    summaries, spendings = [], []
    for _ in range(customers):
        rate, gone = random.gammavariate(r, 1 / alpha), random.betavariate(a, b)
        age = random.randrange(200, 400)
        time = random.expovariate(rate)
        bought = 0.0
        x = 0
        while time < age:
            x, bought = x + 1, time
            if random.random() < gone:
                break
            time += random.expovariate(rate)
        summaries.append((x, round(bought), age))
        if x:
            nu = random.gammavariate(q, 1 / v)
            spendings.append((x, random.gammavariate(p * x, 1 / (nu * x))))
    return summaries, spendings


def test_a_fit_comes_near_what_the_customers_were_made_with() -> None:
    summaries, spendings = made_up(1500)
    assert fit_bg_nbd(summaries) == pytest.approx(BG, rel=0.3)
    assert fit_gamma_gamma(spendings) == pytest.approx(GG, rel=0.3)


def test_no_small_step_from_a_fit_is_likelier() -> None:
    summaries, spendings = made_up(300)
    for fitted, data, likelihood in (
        (fit_bg_nbd(summaries), summaries, bg_nbd_log_likelihood),
        (fit_gamma_gamma(spendings), spendings, gamma_gamma_log_likelihood),
    ):
        best = math.fsum(likelihood(one, *fitted) for one in data)  # type: ignore[arg-type]
        for place in range(len(fitted)):
            for factor in (0.98, 1.02):
                moved = [value * (factor if i == place else 1) for i, value in enumerate(fitted)]
                assert math.fsum(likelihood(one, *moved) for one in data) < best  # type: ignore[arg-type]


def test_the_search_finds_the_bottom_of_a_curved_valley() -> None:
    found = minimise(lambda at: (1 - at[0]) ** 2 + 100 * (at[1] - at[0] ** 2) ** 2, (-1.2, 1.0))
    assert found == pytest.approx((1, 1), abs=1e-3)


def test_summaries_are_read_as_tagger_features_writes_them() -> None:
    head = ["customer_id", "clv.came_in.x", "clv.came_in.t_x", "clv.came_in.T", "clv.came_in.m"]
    rows = [("C1", "2", "31", "60", "120.50"), ("C2", "0", "0", "9", ""), ("C3", "", "", "", "")]
    read = read_summaries((dict(zip(head, row, strict=True)) for row in rows), "clv.came_in")
    assert read == ([(2, 31, 60), (0, 0, 9)], [(2, 120.5)])
    with pytest.raises(ValueError, match=r"expected a summary clv\.nosuch among the columns, got customer_id"):
        read_summaries([dict(zip(head, rows[0], strict=True))], "clv.nosuch")


def test_a_penalty_keeps_the_dropout_finite_where_nobody_drops_out() -> None:
    steady = [(age // 30, age - 1, age) for age in range(60, 360)]
    _, _, a, b = fit_bg_nbd(steady, penalty=1e-4)
    assert 0 < a < b < 200
