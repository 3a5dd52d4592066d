"""Reports: a target says itself how it is, for its `push` check.

The token is the secret that the target shares with its check; it is none of the token file's,
and opens nothing else.
"""

from http import HTTPStatus

from aiohttp import web
from pydantic import ConfigDict, Field

from dnslb_backend.admin.http.auth import bearer_of
from dnslb_backend.admin.http.document import ApiModel
from dnslb_backend.admin.http.endpoint import STATE
from dnslb_backend.admin.http.problems import ProblemError, field_problem
from dnslb_backend.admin.http.requests import read_body
from dnslb_backend.core.model.names import canonical_address
from dnslb_backend.errors import ConflictError


class PushRequest(ApiModel):
    """What a target says of itself."""

    model_config = ConfigDict(extra="forbid", strict=True)

    address: str = Field(max_length=64, description="the address that is probed")
    up: bool = Field(default=True, description="whether it wants to be used")
    text: str = Field(default="", max_length=200, description="a line for people")


class PushResponse(ApiModel):
    """The report was taken."""

    accepted: bool = True


async def push_report(request: web.Request) -> web.Response:
    token = bearer_of(request)
    if token is None:
        challenge = {"WWW-Authenticate": 'Bearer realm="dnslb"'}
        raise ProblemError(
            HTTPStatus.UNAUTHORIZED, "the token of a push check is needed", headers=challenge
        )
    said = await read_body(request, PushRequest)
    address = canonical_address(said.address)
    if address is None:
        raise field_problem("address", f"{said.address!r} is no IP address")
    try:
        request.app[STATE].control.push_report(token, address, up=said.up, text=said.text)
    except ConflictError as error:
        # Whether the token or the address is wrong is nobody's business but the target's.
        raise ProblemError(HTTPStatus.FORBIDDEN, "no push check waits for this") from error
    return web.json_response(PushResponse().model_dump())
