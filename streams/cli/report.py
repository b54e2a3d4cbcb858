"""A backtest's report: one self-contained HTML file, and the same in brief for the terminal and as JSON."""

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from itertools import islice
from typing import Any

from streams.rulebooks.comparison import Comparison, Departure, Volume

# Enough to see what kind of customers differ; the counts are of all.
_MAX_LISTED = 500
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1b1f24}
table{border-collapse:collapse;margin:1rem 0}
th,td{padding:.25rem .75rem;border-bottom:1px solid #d8dde3;text-align:left}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}h2{margin-top:2rem}small{color:#57606a}"""


def brief_rows(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Headings and rows: episodes and pushes by rule, a day, beside those of the other rulebook."""
    return ["rule", *_columns(comparison)], _rule_rows(comparison)


def brief_lines(comparison: Comparison) -> list[str]:
    """How much is pushed and held, and how many customers differ."""
    lines = []
    for name, side in _sides(comparison):
        held = ", ".join(f"{count:,} {reason}" for reason, count in sorted(_by_reason(side).items()))
        lines.append(f"{name} {side.name}: {sum(side.pushes.values()):,} pushes; held: {held or 'none'}")
    if comparison.old is not None:
        departures = list(comparison.departures())
        customers = len({one.customer_id for one in departures})
        lines.append(f"{customers:,} customers differ in {len(departures):,} episodes")
    return lines


def brief_json(comparison: Comparison) -> dict[str, Any]:
    """The same for machines, with how many customers differ."""
    rules = {
        rule: {
            name: {"opened": side.opened_of(rule), "pushes": side.pushed_of(rule)}
            for name, side in _sides(comparison)
        }
        for rule in comparison.rules
    }
    departures = list(comparison.departures())
    return {
        "new": comparison.new.name,
        "old": None if comparison.old is None else comparison.old.name,
        "days": comparison.span_days,
        "rules": rules,
        "pushes": {name: sum(side.pushes.values()) for name, side in _sides(comparison)},
        "held": {name: dict(sorted(_by_reason(side).items())) for name, side in _sides(comparison)},
        "customers_that_differ": len({one.customer_id for one in departures}),
        "differences": len(departures),
    }


def html_report(comparison: Comparison, source: str) -> str:
    """The whole report.

    Args:
        source: what was read, for the heading.
    """
    new, old = comparison.new, comparison.old
    title = f"Rulebook {new.name}" + ("" if old is None else f" against {old.name}")
    departures = list(comparison.departures())
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>Over {escape(source)}: {comparison.span_days:,} bank days, "
        f"{len(new.openings):,} customers tagged. A push is what the contact policy lets go.</p>",
        "<h2>By rule</h2>",
        _table(["rule", *_columns(comparison)], _rule_rows(comparison)),
        "<h2>Push volume after policy</h2>",
        *(_volume(name, side) for name, side in _sides(comparison)),
        "<h2>By day</h2>",
        _table(["day", *_columns(comparison, a_day=False)], _day_rows(comparison)),
    ]
    if old is not None:
        customers = len({one.customer_id for one in departures})
        parts += [
            "<h2>Customers that differ</h2>",
            f"<p>{customers:,} customers, {len(departures):,} episodes.</p>",
        ]
        parts.append(_departures(islice(departures, _MAX_LISTED)))
        if len(departures) > _MAX_LISTED:
            parts.append(f"<p><small>The first {_MAX_LISTED} are listed.</small></p>")
    body = "\n".join(parts)
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _sides(comparison: Comparison) -> list[tuple[str, Volume]]:
    return [*([] if comparison.old is None else [("old", comparison.old)]), ("new", comparison.new)]


def _columns(comparison: Comparison, *, a_day: bool = True) -> list[str]:
    unit = " a day" if a_day else ""
    names = [name for name, _ in _sides(comparison)] if comparison.old is not None else [""]
    return [f"{what}{unit} {name}".rstrip() for what in ("opened", "pushes") for name in names]


def _rule_rows(comparison: Comparison) -> list[list[str]]:
    days = comparison.span_days
    rows = []
    for rule in comparison.rules:
        opened = [f"{side.opened_of(rule) / days:,.2f}" for _, side in _sides(comparison)]
        pushed = [f"{side.pushed_of(rule) / days:,.2f}" for _, side in _sides(comparison)]
        rows.append([rule, *opened, *pushed])
    return rows


def _day_rows(comparison: Comparison) -> list[list[str]]:
    opened = {name: Counter(dict.fromkeys(comparison.days, 0)) for name, _ in _sides(comparison)}
    for name, side in _sides(comparison):
        for (_, day), count in side.opened.items():
            opened[name][day] += count
    return [
        [
            day,
            *(f"{opened[name][day]:,}" for name, _ in _sides(comparison)),
            *(f"{side.pushed_on(day):,}" for _, side in _sides(comparison)),
        ]
        for day in comparison.days
    ]


def _by_reason(side: Volume) -> Counter[str]:
    reasons: Counter[str] = Counter()
    for (_, reason), count in side.held.items():
        reasons[reason] += count
    return reasons


def _volume(name: str, side: Volume) -> str:
    offers: Counter[str] = Counter()
    for (_, _, offer), count in side.pushes.items():
        offers[offer] += count
    pushed = [[offer, f"{count:,}"] for offer, count in sorted(offers.items())]
    held = [[f"held: {reason}", f"{count:,}"] for reason, count in sorted(_by_reason(side).items())]
    return f"<h3>{escape(name)}: {escape(side.name)}</h3>" + _table(
        ["offer or reason", "revisions"], pushed + held
    )


def _departures(departures: Iterable[Departure]) -> str:
    rows = [
        [
            one.customer_id,
            f"{one.rule} {one.level}".rstrip(),
            one.at,
            "only new" if one.is_new else "only old",
            one.why,
        ]
        for one in departures
    ]
    return _table(["customer", "episode", "opened", "", "what held"], rows, numbers=False)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = True) -> str:
    def cells(row: Sequence[str], tag: str) -> str:
        kind = ' class="n"' if numbers else ""
        return "".join(f"<{tag}{kind if index else ''}>{escape(cell)}</{tag}>" for index, cell in enumerate(row))

    lines = [f"<tr>{cells(head, 'th')}</tr>", *(f"<tr>{cells(row, 'td')}</tr>" for row in rows)]
    return "<table>\n" + "\n".join(lines) + "\n</table>"
