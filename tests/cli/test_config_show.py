"""`config show`: a record after inheritance, where each key is from, and no secrets."""

import json
from pathlib import Path

import pytest

from tests.cli.command import run

MAIN = """
[global]
domain_name = "lb.example"
load_records = ["records.d/*.toml"]
[default]
ttl = 5
interval = 5
timeout = 2
dns_timeout = 1
check = { type = "tcp", port = 80 }
[records."www".A]
dest = ["192.0.2.1@2", { host = "192.0.2.2", weight = 5 }]
policy = "weighted"
[records."www".AAAA]
dest = ["2001:db8::1"]
[zones."other.example".records."www.eu".A]
dest = ["192.0.2.9"]
[zones."other.example".records."api".A]
dest = ["192.0.2.9"]
"""

API = """
["api".A]
dest = ["192.0.2.3"]
ttl = 7
checks = [
    { type = "http", url = "http://%(address)s/", user = "me", password = "hunter22",
      headers = { Authorization = "Bearer xyzzy" } },
    { type = "exec", argv = ["check_x", "--password", "pass1word", "-H", "%(address)s"] },
    { type = "http", url = "https://%(address)s/?token=t0ken&x=1" },
    { type = "push", token = "a-token-that-is-long", max_silence = 60 },
]
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    main = tmp_path / "dnslb.toml"
    main.write_text(MAIN)
    (tmp_path / "records.d").mkdir()
    (tmp_path / "records.d/api.toml").write_text(API)
    return main


async def test_each_key_says_where_it_is_from(files: Path) -> None:
    ended = await run("config", "show", "WWW", "A", "-c", str(files))
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[:2] == ["www.lb.example A", f"  in {files}: records.www.A"]
    for line in (
        '  dest            record    ["192.0.2.1@2", { host = "192.0.2.2", weight = 5 }]',
        "  ttl             [default] 5",
        '  check           [default] { type = "tcp", port = 80 }',
        '  policy          record    "weighted"',
        "  rise            built-in  1",
    ):
        assert line in lines
    assert max(map(len, lines[2:])) <= 80


@pytest.fixture
def original(files: Path) -> Path:
    command = '["check_x", "-pS3cret", "-p", "80"]\nexpect = "OK"'
    files.write_text(MAIN.replace('{ type = "tcp", port = 80 }', command))
    return files


async def test_a_command_in_the_original_form_hides_its_password_too(original: Path) -> None:
    out = (await run("config", "show", "www", "A", "-c", str(original))).out
    assert "S3cret" not in out
    assert '  check           [default] ["check_x", "-p***", "-p", "80"]' in out.splitlines()


async def test_every_type_of_a_name_is_shown(files: Path) -> None:
    out = (await run("config", "show", "www", "-c", str(files))).out
    assert [line for line in out.splitlines() if line.startswith("www.")] == [
        "www.lb.example A",
        "www.lb.example AAAA",
    ]


async def test_a_drop_in_is_named_and_its_secrets_are_hidden(files: Path) -> None:
    arguments = ("config", "show", "api.lb.example", "a", "-c", str(files))
    report = json.loads((await run(*arguments, "--json")).out)
    (record,) = report["records"]
    assert (record["name"], record["type"]) == ("api.lb.example", "A")
    assert record["file"] == str(files.parent / "records.d/api.toml")
    assert record["path"] == "api.A"
    keys = {key["name"]: (key["value"], key["source"]) for key in record["keys"]}
    assert keys["ttl"] == (7, "record")
    assert "check" not in keys, "the checks of the record replace that of [default]"
    http, command, query, push = keys["checks"][0]
    assert (http["password"], http["headers"]) == ("***", {"Authorization": "***"})
    assert command["argv"] == ["check_x", "--password", "***", "-H", "%(address)s"]
    assert query["url"] == "https://%(address)s/?***"
    assert push["token"] == "***"
    out = (await run(*arguments)).out
    for secret in ("hunter22", "xyzzy", "a-token", "pass1word", "t0ken"):
        assert secret not in out


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("wwww",), "no such record: wwww\n"),
        (("www", "MX"), "no such record: www MX\n"),
        (
            ("api",),
            "api exists in several zones (api.lb.example, api.other.example): give the full name\n",
        ),
    ],
)
async def test_a_name_of_no_record_is_refused(
    files: Path, arguments: tuple[str, ...], error: str
) -> None:
    ended = await run("config", "show", *arguments, "-c", str(files))
    assert (ended.code, ended.out, ended.err) == (1, "", error)


async def test_a_name_of_another_zone_is_found(files: Path) -> None:
    out = (await run("config", "show", "www.eu", "-c", str(files))).out
    assert out.startswith("www.eu.other.example A\n")


@pytest.fixture
def broken(files: Path) -> Path:
    files.write_text(MAIN.replace("ttl = 5", "tll = 5"))
    return files


async def test_a_bad_configuration_is_reported_as_by_check_config(broken: Path) -> None:
    ended = await run("config", "show", "www", "-c", str(broken))
    assert (ended.code, ended.out) == (126, "")
    assert ended.err == (await run("check-config", "-c", str(broken))).err
