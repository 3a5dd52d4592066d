"""A day's work of an operator: taking members out, looking back, asking why.

The commands are those of a shell, the daemon and PowerDNS are real.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Ended, run
from tests.rigs.daemon import Daemon, follows
from tests.rigs.mariadb import MariaDB
from tests.rigs.powerdns import PowerDNS
from tests.rigs.targets import HttpTarget, farm
from tests.rigs.waiting import until
from tests.system.writing import config, http, record, table

TOKEN = "operate-0123456789abcdef"
PUNCTUAL = 1.0
"""Seconds after its end within which an order is gone from DNS, on a busy machine."""


@dataclass(frozen=True, slots=True)
class Shift:
    """What an operator has at hand."""

    daemon: Daemon
    pdns: PowerDNS
    first: HttpTarget
    second: HttpTarget

    async def shell(self, *arguments: str) -> Ended:
        return await run(*arguments, "-c", str(self.daemon.config_file))

    async def says(self, *arguments: str) -> str:
        """What a command that works prints; nothing may be wider than a terminal."""
        ended = await self.shell(*arguments)
        assert (ended.code, ended.err) == (0, ""), ended
        assert max(map(len, ended.out.splitlines())) <= 80
        return ended.out

    async def answers(self, *arguments: str) -> Any:
        ended = await self.shell(*arguments, "--json")
        assert (ended.code, ended.err) == (0, ""), ended
        return json.loads(ended.out)

    async def serves(self, *targets: HttpTarget, name: str = "www") -> None:
        await follows(self.pdns, f"{name}.lb.example", {target.host for target in targets})


@pytest.fixture
async def shift(tmp_path: Path) -> AsyncIterator[Shift]:
    tokens = tmp_path / "admin.tokens"
    tokens.write_text(f"operate {TOKEN} night-shift\n")
    tokens.chmod(0o600)
    async with farm(2) as (first, second):
        both = [first.host, second.host]
        check = http(first.port)
        text = config(
            record("www", dest=both, check=check),
            record("single", dest=[first.host], check=check),
            record("careful", dest=both, check=check, failback="manual"),
            table("views.office", networks=["10.0.0.0/8"]),
            record(
                "split",
                dest=[first.host, {"host": second.host, "views": ["office"]}],
                check=check,
            ),
            table("admin", token_file=str(tokens)),
        )
        async with Daemon(text) as daemon, daemon.powerdns() as pdns:
            shift = Shift(daemon, pdns, first, second)
            await shift.serves(first, second)
            yield shift


async def test_a_member_is_drained_for_a_while_and_comes_back_punctually(shift: Shift) -> None:
    arguments = ("drain", shift.second.host, "--for", "2s", "--reason", "new disk")
    # On a busy machine the order may have ended before the command has.
    command = asyncio.create_task(shift.says(*arguments))
    await shift.serves(shift.first)
    seen = time.monotonic()
    await shift.serves(shift.first, shift.second)
    assert time.monotonic() - seen <= 2 + PUNCTUAL
    said = await command
    assert said.startswith(f"drain {shift.second.host} until ")
    assert said.endswith("Z (new disk)\n")

    events = (await shift.answers("history", "www", "--since", "1m"))["events"]
    back, out = [event for event in events if event.get("content") == shift.second.host][:2]
    assert (out["from_served"], out["to_served"]) == (True, False)
    assert out["reason"] == "override drain by night-shift: new disk"
    assert (back["from_served"], back["to_served"]) == (False, True)
    assert back["reason"] == "drain expired: 200 OK"
    assert abs(second(back["at"]) - second(out["at"]) - 2) <= PUNCTUAL
    page = await shift.says("history", "www")
    assert f"www.lb.example A {shift.second.host}\n  no longer served: override drain" in page


async def test_the_history_says_who_cleared_an_override(shift: Shift) -> None:
    await shift.says("drain", shift.second.host)
    await shift.serves(shift.first)
    await shift.says("clear", shift.second.host)
    await shift.serves(shift.first, shift.second)
    events = (await shift.answers("history", "www", "--since", "1m"))["events"]
    back = next(event for event in events if event.get("content") == shift.second.host)
    assert back["reason"] == "drain cleared by night-shift: 200 OK"


async def test_explain_says_who_drained_it_and_why(shift: Shift) -> None:
    await shift.says("drain", shift.second.host, "--reason", "new disk")
    told = await shift.answers("explain", "www", "A")
    (record,) = told["records"]
    drained = next(row for row in record["members"] if row["content"] == shift.second.host)
    assert (drained["picked"], drained["health"], drained["effective"]) == (False, "UP", "UP")
    assert drained["reason"] == "override drain by night-shift: new disk"
    assert drained["override"]["author"] == "night-shift"
    page = await shift.says("explain", "www", "A")
    assert f"  {shift.second.host} DRAINED (UP)" in page
    assert "override drain by night-shift:" in page
    # Its checks go on.
    await shift.second.probed()


async def test_the_last_serving_member_is_not_taken_by_accident(shift: Shift) -> None:
    for action in ("drain", "down"):
        ended = await shift.shell(action, shift.first.host)
        assert (ended.code, ended.out) == (1, "")
        assert "no serving member would be left in" in ended.err
        assert "single.lb.example/A" in ended.err
        assert "www.lb.example/A" not in ended.err
    await shift.serves(shift.first, shift.second)
    # For one record alone it may go.
    await shift.says("drain", shift.first.host, "--record", "www")
    await shift.serves(shift.second)
    await shift.serves(shift.first, name="single")
    # And now nobody else is left there.
    ended = await shift.shell("down", "127.0.0.*", "--record", "www.lb.example")
    assert ended.code == 1
    assert "serving member would be left in www.lb.example/A" in ended.err
    await shift.says("down", "127.0.0.*", "--force")
    await shift.serves()
    await shift.serves(name="single")
    page = await shift.says("clear", "*")
    assert page.count("Cleared: ") == 2
    await shift.serves(shift.first, shift.second)
    await shift.serves(shift.first, name="single")


async def test_up_serves_what_is_broken_and_its_end_may_leave_nobody(shift: Shift) -> None:
    shift.first.fail()
    await shift.serves(name="single")
    await shift.says("up", shift.first.host, "--reason", "the check is wrong")
    await shift.serves(shift.first, name="single")
    assert f"{shift.first.host} FORCED UP (DOWN)" in await shift.says("explain", "single")
    ended = await shift.shell("clear", shift.first.host)
    assert ended.code == 1
    assert "serving member would be left in" in ended.err
    await shift.says("clear", shift.first.host, "--force")
    await shift.serves(name="single")
    ended = await shift.shell("clear", shift.first.host)
    assert (ended.code, ended.out) == (1, "")
    assert "no override for" in ended.err


async def test_orders_outlive_a_restart(shift: Shift) -> None:
    await shift.says("drain", shift.second.host)
    await shift.serves(shift.first)
    await shift.daemon.kill()
    await shift.daemon.start()
    await shift.serves(shift.first)
    await shift.says("clear", shift.second.host)
    await shift.serves(shift.first, shift.second)


async def test_who_waits_to_return_is_let_in_by_hand(shift: Shift) -> None:
    assert (await shift.shell("clear", shift.first.host)).code == 1
    shift.first.fail()
    await shift.serves(shift.second, name="careful")
    shift.first.heal()
    await shift.serves(shift.first, shift.second)
    await shift.serves(shift.second, name="careful")
    page = await shift.says("clear", shift.first.host)
    said = f"Readmitted: {shift.first.host} in careful.lb.example A (was waiting for failback)"
    assert " ".join(page.split()) == said
    await shift.serves(shift.first, shift.second, name="careful")


async def test_explain_knows_views_and_what_if(shift: Shift) -> None:
    for client, served, view in (
        ("10.1.2.3", shift.second.host, "office"),
        ("192.0.2.1", shift.first.host, ""),
    ):
        told = await shift.answers("explain", "split", "A", "--client", client)
        assert told["client"] == f"{client}/32"
        assert [row["content"] for row in told["answer"]] == [served]
        assert told["records"][0]["view"] == view
    told = await shift.answers(
        "explain", "split", "A", "--client", "10.1.2.3", "--down", shift.second.host
    )
    assert [row["content"] for row in told["answer"]] == [shift.first.host]
    told = await shift.answers("explain", "single", "A", "--down", shift.first.host)
    assert (told["verdict"], told["answer"]) == ("NODATA", [])
    page = await shift.says("explain", "single", "A", "--down", shift.first.host)
    assert page.startswith(f"single.lb.example A if {shift.first.host} were down: NODATA\n")
    # It was a question only.
    await shift.serves(shift.first, name="single")
    # What a client that shares the servers' prefix may see: rule 9.
    page = await shift.says("explain", "www", "A", "--client", "127.0.0.2")
    assert "warning: the client is in 127.0.0.2/31" in page
    ended = await shift.shell("explain", "www", "A", "--down", "192.0.2.77")
    assert ended.code == 1
    assert "down: no member of www.lb.example matches 192.0.2.77" in ended.err
    ended = await shift.shell("explain", "www", "A", "--client", "office")
    assert ended.code == 1
    assert "client: 'office' is no address or network" in ended.err
    assert (await shift.answers("explain", "nope.lb.example"))["verdict"] == "NXDOMAIN"
    ended = await shift.shell("explain", "nope")
    assert (ended.code, ended.out) == (1, "")
    assert "no such record: nope" in ended.err
    assert (await shift.answers("explain", "www.example.net."))["verdict"] == "REFUSED"


async def test_probe_asks_now_and_nothing_counts(shift: Shift) -> None:
    shift.second.fail(418)
    await shift.serves(shift.first)
    hits = shift.first.hits
    page = await shift.says("probe", "www", "a")
    assert shift.first.hits > hits
    assert f"www.lb.example A {shift.first.host}: pass (0) in " in page
    assert f"www.lb.example A {shift.second.host}: fail (-6) in " in page
    assert "target   DOWN, would stay DOWN" in page
    report = await shift.answers("probe", "www")
    asked = {row["address"]: (row["outcome"], row["asked"]) for row in report["probes"]}
    outcome, question = asked[shift.second.host]
    assert outcome == "fail"
    assert f"http://{shift.second.host}:{shift.second.port}/" in question
    ended = await shift.shell("probe", "nope")
    assert (ended.code, ended.out) == (1, "")
    assert "no such record: nope" in ended.err


async def test_nobody_orders_without_a_token(shift: Shift) -> None:
    for command in ("drain", "down", "up", "clear", "probe"):
        ended = await run(command, shift.second.host, "--admin", f"http://{shift.daemon.admin}")
        assert (ended.code, ended.out) == (1, "")
        assert "refused: a token is needed" in ended.err
    await shift.serves(shift.first, shift.second)


async def test_schema_apply_makes_what_the_daemon_writes(tmp_path: Path) -> None:
    async with MariaDB() as mariadb, HttpTarget() as target:
        await mariadb.query("CREATE DATABASE mirror")
        www = record("www", dest=[target.host], check=http(target.port))
        mysql = table("mysql", unix_socket=str(mariadb.socket), user="root", database="mirror")
        async with Daemon(config(www, mysql)) as daemon:
            ended = await run("schema", "apply", "-c", str(daemon.config_file))
            assert (ended.code, ended.err) == (0, "")
            assert ended.out.startswith("applied 0001_schema.sql\n")

            async def mirrored() -> bool:
                rows = await mariadb.query("SELECT * FROM lb_status", database="mirror")
                return [row["address"] for row in rows] == [target.host]

            await until(mirrored, within=30, what="the mirror has its rows")
            ended = await run("history", "-c", str(daemon.config_file), "--json")
            assert json.loads(ended.out)["source"] == "mariadb"


def second(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


async def test_a_script_that_probes_in_a_loop_does_not_hammer_a_target(shift: Shift) -> None:
    body = {"name": "single", "type": "A"}
    asked = 40

    async def probe() -> list[str]:
        status, report = await shift.daemon.request("POST", "/api/v1/probe", body, token=TOKEN)
        assert status == 200
        return [row["outcome"] for row in report["probes"]]

    before, began = shift.first.hits, time.monotonic()
    assert await asyncio.gather(*(probe() for _ in range(asked))) == [["pass"]] * asked
    assert await probe() == ["pass"]
    took = time.monotonic() - began
    # Its own rounds go on: twice a second for one check that three records share.
    assert shift.first.hits - before <= 4 + 3 * (took + 1)


async def test_tokens_are_read_again_with_the_configuration(shift: Shift) -> None:
    tokens = Path(str(shift.daemon.config["admin"]["token_file"]))
    path, order = "/api/v1/overrides", {"target": shift.second.host, "action": "drain"}
    other = "operate-fedcba9876543210"
    await asyncio.to_thread(
        tokens.write_text, f"read {TOKEN} night-shift\noperate {other} day-shift\n"
    )
    # Not before somebody says so.
    assert (await shift.daemon.request("POST", path, order, token=TOKEN))[0] == 201
    assert (await shift.daemon.request("POST", path, order, token=other))[0] == 401
    shift.daemon.reload()
    await shift.daemon.logged("reloaded: ")
    assert (await shift.daemon.request("POST", path, order, token=TOKEN))[0] == 403
    assert (await shift.daemon.request("POST", path, order, token=other))[0] == 201
    # A bad file changes nothing, and no token of it is told.
    bad = f"operate {other} day-shift\noperat hush-hush-0123456789abcdef\n"
    await asyncio.to_thread(tokens.write_text, bad)
    shift.daemon.reload()
    said = await shift.daemon.logged("reload refused: ")
    assert f"{tokens}:2" in said
    assert "hush-hush" not in shift.daemon.log
    assert (await shift.daemon.request("POST", path, order, token=other))[0] == 201
    assert TOKEN not in shift.daemon.log
    assert other not in shift.daemon.log
