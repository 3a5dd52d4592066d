import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest

from dnslb_backend.checkers.checks.base import Check
from dnslb_backend.checkers.checks.kinds.exec import ExecCheck
from dnslb_backend.checkers.checks.registry import EXTRAS, KINDS, check_class, parse_check

HTTP = {"type": "http", "url": "http://%(address)s/"}
HTTPS = {"type": "https", "url": "https://%(address)s/"}
DNS = {"type": "dns", "name": "www.lb.example"}
DB = {"type": "mariadb", "user": "probe"}


def test_an_argv_list_is_the_original_form() -> None:
    check = parse_check(["check", "%(address)s"], expect="OK", prio_regex="load=(.*)")
    assert check == ExecCheck(argv=("check", "%(address)s"), expect="OK", prio_regex="load=(.*)")


def test_equal_tables_make_equal_checks_with_equal_hashes() -> None:
    table = {**HTTP, "headers": {"X-A": "1"}, "status": [200, "300-302"], "json_path": "a"}
    one, two = (parse_check({**table, "json_value": 1}) for _ in range(2))
    assert one == two
    assert hash(one) == hash(two)
    assert one != parse_check({**table, "json_value": 2})


def test_a_changed_secret_makes_another_check() -> None:
    one, two = (parse_check({**DB, "password": secret}) for secret in ("a", "b"))
    assert one != two


@pytest.mark.parametrize("value", ["abc", 7, None, True])
def test_what_is_neither_list_nor_table_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="must be a list, the command and its arguments, or a"):
        parse_check(value)


@pytest.mark.parametrize("table", [{}, {"type": "nagios"}, {"type": 7}, {"type": ["exec"]}])
def test_an_unknown_kind_is_told_the_known_ones(table: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="known are: " + ", ".join(KINDS)):
        parse_check(table)


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_refuses_unknown_keys(name: str) -> None:
    with pytest.raises(ValueError, match="colour\n  Extra inputs are not permitted"):
        check_class(name).model_validate({"type": name, "colour": "red"})


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_has_its_own_name(name: str) -> None:
    assert issubclass(check_class(name), Check)
    assert name in str(check_class(name).model_fields["type"].annotation)


@pytest.mark.parametrize("name", EXTRAS)
async def test_a_kind_without_its_extra_is_refused_with_the_command(
    name: str, tmp_path: Path
) -> None:
    config = tmp_path / "dnslb.toml"
    config.write_text(
        '[global]\ndomain_name = "lb.example"\n'
        "[default]\nttl = 5\ninterval = 5\ntimeout = 2\ndns_timeout = 2\n"
        '[records."www".A]\ndest = ["192.0.2.1"]\n'
        f'check = {{ type = "{name}", port = 1 }}\n'
    )
    # As if the library were not installed.
    program = (
        f"import sys; sys.modules[{EXTRAS[name]!r}] = None;"
        " from dnslb_backend.__main__ import main; main()"
    )
    command = [sys.executable, "-c", program, "check-config", "-c", str(config)]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    _, errors = await process.communicate()
    assert process.returncode == 126
    assert f"type '{name}' needs the extra {name}: pip install 'dnslb-backend[{name}]'" in (
        errors.decode()
    )


@pytest.mark.parametrize(
    "table",
    [
        # Strings for lists and bools, bools for numbers: what the original took for good.
        {"type": "exec", "argv": "abc"},
        {**HTTP, "status": "200"},
        {**HTTPS, "verify": "false"},
        {**HTTPS, "verify": 0},
        {"type": "tcp", "port": True},
        {"type": "tcp", "port": "80"},
        {"type": "tcp", "port": 80.0},
        {**HTTP, "headers": [["X-A", "1"]]},
        {**HTTP, "headers": {"X-A": 1}},
        {**HTTP, "redirects": True},
        {**DB, "states": "read_write"},
        {"type": "file", "path": "/x", "up": "up"},
        {"type": "push", "token": "t", "max_silence": "60"},
        # Values out of bounds.
        {"type": "tcp", "port": 0},
        {"type": "tcp", "port": 65536},
        {**HTTP, "status": []},
        {**HTTP, "status": [99]},
        {**HTTP, "status": [True]},
        {**HTTP, "status": ["299-200"]},
        {**HTTP, "redirects": -1},
        {"type": "icmp", "count": 0},
        {"type": "icmp", "size": 8},
        {"type": "push", "token": "t", "max_silence": 0},
        {"type": "push", "token": "t", "max_silence": float("inf")},
        {"type": "file", "path": "/x", "max_age": float("nan")},
        {"type": "static", "result": "maybe"},
        # Commands that cannot be run.
        {"type": "exec", "argv": []},
        {"type": "exec", "argv": [""]},
        {"type": "exec", "argv": ["a", 1]},
        {"type": "exec", "argv": ["a\0b"]},
        {"type": "exec", "argv": ["a", "%s"]},
        # Regular expressions and places of numbers.
        {"type": "exec", "argv": ["a"], "expect": "("},
        {"type": "exec", "argv": ["a"], "expect": "(" * 5000},
        {"type": "exec", "argv": ["a"], "prio_regex": "*"},
        {"type": "exec", "argv": ["a"], "prio_regex": "(.)", "priority": {"regex": "(.)"}},
        {"type": "exec", "argv": ["a"], "priority": {"regex": "x"}},
        {"type": "exec", "argv": ["a"], "priority": {}},
        {"type": "exec", "argv": ["a"], "priority": {"regex": "(.)", "json_path": "a"}},
        {"type": "exec", "argv": ["a"], "priority": {"header": "X-Load"}},
        {"type": "tcp", "port": 1, "weight": {"regex": "(.)"}},
        # URLs and headers.
        {"type": "http"},
        {**HTTP, "url": "ftp://%(address)s/"},
        {**HTTP, "url": "%(address)s"},
        {**HTTP, "url": "http://%s/"},
        {**HTTP, "url": "http:///x"},
        {**HTTP, "url": "http://user:secret@%(address)s/"},
        {**HTTP, "token": "secret\n"},
        {**HTTP, "url": "http://%(address)s/#x"},
        {**HTTP, "url": "http://%(address)s/a b"},
        {**HTTP, "url": "http://%(address)s:99999/"},
        {**HTTP, "headers": {"X A": "1"}},
        {**HTTP, "headers": {"X-A": "1\r\nX-B: 2"}},
        {**HTTP, "headers": {"Host": "www"}},
        {**HTTP, "host": "www.lb.example/x"},
        {**HTTP, "method": "get"},
        # Impossible pairs.
        {"type": "https", "url": "http://%(address)s/"},
        {**HTTP, "verify": False},
        {**HTTP, "sni": "www.lb.example"},
        {**HTTPS, "client_key": "/key"},
        {**HTTP, "json_path": "a"},
        {**HTTP, "json_value": "a"},
        {**HTTP, "method": "HEAD", "body": "x"},
        {**HTTP, "user": "u"},
        {**HTTP, "password": "p"},
        {**HTTP, "user": "u", "password": "p", "password_file": "/p"},
        {**HTTP, "user": "u", "password": "p", "token": "t"},
        {**HTTP, "user": "u:v", "password": "p"},
        {**HTTP, "token": "t", "token_file": "/t"},
        {"type": "tls", "port": 1, "min_days": 7, "verify": False},
        {"type": "agent", "sni": "www.lb.example"},
        {"type": "agent", "tls": True, "client_key": "/key"},
        {"type": "grpc", "sni": "www.lb.example"},
        {"type": "grpc", "service": "x" * 128},
        {"type": "grpc", "service": "with blank"},
        {"type": "grpc", "service": 7},
        {"type": "postgres"},
        {"type": "postgres", "user": "a\0b"},
        {"type": "postgres", "user": "u", "role": "galera"},
        {"type": "postgres", "user": "u", "role": "primary", "max_lag": 5},
        {"type": "postgres", "user": "u", "password": "p", "password_file": "/p"},
        {"type": "postgres", "user": "u", "ca_file": "/ca.pem"},
        {"type": "postgres", "user": "u", "query": ""},
        {**DB, "max_lag": 5},
        {**DB, "ca_file": "/ca.pem"},
        {**DB, "password": "p", "password_file": "/p"},
        {**DB, "query": " "},
        {**DB, "states": ["primary"]},
        {"type": "file", "path": "relative"},
        {"type": "file", "path": "/x", "up": ["a"], "down": ["a", "b"]},
        {"type": "push", "max_silence": 5},
        {"type": "push", "max_silence": 5, "token": ""},
        {"type": "push", "max_silence": 5, "token": "t", "token_file": "/t"},
        # Names of DNS.
        {**DNS, "name": "a..b"},
        {**DNS, "qtype": "NONSENSE"},
        {**DNS, "qtype": "AXFR"},
        {**DNS, "rcode": "FINE"},
    ],
)
def test_what_could_never_work_is_refused(table: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_check(table)


def test_a_refusal_never_shows_a_secret() -> None:
    with pytest.raises(ValueError, match="password") as refusal:
        parse_check({**HTTP, "user": 7, "password": ["s3cret"], "token": "s3cret2"})
    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("prio_regex", "active"),
    [("", False), ("load", False), ("load=(.*)", True), ("(?:x)", False), ("(?P<n>.)", True)],
)
def test_prio_regex_without_a_group_is_inactive(prio_regex: str, active: bool) -> None:
    check = ExecCheck(argv=("true",), prio_regex=prio_regex)
    assert check.prio_regex_active is active


@pytest.mark.parametrize(
    ("table", "needed"),
    [
        ({"type": "agent"}, True),
        ({"type": "agent", "port": 1}, False),
        ({"type": "grpc"}, True),
        ({"type": "tcp"}, True),
        ({"type": "tcp", "port": 1}, False),
        ({"type": "tls"}, True),
        ({"type": "tls", "port": 443}, False),
        (HTTP, False),
        (DNS, False),
    ],
)
def test_a_check_says_whether_the_destination_must_bring_the_port(
    table: dict[str, Any], needed: bool
) -> None:
    assert parse_check(table).port_needed is needed
