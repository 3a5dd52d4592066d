"""Agents that speak HAProxy's agent-check protocol, well and badly."""

import asyncio

import pytest

from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.core.health.results import Code, Outcome
from tests.checkers.conftest import Authority
from tests.checkers.probing import probe
from tests.checkers.servers import Play, ScriptedServer, for_ever, greeting, saying

AGENT = {"type": "agent"}


def agent(states: dict[bytes, bytes]) -> Play:
    """Read the line that names a service, and answer with its state."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(states[await reader.readline()])

    return play


@pytest.mark.parametrize(
    ("line", "priority", "weight"),
    [
        ("up", None, None),
        ("ready", None, None),
        ("UP Ready", None, None),
        ("75%", None, 75),
        ("up\t,75%, maxconn:30", None, 75),
        ("256% ready", None, 256),
        ("maxconn:30", None, None),
        ("up # drain later", None, None),
        ("drain", 0, None),
        ("maint#new disks", 0, None),
        ("up,drain,50%", 0, None),
        ("0%", 0, None),
        ("00% up", 0, None),
    ],
)
async def test_words_that_pass(
    tools: CheckResources, line: str, priority: int | None, weight: int | None
) -> None:
    async with ScriptedServer(saying(f"{line}\n".encode())) as server:
        result = await probe(tools, AGENT, port=server.port)
    assert (result.outcome, result.code) == (Outcome.PASS, Code.PASS)
    assert (result.priority, result.weight) == (priority, weight)
    assert result.text == line.replace("\t", " ")


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("down", Code.STATUS, "down"),
        ("down#disk full", Code.STATUS, "down#disk full"),
        ("failed, 75% # no database", Code.STATUS, "failed, 75% # no database"),
        ("fail", Code.STATUS, "fail"),
        ("STOPPED", Code.STATUS, "STOPPED"),
        ("up down drain", Code.STATUS, "up down drain"),
        ("down disk full", Code.STATUS, "down disk full"),
        ("fine", Code.NO_MATCH, "unknown word 'fine' in the agent's answer 'fine'"),
        ("up fine", Code.NO_MATCH, "unknown word 'fine' in the agent's answer 'up fine'"),
        ("75", Code.NO_MATCH, "unknown word '75' in the agent's answer '75'"),
        ("-5%", Code.NO_MATCH, "unknown word '-5%' in the agent's answer '-5%'"),
        ("7.5%", Code.NO_MATCH, "unknown word '7.5%' in the agent's answer '7.5%'"),
        ("٣%", Code.NO_MATCH, "unknown word '٣%' in the agent's answer '٣%'"),
        ("1234567890%", Code.NO_MATCH, "unknown word '1234567890%' in the agent's answer"),
        ("maxconn: 30", Code.NO_MATCH, "unknown word '30' in the agent's answer"),
        ("#up", Code.NO_MATCH, "no word in the agent's answer '#up'"),
        (" ,", Code.NO_MATCH, "no word in the agent's answer ','"),
        ("", Code.NO_MATCH, "no word in the agent's answer ''"),
    ],
)
async def test_words_that_fail(tools: CheckResources, line: str, code: Code, text: str) -> None:
    async with ScriptedServer(saying(f"{line}\r\n".encode())) as server:
        result = await probe(tools, AGENT, port=server.port)
    assert (result.outcome, result.code) == (Outcome.FAIL, code)
    assert result.text.startswith(text)
    assert (result.priority, result.weight) == (None, None)


@pytest.mark.parametrize("play", [saying(b"up"), greeting(b"up\r"), greeting(b"up\ndown\n")])
async def test_a_line_ends_with_cr_or_lf_or_the_connection(
    tools: CheckResources, play: Play
) -> None:
    async with ScriptedServer(play) as server:
        result = await probe(tools, AGENT, port=server.port)
    assert (result.outcome, result.text) == (Outcome.PASS, "up")


async def test_no_answer_at_all_is_a_refusal(tools: CheckResources) -> None:
    async with ScriptedServer(saying(b"")) as server:
        result = await probe(tools, AGENT, port=server.port)
    assert (result.code, result.text) == (
        Code.REFUSED,
        "closed the connection without an answer",
    )


async def test_half_a_line_is_no_answer(tools: CheckResources) -> None:
    async with ScriptedServer(greeting(b"up")) as server:
        result = await probe(tools, AGENT, port=server.port, limit=0.3)
    assert (result.code, result.text) == (Code.TIMEOUT, "no answer within 0.3 s")


async def test_one_agent_answers_for_several_services(tools: CheckResources) -> None:
    async with ScriptedServer(agent({b"www\n": b"up 40%\n", b"db\n": b"maint\n"})) as server:
        www = await probe(tools, {**AGENT, "send": "www\n"}, port=server.port)
        db = await probe(tools, {**AGENT, "send": "db\n"}, port=server.port)
    assert (www.outcome, www.weight) == (Outcome.PASS, 40)
    assert (db.outcome, db.priority) == (Outcome.PASS, 0)


async def test_a_line_without_end_is_not_read_to_its_end(tools: CheckResources) -> None:
    async with ScriptedServer(for_ever(b"up ", b"x" * 1000)) as server:
        result = await probe(tools, AGENT, port=server.port)
    assert (result.code, result.text) == (
        Code.STATUS,
        "sent no end of line within 4096 bytes",
    )


async def test_tls(tools: CheckResources, authority: Authority) -> None:
    check = {**AGENT, "tls": True, "sni": "www.lb.example", "ca_file": authority.ca_file}
    context = authority.server("www.lb.example")
    async with ScriptedServer(agent({b"www\n": b"up 40%\n"}), tls=context) as server:
        good = await probe(tools, {**check, "send": "www\n"}, port=server.port)
        other = await probe(tools, {**check, "sni": "other.example"}, port=server.port)
        plain = await probe(tools, {**AGENT, "send": "www\n"}, port=server.port)
    assert (good.outcome, good.weight) == (Outcome.PASS, 40)
    assert other.code == Code.TLS
    assert plain.outcome is Outcome.FAIL
