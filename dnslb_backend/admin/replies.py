"""How answers leave: JSON, whole or put together in slices."""

from http import HTTPStatus

from aiohttp import web
from pydantic import BaseModel


def json_response(
    report: BaseModel, *, status: int = HTTPStatus.OK, with_null: bool = True
) -> web.Response:
    """A whole report; what is null may be left out."""
    body = report.model_dump_json(exclude_none=not with_null).encode()
    return json_bytes(body, status=status)


def json_bytes(body: bytes, *, status: int = HTTPStatus.OK) -> web.Response:
    """A report that is rendered already."""
    return web.Response(status=status, body=body, content_type="application/json")
