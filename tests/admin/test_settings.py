"""What `[admin]` may say."""

from typing import Any

import pytest
from pydantic import ValidationError

from dnslb_backend.admin.settings import AdminSettings
from dnslb_backend.network import AddressPort


def test_nothing_said_is_loopback() -> None:
    settings = AdminSettings()
    assert settings.endpoint == AddressPort("127.0.0.1", 8054)
    assert [str(network) for network in settings.networks] == ["127.0.0.0/8", "::1/128"]
    assert settings.token_file is None


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("", None),
        ("127.0.0.1:0", AddressPort("127.0.0.1", 0)),
        ("0.0.0.0:8054", AddressPort("0.0.0.0", 8054)),
        ("[::]:65535", AddressPort("::", 65535)),
        ("[2001:DB8::1]:80", AddressPort("2001:db8::1", 80)),
        ("localhost:8054", AddressPort("127.0.0.1", 8054)),
    ],
)
def test_addresses_to_listen_on(text: str, endpoint: AddressPort | None) -> None:
    assert AdminSettings(listen=text).endpoint == endpoint


def test_a_list_as_toml_gives_it() -> None:
    settings = AdminSettings.model_validate({"allow": ["10.0.0.0/8", "2001:db8::/32", "192.0.2.1"]})
    assert [str(n) for n in settings.networks] == ["10.0.0.0/8", "2001:db8::/32", "192.0.2.1/32"]


@pytest.mark.parametrize(
    ("given", "place", "complaint"),
    [
        ({"listen": "8054"}, "listen", "ADDRESS:PORT"),
        ({"listen": "127.0.0.1"}, "listen", "ADDRESS:PORT"),
        ({"listen": "127.0.0.1:"}, "listen", "0 to 65535"),
        ({"listen": "127.0.0.1:65536"}, "listen", "0 to 65535"),
        ({"listen": "127.0.0.1:-1"}, "listen", "0 to 65535"),
        ({"listen": "127.0.0.1:\u0661"}, "listen", "0 to 65535"),
        ({"listen": "::1:8054"}, "listen", "ADDRESS:PORT"),
        ({"listen": "[127.0.0.1]:8054"}, "listen", "ADDRESS:PORT"),
        ({"listen": "ns1.example:8054"}, "listen", "not looked up"),
        ({"listen": ":8054"}, "listen", "ADDRESS:PORT"),
        ({"listen": 8054}, "listen", "valid string"),
        ({"allow": "127.0.0.0/8"}, "allow", "valid tuple"),
        ({"allow": ["10.0.0.1/8"]}, "allow", "host bits"),
        ({"allow": ["everybody"]}, "allow", "not a network"),
        ({"allow": [10]}, "allow", "valid string"),
        ({"token_file": 1}, "token_file", "path"),
        ({"tokens": "x"}, "tokens", "not permitted"),
    ],
)
def test_what_is_refused_names_its_place(given: dict[str, Any], place: str, complaint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        AdminSettings.model_validate(given)
    (error,) = caught.value.errors()
    assert error["loc"][0] == place
    assert complaint in error["msg"]
