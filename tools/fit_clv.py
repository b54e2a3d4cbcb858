"""Fits the parameters of a CLV model to customers' summaries: `python -m tools.fit_clv FEATURES.csv`.

    tagger features SOURCE --format … --rules rules --at 2026-11-23 --out features.csv
    python -m tools.fit_clv features.csv --feature clv.came_in

The summaries are those of the core itself, so that what is fitted is what will be fed. BG/NBD (r, alpha, a, b) by
the log-likelihood of Fader, Hardie & Lee (2005), equation 6; Gamma-Gamma (p, q, v) by that of Fader & Hardie
(2013), equation 1a, over customers with a repeated day; both by the simplex search of Nelder & Mead over the
parameters' logarithms. Prints the group of settings for the pack; `discount` is no fit but a choice. Units: days
and yuan.
"""

import csv
import math
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

Point = tuple[float, ...]
Summary = tuple[int, int, int]
"""Repeated days, first to last, first to today: x, t_x, T."""
Spending = tuple[int, float]
"""Repeated days and their mean total in yuan: x, m."""

_MAX_STEPS = 2000
_TOLERANCE = 1e-9


def bg_nbd_log_likelihood(summary: Summary, r: float, alpha: float, a: float, b: float) -> float:
    """Of one customer: equation 6, which is A1 · A2 · (A3 + A4)."""
    x, t_x, age = summary
    a1 = math.lgamma(r + x) - math.lgamma(r) + r * math.log(alpha)
    a2 = math.lgamma(a + b) + math.lgamma(b + x) - math.lgamma(b) - math.lgamma(a + b + x)
    a3 = -(r + x) * math.log(alpha + age)
    if x == 0:
        return a1 + a2 + a3
    a4 = math.log(a) - math.log(b + x - 1) - (r + x) * math.log(alpha + t_x)
    top = max(a3, a4)
    return a1 + a2 + top + math.log(math.exp(a3 - top) + math.exp(a4 - top))


def gamma_gamma_log_likelihood(spending: Spending, p: float, q: float, v: float) -> float:
    """Of one customer with at least one repeated day: equation 1a."""
    x, m = spending
    return (
        math.lgamma(p * x + q) - math.lgamma(p * x) - math.lgamma(q)
        + q * math.log(v) + (p * x - 1) * math.log(m) + p * x * math.log(x) - (p * x + q) * math.log(x * m + v)
    )  # fmt: skip


def fit_bg_nbd(summaries: Iterable[Summary], penalty: float = 0.0) -> Point:
    """The r, alpha, a, b under which the summaries are likeliest.

    Args:
        penalty: on a² + b², against the mean log-likelihood. Where nobody seems to drop out, or all with the same
            chance, the likeliest a and b have no end.

    Raises:
        ValueError: there is no summary.
    """
    counted = Counter(summaries)
    if not counted:
        raise ValueError("expected at least one customer with a transaction, got none")

    def cost(logs: Point) -> float:
        r, alpha, a, b = map(math.exp, logs)
        likelihood = math.fsum(n * bg_nbd_log_likelihood(one, r, alpha, a, b) for one, n in counted.items())
        return penalty * (a * a + b * b) - likelihood / counted.total()

    mean_age = sum(age * n for (_, _, age), n in counted.items()) / counted.total()
    return tuple(map(math.exp, minimise(cost, (0.0, math.log(max(mean_age, 1) / 10), 0.0, 1.0))))


def fit_gamma_gamma(spendings: Iterable[Spending]) -> Point:
    """The p, q, v under which the mean totals are likeliest.

    Raises:
        ValueError: no customer has a repeated day.
    """
    counted = Counter(spendings)
    if not counted:
        raise ValueError("expected at least one customer with a repeated day, got none")

    def cost(logs: Point) -> float:
        parameters = tuple(map(math.exp, logs))
        return -math.fsum(n * gamma_gamma_log_likelihood(spending, *parameters) for spending, n in counted.items())

    mean = sum(m * n for (_, m), n in counted.items()) / counted.total()
    return tuple(map(math.exp, minimise(cost, (1.0, 1.0, math.log(mean)))))


def minimise(cost: Callable[[Point], float], start: Point) -> Point:
    """Where a function is least, near a point: Nelder & Mead (1965) with the usual factors 1, 2, 1/2, 1/2."""
    steps = [tuple(x + (0.5 if i == place else 0.0) for i, x in enumerate(start)) for place in range(len(start))]
    simplex = sorted((cost(point), point) for point in (start, *steps))
    for _ in range(_MAX_STEPS):
        (best, low), (worst, high) = simplex[0], simplex[-1]
        if worst - best <= _TOLERANCE * (abs(best) + _TOLERANCE):
            break
        centre = _mean([point for _, point in simplex[:-1]])
        reflected = _along(centre, high, -1.0, cost)
        if reflected[0] < best:
            simplex[-1] = min(reflected, _along(centre, high, -2.0, cost))
        elif reflected[0] < simplex[-2][0]:
            simplex[-1] = reflected
        else:
            inside = _along(centre, high, -0.5 if reflected[0] < worst else 0.5, cost)
            if inside[0] < min(worst, reflected[0]):
                simplex[-1] = inside
            else:
                simplex[1:] = [_along(low, point, 0.5, cost) for _, point in simplex[1:]]
        simplex.sort()
    return simplex[0][1]


def _mean(points: Sequence[Point]) -> Point:
    return tuple(math.fsum(column) / len(points) for column in zip(*points, strict=True))


def _along(centre: Point, point: Point, factor: float, cost: Callable[[Point], float]) -> tuple[float, Point]:
    moved = tuple(c + factor * (x - c) for c, x in zip(centre, point, strict=True))
    return cost(moved), moved


def read_summaries(rows: Iterable[Mapping[str, str]], feature: str) -> tuple[list[Summary], list[Spending]]:
    """What `tagger features` wrote of a summary: of every customer with a match, and of those with a repeated day.

    Raises:
        ValueError: there is no such feature.
    """
    summaries, spendings = [], []
    for row in rows:
        if f"{feature}.t_x" not in row:
            raise ValueError(f"expected a summary {feature} among the columns, got {', '.join(row)}")
        if not row[f"{feature}.x"]:
            continue
        x, t_x, age = (int(row[f"{feature}.{part}"]) for part in ("x", "t_x", "T"))
        summaries.append((x, t_x, age))
        if x > 0 and float(row[f"{feature}.m"]) > 0:
            spendings.append((x, float(row[f"{feature}.m"])))
    return summaries, spendings


def main() -> None:
    """Read the CSV, fit, print."""
    parser = ArgumentParser(prog="python -m tools.fit_clv", description="Fit a CLV model to customers' summaries.")
    parser.add_argument("csv", type=Path, help="what `tagger features` wrote")
    parser.add_argument("--feature", default="clv.came_in", help="pack.feature, a summary (default: %(default)s)")
    parser.add_argument("--discount", type=float, default=0.05, help="rate a year (default: %(default)s)")
    parser.add_argument(
        "--penalty",
        type=float,
        default=1e-4,
        help="keeps a and b finite where hardly anybody drops out (%(default)s)",
    )
    arguments = parser.parse_args()
    with arguments.csv.open(encoding="utf-8", newline="") as file:
        summaries, spendings = read_summaries(csv.DictReader(file), arguments.feature)
    names = ("r", "alpha", "a", "b", "p", "q", "v", "discount")
    values = (*fit_bg_nbd(summaries, arguments.penalty), *fit_gamma_gamma(spendings), arguments.discount)
    fitted = ", ".join(f"{name}: {value:.6g}" for name, value in zip(names, values, strict=True))
    print(f"# {len(summaries)} customers, {len(spendings)} of them with a repeated day")  # noqa: T201
    print(f"model: {{{fitted}}}")  # noqa: T201


if __name__ == "__main__":
    main()
