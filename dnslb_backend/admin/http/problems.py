"""Errors as operators' programs read them: problem+json (RFC 9457), whatever went wrong.

{"type": "about:blank", "title": "Unprocessable Entity", "status": 422,
 "detail": "invalid request body",
 "errors": [{"field": "target", "message": "Field required"}]}
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import Field, ValidationError

from dnslb_backend.admin.http.document import ApiModel
from dnslb_backend.component_log import ComponentLog
from dnslb_backend.errors import (
    ConfigError,
    ConflictError,
    DnslbError,
    StoreError,
    UnavailableError,
)
from dnslb_backend.logs import fields

MEDIA_TYPE = "application/problem+json"

log = ComponentLog(__name__, "admin")


class FieldProblem(ApiModel):
    """One error in what was sent, or in a file: where, and what is allowed."""

    field: str
    message: str


class ProblemReport(ApiModel):
    """The body of every error."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    errors: tuple[FieldProblem, ...] = Field(default=())


class ProblemError(DnslbError):
    """A request is refused: status and message for the client."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    def response(self) -> web.Response:
        report = ProblemReport(
            title=self.status.phrase, status=self.status, detail=self.detail, errors=self.errors
        )
        return web.Response(
            status=self.status,
            body=report.model_dump_json(exclude_defaults=False).encode(),
            content_type=MEDIA_TYPE,
            headers=self.headers,
        )


def validation_problem(error: ValidationError, what: str) -> ProblemError:
    """The refusal of a body or a query that is not valid; it names every field."""
    problems = [
        FieldProblem(
            field=".".join(map(str, found["loc"])),
            message=found["msg"].removeprefix("Value error, "),
        )
        for found in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    is_syntax = any(found["type"] == "json_invalid" for found in error.errors(include_url=False))
    status = HTTPStatus.BAD_REQUEST if is_syntax else HTTPStatus.UNPROCESSABLE_ENTITY
    return ProblemError(status, f"invalid {what}", errors=problems)


def config_problem(error: ConfigError) -> ProblemError:
    """The refusal to load a configuration; it names every place, as the command line does."""
    problems = [
        FieldProblem(field=": ".join(part for part in (p.file, p.path) if part), message=p.message)
        for p in error.problems
    ]
    return ProblemError(
        HTTPStatus.CONFLICT,
        "the configuration is invalid; the old one stays in use",
        errors=problems,
    )


def conflict_problem(error: ConflictError) -> ProblemError:
    """The refusal of a request that conflicts with the state; it names the field, if it is one."""
    problems = [FieldProblem(field=error.field, message=str(error))] if error.field else []
    return ProblemError(HTTPStatus.CONFLICT, str(error), errors=problems)


def field_problem(field: str, message: str) -> ProblemError:
    """The refusal of one field that no model could have found wrong."""
    problem = FieldProblem(field=field, message=message)
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, f"{field}: {message}", errors=[problem])


@web.middleware
async def problem_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error of a request into problem+json; internal errors are logged."""
    try:
        return await handler(request)
    except ProblemError as error:
        return error.response()
    except ConflictError as error:
        return conflict_problem(error).response()
    except (StoreError, UnavailableError) as error:
        log.warning("request failed: %s", error, extra=fields(path=request.path))
        return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, str(error)).response()
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        return _translated(error).response()
    except ConnectionError:
        # The client has gone.
        raise
    except Exception:
        log.exception("request failed", extra=fields(method=request.method, path=request.path))
        return ProblemError(
            HTTPStatus.INTERNAL_SERVER_ERROR, "internal error, see the log"
        ).response()


def _translated(error: web.HTTPException) -> ProblemError:
    match error:
        case web.HTTPMethodNotAllowed():
            detail = f"allowed methods: {', '.join(sorted(error.allowed_methods))}"
            headers = {"Allow": ",".join(sorted(error.allowed_methods))}
            return ProblemError(HTTPStatus.METHOD_NOT_ALLOWED, detail, headers=headers)
        case web.HTTPNotFound():
            return ProblemError(HTTPStatus.NOT_FOUND, "no such path")
        case web.HTTPRequestEntityTooLarge():
            return ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too large")
        case _:
            return ProblemError(HTTPStatus(error.status), error.reason)
