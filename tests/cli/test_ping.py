"""`ping`: alive, ready, not yet, and nobody there."""

import json
from pathlib import Path

from dnslb_backend.core.model.records import RecordKey
from tests.admin.node import Node
from tests.cli.command import run, run_afresh
from tests.core.building import ZONE, record
from tests.rigs.ports import free_port


async def test_a_daemon_that_answers_is_alive(config: Path) -> None:
    ended = await run("ping", "-c", str(config))
    assert (ended.code, ended.out, ended.err) == (0, "alive\n", "")


async def test_it_is_ready_after_the_first_rounds(config: Path, node: Node) -> None:
    assert (await run("ping", "--ready", "-c", str(config))).out == "ready\n"
    node.adopt(record("10.0.0.1"), record("10.0.0.9", key=RecordKey(ZONE, f"api.{ZONE}", "A")))
    ended = await run("ping", "--ready", "-c", str(config))
    assert (ended.code, ended.out) == (1, "")
    assert "some records have no answer" in ended.err
    ended = await run("ping", "--ready", "--json", "-c", str(config))
    assert (ended.code, json.loads(ended.out), ended.err) == (1, {"ready": False}, "")
    ended = await run("ping", "--json", "-c", str(config))
    assert (ended.code, json.loads(ended.out), ended.err) == (0, {"alive": True}, "")


async def test_a_health_check_needs_no_library(config: Path, node: Node) -> None:
    for words, said in ((["ping"], "alive\n"), (["ping", "--ready"], "ready\n")):
        environment = {"DNSLB_CONFIG": str(config), "PYTHONPROFILEIMPORTTIME": "1"}
        ended = await run_afresh(*words, **environment)
        assert (ended.code, ended.out) == (0, said)
        imported = {line.rpartition("|")[2].strip() for line in ended.err.splitlines()}
        assert "dnslb_backend.cli.health_check" in imported
        assert not imported & {"typer", "rich", "pydantic", "aiohttp"}
    node.adopt(record("10.0.0.9", key=RecordKey(ZONE, f"api.{ZONE}", "A")))
    ended = await run_afresh("ping", "--ready", DNSLB_CONFIG=str(config))
    assert (ended.code, ended.out) == (1, "")
    assert "some records have no answer" in ended.err


async def test_nobody_there_is_a_failure() -> None:
    ended = await run("ping", "--admin", f"http://127.0.0.1:{free_port()}")
    assert ended.code == 1
    assert "is dnslb-backend running?" in ended.err


async def test_somebody_else_is_no_daemon(url: str) -> None:
    ended = await run("ping", "--admin", f"{url}/elsewhere")
    assert ended.code == 1
    assert "is not a dnslb-backend: it answered 404" in ended.err
