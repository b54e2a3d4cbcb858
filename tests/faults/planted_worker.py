"""`tagger` with a bug of `mutants.planted` planted for as long as it runs; for a fault run that must find it.

python -m faults.planted_worker deadline_lost_on_restore worker
"""

import sys

from mutants import planted

from streams.cli.main import main

if __name__ == "__main__":
    plant = getattr(planted, sys.argv.pop(1))
    with plant():
        main()
