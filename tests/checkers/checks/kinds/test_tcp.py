"""Connections, greetings, and peers that talk slowly, endlessly or not at all."""

import asyncio

import pytest

from dnslb_backend.checkers.checks.base import ProbeEndpoint
from dnslb_backend.checkers.checks.registry import parse_check
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.core.health.results import Code, Outcome
from tests.checkers.hostile import reset
from tests.checkers.probing import HERE, probe
from tests.checkers.servers import ScriptedServer, for_ever, greeting, hang, saying


def tcp(port: int, **keys: object) -> dict[str, object]:
    return {"type": "tcp", "port": port, **keys}


async def test_a_connection_is_enough(tools: CheckResources) -> None:
    async with ScriptedServer(hang) as server:
        result = await probe(tools, tcp(server.port))
    assert (result.outcome, result.text) == (Outcome.PASS, "connected")


async def test_ipv6(tools: CheckResources) -> None:
    async with ScriptedServer(hang, host="::1") as server:
        result = await probe(tools, tcp(server.port), address="::1")
    assert result.outcome is Outcome.PASS


async def test_the_port_of_the_destination_overrides(tools: CheckResources) -> None:
    async with ScriptedServer(hang) as server:
        assert (await probe(tools, tcp(1), port=server.port)).outcome is Outcome.PASS
        assert (await probe(tools, {"type": "tcp"}, port=server.port)).outcome is Outcome.PASS


async def test_no_port_at_all_is_our_fault(tools: CheckResources) -> None:
    result = await probe(tools, {"type": "tcp"})
    assert result.outcome is Outcome.ERROR
    assert "no port" in result.text


@pytest.mark.parametrize(
    ("said", "expect", "code"),
    [
        (b"220 ready\r\n", "^220 ", 0),
        (b"554 go away\r\n", "^220 ", -1),
        (b"", "^220 ", -1),
        (b"\xff220 \xc3\xbc", "^220 ü$", 0),
    ],
)
async def test_what_a_target_says_before_it_hangs_up(
    tools: CheckResources, said: bytes, expect: str, code: int
) -> None:
    async with ScriptedServer(saying(said)) as server:
        result = await probe(tools, tcp(server.port, expect=expect))
    assert result.code == code


async def test_a_target_that_stays_need_not_hang_up(tools: CheckResources) -> None:
    async with ScriptedServer(greeting(b"220 ready\r\n")) as server:
        result = await probe(tools, tcp(server.port, expect="^220 ", priority={"regex": "(re)"}))
    assert (result.outcome, result.text, result.priority) == (Outcome.PASS, "220 ready", 3)
    assert result.duration < 1


async def test_the_wrong_word_is_no_match_even_if_it_waits_for_more(tools: CheckResources) -> None:
    async with ScriptedServer(greeting(b"554 go away\r\n")) as server:
        result = await probe(tools, tcp(server.port, expect="^220 "), limit=0.3)
    assert (result.code, result.text) == (
        Code.NO_MATCH,
        "reply does not match '^220 ': '554 go away'",
    )


async def test_silence_is_a_timeout(tools: CheckResources) -> None:
    async with ScriptedServer(hang) as server:
        result = await probe(tools, tcp(server.port, expect="^220 "), limit=0.3)
    assert (result.code, result.text) == (Code.TIMEOUT, "no answer within 0.3 s")


async def test_the_question_is_sent_as_it_is(tools: CheckResources) -> None:
    async def echo(reader, writer) -> None:  # type: ignore[no-untyped-def]
        writer.write(b"you said " + await reader.readline())

    async with ScriptedServer(echo) as server:
        check = tcp(server.port, send="PING 100%s ü\r\n", expect="^you said PING 100%s ü\r\n$")
        result = await probe(tools, check)
    assert result.outcome is Outcome.PASS


async def test_a_word_in_many_small_pieces_is_put_together(tools: CheckResources) -> None:
    async def dribble(reader, writer) -> None:  # type: ignore[no-untyped-def]
        for letter in b"220 ready":
            writer.write(bytes([letter]))
            await writer.drain()
        await hang(reader, writer)

    async with ScriptedServer(dribble) as server:
        result = await probe(tools, tcp(server.port, expect="^220 ready$"))
    assert result.outcome is Outcome.PASS


@pytest.mark.parametrize("pause", [0.0, 0.01], ids=["flood", "drip"])
async def test_endless_talk_costs_only_itself(tools: CheckResources, pause: float) -> None:
    chunk = b"x" * (65536 if pause == 0 else 1)
    async with ScriptedServer(for_ever(b"", chunk, pause=pause)) as server:
        result = await probe(tools, tcp(server.port, expect="^y"), limit=1)
    assert result.code == Code.NO_MATCH
    assert result.duration < 1.4


AGENT = {"expect": "OK", "priority": {"regex": r"prio=(\d+)"}, "weight": {"regex": r"w=(\d+)"}}


@pytest.mark.parametrize("stays", [True, False], ids=["stays", "hangs up"])
@pytest.mark.parametrize("pause", [0.0, 0.2], ids=["at once", "with pauses"])
@pytest.mark.parametrize(
    "pieces",
    [
        (b"OK ", b"prio=50 w=20\n"),
        (b"OK prio=5", b"0 w=2", b"0\r\n"),
        (b"w=20\n", b"OK\n", b"prio=50\n"),
        (b"OK prio=50 w=20\nprio=7 w=7\n",),
    ],
)
async def test_numbers_are_read_from_whole_lines_however_they_are_cut(
    tools: CheckResources, pieces: tuple[bytes, ...], pause: float, stays: bool
) -> None:
    async def play(reader, writer) -> None:  # type: ignore[no-untyped-def]
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)  # noqa: TID251 - a slow agent is slow
        if stays:
            await hang(reader, writer)

    async with ScriptedServer(play) as server:
        result = await probe(tools, tcp(server.port, **AGENT))
    assert (result.outcome, result.priority, result.weight) == (Outcome.PASS, 50, 20)
    assert result.duration < 3


@pytest.mark.parametrize(("said", "priority"), [(b"OK prio=5", 5), (b"OK", -1), (b"OK\n", -1)])
@pytest.mark.parametrize("stays", [True, False], ids=["stays", "hangs up"])
async def test_what_is_not_said_in_time_is_not_there(
    tools: CheckResources, said: bytes, priority: int, stays: bool
) -> None:
    check = {"expect": "OK", "priority": {"regex": r"prio=(\d+)"}}
    async with ScriptedServer(greeting(said) if stays else saying(said)) as server:
        result = await probe(tools, tcp(server.port, **check), limit=0.4)
    assert (result.outcome, result.priority) == (Outcome.PASS, priority)


@pytest.mark.parametrize("rest", [b"250 more\r\n", b"", b"2"])
async def test_lines_that_follow_do_not_take_a_match_away(
    tools: CheckResources, rest: bytes
) -> None:
    async with ScriptedServer(saying(b"220 ready\r\n" + rest)) as server:
        result = await probe(tools, tcp(server.port, expect=r"^220 ready\r\n$"))
    assert result.outcome is Outcome.PASS


async def test_a_report_of_many_lines_is_read_to_its_end(tools: CheckResources) -> None:
    report = b"".join(b"key%d:%d\r\n" % (number, number) for number in range(200))
    check = {"expect": "key0:0", "weight": {"regex": r"key199:(\d+)"}}
    async with ScriptedServer(greeting(report)) as server:
        result = await probe(tools, tcp(server.port, **check))
    assert (result.outcome, result.weight) == (Outcome.PASS, 199)


async def test_an_answer_counts_though_the_target_resets_after_it(tools: CheckResources) -> None:
    async def play(reader, writer) -> None:  # type: ignore[no-untyped-def]
        writer.write(b"220 ready\r\n")
        await reset(reader, writer)

    async with ScriptedServer(play) as server:
        assert (await probe(tools, tcp(server.port, expect="^220"))).outcome is Outcome.PASS


async def test_a_port_where_nobody_listens_refuses(tools: CheckResources) -> None:
    async with ScriptedServer(hang) as server:
        pass
    result = await probe(tools, tcp(server.port))
    assert (result.code, result.text) == (Code.REFUSED, "Connection refused")


@pytest.mark.parametrize(
    ("table", "address", "shown"),
    [
        (tcp(80), HERE, "TCP 127.0.0.1:80"),
        (tcp(80), "::1", "TCP [::1]:80"),
        ({"type": "tcp"}, HERE, "TCP 127.0.0.1:?"),
        (tcp(25, expect="^220 "), HERE, "TCP 127.0.0.1:25 expect '^220 '"),
        (tcp(25, send="AUTH s3cret", expect="ok"), HERE, "TCP 127.0.0.1:25 expect 'ok'"),
    ],
)
def test_description(table: dict[str, object], address: str, shown: str) -> None:
    assert parse_check(table).describe(ProbeEndpoint(address)) == shown
