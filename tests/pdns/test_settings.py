import ipaddress
from typing import Any

import pytest
from pydantic import ValidationError

from dnslb_backend.network import AddressPort
from dnslb_backend.pdns.settings import PdnsSettings, ServerSettings


@pytest.fixture(autouse=True)
def no_runtime_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)


def test_without_a_word_only_this_host_is_served() -> None:
    settings = ServerSettings.model_validate({})
    assert settings.endpoint == AddressPort("127.0.0.1", 8053)
    assert settings.unix == ""
    assert settings.mode == 0o660
    assert settings.unix_group is None
    assert list(map(str, settings.networks)) == ["127.0.0.0/8", "::1/128"]


@pytest.mark.parametrize(
    ("variable", "path"),
    [("/run/dnslb", "/run/dnslb/pdns.sock"), ("/run/a:/run/b", "/run/a/pdns.sock"), ("", "")],
)
def test_systemd_says_where_the_unix_socket_stands(
    monkeypatch: pytest.MonkeyPatch, variable: str, path: str
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", variable)
    assert ServerSettings.model_validate({}).unix == path
    assert ServerSettings.model_validate({"unix": ""}).unix == ""


def test_both_connectors_can_be_turned_off() -> None:
    assert ServerSettings.model_validate({"http": "", "unix": ""}).endpoint is None


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("127.0.0.2:1", AddressPort("127.0.0.2", 1)),
        ("[::1]:8053", AddressPort("::1", 8053)),
        ("127.0.0.1:0", AddressPort("127.0.0.1", 0)),
    ],
)
def test_where_http_listens(text: str, endpoint: AddressPort) -> None:
    assert ServerSettings.model_validate({"http": text}).endpoint == endpoint


@pytest.mark.parametrize("address", ["0.0.0.0:8053", "[::]:8053", "192.0.2.1:8053"])
def test_an_address_beyond_this_host_must_say_who_may_ask(address: str) -> None:
    with pytest.raises(ValidationError, match="list its clients"):
        ServerSettings.model_validate({"http": address})
    settings = ServerSettings.model_validate({"http": address, "allow": ["192.0.2.0/24"]})
    assert settings.networks == (ipaddress.ip_network("192.0.2.0/24"),)


def test_nobody_may_ask_where_allow_is_empty() -> None:
    assert ServerSettings.model_validate({"allow": []}).networks == ()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("http", "8053", "ADDRESS:PORT"),
        ("http", "ns1.example:8053", "names are not looked up"),
        ("http", "127.0.0.1:65536", "ADDRESS:PORT"),
        ("http", "127.0.0.1:", "ADDRESS:PORT"),
        ("http", "127.0.0.1:٨", "ADDRESS:PORT"),
        ("http", "::1:8053", "in brackets"),
        ("http", "[127.0.0.1]:8053", "in brackets"),
        ("http", 8053, "valid string"),
        ("unix", "/run/" + "x" * 103, "107 bytes"),
        ("unix", "/run/\0", "NUL"),
        ("unix_mode", "0888", "octal"),
        ("unix_mode", "rw", "octal"),
        ("unix_mode", "7777", "octal"),
        ("unix_mode", 660, "valid string"),
        ("unix_group", "", "at least 1"),
        ("allow", "127.0.0.1", "valid tuple"),
        ("allow", ["127.0.0.1/8"], "host bits"),
        ("allow", ["example.com"], "is not a network"),
        ("allow", [127], "valid string"),
        ("htpp", "", "Extra inputs"),
    ],
)
def test_nonsense_is_refused(key: str, value: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ServerSettings.model_validate({key: value})


def test_a_channel_is_one_or_several() -> None:
    assert not PdnsSettings.model_validate({}).has_channel
    settings = PdnsSettings.model_validate({"control_socket": "/run/pdns/pdns.controlsocket"})
    assert settings.control_socket == ("/run/pdns/pdns.controlsocket",)
    assert settings.has_channel
    settings = PdnsSettings.model_validate(
        {
            "control_socket": ["/a", "/b"],
            "api": ["http://127.0.0.1:8081", "https://[::1]/"],
            "api_key_file": "/key",
        }
    )
    assert settings.control_socket == ("/a", "/b")
    assert settings.api == ("http://127.0.0.1:8081", "https://[::1]/")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"control_socket": ""}, "at least 1"),
        ({"control_socket": ["/a", 1]}, "valid string"),
        ({"api": "http://127.0.0.1:8081"}, "needs `api_key_file`"),
        ({"api_key_file": "/key"}, "no use without"),
        ({"api": "127.0.0.1:8081", "api_key_file": "/key"}, "must be the URL"),
        ({"api": "http://h:99999", "api_key_file": "/key"}, "must be the URL"),
        ({"api": "http://h/?a=b", "api_key_file": "/key"}, "must be the URL"),
        ({"api": "http://u:p@h/", "api_key_file": "/key"}, "without a user"),
        ({"api": "ftp://hush:hush@h:x/", "api_key_file": "/key"}, "without a user"),
        ({"api": "ftp://h/", "api_key_file": "/key"}, "must be the URL"),
        ({"apikey": ""}, "Extra inputs"),
    ],
)
def test_a_channel_that_cannot_work_is_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        PdnsSettings.model_validate(table)
    assert "hush" not in caught.value.errors()[0]["msg"]
