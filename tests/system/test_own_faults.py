"""A fault of ours says nothing about a target: health is kept, and UNKNOWN is no answer."""

import resource
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.rigs.daemon import Daemon, follows
from tests.rigs.server import executable
from tests.rigs.targets import farm
from tests.rigs.waiting import until
from tests.system.writing import config, http, record


async def members(daemon: Daemon) -> list[dict[str, Any]]:
    _, status = await daemon.get("/api/v1/status")
    found: list[dict[str, Any]] = status["members"]
    return found


async def test_without_its_check_a_target_is_unknown_and_no_answer_is_given(
    tmp_path: Path,
) -> None:
    check = [str(tmp_path / "check"), "%(address)s"]
    records = [
        record("www", dest=["192.0.2.1", "192.0.2.2"], check=check),
        record("saved", dest=["192.0.2.1"], check=check, fallback="192.0.2.99"),
        record("fine", dest=["192.0.2.3"], check=["true"]),
    ]
    async with Daemon(config(*records)) as daemon, daemon.powerdns() as pdns:
        assert (await pdns.ask("www.lb.example")).rcode == "SERVFAIL"
        assert (await pdns.ask("saved.lb.example")).addresses == {"192.0.2.99"}
        assert (await pdns.ask("fine.lb.example")).addresses == {"192.0.2.3"}
        await daemon.logged("192.0.2.1: check error")
        for row in await members(daemon):
            if row["name"] == "www.lb.example":
                assert (row["health"], row["result_code"], row["served"]) == ("UNKNOWN", -3, False)
                assert check[0] in row["result_text"]
        shutil.copy(executable("true"), check[0])
        await follows(pdns, "www.lb.example", {"192.0.2.1", "192.0.2.2"})
        await follows(pdns, "saved.lb.example", {"192.0.2.1"})


async def test_a_check_that_goes_missing_leaves_everybody_in_place(tmp_path: Path) -> None:
    check = tmp_path / "check"
    away = tmp_path / "away"
    shutil.copy(executable("test"), check)
    # Passes for the one, fails for the other.
    argv = [str(check), "%(address)s", "=", "192.0.2.1"]
    www = record("www", dest=["192.0.2.1", "192.0.2.2"], check=argv, stale_after=1.5)
    async with Daemon(config(www)) as daemon, daemon.powerdns() as pdns:
        await follows(pdns, "www.lb.example", {"192.0.2.1"})
        check.rename(away)
        await daemon.logged("192.0.2.1: check error, health unchanged")
        await daemon.logged("192.0.2.2: check error, health unchanged")
        rows = await members(daemon)
        assert [(row["health"], row["result_code"]) for row in rows] == [("UP", -3), ("DOWN", -3)]
        assert (await pdns.ask("www.lb.example")).addresses == {"192.0.2.1"}

        # Nothing was heard of them for too long: UNKNOWN moves no answer either.
        async def stale() -> bool:
            return all(row["stale"] for row in await members(daemon))

        await until(stale)
        assert {row["health"] for row in await members(daemon)} == {"UNKNOWN"}
        assert (await pdns.ask("www.lb.example")).addresses == {"192.0.2.1"}
        assert await daemon.health("/readyz")

        away.rename(check)
        await until(lambda: _healths(daemon, ["UP", "DOWN"]))
        assert (await pdns.ask("www.lb.example")).addresses == {"192.0.2.1"}
        assert "no longer served" not in daemon.log


async def _healths(daemon: Daemon, expected: list[str]) -> bool:
    return [row["health"] for row in await members(daemon)] == expected


async def test_without_free_descriptors_no_target_is_called_down() -> None:
    async with farm(2) as (first, second):
        dest = [first.host, second.host]
        www = record("www", dest=dest, check=http(first.port))
        async with Daemon(config(www)) as daemon, daemon.powerdns() as pdns:
            await follows(pdns, "www.lb.example", set(dest))
            soft, hard = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (8, hard))
            for host in dest:
                await daemon.logged(f"{host}: check error, health unchanged")
            resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (soft, hard))
            # As soon as there are some, it goes on.
            await follows(pdns, "www.lb.example", set(dest))
            await second.stop()
            await follows(pdns, "www.lb.example", {first.host})
            await second.start()
            await follows(pdns, "www.lb.example", set(dest))
            assert f"{first.host}: UP -> DOWN" not in daemon.log
            assert await daemon.stop() == 0


@pytest.mark.parametrize("check", [["/"], ["/etc/passwd"], ["nosuch-command-anywhere"]])
async def test_what_cannot_be_run_is_our_fault(check: list[str]) -> None:
    www = record("www", dest=["192.0.2.1"], check=check)
    async with Daemon(config(www)) as daemon:
        [row] = await members(daemon)
        assert (row["health"], row["result_code"]) == ("UNKNOWN", -3)
        assert check[0] in row["result_text"]
        assert (await daemon.get("/readyz"))[0] == 200
