"""Runs seeds, tells of the first that fails, and how often each fail-point was hit."""

import argparse
import gc
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from simulation.run import simulate
from streams.failpoints import REGISTRY


def say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", default="1-200", help="one seed, or FIRST-LAST (default 1-200)")
    parser.add_argument("--story", action="store_true", help="print every story, not only of a failure")
    parser.add_argument(
        "--keep-going", action="store_true", help="go on after a failure; only its problems are told"
    )
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    began, failed, places = time.monotonic(), [], Counter[str]()
    seeds = range(int(first), int(last or first) + 1)
    done = tags = 0
    for seed in seeds:
        verdict = simulate(seed)
        done += 1
        if done % 25 == 0:
            gc.collect()  # a world is one large cycle
        if done % 500 == 0:
            say(f"{done} of {len(seeds)} seeds, {len(failed)} failed")
        tags += verdict.tags
        places.update(verdict.places)
        if verdict.problems:
            failed.append(seed)
            told = "\n".join(verdict.problems[:3])
            say(f"seed {seed}: {told}" if options.keep_going else verdict)
            if not options.keep_going:
                break
        elif options.story:
            say(verdict)
    minutes = (time.monotonic() - began) / 60
    for place in sorted(REGISTRY):
        say(f"{places[place]:9} {place}")
    say(f"{done} seeds, {len(failed)} failed {failed[:20]}, {tags} tags, {done / minutes:.0f} seeds a minute")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
