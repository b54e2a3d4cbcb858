"""A second reading of the rule language: naive, slow, and made to be compared with.

It keeps every event of a customer and works every feature out anew at every step, straight from the language's
definition; the compiled core keeps bounded state and evaluates what may have changed. Only `schemas` is shared
(records, the models of packs, the bank's calendar). Money is yuan as exact fractions, days are dates. Bounds by
number (docs/decisions.md, 10) hold here too, counted off the events in the order in which they arrived.

    language     expressions: parsed with `ast`, walked node by node
    money        balances from all transactions
    verbs        what each feature verb gives
    book         packs, in the order in which their rules read each other
    sight        what a feature sees of a customer at one instant
    scene        a customer at one instant: what names stand for
    life         one evaluation of a rule, and the tags it gives off
    signals      conditions and watches
    grades       ladders, scorecards, matrices, approvals
    interpreter  the journal: clock, deadlines, fates, rulebooks taking effect

Made-up packs and histories stand in `made_up`, the comparison in `compare`; `python -m tests.reference` runs many.
"""

import sys
from pathlib import Path

# Run as `python -m tests.reference`, the folders that pytest puts on the path are not there.
sys.path += [str(Path(__file__).resolve().parents[1])] if __name__ == "tests.reference" else []
