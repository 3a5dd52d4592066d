"""Record data: what PowerDNS is given in place of what was written, and what is refused."""

from ipaddress import IPv4Address, IPv6Address

import dns.exception
import dns.name
import dns.rdata
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dnslb_backend.config.rdata import (
    VERSIONS,
    RecordDataError,
    canonical_content,
    canonical_data,
    data_by_version,
)
from tests.config.contents import CONTENTS

ZONE = "lb.example"


@pytest.mark.parametrize("qtype", CONTENTS)
def test_the_data_of_every_type_stays_the_same(qtype: str) -> None:
    origin = dns.name.from_text(f"{ZONE}.")
    for content in CONTENTS[qtype]:
        written = dns.rdata.from_text("IN", qtype, content, origin=origin, relativize=False)
        for data in data_by_version(qtype, content, ZONE).values():
            if data.qtype == "IPSECKEY" and data.content.split()[1] == "0":
                continue  # dnspython wants a dot in place of no gateway
            read = dns.rdata.from_text("IN", *data)
            assert read.to_wire() == written.to_wire(), data


ADDRESSES = st.one_of(
    st.ip_addresses().map(str),
    st.ip_addresses(v=6).map(lambda address: address.exploded),
    st.integers(0, 2**32 - 1).map(lambda number: f"::{IPv4Address(number)}"),
    st.integers(0, 2**32 - 1).map(lambda number: f"::ffff:{IPv4Address(number)}"),
    st.integers(0, 2**32 - 1).map(lambda number: str(IPv6Address(number))),
    st.text("0123456789abF:.% \0\u0663", max_size=12),
)


@given(st.sampled_from(["A", "AAAA"]), ADDRESSES)
@example("A", "192.0.2.01")
@example("A", "192.0.2.1 ")
@example("A", "127.1")
@example("AAAA", "fe80::1%eth0")
@example("AAAA", "2001:DB8::1")
@example("AAAA", "2001:db8:0:1:1:1:1:1")
def test_an_address_is_what_dnspython_makes_of_it(qtype: str, content: str) -> None:
    try:
        expected = dns.rdata.from_text("IN", qtype, content).to_text()
    except (dns.exception.DNSException, ValueError, UnicodeError):
        with pytest.raises(RecordDataError):
            canonical_content(qtype, content, ZONE)
    else:
        assert canonical_content(qtype, content, ZONE) == expected


@pytest.mark.parametrize(
    ("qtype", "content", "expected"),
    [
        ("MX", "10 mail", "10 mail.lb.example."),
        ("MX", "10 b\u00fccher", "10 xn--bcher-kva.lb.example."),
        ("CNAME", "fa\u00df.example.", "xn--fa-hia.example."),
        ("SRV", "1 2 3 @", "1 2 3 lb.example."),
        ("CERT", "PKIX 1 RSASHA256 AQID", "1 1 8 AQID"),
        ("IPSECKEY", "10 0 2 . AQID", "10 0 2 AQID"),
        ("HTTPS", '1 . port="443" alpn=h2', '1 . alpn="h2" port=443'),
        (
            "HTTPS",
            "1 . mandatory=alpn,dohpath alpn=h2 dohpath=/d{?dns}",
            '1 . mandatory=alpn,key7 alpn="h2" key7="\\047d\\123\\063dns\\125"',
        ),
        ("SVCB", "1 . ohttp key65280", '1 . key8="" key65280=""'),
        ("TXT", "one two", '"one" "two"'),
        ("TXT", '"caf\u00e9"', '"caf\\195\\169"'),
    ],
)
def test_what_powerdns_reads_otherwise_is_written_so(
    qtype: str, content: str, expected: str
) -> None:
    assert canonical_content(qtype, content, ZONE) == expected


@pytest.mark.parametrize(
    ("qtype", "content", "expected"),
    [
        ("GPOS", "1 2 3", "TYPE27 \\# 6 013101320133"),
        ("WALLET", '"BTC" "x"', "TYPE262 \\# 6 034254430178"),
        ("TYPE65280", "\\# 2 0102", "TYPE65280 \\# 2 0102"),
        ("TYPE65280", "\\# 0", "TYPE65280 \\# 0"),
    ],
)
def test_what_powerdns_cannot_read_becomes_hexadecimal(
    qtype: str, content: str, expected: str
) -> None:
    assert " ".join(canonical_data(qtype, content, ZONE)) == expected


@pytest.mark.parametrize(
    ("qtype", "content", "since", "expected"),
    [
        ("CSYNC", "66 3 A", (0, 0), "TYPE62 \\# 9 000000420003000140"),
        ("CSYNC", "66 3 A", (4, 5), "CSYNC 66 3 A"),
        ("WALLET", '"BTC" "x"', (4, 7), "TYPE262 \\# 6 034254430178"),
        ("WALLET", '"BTC" "x"', (5, 1), 'WALLET "BTC" "x"'),
        ("RESINFO", '"qnamemin"', (5, 1), 'RESINFO "qnamemin"'),
        ("BRID", "AQID", (5, 1), "BRID AQID"),
        ("HHIT", "AQID", (5, 1), "HHIT AQID"),
        ("HTTPS", "1 . alpn=h2", (5, 1), 'HTTPS 1 . alpn="h2"'),
        ("HTTPS", "1 . ohttp", (5, 1), "HTTPS 1 . ohttp"),
        ("SVCB", "1 . dohpath=/d", (5, 1), 'SVCB 1 . key7="\\047d"'),
        ("SVCB", '1 . key9="\\000\\029\\000\\023"', (4, 7), 'SVCB 1 . key9="\\000\\029\\000\\023"'),
        (
            "SVCB",
            '1 . mandatory=key9,ohttp ohttp key9="\\000\\029\\017\\236"',
            (5, 1),
            "SVCB 1 . mandatory=ohttp,tls-supported-groups ohttp tls-supported-groups=29,4588",
        ),
    ],
)
def test_each_version_is_given_what_it_reads(
    qtype: str, content: str, since: tuple[int, int], expected: str
) -> None:
    found = data_by_version(qtype, content, ZONE)
    assert tuple(found) == VERSIONS
    assert " ".join(found[since]) == expected


@pytest.mark.parametrize(
    ("qtype", "content", "expected"),
    [
        ("A", "192.0.2.256", "is not valid data for a record of type A"),
        ("A", "192.0.2.1 x", "is not valid data"),
        ("MX", "10 a..b", "A DNS label is empty"),
        ("MX", f"10 {'x' * 64}", "> 63 octets"),
        ("CNAME", ".".join(["x" * 60] * 5), "> 255 octets"),
        ("CNAME", "\u2603", "IDNA"),
        ("TXT", f'"{"x" * 256}"', "is not valid data"),
        ("TXT", " ".join([f'"{"x" * 255}"'] * 255), "at most 65000 are allowed"),
        ("APL", "1:192.0.2.1/24", "192.0.2.1/24 has bits beyond its prefix"),
        ("CERT", "0 1 8 AQID", "certificate type 0 is reserved"),
        ("KEY", "49152 3 1 ", "no key"),
        ("IPSECKEY", "10 0 3 . AQID", "algorithm 3; allowed are 1 (DSA) and 2 (RSA)"),
        ("HTTPS", "1 . key9", "numbers of two octets"),
        ("HTTPS", "1 . key9=x", "numbers of two octets"),
        ("LOC", "1 0 0 N 1 0 0 E 0m 42949673m", "sizes are 42949672.95 m at most"),
    ],
)
def test_what_cannot_be_served_is_refused(qtype: str, content: str, expected: str) -> None:
    with pytest.raises(RecordDataError) as refused:
        canonical_data(qtype, content, ZONE)
    assert expected in str(refused.value)
