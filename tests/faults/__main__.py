"""Runs a plan of faults on real servers; exits 1 when something is not as it must be, and says what and how to
strike the same plan again."""

import argparse
import asyncio
import logging
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from parts import MissingPartError

from faults import report
from faults.plan import draw
from faults.run import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="of the plan and the bank; the time when left out")
    parser.add_argument("--kills", type=int, default=20, help="SIGKILLs of workers (default 20)")
    parser.add_argument("--events", type=int, default=100_000, help="records of the bank (default 100000)")
    parser.add_argument("--nodes", type=int, choices=(1, 3), default=1, help="Kafka nodes (default 1)")
    parser.add_argument("--workers", type=int, choices=(1, 2, 3), default=3, help="workers (default 3)")
    parser.add_argument("--minutes", type=float, default=600.0, help="after which no further fault strikes")
    parser.add_argument(
        "--only-kills", action="store_true", help="nothing but these kills, each healed before the next"
    )
    parser.add_argument("--plant", default="", help="a bug of tests/mutants/planted.py that the workers run with")
    parser.add_argument("--report", type=Path, help="Markdown page to add the run to")
    options = parser.parse_args()
    seed = int(time.time()) if options.seed is None else options.seed
    plan = draw(
        seed,
        options.kills,
        options.events,
        nodes=options.nodes,
        workers=options.workers,
        most_minutes=options.minutes,
        only_kills=options.only_kills,
    )
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # brokers that are away are the point
    try:
        result = asyncio.run(run(plan, options.plant))
    except MissingPartError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    sys.stdout.write(report.section(result))
    if options.report is not None:
        report.write(result, options.report)
    if result.problems:
        sys.stdout.write(f"\nlogs: {result.folder}\nthe same plan again: {report.command(result)}\n")
        return 1
    shutil.rmtree(result.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
