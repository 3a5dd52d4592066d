"""What operators send: bodies and queries, read into models or refused with the field's name."""

import asyncio
from http import HTTPStatus
from typing import TypeVar

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel, ValidationError

from dnslb_backend.admin.http.problems import FieldProblem, ProblemError, validation_problem

BODY_LIMIT = 64 * 1024
"""Bytes; no order of an operator is longer."""

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
        raise validation_problem(error, "the body") from error


def read_query(request: web.Request, model: type[Model]) -> Model:
    """The query as a `model`; every key stands at most once. Raises ProblemError."""
    twice = [key for key in request.query if len(request.query.getall(key)) > 1]
    if twice:
        problems = [
            FieldProblem(field=key, message="stands here twice") for key in dict.fromkeys(twice)
        ]
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "the query is ambiguous", errors=problems
        )
    try:
        return model.model_validate(dict(request.query))
    except ValidationError as error:
        raise validation_problem(error, "the query") from error


async def _read(request: web.Request) -> bytes:
    if (request.content_length or 0) > BODY_LIMIT:
        raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {BODY_LIMIT} bytes")
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            return await request.read()
    except TimeoutError as error:
        raise ProblemError(HTTPStatus.REQUEST_TIMEOUT, "the body did not arrive") from error
    except (web.RequestPayloadError, HttpProcessingError) as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "the body is not what its head says") from error
