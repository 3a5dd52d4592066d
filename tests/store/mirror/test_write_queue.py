"""What is written next."""

import math
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.store.mirror.source import RowGroup
from dnslb_backend.store.mirror.write_queue import WriteQueue


def unit(number: int) -> RowGroup:
    return RowGroup("record", "lb.example", f"n{number}.lb.example", "A")


def taken(agenda: WriteQueue, now: float) -> list[RowGroup]:
    found = []
    while (item := agenda.take(now)) is not None:
        found.append(item)
    return found


def follow(agenda: WriteQueue, groups: Iterable[RowGroup], now: float) -> None:
    """These are all there are."""
    wanted = list(groups)
    for group in wanted:
        agenda.keep(group, now)
    agenda.remove(agenda.groups().difference(wanted), now)


def agenda_of(count: int, period: float = 10.0, now: float = 0.0) -> WriteQueue:
    """An agenda whose units were all written once."""
    agenda = WriteQueue(lambda _: period)
    follow(agenda, map(unit, range(count)), now)
    taken(agenda, now)
    agenda.done()
    return agenda


def test_what_is_new_comes_at_once_and_in_order() -> None:
    agenda = WriteQueue(lambda _: 10.0)
    follow(agenda, map(unit, range(5)), 0.0)
    assert agenda.backlog == 5
    assert taken(agenda, 0.0) == list(map(unit, range(5)))


def test_what_changed_comes_once_and_before_what_is_due() -> None:
    agenda = agenda_of(3)
    agenda.mark_dirty([unit(2), unit(1), unit(2)], 1.0)
    agenda.mark_dirty([unit(1)], 2.0)
    assert agenda.oldest == 1.0
    found = taken(agenda, 100.0)
    assert found[:2] == [unit(2), unit(1)]
    assert sorted(found[2:]) == list(map(unit, range(3)))


@given(st.integers(1, 60), st.floats(0.5, 100), st.floats(0, 1e9))
def test_every_unit_is_due_once_in_its_period(count: int, period: float, start: float) -> None:
    agenda = agenda_of(count, period, start)
    for turn in range(1, 4):
        found = taken(agenda, start + turn * period * (1 + 1e-9))
        assert sorted(found) == sorted(map(unit, range(count)))


def test_refreshes_are_spread_over_the_period() -> None:
    agenda = agenda_of(1000)
    counts = [len(taken(agenda, float(second))) for second in range(1, 11)]
    assert sum(counts) == 1000
    assert max(counts) < 200


def test_after_a_long_silence_each_comes_once() -> None:
    agenda = agenda_of(20)
    assert len(taken(agenda, 1e6)) == 20


def test_what_was_not_written_keeps_its_place() -> None:
    agenda = agenda_of(3)
    agenda.mark_dirty([unit(0)], 1.0)
    agenda.mark_dirty([unit(1)], 2.0)
    assert agenda.take(3.0) == unit(0)
    assert (agenda.backlog, agenda.oldest) == (2, 1.0)
    agenda.requeue()
    assert (agenda.backlog, agenda.oldest) == (2, 1.0)
    assert agenda.take(3.0) == unit(0)
    agenda.done()
    assert agenda.oldest == 2.0


def test_what_changes_while_it_is_written_is_written_again() -> None:
    agenda = agenda_of(1)
    agenda.mark_dirty([unit(0)], 1.0)
    assert agenda.take(1.0) == unit(0)
    agenda.mark_dirty([unit(0)], 1.5)
    agenda.done()
    assert agenda.take(2.0) == unit(0)
    assert agenda.take(2.0) is None


def test_what_is_gone_comes_once_more_and_never_again() -> None:
    agenda = agenda_of(3)
    follow(agenda, [unit(0), unit(3)], 0.0)
    assert sorted(taken(agenda, 0.0)) == [unit(1), unit(2), unit(3)]
    agenda.done()
    assert sorted(taken(agenda, 10.1)) == [unit(0), unit(3)]


def test_with_nothing_to_do_there_is_nothing_due() -> None:
    agenda = WriteQueue(lambda _: 1.0)
    assert agenda.next_due == math.inf
    assert agenda.take(0.0) is None
    assert agenda.oldest is None
    follow(agenda, [unit(0)], 0.0)
    follow(agenda, [], 0.0)
    taken(agenda, 0.0)
    assert agenda.next_due == math.inf


@given(st.floats(0, 1e5), st.floats(0, 4.9))
def test_what_is_overdue_at_a_reload_is_not_put_off(start: float, late: float) -> None:
    agenda = WriteQueue(lambda _: 5.0)
    follow(agenda, [unit(0)], start)
    agenda.take(start)
    agenda.done()
    due = agenda.next_due
    follow(agenda, [unit(0)], due + late)
    assert agenda.take(due + late) == unit(0)
    assert agenda.next_due > due + late
