"""Which connection is closed so that another one can be accepted."""

import pytest

from dnslb_backend import sockets
from dnslb_backend.sockets import ConnectionLimit


class Line:
    """A connection that only knows whether it was cut off."""

    def __init__(self, peers: "ConnectionLimit[Line]") -> None:
        self.is_open = True
        peers.admit(self)

    def cut_off(self) -> None:
        self.is_open = False


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ConnectionLimit[Line]:
    monkeypatch.setattr(sockets, "CONNECTION_LIMIT", 3)
    return ConnectionLimit("the test")


def test_one_that_never_asked_makes_room_before_one_that_has(peers: ConnectionLimit[Line]) -> None:
    asked, first, second = Line(peers), Line(peers), Line(peers)
    peers.idle(asked)
    newcomers = [Line(peers) for _ in range(3)]
    assert asked.is_open
    assert not first.is_open
    assert not second.is_open
    assert [each.is_open for each in newcomers] == [False, True, True]


def test_a_newcomer_has_time_for_its_first_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "CONNECTION_LIMIT", 16)
    peers = ConnectionLimit[Line]("the test")
    old = [Line(peers) for _ in range(16)]
    for line in old:
        peers.idle(line)
    newcomers = [Line(peers) for _ in range(5)]
    assert all(line.is_open for line in newcomers)
    assert [line.is_open for line in old] == [False] * 5 + [True] * 11


def test_the_one_that_was_silent_longest_makes_room(peers: ConnectionLimit[Line]) -> None:
    first, second, third = lines = [Line(peers), Line(peers), Line(peers)]
    for line in (first, second, third, first):
        peers.idle(line)
    newcomer = Line(peers)
    assert [line.is_open for line in lines] == [True, False, True]
    peers.idle(newcomer)
    Line(peers)
    assert [line.is_open for line in lines] == [True, False, False]


def test_one_with_a_request_under_way_makes_room_last(peers: ConnectionLimit[Line]) -> None:
    first, second, third = lines = [Line(peers), Line(peers), Line(peers)]
    peers.busy(first)
    peers.busy(second)
    peers.idle(third)
    for _ in range(2):
        peers.busy(Line(peers))
    assert [line.is_open for line in lines] == [False, True, False]


def test_what_has_ended_takes_no_room(peers: ConnectionLimit[Line]) -> None:
    lines = [Line(peers), Line(peers), Line(peers)]
    peers.busy(lines[0])
    peers.idle(lines[1])
    for line in lines:
        peers.discard(line)
        peers.discard(line)
    peers.busy(lines[1])
    peers.idle(lines[2])
    assert len(peers) == 0
    assert all(line.is_open for line in lines)


def test_the_log_says_once_that_a_listener_is_full(
    peers: ConnectionLimit[Line], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(100):
        Line(peers)
    (record,) = caplog.records
    assert record.message.startswith("the test has 3 connections, as many as it may have")
