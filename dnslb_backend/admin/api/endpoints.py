"""Every endpoint: its handler, and its row in the table."""

import asyncio
import json
from functools import cache
from http import HTTPStatus

from aiohttp import web

from dnslb_backend.admin.api.differences import DifferencesReport, show_differences
from dnslb_backend.admin.api.explain import (
    ExplainQuery,
    ExplainReport,
    show_explanation,
)
from dnslb_backend.admin.api.history import HistoryQueryText, HistoryReport, show_history
from dnslb_backend.admin.api.metrics import render_metrics
from dnslb_backend.admin.api.openapi import build_openapi
from dnslb_backend.admin.api.override_list import OverridesReport, show_overrides
from dnslb_backend.admin.api.overrides import (
    ClearedReport,
    ClearQuery,
    OverrideBody,
    clear_overrides,
    create_override,
)
from dnslb_backend.admin.api.probe import ProbeRequest, ProbeResponse, run_probes
from dnslb_backend.admin.api.push import PushRequest, PushResponse, push_report
from dnslb_backend.admin.api.readiness import ReadyReport, readiness
from dnslb_backend.admin.api.reload import (
    EmptyBody,
    PreviewReport,
    ReloadedReport,
    preview_reload,
    reload,
)
from dnslb_backend.admin.api.rows import OverrideRow
from dnslb_backend.admin.api.selection import RecordsQuery
from dnslb_backend.admin.api.status import StatusQuery, StatusReport, render_status
from dnslb_backend.admin.api.status_lines import MEDIA_LINES, RecordLine, show_status_lines
from dnslb_backend.admin.api.votes import NodesReport, show_nodes
from dnslb_backend.admin.http.auth import may_read
from dnslb_backend.admin.http.document import ApiModel
from dnslb_backend.admin.http.endpoint import STATE, STREAMS, Endpoint, ResponseSpec
from dnslb_backend.admin.http.event_stream import EventRow
from dnslb_backend.admin.http.problems import MEDIA_TYPE, ProblemReport
from dnslb_backend.admin.http.requests import read_query
from dnslb_backend.admin.http.responses import LongResponse, json_bytes, json_response
from dnslb_backend.admin.http.static import show_page
from dnslb_backend.admin.http.tokens import Role

TEXT = "text/plain"
EVENT_STREAM = "text/event-stream"
REFUSED = "refused; the detail says why"


class LiveReport(ApiModel):
    """This process runs and its event loop turns."""

    live: bool = True


async def show_live(_: web.Request) -> web.Response:
    return json_response(LiveReport())


async def show_ready(request: web.Request) -> web.Response:
    state = request.app[STATE]
    access = state.access if may_read(request, state.access) else None
    report = await readiness(state.control, access)
    status = HTTPStatus.OK if report.ready else HTTPStatus.SERVICE_UNAVAILABLE
    return json_response(report, status=status, with_null=False)


async def show_status(request: web.Request) -> web.Response:
    query = read_query(request, StatusQuery)
    return LongResponse(await render_status(request.app[STATE].control, query))


async def show_metrics(request: web.Request) -> web.Response:
    state = request.app[STATE]
    accept = request.headers.get("Accept", "")
    return await render_metrics(state.control, accept, state.settings)


async def stream_events(request: web.Request) -> web.StreamResponse:
    return await request.app[STREAMS].serve(request, request.app[STATE].ring)


async def show_openapi(request: web.Request) -> web.Response:
    # The schemas of all models: it takes a while, once.
    return json_bytes(await asyncio.to_thread(_openapi, request.app[STATE].control.version))


@cache
def _openapi(version: str) -> bytes:
    return json.dumps(build_openapi(ENDPOINTS, version)).encode()


def _problem(text: str) -> ResponseSpec:
    return ResponseSpec(text, ProblemReport, MEDIA_TYPE)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/",
        "The web page",
        show_page,
        {200: ResponseSpec("all that it shows comes from this API", media="text/html")},
        role=None,
        tags=("page",),
    ),
    Endpoint(
        "GET",
        "/livez",
        "Whether the process is alive",
        show_live,
        {200: ResponseSpec("alive", LiveReport)},
        role=None,
        tags=("health",),
    ),
    Endpoint(
        "GET",
        "/readyz",
        "Whether every balanced record has an answer; details for callers that may read",
        show_ready,
        {
            200: ResponseSpec("ready", ReadyReport),
            503: ResponseSpec("not yet", ReadyReport),
        },
        role=None,
        tags=("health",),
    ),
    Endpoint(
        "GET",
        "/metrics",
        "Metrics for Prometheus",
        show_metrics,
        {200: ResponseSpec("Prometheus text format, or OpenMetrics on request", media=TEXT)},
        tags=("metrics",),
        is_long=True,
    ),
    Endpoint(
        "GET",
        "/api/v1/status",
        "Members and balanced records, all or a page of them",
        show_status,
        {200: ResponseSpec("the status of this node", StatusReport)},
        query=StatusQuery,
        is_long=True,
    ),
    Endpoint(
        "GET",
        "/api/v1/nodes",
        "The nodes that decide together, as this one sees them",
        show_nodes,
        {200: ResponseSpec("the nodes", NodesReport)},
        is_long=True,
    ),
    Endpoint(
        "GET",
        "/api/v1/differences",
        "What nodes answer differently, from the database",
        show_differences,
        {
            200: ResponseSpec("the records on which nodes differ", DifferencesReport),
            409: _problem("there is no [mysql]"),
            503: _problem("the database does not answer"),
        },
        is_long=True,
    ),
    Endpoint(
        "GET",
        "/api/v1/status/lines",
        "The status, a line for each record",
        show_status_lines,
        {
            200: ResponseSpec(
                "a StatusHead, then a RecordLine for each record", RecordLine, MEDIA_LINES
            )
        },
        query=RecordsQuery,
    ),
    Endpoint(
        "GET",
        "/api/v1/explain",
        "How an answer is built",
        show_explanation,
        {200: ResponseSpec("every step from the name to the answer", ExplainReport)},
        query=ExplainQuery,
        is_long=True,
    ),
    Endpoint(
        "GET",
        "/api/v1/history",
        "Changes of members and of decisions, newest first",
        show_history,
        {
            200: ResponseSpec("changes", HistoryReport),
            503: _problem("no store is available"),
        },
        query=HistoryQueryText,
        is_long=True,
    ),
    Endpoint(
        "GET",
        "/api/v1/overrides",
        "The overrides in force, and what they affect",
        show_overrides,
        {200: ResponseSpec("oldest first", OverridesReport)},
        is_long=True,
    ),
    Endpoint(
        "POST",
        "/api/v1/overrides",
        "Drain targets, or treat them as down or up whatever their checks say",
        create_override,
        {
            201: ResponseSpec("in force", OverrideRow),
            409: _problem(REFUSED),
        },
        role=Role.OPERATE,
        body=OverrideBody,
    ),
    Endpoint(
        "DELETE",
        "/api/v1/overrides",
        "Clear overrides",
        clear_overrides,
        {
            200: ResponseSpec("what was cleared", ClearedReport),
            409: _problem(REFUSED),
        },
        role=Role.OPERATE,
        query=ClearQuery,
    ),
    Endpoint(
        "POST",
        "/api/v1/probe",
        "Run the checks of a name now, without affecting health",
        run_probes,
        {
            200: ResponseSpec("request and result of each probe", ProbeResponse),
            409: _problem("the name has no balanced record of this type"),
        },
        role=Role.OPERATE,
        body=ProbeRequest,
    ),
    Endpoint(
        "POST",
        "/api/v1/push",
        "Report the health of a target, with the token of its push check",
        push_report,
        {
            200: ResponseSpec("accepted", PushResponse),
            401: _problem("no token"),
            403: _problem("no push check with this token and address"),
        },
        role=None,
        body=PushRequest,
    ),
    Endpoint(
        "POST",
        "/api/v1/reload",
        "Reload the configuration (all or nothing)",
        reload,
        {
            200: ResponseSpec("the new configuration is in use", ReloadedReport),
            409: _problem("invalid; the old configuration stays in use"),
        },
        role=Role.OPERATE,
        body=EmptyBody,
    ),
    Endpoint(
        "POST",
        "/api/v1/reload/preview",
        "What a reload would change; nothing is changed",
        preview_reload,
        {
            200: ResponseSpec("records, members and answers that would change", PreviewReport),
            409: _problem("the configuration is invalid"),
        },
        role=Role.OPERATE,
        body=EmptyBody,
    ),
    Endpoint(
        "GET",
        "/api/v1/events",
        "Events as they happen (server-sent events)",
        stream_events,
        {
            200: ResponseSpec(
                "`transition` events, each a TransitionRow; `decision` events, each a DecisionRow; "
                "`overrides`, `reload` and `voters`, which say that these have changed; "
                "`lost` with a count",
                EventRow,
                EVENT_STREAM,
            ),
        },
    ),
    Endpoint(
        "GET",
        "/api/v1/openapi.json",
        "This document",
        show_openapi,
        {200: ResponseSpec("an OpenAPI document")},
        is_long=True,
    ),
)
