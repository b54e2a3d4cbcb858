"""The queue of deadlines, over states that change under it."""

from tagger.folding.deadlines import DueQueue
from tagger.state.customer import NEVER, CustomerState, encode_state


def due(ms: int) -> bytes:
    return encode_state(CustomerState(due_ms=ms))


def test_the_first_due_comes_first_and_what_lies_at_the_limit_does_not() -> None:
    queue = DueQueue({"C1": due(30), "C2": due(10), "C3": due(NEVER)})
    assert queue.first(10, ()) is None
    assert queue.first(11, ()) == (10, "C2")


def test_a_deadline_that_moved_counts_at_its_new_time_only() -> None:
    customers = {"C1": due(10)}
    queue = DueQueue(customers)
    customers["C1"] = due(20)
    queue.push([(20, "C1")])
    assert queue.first(20, ()) is None
    assert queue.first(21, ()) == (20, "C1")


def test_a_touched_customer_gives_its_place_to_the_next() -> None:
    queue = DueQueue({"C1": due(10), "C2": due(20)})
    assert queue.first(30, {"C1"}) == (20, "C2")


def test_entries_out_of_date_do_not_pile_up() -> None:
    customers = {"C1": due(1)}
    queue = DueQueue(customers)
    for ms in range(2, 5000):
        customers["C1"] = due(ms)
        queue.push([(ms, "C1")])
    assert len(queue) <= 1024 + 2
    assert queue.first(5000, ()) == (4999, "C1")
