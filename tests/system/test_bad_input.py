"""What cannot be used ends `serve` with one message that names the place, and nothing started."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from dnslb_backend.config import ConfigPaths, load
from dnslb_backend.errors import ConfigError
from tests.cli.command import run
from tests.rigs.daemon import Daemon
from tests.rigs.ports import free_port
from tests.system.writing import FINE, config, record, table

DEFAULT: Mapping[str, object] = {"check": FINE}


def www(**keys: object) -> str:
    return config(record("www", **{"dest": ["192.0.2.1"], **keys}), default=DEFAULT)


def default(**keys: object) -> str:
    return config(record("www", dest=["192.0.2.1"]), default={**DEFAULT, **keys})


def zone(**keys: object) -> str:
    return config(table('zones."lb.example"', **keys))


def static(**keys: object) -> str:
    return zone(static=[{"name": "a", "type": "A", "content": "192.0.2.1", **keys}])


def without(key: str) -> str:
    """A configuration whose only record lacks this key."""
    kept = [line for line in www().splitlines() if not line.startswith(f"{key} =")]
    return "\n".join(kept)


CASES = {
    "bad TOML": ("[global\n", "", "is not valid TOML: "),
    "not UTF-8": ("[global]\nnode = '\udcff'\n", "", "is not UTF-8: "),
    "key of no meaning": (
        www(intervall=5),
        "records.www.A.intervall",
        "did you mean interval? Allowed here",
    ),
    "default of no meaning": (
        default(tll=5),
        "default.tll",
        "unknown key; did you mean ttl? Allowed here: all_down",
    ),
    "section of no meaning": (table("record"), "record", "did you mean records?"),
    "text for a number": (default(interval="5s"), "default.interval", "should be a valid number"),
    "number for a text": (www(expect=1), "records.www.A.expect", "should be a valid string"),
    "text for a list": (www(dest="192.0.2.1"), "records.www.A.dest", "should be a valid list"),
    "text for a list of files": (config(load_records="x"), "global.load_records", "valid list"),
    "text for an argv": (www(check="true"), "records.www.A.check", "should be a valid list"),
    "text for a boolean": (config(delete_unknowns="false"), "global.delete_unknowns", "boolean"),
    "same record in other letters": (
        config(
            record("www", dest=["192.0.2.1"]), record("WWW", dest=["192.0.2.1"]), default=DEFAULT
        ),
        "records.WWW.A",
        "is defined already, in",
    ),
    "no dest": (www(dest=[]), "records.www.A.dest", "at least 1"),
    "empty dest": (www(dest=[""]), "records.www.A.dest[0]", "neither an IP address nor a host"),
    "priority that is no number": (www(dest=["a@x"]), "records.www.A.dest[0]", "a whole number"),
    "empty priority": (www(dest=["a", "b@"]), "records.www.A.dest[1]", "a whole number, not ''"),
    "two priorities": (
        www(dest=["a@1", "a@2"]),
        "records.www.A.dest[1]",
        "two priorities, 1 and 2",
    ),
    "other family": (
        www(dest=["2001:db8::1"]),
        "records.www.A.dest[0]",
        "not an address for a record",
    ),
    "fallback of another family": (
        www(fallback="::1"),
        "records.www.A.fallback",
        "not an address for",
    ),
    "fallback with a priority": (www(fallback="a@1"), "records.www.A.fallback", "no priority"),
    "bad regexp": (www(expect="("), "records.www.A.expect", "'(' is not a regular expression"),
    "bad prio_regex": (
        default(prio_regex="["),
        "default.prio_regex",
        "is not a regular expression",
    ),
    "bad format": (www(check=["true", "%d"]), "records.www.A.check[1]", "%d"),
    "lone per cent sign": (www(check=["true", "100%"]), "records.www.A.check[1]", "bad format '%'"),
    "format of no meaning": (www(check=["true", "%(port)s"]), "records.www.A.check[1]", "%(port)s"),
    "format without a name": (www(check=["true", "%s"]), "records.www.A.check[1]", "%s"),
    "unknown record type": (
        config(record("www", "TXT")),
        "records.www.TXT",
        "allowed here: A, AAAA",
    ),
    "unknown check kind": (www(check={"type": "smoke"}), "records.www.A.check.type", "'smoke'"),
    "bad SOA": (zone(soa={"rname": "a..b"}), 'zones."lb.example".soa.rname', "label is empty"),
    "negative SOA time": (zone(soa={"retry": -1}), 'zones."lb.example".soa.retry', "not -1"),
    "bad static address": (static(content="1.2.3"), 'zones."lb.example".static[0].content', "A"),
    "bad static type": (
        static(type="AA"),
        'zones."lb.example".static[0].type',
        "not a record type",
    ),
    "bad static name": (static(name="a.b.c.d."), 'zones."lb.example".static[0].name', "not in"),
    "no interval": (without("interval"), "records.www.A", "needs interval, here or in [default]"),
    "interval of zero": (www(interval=0), "records.www.A.interval", "greater than 0"),
    "negative interval": (default(interval=-5), "default.interval", "greater than 0, not -5"),
    "endless interval": (www(interval=float("inf")), "records.www.A.interval", "finite"),
    "negative ttl": (www(ttl=-1), "records.www.A.ttl", "greater than or equal to 0"),
    "negative timeout": (www(timeout=-0.1), "records.www.A.timeout", "greater than or equal to 0"),
    "open to the world": (
        config(table("server", http=f"0.0.0.0:{free_port()}")),
        "server",
        "list its clients in `allow`",
    ),
}


def written(case: str, folder: Path) -> Path:
    file = folder / "dnslb.toml"
    file.write_text(CASES[case][0].replace("Infinity", "inf"), errors="surrogateescape")
    return file


def is_named(case: str, file: Path, line: str) -> bool:
    """Whether the line begins with file and path, and says what is wrong."""
    _, path, words = CASES[case]
    place = ": ".join(part for part in (str(file), path) if part)
    return line.startswith(f"{place}: ") and words in line


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_with_file_and_path(case: str, tmp_path: Path) -> None:
    file = written(case, tmp_path)
    with pytest.raises(ConfigError) as refused:
        load(ConfigPaths(file))
    [problem] = refused.value.problems
    assert is_named(case, file, str(problem))


@pytest.mark.parametrize("case", ["bad TOML", "not UTF-8", "key of no meaning", "bad format"])
async def test_serve_ends_with_that_line_and_has_started_nothing(case: str, tmp_path: Path) -> None:
    file = written(case, tmp_path)
    ended = await run("serve", "-c", str(file))
    assert (ended.code, ended.out) == (126, "")
    [line] = ended.err.splitlines()
    assert is_named(case, file, line)


async def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = tmp_path / "dnslb.toml"
    file.write_text(config())
    absent = str(tmp_path / "absent.toml")
    for switches in (
        ("-c", absent),
        ("-c", str(file), "-r", absent),
        ("-c", str(file), "-m", absent),
    ):
        ended = await run("serve", *switches)
        assert (ended.code, ended.out) == (126, "")
        [line] = ended.err.splitlines()
        assert line.startswith(f"{absent}: ")


async def test_a_record_in_two_files_names_them_both(tmp_path: Path) -> None:
    folder = tmp_path / "records.d"
    folder.mkdir()
    for name in ("a.toml", "b.toml"):
        (folder / name).write_text(table("www.A", dest=["192.0.2.1"]))
    file = tmp_path / "dnslb.toml"
    file.write_text(config(load_records=["records.d/*.toml"], default=DEFAULT))
    ended = await run("serve", "-c", str(file))
    assert ended.code == 126
    [line] = ended.err.splitlines()
    assert line.startswith(f"{folder}/b.toml: www.A: is defined already, in {folder}/a.toml")


async def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    file = tmp_path / "dnslb.toml"
    records = [record("a", dest=[]), record("b", dest=["x"], ttl=-1), record("c", dest=["y@z"])]
    file.write_text(config(*records, default=DEFAULT))
    ended = await run("serve", "-c", str(file))
    assert ended.code == 126
    paths = [line.split(": ")[1] for line in ended.err.splitlines()]
    assert sorted(paths) == ["records.a.A.dest", "records.b.A.ttl", "records.c.A.dest[0]"]


@pytest.mark.parametrize(("section", "key"), [("server", "http"), ("admin", "listen")])
async def test_a_port_that_is_taken_ends_it_with_one_clear_line(
    section: str, key: str, tmp_path: Path
) -> None:
    async with Daemon(config()) as first:
        taken = first.config[section][key]
        state = {"path": str(tmp_path / "state.sqlite")}
        settings = {"server": {"http": ""}, "admin": {"listen": ""}, "state": state}
        tables = [table(name, **keys) for name, keys in {**settings, section: {key: taken}}.items()]
        file = tmp_path / "dnslb.toml"
        file.write_text(config(*tables, loglevel="error"))
        ended = await run("serve", "-c", str(file))
        assert (ended.code, ended.out) == (1, "")
        [line] = ended.err.splitlines()
        assert line == f"cannot listen at {section}.{key} = {taken}: Address already in use"
        assert await first.health("/livez")
