"""What a follower of the output topics concludes."""

from schemas.deadletters import Reason
from streams.follow import Followed
from tagger.folding.meta import Fates, Meta, SourceTime

APPLIED, DUPLICATE, LATE = 5, 2, 1


def meta(*closed: bool) -> Meta:
    return Meta(
        sources={
            f"bank.transactions-{n}": SourceTime(of=len(closed), closed=ended) for n, ended in enumerate(closed)
        },
        fates={"bank.transactions-0": Fates(APPLIED, DUPLICATE, LATE), "bank.profiles-0": Fates(applied=1)},
    )


def test_fates_are_summed_over_journal_partitions_and_sources_and_dead_letters_are_one_of_them() -> None:
    seen = Followed(metas={0: meta(True), 1: meta(True)})
    reasons: list[Reason] = ["not_json", "not_json", "no_value"]
    seen.dead_letters.update(reasons)
    assert seen.fates() == {"applied": 12, "duplicate": 4, "late": 2, "dead-letter": 3}
    assert seen.fates().total() == 21


def test_time_has_ended_when_every_partition_knows_that_every_source_has() -> None:
    assert Followed(metas={0: meta(True, True), 1: meta(True, True)}).closed(partitions=2, sources=2)


def test_time_has_not_ended_while_a_partition_has_not_spoken() -> None:
    assert not Followed(metas={0: meta(True, True)}).closed(partitions=2, sources=2)


def test_time_has_not_ended_while_a_source_is_open_or_unheard_of() -> None:
    assert not Followed(metas={0: meta(True, False)}).closed(partitions=1, sources=2)
    assert not Followed(metas={0: meta(True)}).closed(partitions=1, sources=2)
