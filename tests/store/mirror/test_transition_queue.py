"""Transitions wait in order, once, and not for ever."""

from dnslb_backend.core.health.target import Health
from dnslb_backend.core.health.transitions import Transition
from dnslb_backend.store.mirror.transition_queue import TransitionQueue
from tests.core.building import KEY


def moved(at: float) -> Transition:
    return Transition(at, KEY, "x", "x", Health.UP, Health.DOWN, True, False, 1, None, "")


def times(backlog: TransitionQueue, count: int = 100) -> list[float]:
    return [waiting.transition.at for waiting in backlog.first(count)]


def test_they_leave_in_order_when_they_are_stored() -> None:
    backlog = TransitionQueue()
    backlog.put(map(moved, range(5)), now=7.0)
    first = backlog.first(3)
    assert len(backlog) == 5
    backlog.done(first[-1].number)
    assert times(backlog) == [3, 4]
    assert backlog.oldest == 7.0
    assert (TransitionQueue().first(3), TransitionQueue().oldest) == ([], None)


def test_the_oldest_are_given_up_and_counted() -> None:
    backlog = TransitionQueue(bound=10)
    backlog.put(map(moved, range(25)), now=0.0)
    assert (times(backlog), backlog.dropped) == (list(range(15, 25)), 15)


def test_some_may_be_given_up_while_they_are_on_their_way() -> None:
    backlog = TransitionQueue(bound=4)
    backlog.put(map(moved, range(4)), now=0.0)
    on_their_way = backlog.first(2)
    backlog.put(map(moved, range(4, 7)), now=0.0)
    backlog.done(on_their_way[-1].number)
    assert times(backlog) == [3, 4, 5, 6]


def test_no_number_is_given_twice() -> None:
    backlog = TransitionQueue(bound=3)
    seen: list[int] = []
    for _ in range(5):
        backlog.put(map(moved, range(2)), now=0.0)
        batch = backlog.first(10)
        seen += [waiting.number for waiting in batch if waiting.number not in seen]
        backlog.done(batch[0].number)
    assert seen == sorted(set(seen)) == list(range(1, 11))
