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


STATIC = """
[global]
domain_name = "lb.example"
[admin]
[zones."lb.example"]
soa = { mname = "ns1", rname = "hostmaster" }
ns = ["ns1"]
static = [{ name = "ns1", type = "A", content = "192.0.2.53" }]
[default]
ttl = 5
interval = 5
timeout = 1
dns_timeout = 1
check = { type = "static" }
[records.www.A]
dest = ["192.0.2.1", "192.0.2.2"]
[records.old.A]
dest = ["192.0.2.9"]
"""

CHANGES = """\
zone lb.example changed: static
  + ns1.lb.example A 192.0.2.54
  - ns1.lb.example A 192.0.2.53
new.lb.example A added
  + 192.0.2.9
  then: not known until its first check cycle has ended
old.lb.example A removed
  - 192.0.2.9
  now: 192.0.2.9
www.lb.example A changed: dest
  + 192.0.2.3
  - 192.0.2.2
  now: 192.0.2.1, 192.0.2.2
  then: 192.0.2.1
A reload would give 2 records: 1 added, 1 changed, 1 removed; 3 answers differ.
"""


async def test_what_a_reload_would_change_is_shown_and_not_done(token_file: Path) -> None:
    text = STATIC.replace("[admin]", f'[admin]\ntoken_file = "{token_file}"')
    async with Daemon(text) as daemon:
        file = str(daemon.config_file)
        same = await run("reload", "--dry-run", "-c", file)
        nothing = "A reload would give 2 records: 0 added, 0 changed, 0 removed; 0 answers differ."
        assert same.out == f"{nothing}\n"
        changed = text.replace("2.53", "2.54").replace("2.2", "2.3").replace("old", "new")
        daemon.configure(changed)
        for command in (("reload", "--dry-run"), ("check-config", "--against-running")):
            ended = await run(*command, "-c", file)
            assert (ended.code, ended.out, ended.err) == (0, CHANGES, "")
        as_json = await run("reload", "--dry-run", "--json", "-c", file)
        assert [each["change"] for each in json.loads(as_json.out)["changes"]] == [
            "added",
            "removed",
            "changed",
        ]
        assert "old.lb.example" in (await run("status", "-c", file)).out
        daemon.configure(changed + "surprise = 1\n")
        bad = await run("check-config", "--against-running", "-c", file)
        assert bad.code == 126
        assert "records.new.A.surprise: unknown key" in bad.err
        daemon.configure(changed)
        assert (await run("reload", "-c", file)).code == 0
        assert (await run("reload", "--dry-run", "-c", file)).out == f"{nothing}\n"


async def test_another_file_cannot_be_compared_with_what_runs(write: Write) -> None:
    file = write("dnslb.toml", GOOD)
    ended = await run("check-config", "--against-running", "-c", file, "-r", file)
    assert ended.code == 2
    assert "the files that the daemon reads" in ended.err
