import itertools

from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.core.dependents import Stale
from dnslb_backend.pdns.purge_queue import EVERYTHING, FOLLOW_UPS, SPACING, PurgeQueue

WWW = Stale("www.lb.example")
APEX = Stale("lb.example", is_urgent=False)


def drain(queue: PurgeQueue, until: float) -> list[tuple[float, Stale]]:
    """What is purged, and when, by somebody who is always there and needs no time."""
    told = []
    while (due := queue.due) is not None and due <= until:
        batch = queue.take(due)
        told += [(due, item) for item in batch]
        queue.done(batch, due)
    return told


def test_a_change_is_told_at_once_and_after_every_lookup_under_way_has_ended() -> None:
    queue = PurgeQueue()
    queue.add([WWW], 100.0)
    assert drain(queue, 200.0) == [(100.0 + gap, WWW) for gap in (0.0, *FOLLOW_UPS)]
    assert queue.due is None
    assert FOLLOW_UPS[-1] > 2.0


def test_flapping_is_told_no_oftener_than_the_spacing() -> None:
    queue = PurgeQueue()
    told = []
    for step in range(1000):
        now = step / 1000
        queue.add([WWW], now)
        told += drain(queue, now)
    told += drain(queue, 10.0)
    times = [at for at, _ in told]
    # The last change was told soon, and all that is owed for it followed.
    last = next(number for number, at in enumerate(times) if at >= 0.999)
    assert times[last] <= 0.999 + SPACING
    gaps = [after - before for before, after in itertools.pairwise(times[: last + 1])]
    assert min(gaps) > SPACING - 1e-9
    assert len(gaps) <= 1.0 / SPACING + 1
    assert times[-1] == 0.999 + FOLLOW_UPS[-1]


def test_a_change_does_not_wait_for_what_follows_another() -> None:
    queue = PurgeQueue()
    queue.add([WWW], 0.0)
    assert [at for at, _ in drain(queue, 0.06)] == [0.0, 0.02, 0.05]
    queue.add([WWW], 0.06)
    assert [at for at, _ in drain(queue, 0.07)] == [0.06]
    # The next one does wait: it is a change as well.
    queue.add([WWW], 0.07)
    told = [at for at, _ in drain(queue, 60.0)]
    assert told[0] == 0.06 + SPACING
    assert told[-1] == 0.07 + FOLLOW_UPS[-1]
    assert min(after - before for before, after in itertools.pairwise(told)) > 0.02 - 1e-9


def test_waiting_for_a_powerdns_that_is_away_takes_no_room() -> None:
    queue = PurgeQueue()
    for second in range(1000):
        queue.add([WWW], second)
        queue.failed(queue.take(second))
    assert len(queue._heap) <= 2


def test_what_failed_stays_due_and_what_changed_meanwhile_is_told_once_more() -> None:
    queue = PurgeQueue()
    queue.add([WWW], 0.0)
    for now in (0.0, 0.1, 5.0):
        batch = queue.take(now)
        assert batch == [WWW]
        queue.failed(batch)
        assert queue.unpurged == [0.0]
    batch = queue.take(6.0)
    queue.add([WWW], 6.5)
    queue.done(batch, 6.0)
    assert queue.unpurged == [6.5]
    assert [at for at, _ in drain(queue, 60.0)] == [6.5 + gap for gap in (0.0, *FOLLOW_UPS)]


def test_a_late_purge_is_as_good_as_those_that_were_due_before_it() -> None:
    queue = PurgeQueue()
    queue.add([WWW], 0.0)
    queue.done(queue.take(0.2), 0.2)
    assert [at for at, _ in drain(queue, 60.0)] == [0.5, 2.5]


def test_what_is_only_out_of_date_is_told_seldom_where_that_is_wanted() -> None:
    queue = PurgeQueue(calm=5.0)
    told = []
    for step in range(100):
        queue.add([APEX], step / 10)
        told += drain(queue, step / 10)
    assert [at for at, _ in told] == [0.0, 5.0]


def test_more_names_than_are_worth_listing_are_everything() -> None:
    queue = PurgeQueue(limit=10)
    queue.add([Stale(str(number)) for number in range(100)], 1.0)
    assert drain(queue, 1.0) == [(1.0, EVERYTHING)]
    queue.add([WWW], 2.0)
    assert (2.0, WWW) in drain(queue, 2.0)


def test_nothing_is_kept_of_what_is_done() -> None:
    queue = PurgeQueue()
    for number in range(100):
        queue.add([Stale(str(number % 7)), WWW], number / 10)
        drain(queue, number / 10)
    drain(queue, 1000.0)
    assert queue.due is None
    assert not queue._entries
    assert not queue._heap


names = st.sampled_from([WWW, APEX, Stale("a", below=True), EVERYTHING])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), names),
        st.tuples(st.just("pass"), st.floats(0, 1)),
        st.tuples(st.just("work"), st.booleans()),
    ),
    max_size=60,
)


@given(steps)
def test_whatever_happens_every_change_is_purged_in_the_end(
    history: list[tuple[str, Stale | float | bool]],
) -> None:
    queue = PurgeQueue(limit=3)
    now, changed, told = 0.0, dict[Stale, float](), list[tuple[float, Stale]]()
    for kind, what in history:
        if isinstance(what, Stale):
            queue.add([what], now)
            changed[what] = now
        elif kind == "pass":
            now += float(what)
        else:
            batch = queue.take(now)
            if what:
                told += [(now, item) for item in batch]
                queue.done(batch, now)
            else:
                queue.failed(batch)
    told += drain(queue, now + 100)
    for item, at in changed.items():
        purges = [when for when, name in told if name in (item, EVERYTHING) and when >= at]
        assert purges, (item, at)
        assert max(purges) >= at + FOLLOW_UPS[-1], (item, at)
    assert queue.due is None
