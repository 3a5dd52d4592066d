"""Contents in PowerDNS's own spelling; that it means the same, check-zone and dig say elsewhere."""

import pytest

from dnslb_backend.pdns.wire.contents import as_powerdns_writes


@pytest.mark.parametrize(
    ("qtype", "content", "written"),
    [
        ("CNAME", "www.lb.example.", "www.lb.example"),
        ("CNAME", ".", "."),
        ("CNAME", "odd\\..", "odd\\."),
        ("MX", "10 www.lb.example.", "10 www.lb.example"),
        ("MX", "0 .", "0 ."),
        ("SRV", "0 0 0 .", "0 0 0 ."),
        ("NAPTR", '100 10 "u" "a." "" .', '100 10 "u" "a." "" .'),
        ("RP", "a.lb.example. .", "a.lb.example ."),
        ("HTTPS", '1 . alpn="h2" port="443"', "1 . alpn=h2 port=443"),
        ("SVCB", '1 www.lb.example. key667="a b"', '1 www.lb.example key667="a b"'),
        ("SVCB", "0 www.lb.example.", "0 www.lb.example"),
        (
            "LOC",
            "51 56 0.123 N 5 54 0.000 E 4.00m",
            "51 56 0.123 N 5 54 0.000 E 4.00m 1.00m 10000.00m 10.00m",
        ),
        ("TXT", '"a sentence."', '"a sentence."'),
        ("A", "192.0.2.1", "192.0.2.1"),
        ("TYPE65280", "\\# 0", "\\# 0 "),
    ],
)
def test_a_content_is_spelt_as_powerdns_spells_it(qtype: str, content: str, written: str) -> None:
    assert as_powerdns_writes(qtype, content) == written
    assert as_powerdns_writes(qtype, written) == written
