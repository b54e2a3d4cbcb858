"""Goes through many made-up packs and histories: `python -m tests.reference --seeds 1-1000`.

A seed that fails is made small, one record, rule and feature at a time, and printed.
"""

import argparse
import sys

from reference.compare import differences
from reference.made_up import RandomChoice, made_up
from reference.shrink import smallest, story
from tagger.compiler import reach


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="1-200", help="such as 7 or 1-1000")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first that fails")
    arguments = parser.parse_args()
    reach.COMPILE_AFTER = 0  # or short histories would never meet the generated functions
    first, _, last = arguments.seeds.partition("-")
    looked_at = invalid = failed = 0
    for seed in range(int(first), int(last or first) + 1):
        scenario = made_up(RandomChoice(seed))
        if scenario is None:
            invalid += 1
            continue
        looked_at += 1
        if not differences(scenario):
            continue
        failed += 1
        say(f"seed {seed}\n{story(smallest(scenario))}")
        if not arguments.keep_going:
            break
    say(f"{looked_at} scenarios, {failed} differ; {invalid} seeds made no valid pack")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
