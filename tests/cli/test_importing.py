"""`import`: what it writes and where, and how it refuses what cannot be imported."""

import asyncio
import os
import socket
import stat
from pathlib import Path

import pytest

from dnslb_backend.cli.exit_codes import ExitCode
from tests.cli.command import PLAIN, Ended, line, run, run_afresh
from tests.rigs.ports import free_port

SAMPLES = Path(__file__).parent.parent / "importers/samples"
ZONE = SAMPLES / "example.org.zone"
DUMP = SAMPLES / "powergslb-2.sql"


async def piped(data: bytes, *arguments: str) -> tuple[int | None, str, str]:
    """The command with `data` on its standard input."""
    process = await asyncio.create_subprocess_exec(
        *line(*arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=PLAIN,
    )
    out, err = await process.communicate(data)
    return process.returncode, out.decode(), err.decode()


def _names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def is_refusal(ended: Ended, why: str) -> bool:
    """One line on stderr, nothing on stdout."""
    assert ended.out == ""
    assert why in ended.err
    assert len(ended.err.splitlines()) == 1
    return ended.code == ExitCode.FAILED


@pytest.mark.parametrize(("command", "source"), [("lua", ZONE), ("powergslb", DUMP)])
async def test_the_result_goes_to_stdout_the_warnings_to_stderr(
    command: str, source: Path, tmp_path: Path
) -> None:
    ended = await run("import", command, str(source))
    assert ended.code == ExitCode.FINE
    assert ended.out == source.with_name(source.stem + ".toml").read_text()
    warnings = ended.err.splitlines()
    assert len(warnings) == ended.out.count("# NO EQUAL: ")
    assert all(warning.startswith("warning: ") for warning in warnings)
    assert str(tmp_path.parent) not in ended.out
    assert str(SAMPLES) not in ended.out + ended.err
    (tmp_path / "dnslb.toml").write_text(ended.out)
    checked = await run("check-config", "-c", str(tmp_path / "dnslb.toml"))
    assert checked.code == ExitCode.FINE, checked.err


async def test_a_zone_comes_over_standard_input() -> None:
    code, out, err = await piped(ZONE.read_bytes(), "import", "lua", "-")
    assert code == ExitCode.FINE, err
    assert out.startswith("# Written by `dnslb-backend import lua` from standard input.\n")
    assert "standard input:15: www LUA AAAA" in err


async def test_a_file_is_written_whole_for_its_owner_and_never_over_another(tmp_path: Path) -> None:
    target = tmp_path / "new.toml"
    ended = await run("import", "lua", str(ZONE), "--output", str(target))
    assert ended.code == ExitCode.FINE
    assert ended.out == ""
    assert target.read_text() == (SAMPLES / "example.org.toml").read_text()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    target.write_text("mine")
    assert is_refusal(
        await run("import", "lua", str(ZONE), "--output", str(target)), "is not overwritten"
    )
    assert target.read_text() == "mine"
    assert _names(tmp_path) == ["new.toml"]


async def test_a_target_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    for target in (tmp_path / "none/new.toml", tmp_path):
        assert is_refusal(await run("import", "lua", str(ZONE), "-o", str(target)), f"{target}: ")
    assert _names(tmp_path) == []


@pytest.mark.parametrize("command", ["lua", "powergslb"])
async def test_sources_that_cannot_be_read_are_refused_with_one_line(
    command: str, tmp_path: Path
) -> None:
    fifo, binary, output = tmp_path / "fifo", tmp_path / "binary", tmp_path / "new.toml"
    os.mkfifo(fifo)
    binary.write_bytes(b"$TTL 5\n\xff\xfe")
    for source, why in (
        (tmp_path / "missing", "No such file"),
        (tmp_path, "Is a directory"),
        (fifo, "not a regular file"),
        (binary, "binary:2: is no UTF-8"),
    ):
        ended = await run("import", command, str(source), "-o", str(output))
        assert is_refusal(ended, why)
    assert not output.exists()


@pytest.mark.parametrize(
    ("command", "whole", "last", "why"),
    [
        ("lua", ZONE.read_text(), '"', "cut:"),
        ("powergslb", DUMP.read_text(), "-- Dump completed", "cut off"),
    ],
)
async def test_a_source_that_is_cut_off_is_refused_and_nothing_is_written(
    command: str, whole: str, last: str, why: str, tmp_path: Path
) -> None:
    source, target = tmp_path / "cut", tmp_path / "new.toml"
    for end in (len(whole) // 2, whole.rindex(last)):
        source.write_text(whole[:end])
        assert is_refusal(await run("import", command, str(source), "-o", str(target)), why)
        assert _names(tmp_path) == ["cut"]


async def test_thousands_of_lua_records_are_imported_and_load(tmp_path: Path) -> None:
    source, result = tmp_path / "many.zone", tmp_path / "new.toml"
    rows = (f"r{n} IN LUA A \"ifportup(443, {{'192.0.2.{n % 250 + 1}'}})\"\n" for n in range(3000))
    source.write_text("$ORIGIN lb.example.\n$TTL 60\n@ IN SOA a b 1 2 3 4 5\n" + "".join(rows))
    ended = await run("import", "lua", str(source), "-o", str(result))
    assert (ended.code, ended.err) == (ExitCode.FINE, "")
    checked = await run("check-config", "-c", str(result))
    assert checked.code == ExitCode.FINE, checked.err
    assert "3000 records" in checked.out


async def test_a_zone_without_a_name_is_asked_for_it(tmp_path: Path) -> None:
    (tmp_path / "db").write_text("@ 60 IN SOA ns1 hostmaster 1 2 3 4 5\n")
    assert is_refusal(await run("import", "lua", str(tmp_path / "db")), "--zone NAME")
    ended = await run("import", "lua", str(tmp_path / "db"), "--zone", "lb.example")
    assert '[zones."lb.example"]' in ended.out
    assert is_refusal(await run("import", "lua", str(ZONE), "--zone", "a..b"), "no domain name")


async def test_a_location_database_that_is_none_is_refused(tmp_path: Path) -> None:
    ended = await run("import", "lua", str(ZONE), "--geo-database", str(tmp_path / "none.mmdb"))
    assert is_refusal(ended, "none.mmdb")


async def test_a_database_that_is_away_is_refused() -> None:
    url = f"mysql://reader@127.0.0.1:{free_port()}/powergslb"
    assert is_refusal(await run("import", "powergslb", url), "cannot be read")


async def test_a_database_that_is_silent_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ended = await run("import", "powergslb", f"mysql://reader@127.0.0.1:{port}/powergslb")
        assert is_refusal(ended, f"127.0.0.1:{port} does not answer")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mysql://u:secret@localhost/powergslb", "the URL has a password"),
        ("mysql://u@localhost", "mysql://USER@HOST[:PORT]/DATABASE"),
        ("mysql://u@localhost:x/powergslb", "URL of the database"),
        ("mysql://u@localhost/powergslb?ssl=1", "allowed: unix_socket"),
    ],
)
async def test_a_url_that_cannot_be_used_is_refused_without_its_password(
    url: str, why: str
) -> None:
    ended = await run("import", "powergslb", url)
    assert is_refusal(ended, why)
    assert "secret" not in ended.err


async def test_a_password_file_without_a_url_is_wrong_usage(tmp_path: Path) -> None:
    ended = await run("import", "powergslb", str(DUMP), "--password-file", str(tmp_path / "p"))
    assert ended.code == ExitCode.USAGE


async def test_a_hundred_warnings_are_shown_and_the_rest_counted(tmp_path: Path) -> None:
    rows = "".join(f'r{n} IN LUA A "latlon()"\n' for n in range(150))
    (tmp_path / "many.zone").write_text(
        f"$ORIGIN lb.example.\n$TTL 60\n@ IN SOA a b 1 2 3 4 5\n{rows}"
    )
    ended = await run("import", "lua", str(tmp_path / "many.zone"))
    assert len(ended.err.splitlines()) == 101
    assert "and 50 more" in ended.err
    assert ended.out.count("# NO EQUAL: ") == 150


async def test_the_same_source_gives_the_same_result() -> None:
    first, second = [
        await run_afresh("import", "powergslb", str(DUMP), PYTHONHASHSEED=seed) for seed in "12"
    ]
    assert first.out == second.out
