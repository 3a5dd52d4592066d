"""Turning what pydantic found wrong into sentences that name the place and what is allowed."""

import re
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from dnslb_backend.errors import ConfigProblem
from dnslb_backend.redaction import redact_userinfo

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SECRET = re.compile(r"password|token|secret|key|auth|headers", re.IGNORECASE)


def dotted(*steps: str | int) -> str:
    """A path as TOML writes it: `records."www.x".A.dest[0]`."""
    path = ""
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
            continue
        word = step if _BARE.fullmatch(step) else f'"{step}"'
        path = f"{path}.{word}" if path else word
    return path


def problems_of(
    error: ValidationError, file: str, path: tuple[str | int, ...], model: type[BaseModel]
) -> list[ConfigProblem]:
    """One problem a finding; several findings on one value (a union) become one."""
    found: dict[str, list[str]] = {}
    for item in error.errors(include_url=False):
        loc, allowed = _keys(item["loc"], model, is_unknown=item["type"] == "extra_forbidden")
        where = dotted(*path, *loc)
        message = _message(dict(item), loc, allowed)
        if message not in found.setdefault(where, []):
            found[where].append(message)
    return [
        ConfigProblem(file, where, redact_userinfo(", or ".join(messages)))
        for where, messages in found.items()
    ]


def _keys(
    loc: tuple[str | int, ...], model: type[BaseModel], *, is_unknown: bool
) -> tuple[tuple[str | int, ...], list[str]]:
    """The steps of a pydantic path that are keys or indexes, and the keys of the last table.

    The others name the branches of a union.
    """
    keys: list[str | int] = []
    table: type[BaseModel] | None = model
    branch: type[BaseModel] | None = model
    for step in loc:
        field = branch.model_fields.get(str(step)) if branch else None
        if field is not None:
            table, branch = branch, _model_in(field.annotation)
        if field is not None or isinstance(step, int):
            keys.append(step)
        elif is_unknown and step == loc[-1]:
            keys.append(step)
            table = branch
    return tuple(keys), sorted(table.model_fields) if table else []


def _message(item: dict[str, Any], loc: tuple[str | int, ...], allowed: list[str]) -> str:
    if item["type"] == "extra_forbidden":
        return f"unknown key; allowed here: {', '.join(allowed)}"
    if item["type"] == "missing":
        return "is required"
    text = str(item["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    value = item.get("input")
    if isinstance(value, str) and item["type"].endswith("_type"):
        # Where a list or a table belongs, it may be a command or a URL with a secret in it.
        return f"{text}, not a string"
    is_plain = isinstance(value, str | int | float | bool) and item["type"] != "value_error"
    if is_plain and not any(_SECRET.search(str(step)) for step in loc):
        return f"{text}, not {value!r}"
    return text


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for part in get_args(annotation) if (m := _model_in(part))), None)
