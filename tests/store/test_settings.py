"""[mysql] and [state] as they may be written."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from dnslb_backend.store.settings import MysqlSettings, MysqlTlsSettings, StateSettings


def mysql(**written: Any) -> MysqlSettings:
    return MysqlSettings.model_validate(written)


def test_the_originals_section_loads() -> None:
    found = mysql(unix_socket="/run/mysqld/mysqld.sock", database="pdns", charset="utf8")
    assert (found.unix_socket, found.name) == ("/run/mysqld/mysqld.sock", "pdns")
    assert (found.refresh, found.history_max_age, found.history_max_rows) == (None, 2592000, 10**6)
    assert found.warnings == ()


def test_other_words_for_the_same() -> None:
    found = mysql(db="pdns", passwd="s3cret")
    assert found.name == "pdns"
    assert found.secret is not None
    assert found.secret.get_secret_value() == "s3cret"
    assert mysql(db="pdns", database="pdns").name == "pdns"
    assert mysql().name == "dnslb"


def test_servers_are_one_or_a_list() -> None:
    assert (mysql().hosts, mysql().unix_sockets) == ((), ())
    assert mysql(host="db.example").hosts == ("db.example",)
    assert mysql(host=["127.0.0.1", "db.example"]).hosts == ("127.0.0.1", "db.example")
    assert mysql(unix_socket=["/a", "/b"]).unix_sockets == ("/a", "/b")


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ({"host": []}, "must name a server"),
        ({"host": ""}, "must name a server"),
        ({"host": ["db.example", "ann:hush@db"]}, "without user"),
        ({"host": ["db.example", 1]}, "string"),
        ({"unix_socket": [""]}, "must name a server"),
        ({"db": "a", "database": "b"}, "keep one"),
        ({"password": "a", "password_file": "/a"}, "`password` and `password_file`"),
        ({"ssl": True, "ssl_ca": "/ca.pem"}, "keep one"),
        ({"databse": "a"}, "Extra inputs"),
        ({"port": "3306"}, "integer"),
        ({"port": 0}, "greater"),
        ({"refresh": 0}, "greater"),
        ({"refresh": float("nan")}, "finite"),
        ({"refresh": True}, "number"),
        ({"history_max_rows": 0}, "greater"),
        ({"database": ""}, "at least 1"),
        ({"ssl": {"cafile": "/ca.pem"}}, "Extra inputs"),
    ],
)
def test_what_cannot_work_is_refused(written: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        mysql(**written)


def test_driver_keys_without_effect_are_named() -> None:
    found = mysql(database="pdns", autocommit=True, read_timeout=3, compress=False)
    assert found.warnings == (
        "`autocommit` has no effect here",
        "`compress` has no effect here",
        "`read_timeout` has no effect here",
    )


def test_a_password_does_not_show() -> None:
    found = mysql(password="s3cret", ssl_ca="/ca.pem", ssl_key_password="hush")
    assert "s3cret" not in repr(found)
    assert "hush" not in repr(found)


@pytest.mark.parametrize(
    ("written", "verified"),
    [
        ({}, None),
        ({"ssl": False}, None),
        ({"ssl_ca": "/ca.pem", "ssl_disabled": True}, None),
        ({"ssl": True}, True),
        ({"ssl": {"ca": "/ca.pem"}}, True),
        ({"ssl": {}}, False),
        ({"ssl": {"ca": "/ca.pem", "verify_mode": "none"}}, False),
        ({"ssl": {"verify_mode": "required"}}, True),
        ({"ssl_ca": "/ca.pem"}, False),
        ({"ssl_ca": "/ca.pem", "ssl_verify_cert": True}, True),
    ],
)
def test_tls_verifies_as_the_originals_driver_does(
    written: dict[str, Any], verified: bool | None
) -> None:
    found = mysql(**written)
    tls = found.tls
    assert (tls and tls.is_verified) == verified
    assert ("not verified" in " ".join(found.warnings)) == (verified is False)


def test_single_keys_name_the_same_files() -> None:
    tls = mysql(ssl_ca="/ca", ssl_cert="/cert", ssl_key="/key", ssl_verify_identity=True).tls
    assert tls == MysqlTlsSettings(
        ca=Path("/ca"), cert=Path("/cert"), key=Path("/key"), verify_mode=False
    )


def test_the_state_lives_where_systemd_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    assert StateSettings().path == Path("dnslb-state.sqlite")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/dnslb:/var/lib/other")
    assert StateSettings().path == Path("/var/lib/dnslb/state.sqlite")
    assert StateSettings.model_validate({"path": "/x/y"}).path == Path("/x/y")
    assert StateSettings().max_age == 300


@pytest.mark.parametrize("written", [{"path": ""}, {"path": "a\0b"}, {"max_age": -1}, {"at": 1}])
def test_a_state_that_cannot_be_is_refused(written: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        StateSettings.model_validate(written)
