"""The OpenAPI document says what is really served."""

from typing import Any

import aiohttp
import pytest

from dnslb_backend.admin.api.endpoints import ENDPOINTS


@pytest.fixture
async def document(client: aiohttp.ClientSession) -> dict[str, Any]:
    async with client.get("/api/v1/openapi.json") as response:
        assert response.status == 200
        found: dict[str, Any] = await response.json()
        return found


async def test_every_endpoint_is_in_it_and_no_other(document: dict[str, Any]) -> None:
    described = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    assert described == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}
    assert document["openapi"].startswith("3.1")
    assert document["info"]["version"] == "1.2.3"


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        here = {value["$ref"]} if "$ref" in value else set[str]()
        return here.union(*(references(part) for part in value.values()))
    if isinstance(value, list):
        return set[str]().union(*(references(part) for part in value))
    return set()


async def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in references(document):
        assert reference.startswith("#/components/schemas/")
        assert reference.rpartition("/")[2] in document["components"]["schemas"]


async def test_the_events_of_the_stream_are_described(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert {each["$ref"].rpartition("/")[2] for each in schemas["EventRow"]["anyOf"]} == {
        "TransitionRow",
        "DecisionRow",
    }
    assert {"from", "to", "served", "total", "reason"} <= schemas["DecisionRow"][
        "properties"
    ].keys()


async def test_changes_want_a_token_and_reading_may_do_without(document: dict[str, Any]) -> None:
    reload = document["paths"]["/api/v1/reload"]["post"]
    assert reload["security"] == [{"token": []}]
    assert {"200", "400", "401", "403", "409", "413", "415", "422"} <= reload["responses"].keys()
    status = document["paths"]["/api/v1/status"]["get"]
    assert status["security"] == [{"token": []}, {}]
    names = [parameter["name"] for parameter in status["parameters"]]
    assert names == ["name", "label", "limit", "cursor"]
    assert "security" not in document["paths"]["/livez"]["get"]
