"""docs/api.md and docs/metrics.md name every endpoint, field, metric and word."""

import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client.metrics import MetricWrapperBase
from pydantic import BaseModel

from dnslb_backend import metrics
from dnslb_backend.admin.api.endpoints import ENDPOINTS
from dnslb_backend.admin.api.metrics import count_health
from dnslb_backend.admin.api.rows import MemberRow, RecordRow
from dnslb_backend.admin.http.endpoint import Endpoint
from dnslb_backend.admin.http.event_stream import EVENTS_KEPT, EVENTS_PER_WRITE
from dnslb_backend.core.health.agreement import Agreement
from dnslb_backend.core.health.decision import DecisionKind
from dnslb_backend.core.health.overrides import Action
from dnslb_backend.core.model.quorum import QuorumRules
from tests.admin.node import OK, Node
from tests.core.building import at, dest, record

DOCS = Path(__file__).parent.parent.parent / "docs"


@pytest.fixture(scope="module")
def api() -> str:
    return (DOCS / "api.md").read_text()


@pytest.fixture(scope="module")
def figures() -> str:
    return (DOCS / "metrics.md").read_text()


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)
def test_every_endpoint_has_a_section_and_a_row(api: str, endpoint: Endpoint) -> None:
    name = f"{endpoint.method} {endpoint.path}"
    role = endpoint.role or "everybody"
    assert re.search(rf"^\| `{re.escape(name)}` \| {role} \|", api, re.MULTILINE), name
    if name != "GET /metrics":
        assert re.search(rf"^### {re.escape(name)}$", api, re.MULTILINE), name


def test_no_endpoint_is_described_that_is_not_there(api: str) -> None:
    described = set(re.findall(r"`(GET|POST|DELETE) (/\S*?)`", api))
    assert described == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}


@pytest.mark.parametrize("model", [MemberRow, RecordRow])
def test_every_field_of_a_row_is_described(api: str, model: type[BaseModel]) -> None:
    section = api.partition("### GET /api/v1/status")[2].partition("### ")[0]
    named = set(re.findall(r"`(\w+)`", section))
    assert set(model.model_fields) <= named


def test_every_status_is_described(api: str) -> None:
    section = api.partition("## Errors")[2]
    documented = set(map(int, re.findall(r"\b([45]\d\d)\b", section)))
    answered = {status for endpoint in ENDPOINTS for status in endpoint.responses if status >= 400}
    assert answered | {400, 401, 403, 404, 405, 408, 413, 415, 422, 500} <= documented


def test_the_numbers_of_the_stream_are_true(api: str) -> None:
    assert f"the last {EVENTS_KEPT} events" in api
    assert EVENTS_PER_WRITE < EVENTS_KEPT


async def test_every_metric_is_described_with_its_labels(figures: str) -> None:
    node = Node(agreement=Agreement("ns1", QuorumRules("ns1"), at(0)))
    node.settle({"10.0.0.1": OK._replace(certificate_expires=1.0)})
    node.adopt(replace(record("10.0.0.1"), dests=(replace(dest("10.0.0.1"), labels=("dc=fra",)),)))
    families = [*await count_health(node, ["dc"]), *metrics.REGISTRY.collect()]
    described = {
        name: (kind, set(filter(None, labels.split(", "))), text)
        for name, kind, labels, text in re.findall(
            r"^\| `(dnslb_\w+)` \| (\w+) \| (.*?) ?\| (.*) \|$", figures, re.MULTILINE
        )
    }
    expected = {}
    for family in families:
        suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        expected[family.name + suffix] = (
            family.type,
            labels | declared(family.name) | set(getattr(family, "_labelnames", ())),
            family.documentation,
        )
    assert described == expected


def declared(family: str) -> set[str]:
    """The labels of an instrument, also of one that was never used."""
    return {
        label
        for instrument in vars(metrics).values()
        if isinstance(instrument, MetricWrapperBase)
        and next(iter(instrument.describe())).name == family
        for label in instrument._labelnames
    }


@pytest.mark.parametrize(
    "words",
    [
        get_args(metrics.LookupOutcome),
        get_args(metrics.ProbeOutcome),
        get_args(metrics.Transport),
        get_args(metrics.ResolutionStatus),
        get_args(metrics.Component),
        get_args(metrics.HealthWord),
        tuple(DecisionKind),
        tuple(Action),
    ],
)
def test_every_word_of_a_label_is_described(figures: str, words: tuple[str, ...]) -> None:
    section = figures.partition("## Words in labels")[2]
    lines = [set(re.findall(r"`(\w+)`", line)) for line in section.splitlines()]
    assert any(set(words) <= line for line in lines), words
