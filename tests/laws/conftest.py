"""Laws hold of the generated functions too: here they are compiled at once."""

from collections.abc import Iterator

import pytest

from tagger.compiler import reach


@pytest.fixture(autouse=True, scope="package")
def compile_at_once() -> Iterator[None]:
    before, reach.COMPILE_AFTER = reach.COMPILE_AFTER, 0
    yield
    reach.COMPILE_AFTER = before
