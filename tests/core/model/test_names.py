import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.core.model.names import (
    canonical_address,
    canonical_name,
    is_within,
    key_of,
    parents,
    spelled_name,
)
from dnslb_backend.errors import NameFormatError


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("www", "www.lb.example"),
        ("WwW", "www.lb.example"),
        ("a.b", "a.b.lb.example"),
        ("other.test.", "other.test"),
        ("*", "*.lb.example"),
        ("_sip._tcp", "_sip._tcp.lb.example"),
        ("bücher", "xn--bcher-kva.lb.example"),
        (r"dot\.ted", r"dot\.ted.lb.example"),
        (r"sp\032ace", r"sp\032ace.lb.example"),
    ],
)
def test_relative_names_stand_below_the_origin(text: str, canonical: str) -> None:
    assert canonical_name(text, "lb.example") == canonical


def test_spelling_keeps_the_letter_case() -> None:
    assert spelled_name("WwW", "LB.example") == "WwW.LB.example"


@pytest.mark.parametrize("text", ["a..b", ".a", "x" * 64, ".".join(["x" * 60] * 5), ""])
def test_refuses_what_is_no_name(text: str) -> None:
    with pytest.raises(NameFormatError):
        canonical_name(f"{text}." if text else "..")


@given(st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=5))
def test_a_name_as_powerdns_writes_it_becomes_its_key(labels: list[bytes]) -> None:
    def escape(byte: int) -> str:
        if byte in b".\\":
            return "\\" + chr(byte)
        return chr(byte) if 0x20 < byte < 0x7F else f"\\{byte:03d}"

    as_sent = ".".join("".join(map(escape, label)) for label in labels) + "."
    assert key_of(as_sent) == canonical_name(as_sent)
    assert key_of(as_sent.upper()) == key_of(as_sent)


def test_parents_end_below_the_apex() -> None:
    assert parents("a.b.c.lb.example", "lb.example") == ["b.c.lb.example", "c.lb.example"]
    assert parents("www.lb.example", "lb.example") == []
    assert parents("lb.example", "lb.example") == []
    assert parents(r"a\.b.c.lb.example", "lb.example") == ["c.lb.example"]


def test_within_looks_at_whole_labels() -> None:
    assert is_within("www.lb.example", "lb.example")
    assert is_within("lb.example", "lb.example")
    assert not is_within("xlb.example", "lb.example")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("fe80::1%eth0", None),
        ("example", None),
        ("300.1.1.1", None),
    ],
)
def test_addresses_have_one_spelling(text: str, address: str | None) -> None:
    assert canonical_address(text) == address
