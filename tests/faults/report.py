"""A run as a section of a Markdown page."""

import subprocess
import time
from collections import Counter
from pathlib import Path

from kafka_broker import VERSION
from pipeline import ROOT

from streams.failpoints import REGISTRY

from . import machine
from .run import LEAST_RECOVERIES, Result, percentile

_HEAD = """# Fault runs of {date}

Real processes: `tagger worker`, Apache Kafka {kafka}, Redis. What strikes is in `tests/faults/plan.py`, what is
compared in `tests/faults/verdict.py`. A run is green when no committed tag is missing, extra, doubled or out of
order, every customer's state equals a plain fold of the journal byte for byte, every input offset has exactly one
fate, Redis equals the changelog, and no worker ended for a reason that no fault explains.
"""


def command(result: Result) -> str:
    """What replays the plan."""
    plan = result.plan
    return (
        f"python -m tests.faults --seed {plan.seed} --kills {plan.kills} --events {plan.events} "
        f"--nodes {plan.nodes} --workers {plan.workers}{' --only-kills' if plan.only_kills else ''}"
    )


def write(result: Result, page: Path) -> None:
    """Add the run's section to a page, which is begun if it is not there."""
    page.parent.mkdir(parents=True, exist_ok=True)
    head = "" if page.exists() else _HEAD.format(date=time.strftime("%Y-%m-%d", time.gmtime()), kafka=VERSION)
    with page.open("a", encoding="utf-8") as file:
        file.write(f"{head}\n{section(result)}")


def section(result: Result) -> str:
    """The run in Markdown."""
    plan = result.plan
    verdict = "green" if not result.problems else f"**{len(result.problems)} problems**"
    lines = [
        f"## {plan.kills} kills, {plan.events:,} events, seed {plan.seed}: {verdict}",
        "",
        f"{time.strftime('%H:%M', time.gmtime())} UTC, commit {_commit()}, {machine.told()}; other processes "
        f"took {result.taken_by_others:.0%} of the CPU.",
        "",
        "```",
        command(result),
        "```",
        "",
        *(f"- {problem}" for problem in result.problems),
        "",
        "| what | figure |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in _figures(result)),
        "",
        "Fail-points reached, over all workers, and in brackets how many workers ended there:",
        "",
        ", ".join(_places(result)) + ".",
        "",
    ]
    if result.notes:
        lines += ["Notes:", "", *(f"- {note}" for note in result.notes), ""]
    return "\n".join(lines).replace("\n\n\n", "\n\n")


def _figures(result: Result) -> list[tuple[str, str]]:
    plan, kinds, killed = result.plan, Counter(one.kind for one in result.struck), sigkills(result)
    others = Counter({kind: count for kind, count in kinds.items() if kind not in _KILLS})
    return [
        ("brokers, workers, partitions", f"{plan.nodes}, {plan.workers}, {plan.partitions}"),
        ("SIGKILL", f"{killed.total()}: " + _told(killed)),
        ("other faults", _told(others)),
        ("workers that ended by themselves", _told(result.endings) or "none"),
        ("fates", _told(result.fates)),
        *(
            (name, f"{value:,}" if isinstance(value, int) else str(value))
            for name, value in result.figures.items()
        ),
        ("kill to first tag of a moved partition", _recovery(result.alone)),
        ("the same, another fault reaching in", _recovery(result.overlapped)),
        ("limit of the p95", _limit(result)),
        ("seconds", _told({name: round(seconds) for name, seconds in result.seconds.items()})),
    ]


def sigkills(result: Result) -> Counter[str]:
    """How many processes were killed without a word, by what they are."""
    kinds = Counter(one.kind for one in result.struck)
    return Counter({name: kinds[kind] for kind, name in _KILLS.items()})


def _limit(result: Result) -> str:
    limit = f"{result.most_seconds:.1f} s (session timeout + 5 s)"
    if not result.is_recovery_judged:
        few = len(result.alone) < LEAST_RECOVERIES
        return f"{limit}, not judged: {'too few' if few else 'the machine was too busy'}"
    return f"{limit}: {'held' if percentile(result.alone, 95) <= result.most_seconds else 'not held'}"


_KILLS = {
    "kill": "workers",
    "crash": "workers at a fail-point",
    "broker-kill": "brokers",
    "redis-kill": "Redis",
}


def _told(counts: "Counter[str] | dict[str, int]") -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _recovery(seconds: list[float]) -> str:
    if not seconds:
        return "none"
    p50, p95, most = (percentile(seconds, share) for share in (50, 95, 100))
    return f"p50 {p50:.1f} s, p95 {p95:.1f} s, max {most:.1f} s, of {len(seconds)}"


def _places(result: Result) -> list[str]:
    ended: Counter[str] = Counter()
    for armed, count in result.armed.items():
        ended[armed.partition("=")[0]] += count
    return [
        f"`{place}` {result.hits[place]:,}" + (f" ({ended[place]})" if ended[place] else "")
        for place in sorted(REGISTRY)
    ]


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
