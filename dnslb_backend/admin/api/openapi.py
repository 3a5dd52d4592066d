"""The OpenAPI document, made from the table of endpoints and their models."""

from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import BaseModel, JsonValue
from pydantic.json_schema import models_json_schema

from dnslb_backend.admin.http.endpoint import Endpoint, ResponseSpec
from dnslb_backend.admin.http.problems import MEDIA_TYPE, ProblemReport
from dnslb_backend.admin.http.tokens import Role

REF = "#/components/schemas/{model}"

Mode = Literal["validation", "serialization"]


def build_openapi(endpoints: Sequence[Endpoint], version: str) -> dict[str, JsonValue]:
    """Describe `endpoints` as OpenAPI 3.1."""
    paths: dict[str, JsonValue] = {}
    for endpoint in endpoints:
        operations = paths.setdefault(endpoint.path, {})
        assert isinstance(operations, dict)
        operations[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "dnslb-backend",
            "version": version,
            "description": "Administration of one node. Errors are problem+json (RFC 9457).",
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(endpoints),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(endpoint: Endpoint) -> dict[str, JsonValue]:
    operation: dict[str, JsonValue] = {
        "summary": endpoint.summary,
        "operationId": f"{endpoint.method} {endpoint.path}",
        "tags": list(endpoint.tags),
        "responses": {str(status): _response(answer) for status, answer in _answers(endpoint)},
    }
    if endpoint.role is not None:
        # Networks in [admin] allow may read without a token: {} makes it optional.
        token: dict[str, JsonValue] = {"token": []}
        operation["security"] = [token, {}] if endpoint.role is Role.READ else [token]
    if endpoint.query is not None:
        operation["parameters"] = list(_parameters(endpoint.query))
    if endpoint.body is not None:
        schema: dict[str, JsonValue] = {"$ref": REF.format(model=endpoint.body.__name__)}
        has_required = any(field.is_required() for field in endpoint.body.model_fields.values())
        operation["requestBody"] = {
            "required": has_required,
            "content": {"application/json": {"schema": schema}},
        }
    return operation


def _answers(endpoint: Endpoint) -> Iterator[tuple[int, ResponseSpec]]:
    yield from endpoint.responses.items()
    for status, text in _refusals(endpoint):
        if status not in endpoint.responses:
            yield status, ResponseSpec(text, ProblemReport, MEDIA_TYPE)


def _refusals(endpoint: Endpoint) -> Iterator[tuple[int, str]]:
    if endpoint.body is not None:
        yield 400, "the body is not JSON"
    if endpoint.role is not None:
        yield 401, "the token is missing or wrong"
        yield 403, "not allowed for this caller"
    if endpoint.body is not None:
        yield 408, "the body did not arrive"
        yield 413, "the body is too large"
        yield 415, "the body is not application/json"
    if endpoint.body is not None or endpoint.query is not None:
        yield 422, "invalid request; the errors name the fields"


def _response(answer: ResponseSpec) -> JsonValue:
    if answer.model is None:
        return {"description": answer.text, "content": {answer.media: {}}}
    schema: dict[str, JsonValue] = {"$ref": REF.format(model=answer.model.__name__)}
    return {"description": answer.text, "content": {answer.media: {"schema": schema}}}


def _parameters(query: type[BaseModel]) -> Iterator[JsonValue]:
    schema = query.model_json_schema(ref_template=REF)
    for name, known in query.model_fields.items():
        described = dict(schema["properties"][name])
        yield {
            "name": name,
            "in": "query",
            "required": known.is_required(),
            "description": described.pop("description", ""),
            "schema": described,
        }


def _schemas(endpoints: Sequence[Endpoint]) -> JsonValue:
    models: list[tuple[type[BaseModel], Mode]] = []
    for endpoint in endpoints:
        if endpoint.body is not None:
            models.append((endpoint.body, "validation"))
        for _, answer in _answers(endpoint):
            if answer.model is not None:
                models.append((answer.model, "serialization"))
    _, definitions = models_json_schema(list(dict.fromkeys(models)), ref_template=REF)
    schemas: dict[str, JsonValue] = dict(definitions.get("$defs", {}))
    for endpoint in endpoints:
        if endpoint.query is not None:
            schemas |= endpoint.query.model_json_schema(ref_template=REF).get("$defs", {})
    return schemas
