import dns.exception
import dns.name
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dnslb_backend.core.model.names import (
    IDNA,
    address_type,
    canonical_address,
    canonical_name,
    is_sinkhole,
    is_within,
    key_of,
    parents,
    spelled_name,
    split_labels,
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


@example("\\.", None)
@given(
    st.text(r"aB1-_.\\*@ü", max_size=12) | st.text("a.", min_size=240, max_size=256),
    st.sampled_from([None, "lb.example", "LB.Example", r"a\.b.example", ".".join(["a" * 60] * 4)]),
)
def test_a_name_is_spelled_as_dnspython_reads_it(text: str, origin: str | None) -> None:
    below = dns.name.root if origin is None else dns.name.from_text(f"{origin}.")
    try:
        name = dns.name.from_text(text, below, IDNA)
    except (dns.exception.DNSException, UnicodeError):
        with pytest.raises(NameFormatError):
            spelled_name(text, origin)
    else:
        # dnspython escapes the @ as well, and writes the root as a dot.
        expected = name.to_text(omit_final_dot=True).replace(r"\@", "@")
        assert spelled_name(text, origin) == ("" if name == dns.name.root else expected)


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


@pytest.mark.parametrize(
    ("name", "apex", "found"),
    [
        ("a.b.c.lb.example", "lb.example", ["b.c.lb.example", "c.lb.example"]),
        ("a.b.c", "", ["b.c", "c"]),
        ("a", "", []),
        ("", "", []),
    ],
)
def test_parents_are_between_a_name_and_its_apex(name: str, apex: str, found: list[str]) -> None:
    assert parents(name, apex) == found


@pytest.mark.parametrize(
    ("name", "apex", "answer"),
    [
        ("lb.example", "lb.example", True),
        ("www.lb.example", "lb.example", True),
        ("xlb.example", "lb.example", False),
        ("example", "lb.example", False),
        ("www", "", True),
        ("", "", True),
        ("", "example", False),
    ],
)
def test_everything_is_within_the_root(name: str, apex: str, answer: bool) -> None:
    assert is_within(name, apex) is answer


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("", []),
        ("a", ["a"]),
        ("a.b", ["a", "b"]),
        (r"a\.b.c", [r"a\.b", "c"]),
        (r"a\\\.b.c", [r"a\\\.b", "c"]),
        (r"\032.c", [r"\032", "c"]),
    ],
)
def test_labels_are_cut_at_dots_that_are_not_escaped(name: str, labels: list[str]) -> None:
    assert split_labels(name) == labels


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        ("192.0.2.1", False),
        ("0.0.0.0", True),
        ("0.1.2.3", True),
        ("1.0.0.0", False),
        ("127.0.0.1", False),
        ("224.0.0.1", True),
        ("239.255.255.255", True),
        ("255.255.255.255", True),
        ("255.255.255.254", False),
        ("::", True),
        ("::1", False),
        ("ff02::1", True),
        ("2001:db8::1", False),
        ("::ffff:192.0.2.1", False),
        ("::ffff:0.0.0.0", True),
        ("::ffff:224.0.0.1", True),
    ],
)
def test_no_server_has_a_sinkhole(address: str, answer: bool) -> None:
    assert is_sinkhole(address) is answer


@pytest.mark.parametrize(("address", "kind"), [("192.0.2.1", "A"), ("::1", "AAAA")])
def test_an_address_has_its_type(address: str, kind: str) -> None:
    assert address_type(address) == kind


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=4))
def test_a_canonical_name_stays_what_it_is(labels: list[bytes]) -> None:
    text = dns.name.Name([*labels, b""]).to_text()
    name = canonical_name(text)
    assert canonical_name(f"{name}.") == name
    assert len(split_labels(name)) == len(labels)
