"""Small packs with cases, run as `tagger rules test` runs them."""

from tagger.cases.run import run_cases
from tagger.packs.rulebook import read_rulebook
from tagger.settings import CoreSettings


def cases_hold(pack: str) -> None:
    """Every case of a pack passes; there is at least one."""
    results = run_cases(read_rulebook({"p.yaml": pack}), CoreSettings())
    assert results
    assert [f"{result.it}: {result.message}" for result in results if not result.passed] == []
