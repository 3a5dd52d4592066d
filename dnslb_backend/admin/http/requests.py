"""Request bodies and queries, read into models or refused with the name of the field."""

import asyncio
from http import HTTPStatus
from typing import TypeVar

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel, ValidationError

from dnslb_backend.admin.http.problems import FieldProblem, ProblemError, validation_problem

BODY_LIMIT = 64 * 1024
"""Bytes; no request is larger."""

BODY_TIMEOUT = 10.0
"""Seconds that a client may take to send a body."""

Model = TypeVar("Model", bound=BaseModel)


async def read_body(request: web.Request, model: type[Model]) -> Model:
    """The JSON body as a `model`; an absent one is an empty object. Raises ProblemError."""
    body = await _read(request)
    if not body:
        body = b"{}"
    elif request.content_type != "application/json":
        raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send application/json")
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise validation_problem(error, "request body") from error


def read_query(request: web.Request, model: type[Model]) -> Model:
    """The query as a `model`; every key at most once. Raises ProblemError."""
    repeated = [key for key in request.query if len(request.query.getall(key)) > 1]
    if repeated:
        problems = [
            FieldProblem(field=key, message="given more than once")
            for key in dict.fromkeys(repeated)
        ]
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "ambiguous query", errors=problems)
    try:
        return model.model_validate(dict(request.query))
    except ValidationError as error:
        raise validation_problem(error, "query") from error


async def _read(request: web.Request) -> bytes:
    if (request.content_length or 0) > BODY_LIMIT:
        raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {BODY_LIMIT} bytes")
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            return await request.read()
    except TimeoutError as error:
        raise ProblemError(HTTPStatus.REQUEST_TIMEOUT, "the body did not arrive") from error
    except (web.RequestPayloadError, HttpProcessingError) as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "the body does not match its headers") from error
