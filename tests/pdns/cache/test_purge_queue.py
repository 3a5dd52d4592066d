import itertools

from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.core.answers.invalidation import PurgeItem
from dnslb_backend.pdns.cache.purge_queue import EVERYTHING, FOLLOW_UPS, SPACING, Lane, PurgeQueue

WWW = PurgeItem("www.lb.example")
APEX = PurgeItem("lb.example", is_urgent=False)


URGENT, CALM = Lane.URGENT, Lane.CALM


def drain(queue: PurgeQueue, until: float) -> list[tuple[float, PurgeItem]]:
    """What is purged, and when, by somebody who is always there and needs no time."""
    told = []
    while (due := next_due(queue)) is not None and due <= until:
        for lane in Lane:
            batch = queue.take(due, lane)
            told += [(due, item) for item in batch]
            queue.done(batch, due, lane)
    return told


def next_due(queue: PurgeQueue) -> float | None:
    return min((due for lane in Lane if (due := queue.due(lane)) is not None), default=None)


def test_a_change_is_told_at_once_and_after_every_lookup_under_way_has_ended() -> None:
    queue = PurgeQueue()
    queue.add([WWW], 100.0)
    assert drain(queue, 200.0) == [(100.0 + gap, WWW) for gap in (0.0, *FOLLOW_UPS)]
    assert next_due(queue) is None
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
        queue.failed(queue.take(second, URGENT), URGENT)
    assert sum(map(len, queue._heaps.values())) <= 2


def test_what_failed_stays_due_and_what_changed_meanwhile_is_told_once_more() -> None:
    queue = PurgeQueue()
    queue.add([WWW], 0.0)
    for now in (0.0, 0.1, 5.0):
        batch = queue.take(now, URGENT)
        assert batch == [WWW]
        queue.failed(batch, URGENT)
        assert queue.unpurged == [0.0]
    batch = queue.take(6.0, URGENT)
    queue.add([WWW], 6.5)
    queue.done(batch, 6.0, URGENT)
    assert queue.unpurged == [6.5]
    assert [at for at, _ in drain(queue, 60.0)] == [6.5 + gap for gap in (0.0, *FOLLOW_UPS)]


def test_a_late_purge_is_as_good_as_those_that_were_due_before_it() -> None:
    queue = PurgeQueue()
    queue.add([WWW], 0.0)
    queue.done(queue.take(0.2, URGENT), 0.2, URGENT)
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
    queue.add([PurgeItem(str(number)) for number in range(100)], 1.0)
    assert drain(queue, 1.0) == [(1.0, EVERYTHING)]
    queue.add([WWW], 2.0)
    assert (2.0, WWW) in drain(queue, 2.0)


def test_nothing_is_kept_of_what_is_done() -> None:
    queue = PurgeQueue()
    for number in range(100):
        queue.add([PurgeItem(str(number % 7)), WWW], number / 10)
        drain(queue, number / 10)
    drain(queue, 1000.0)
    assert next_due(queue) is None
    assert not queue._entries
    assert not any(queue._heaps.values())


def test_what_changes_while_a_purge_follows_is_taken_at_once_and_once() -> None:
    queue = PurgeQueue()
    queue.add([WWW], 0.0)
    assert [at for at, _ in drain(queue, 0.05)] == [0.0, 0.02, 0.05]
    following = queue.take(0.1, CALM)
    assert following == [WWW]
    queue.add([WWW], 0.2)
    assert queue.take(0.2, CALM) == []
    assert queue.take(0.2, URGENT) == [WWW]
    queue.done(following, 0.1, CALM)
    assert queue.take(0.3, URGENT) == queue.take(0.3, CALM) == []
    assert queue.unpurged == [0.2]
    queue.done([WWW], 0.2, URGENT)
    assert queue.unpurged == []
    assert [at for at, _ in drain(queue, 60.0)] == [0.2 + gap for gap in FOLLOW_UPS]


names = st.sampled_from([WWW, APEX, PurgeItem("a", below=True), EVERYTHING])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), names),
        st.tuples(st.just("pass"), st.floats(0, 1)),
        st.tuples(st.just("take"), st.sampled_from(Lane)),
        st.tuples(st.just("end"), st.tuples(st.sampled_from(Lane), st.booleans())),
    ),
    max_size=60,
)


@given(steps)
def test_whatever_happens_every_change_is_purged_in_the_end(
    history: list[tuple[str, PurgeItem | float | Lane | tuple[Lane, bool]]],
) -> None:
    queue = PurgeQueue(limit=3)
    now, changed, told = 0.0, dict[PurgeItem, float](), list[tuple[float, PurgeItem]]()
    under_way: dict[Lane, tuple[float, list[PurgeItem]]] = {}

    def end(lane: Lane, is_done: bool) -> None:
        began, batch = under_way.pop(lane, (now, []))
        if is_done:
            told.extend((began, item) for item in batch)
            queue.done(batch, began, lane)
        else:
            queue.failed(batch, lane)

    for _, what in history:
        if isinstance(what, PurgeItem):
            now += 0.001
            queue.add([what], now)
            changed[what] = now
        elif isinstance(what, Lane):
            if what not in under_way:
                now += 0.001
                under_way[what] = now, queue.take(now, what)
        elif isinstance(what, tuple):
            end(*what)
        else:
            now += what
    for lane in Lane:
        end(lane, is_done=False)
    told += drain(queue, now + 100)
    for item, at in changed.items():
        purges = [when for when, name in told if name in (item, EVERYTHING) and when >= at]
        assert purges, (item, at)
        assert max(purges) >= at + FOLLOW_UPS[-1], (item, at)
    assert next_due(queue) is None
