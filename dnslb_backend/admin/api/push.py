"""Push reports: a target reports its own health, for its `push` check.

The token is the secret that the target shares with its check. It is not in the token file, and
gives no other access.
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
    """The report of a target."""

    model_config = ConfigDict(extra="forbid", strict=True)

    address: str = Field(max_length=64, description="the address that is probed")
    up: bool = Field(default=True, description="whether it may be served")
    text: str = Field(default="", max_length=200, description="a line for people")


class PushResponse(ApiModel):
    """The report was accepted."""

    accepted: bool = True


async def push_report(request: web.Request) -> web.Response:
    token = bearer_of(request)
    if token is None:
        challenge = {"WWW-Authenticate": 'Bearer realm="dnslb"'}
        raise ProblemError(
            HTTPStatus.UNAUTHORIZED, "the token of a push check is needed", headers=challenge
        )
    report = await read_body(request, PushRequest)
    address = canonical_address(report.address)
    if address is None:
        raise field_problem("address", f"{report.address!r} is not an IP address")
    try:
        request.app[STATE].control.push_report(token, address, up=report.up, text=report.text)
    except ConflictError as error:
        # Not which of the two is wrong: that would help to guess tokens.
        raise ProblemError(
            HTTPStatus.FORBIDDEN, "no push check with this token and address"
        ) from error
    return web.json_response(PushResponse().model_dump())
