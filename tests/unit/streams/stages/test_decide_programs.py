"""A worker compiles a rulebook once, however many partitions it takes over."""

from aiokafka import TopicPartition
from rulebooks import RICH

from streams.settings import Settings
from streams.stages.decide import Decide
from tagger.settings import CoreSettings


def test_partitions_of_a_stage_share_what_is_compiled() -> None:
    stage = Decide(Settings())
    reads = []

    def files(digest: str) -> dict[str, str]:
        reads.append(digest)
        return {"pack.yaml": RICH}

    made = [stage.make_task(TopicPartition("tagging.journal", number))._make_partition for number in (0, 1)]
    one, other = (make(CoreSettings(), files) for make in made)
    assert one.program("d") is other.program("d")
    assert reads == ["d"]
    assert one.customers is not other.customers
