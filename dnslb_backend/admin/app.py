"""The application: routes, guards and what every response carries."""

from collections.abc import Sequence
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler

from dnslb_backend.admin.api.endpoints import ENDPOINTS
from dnslb_backend.admin.http.auth import authorize
from dnslb_backend.admin.http.endpoint import STATE, STREAMS, AdminState, Endpoint
from dnslb_backend.admin.http.event_stream import EventStreams
from dnslb_backend.admin.http.problems import problem_middleware
from dnslb_backend.admin.http.requests import BODY_LIMIT
from dnslb_backend.admin.http.static import show_page_file
from dnslb_backend.metrics import ADMIN_REQUESTS

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every response that does not set its own: nothing is kept, framed, guessed or embedded."""


def build_app(
    state: AdminState, streams: EventStreams, endpoints: Sequence[Endpoint] = ENDPOINTS
) -> web.Application:
    """The application that serves `endpoints`; each is guarded by the role of its row."""
    app = web.Application(middlewares=[problem_middleware], client_max_size=BODY_LIMIT)
    app[STATE] = state
    app[STREAMS] = streams
    for endpoint in endpoints:
        handler = _guarded(endpoint)
        if endpoint.method == "GET":
            app.router.add_get(endpoint.path, handler)
        else:
            app.router.add_route(endpoint.method, endpoint.path, handler)
    app.router.add_get("/page/{file}", show_page_file)
    app.on_response_prepare.append(_harden)
    app.on_response_prepare.append(_count)
    app.on_shutdown.append(_end_streams)
    return app


def _guarded(endpoint: Endpoint) -> Handler:
    role = endpoint.role
    if role is None:
        return endpoint.handler

    async def guarded(request: web.Request) -> web.StreamResponse:
        state = request.app[STATE]
        authorize(request, state.access, role, state.refusals)
        if not endpoint.is_long:
            return await endpoint.handler(request)
        key = (request.path_qs, request.headers.get("Accept"))
        rendered = await state.reads.render(key, partial(endpoint.handler, request))
        return await state.reads.send(request, rendered)

    return guarded


async def _harden(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    # The version of a server is for its operators.
    response.headers["Server"] = "dnslb"


async def _count(_: web.Request, response: web.StreamResponse) -> None:
    ADMIN_REQUESTS.labels(f"{response.status // 100}xx").inc()


async def _end_streams(app: web.Application) -> None:
    app[STREAMS].end()
