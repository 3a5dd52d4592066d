import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.errors import RequestError
from dnslb_backend.pdns.wire.rest import (
    VERBS,
    NoSuchPathError,
    WrongVerbError,
    decode,
    parse_http,
    parse_lookup,
)


@pytest.mark.parametrize(
    ("target", "asked"),
    [
        ("/dns/lookup/www%2elb%2eexample%2e/ANY", ("www.lb.example.", "ANY")),
        ("/dns/lookup/WwW.lb%2Eexample./any", ("WwW.lb.example.", "ANY")),
        ("/dns/lookup/%2e/SOA", (".", "SOA")),
        ("/dns/lookup/%5fsip%2e%2a%2elb%2e/SRV", ("_sip.*.lb.", "SRV")),
        ("/dns/lookup/a%2fb%2e/A", ("a/b.", "A")),
        ("/dns/lookup/a%5c000%2e/A", ("a\\000.", "A")),
        ("/dns/lookup/%00/A", ("\0", "A")),
        ("/dns/lookup/%c3%bc%2e/A", ("ü.", "A")),
        ("/dns/lookup/www%2e", None),
        ("/dns/lookup/www%2e/A/B", None),
        ("/dns/lookup/www%2e/A?x=y", None),
        ("/dns/getAllDomains", None),
        ("/other/lookup/www%2e/A", None),
    ],
)
def test_a_lookup_is_read_off_its_path(target: str, asked: tuple[str, str] | None) -> None:
    assert parse_lookup(target) == asked
    if asked is not None:
        method, parameters = parse_http("GET", target, b"")
        qname, qtype = parameters["qname"], str(parameters["qtype"]).upper()
        assert (method, qname, qtype) == ("lookup", *asked)


@pytest.mark.parametrize("part", ["%", "%2", "%zz", "a%2e%", "%2%2ee", "%ff", "ü", "\udcff%2e"])
def test_a_part_that_is_no_url_is_refused(part: str) -> None:
    with pytest.raises(RequestError):
        decode(part)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_every_text_survives_its_encoding(text: str) -> None:
    assert decode(quote(text, safe="")) == text
    assert decode(quote(text, safe="").replace("%2E", "%2e")) == text


@pytest.mark.parametrize(
    ("verb", "target", "body", "method", "parameters"),
    [
        (
            "GET",
            "/dns/list/7/lb%2eexample%2e",
            "",
            "list",
            {"domain_id": "7", "zonename": "lb.example."},
        ),
        ("GET", "/dns/list/-1/%2e", "", "list", {"domain_id": "-1", "zonename": "."}),
        (
            "GET",
            "/dns/getAllDomains?includeDisabled=true",
            "",
            "getAllDomains",
            {"includeDisabled": "true"},
        ),
        ("GET", "/dns/getDomainInfo/lb%2e", "", "getDomainInfo", {"name": "lb."}),
        (
            "GET",
            "/dns/getDomainMetadata/lb%2e/SOA%2dEDIT",
            "",
            "getDomainMetadata",
            {"name": "lb.", "kind": "SOA-EDIT"},
        ),
        (
            "GET",
            "/dns/searchRecords?maxResults=10&pattern=%2awww%2a",
            "",
            "searchRecords",
            {"maxResults": "10", "pattern": "*www*"},
        ),
        (
            "POST",
            "/dns/directBackendCmd",
            "query=STATUS%20www%26x",
            "directBackendCmd",
            {"query": "STATUS www&x"},
        ),
        (
            "PATCH",
            "/dns/setNotified/3",
            "serial=2026.000000",
            "setNotified",
            {"id": "3", "serial": "2026.000000"},
        ),
        (
            "PATCH",
            "/dns/setDomainMetadata/lb%2e/X",
            "value[]=1&value[]=%32",
            "setDomainMetadata",
            {"name": "lb.", "kind": "X", "value": ["1", "2"]},
        ),
        (
            "PUT",
            "/dns/addDomainKey/lb%2e",
            "flags=257&active=1&content=k",
            "addDomainKey",
            {"name": "lb.", "key": {"flags": "257", "active": "1", "content": "k"}},
        ),
        (
            "DELETE",
            "/dns/removeDomainKey/5/lb%2e",
            "",
            "removeDomainKey",
            {"id": "5", "name": "lb."},
        ),
        ("GET", "/dns/someday/a/b?c=d", "", "someday", {}),
    ],
)
def test_rest_requests(
    verb: str, target: str, body: str, method: str, parameters: dict[str, Any]
) -> None:
    assert parse_http(verb, target, body.encode()) == (method, parameters)


def test_posted_requests() -> None:
    parameters = {"qname": "w&+ü.lb.", "zone-id": -1}
    form = f"parameters={quote(json.dumps(parameters), safe='')}".encode()
    assert parse_http("POST", "/dns/lookup", form) == ("lookup", parameters)
    assert parse_http("POST", "/dns/directBackendCmd", form) == ("directBackendCmd", parameters)
    whole = json.dumps({"method": "lookup", "parameters": parameters}).encode()
    assert parse_http("POST", "/dns", whole) == ("lookup", parameters)
    assert parse_http("POST", "/dns/", whole) == ("lookup", parameters)
    assert parse_http("POST", "/dns", b'{"method": "getUpdatedMasters"}') == (
        "getUpdatedMasters",
        {},
    )


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/dns", b""),
        ("/dns", b"{"),
        ("/dns", b"[]"),
        ("/dns", b"{}"),
        ("/dns", b'{"method": 1}'),
        ("/dns", b'{"method": "lookup", "parameters": [1]}'),
        ("/dns", b"\xff"),
        ("/dns", b"[" * 100_000),
        ("/dns", b'{"method": "lookup", "parameters": {"zone-id": ' + b"1" * 5000 + b"}}"),
        ("/dns/lookup", b"parameters=[]"),
        ("/dns/lookup", b"parameters=%"),
        ("/dns/lookup", b"parameters={"),
        ("/dns/directBackendCmd", b"query=\xff"),
        ("/dns/directBackendCmd", b"query=%ff"),
        ("/dns/directBackendCmd/x", b"query=PING"),
        ("/dns/directBackendCmd", b"&".join([b"a=b"] * 2000)),
    ],
)
def test_what_cannot_be_read_is_refused(target: str, body: bytes) -> None:
    with pytest.raises(RequestError):
        parse_http("POST", target, body)


@pytest.mark.parametrize("slashes", ["/", "//", "///"])
def test_a_slash_too_many_at_the_end_of_the_url_does_no_harm(slashes: str) -> None:
    method, parameters = parse_http("GET", f"/dns{slashes}lookup/www%2elb%2e/A", b"")
    assert (method, parameters) == ("lookup", {"qname": "www.lb.", "qtype": "A"})
    assert parse_http("GET", f"/dns{slashes}getAllDomains", b"")[0] == "getAllDomains"


def test_a_suffix_that_is_added_to_the_url_is_named() -> None:
    assert parse_lookup("/dns/lookup/www%2elb%2e/A.json") is None
    with pytest.raises(RequestError, match="url-suffix"):
        parse_http("GET", "/dns/lookup/www%2elb%2e/A.json", b"")


@pytest.mark.parametrize("target", ["/", "/dnsx", "/dnsx/lookup/a/A", "*", "", "/DNS"])
def test_only_one_prefix_is_served(target: str) -> None:
    with pytest.raises(NoSuchPathError):
        parse_http("GET", target, b"")


@pytest.mark.parametrize(
    ("verb", "target", "right"),
    [
        ("GET", "/dns", "POST"),
        ("POST", "/dns/lookup/a/A", "GET"),
        ("PUT", "/dns/lookup/a/A", "GET"),
        ("TRACE", "/dns/getAllDomains", "GET"),
        ("HEAD", "/dns/lookup/a/A", "GET"),
        ("GET", "/dns/directBackendCmd?query=PING", "POST"),
        ("CONNECT", "/dns/someday", ", ".join(sorted(VERBS))),
    ],
)
def test_a_wrong_verb_is_told_the_right_one(verb: str, target: str, right: str) -> None:
    with pytest.raises(WrongVerbError, match=right):
        parse_http(verb, target, b"")


@given(st.sampled_from([*sorted(VERBS), "HEAD"]), st.text(), st.binary())
def test_nothing_that_is_sent_breaks_anything(verb: str, tail: str, body: bytes) -> None:
    for target in (f"/dns{tail}", f"/dns/{tail}", f"/dns/lookup/{tail}"):
        try:
            parse_lookup(target)
            parse_http(verb, target, body)
        except (RequestError, NoSuchPathError, WrongVerbError):
            pass
