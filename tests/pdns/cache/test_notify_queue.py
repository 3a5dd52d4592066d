"""When secondaries are told: at once, not too often, and once more."""

from dnslb_backend.pdns.cache.notify_queue import REPEAT_AFTER, SPACING, NotifyQueue

ZONE = "lb.example"


def test_a_change_is_told_at_once_and_once_more() -> None:
    notices = NotifyQueue()
    assert notices.due() is None
    notices.add([ZONE], 10.0)
    assert notices.due() == 10.0
    assert notices.take(10.0) == [ZONE]
    notices.done(ZONE, 10.1)
    assert notices.take(10.2) == []
    assert notices.due() == 10.1 + REPEAT_AFTER
    assert notices.take(10.1 + REPEAT_AFTER) == [ZONE]
    notices.done(ZONE, 10.2 + REPEAT_AFTER)
    assert notices.due() is None


def test_changes_are_told_some_time_apart() -> None:
    notices = NotifyQueue()
    notices.add([ZONE], 10.0)
    notices.done(ZONE, 10.0)
    for moment in (10.01, 10.02, 10.03):
        notices.add([ZONE], moment)
    assert notices.due() == 10.0 + SPACING
    notices.done(ZONE, 11.0)
    assert notices.due() == 11.0 + REPEAT_AFTER
    notices.add([ZONE], 12.5)
    assert notices.due() == 12.5


def test_what_could_not_be_told_stays_due() -> None:
    notices = NotifyQueue()
    notices.add([ZONE, "other.example"], 10.0)
    assert notices.take(10.0) == [ZONE, "other.example"]
    notices.done("other.example", 10.0)
    notices.add([ZONE], 10.5)
    assert notices.take(10.6) == [ZONE]
