"""`serve` and `check-config`: the switches of the original, and what a bad file gives."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import run
from tests.rigs.daemon import Daemon

GOOD = """
[global]
domain_name = "lb.example"
load_records = ["records.d/*.toml"]
[admin]
[default]
ttl = 5
interval = 5
timeout = 1
dns_timeout = 1
[records.www.A]
dest = ["127.0.0.1"]
check = { type = "tcp", port = 9 }
"""
DROP_IN = '["{}".A]\ndest = ["127.0.0.2"]\ncheck = {{ type = "tcp", port = 9 }}\n'
BAD = '[www.A]\ndest = "127.0.0.1"\nsurprise = 1\n'


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], str]:
    (tmp_path / "records.d").mkdir()

    def write(name: str, text: str) -> str:
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


Write = Callable[[str, str], str]


@pytest.mark.parametrize("command", [("check-config",), ("serve", "-t")])
class TestTryingAConfiguration:
    async def test_a_good_one(self, command: tuple[str, ...], write: Write) -> None:
        ended = await run(*command, "-c", write("dnslb.toml", GOOD))
        assert ended.code == 0
        # On one line, however long the path is.
        assert ended.out.endswith("dnslb.toml: 1 record in 1 zone, fine.\n")
        assert all(line.startswith("warning: ") for line in ended.err.splitlines())

    async def test_a_missing_one(self, command: tuple[str, ...], tmp_path: Path) -> None:
        ended = await run(*command, "-c", str(tmp_path / "absent.toml"))
        assert (ended.code, ended.out) == (126, "")
        assert ended.err.startswith(f"{tmp_path}/absent.toml: ")

    async def test_a_bad_one_is_told_with_every_place(
        self, command: tuple[str, ...], write: Write
    ) -> None:
        file = write("dnslb.toml", GOOD + "surprise = 1\n[nonsense]\n")
        ended = await run(*command, "-c", file)
        assert ended.code == 126
        assert len(ended.err.splitlines()) == 2
        assert f"{file}: records.www.A.surprise: unknown key" in ended.err
        assert f"{file}: nonsense: unknown section" in ended.err

    async def test_a_changed_drop_in_is_tried_in_place_of_the_old_one(
        self, command: tuple[str, ...], write: Write, tmp_path: Path
    ) -> None:
        """-r new -m old, the purpose of these switches."""
        file = write("dnslb.toml", GOOD)
        write("records.d/api.toml", DROP_IN.format("api"))
        new = write("new.toml", DROP_IN.format("api"))
        assert (await run(*command, "-c", file, "-r", new)).code == 126
        ended = await run(*command, "-c", file, "-r", new, "-m", "records.d/api.toml")
        assert ended.code == 0, ended.err
        assert "2 records" in ended.out
        moved = await run(*command, "-c", file, "-C", "/nonexistent", "-r", new)
        assert moved.code == 0, "load_records starts from -C"
        absent = await run(*command, "-c", file, "-m", "absent.toml")
        assert absent.code == 126

    async def test_a_bad_token_file(self, command: tuple[str, ...], write: Write) -> None:
        tokens = write("tokens", "read\n")
        text = GOOD.replace("[admin]", f'[admin]\ntoken_file = "{tokens}"')
        ended = await run(*command, "-c", write("dnslb.toml", text))
        assert ended.code == 126
        assert f"{tokens}:1: " in ended.err


async def test_check_config_as_json(write: Write) -> None:
    good = await run("check-config", "--json", "-c", write("dnslb.toml", GOOD))
    assert good.code == 0
    assert json.loads(good.out)["ok"] is True
    bad = await run("check-config", "--json", "-c", write("bad.toml", GOOD + "surprise = 1\n"))
    assert bad.code == 126
    (problem,) = json.loads(bad.out)["problems"]
    assert problem["path"] == "records.www.A.surprise"
    assert problem["file"].endswith("bad.toml")


async def test_warnings_are_errors_for_a_strict_check_only(write: Write) -> None:
    (Path(write("dnslb.toml", "")).parent / "records.d/none.toml").touch()
    zone = (
        '[zones."lb.example"]\nsoa = { mname = "ns1", rname = "admin@lb.example" }\nns = ["ns1"]\n'
    )
    rows = 'static = [{ name = "ns1", type = "A", content = "192.0.2.53" }]\n'
    file = write("dnslb.toml", GOOD + zone + rows)
    warned = await run("check-config", "-c", file)
    place = f'{file}: zones."lb.example".soa.rname: has an @'
    assert (warned.code, warned.err.count("\n")) == (0, 1)
    assert warned.err.startswith(f"warning: {place}")
    strict = await run("check-config", "--strict", "-c", file)
    assert (strict.code, strict.out) == (126, "")
    assert strict.err.startswith(place)
    as_json = await run("check-config", "--strict", "--json", "-c", file)
    assert as_json.code == 126
    (problem,) = json.loads(as_json.out)["problems"]
    assert problem["path"] == 'zones."lb.example".soa.rname'
    good = write("dnslb.toml", (GOOD + zone + rows).replace("admin@lb.example", "admin"))
    assert (await run("check-config", "--strict", "-c", good)).code == 0


async def test_a_daemon_starts_with_warnings() -> None:
    async with Daemon(GOOD + "max_answers = 9\n") as daemon:
        assert "127.0.0.1" in (await run("status", "-c", str(daemon.config_file))).out


async def test_a_bad_configuration_starts_nothing(write: Write) -> None:
    ended = await run("serve", "-c", write("dnslb.toml", BAD))
    assert ended.code == 126
    assert "dnslb.toml" in ended.err


async def test_serving_until_told_to_stop() -> None:
    async with Daemon(GOOD, arguments=("-l", "debug")) as daemon:
        status = await run("status", "-c", str(daemon.config_file))
        assert status.code == 0
        assert "127.0.0.1 DOWN" in status.out
        daemon.signal(signal.SIGTERM)
        assert await daemon.wait() == 0
        after = await run("status", "-c", str(daemon.config_file))
        assert after.code == 1
        assert "is dnslb-backend running?" in after.err


async def test_reloading_a_daemon(token_file: Path) -> None:
    text = GOOD.replace("[admin]", f'[admin]\ntoken_file = "{token_file}"')
    async with Daemon(text) as daemon:
        daemon.configure(text.replace("www", "web"))
        ended = await run("reload", "-c", str(daemon.config_file))
        assert ended.code == 0, ended.err
        assert "1 records, 1 new or changed, 1 removed" in ended.out
        daemon.configure(text + "surprise = 1\n")
        ended = await run("reload", "-c", str(daemon.config_file))
        assert ended.code == 126
        assert "records.www.A.surprise: unknown key" in ended.err
        assert "web.lb.example" in (await run("status", "-c", str(daemon.config_file))).out
