"""What pydantic found wrong, in sentences that name the place and what is allowed; its defaults."""

import re
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from dnslb_backend.config.suggestions import did_you_mean, unknown
from dnslb_backend.errors import ConfigProblem
from dnslb_backend.redaction import redact_userinfo

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_EXAMPLE = re.compile(r"Example:\s+`(\{.*?\})`", re.DOTALL)
_NOT_A_TABLE = "must be a table"
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


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a finding is: its keys, the keys that its table allows, and how a value is written."""

    keys: tuple[str | int, ...]
    allowed: tuple[str, ...]
    example: str


def problems_of(
    error: ValidationError, file: str, path: tuple[str | int, ...], model: type[BaseModel]
) -> list[ConfigProblem]:
    """One problem a finding; several findings on one value (a union) become one."""
    found: dict[str, list[str]] = {}
    for item in error.errors(include_url=False):
        place = _place(item["loc"], model, is_unknown=item["type"] == "extra_forbidden")
        where = dotted(*path, *place.keys)
        message = _message(dict(item), place)
        if message not in found.setdefault(where, []):
            found[where].append(message)
    return [
        ConfigProblem(file, where, redact_userinfo(", or ".join(messages)))
        for where, messages in found.items()
    ]


def _place(loc: tuple[str | int, ...], model: type[BaseModel], *, is_unknown: bool) -> _Place:
    """The steps of a pydantic path that are keys or indexes; the others are branches of a union."""
    keys: list[str | int] = []
    example = ""
    table: type[BaseModel] | None = model
    branch: type[BaseModel] | None = model
    for step in loc:
        field = branch.model_fields.get(str(step)) if branch else None
        if field is not None:
            table, branch = branch, _model_in(field.annotation)
            found = _EXAMPLE.search(field.description or "")
            example = found[1] if found else ""
        if field is not None or isinstance(step, int):
            keys.append(step)
        elif is_unknown and step == loc[-1]:
            keys.append(step)
            table = branch
    return _Place(tuple(keys), tuple(sorted(table.model_fields)) if table else (), example)


def _message(item: dict[str, Any], place: _Place) -> str:
    match item["type"]:
        case "extra_forbidden":
            return unknown("key", str(place.keys[-1]), place.allowed)
        case "missing":
            return "is required"
        case "model_type":
            return f"must be a table such as {place.example}" if place.example else _NOT_A_TABLE
    text = str(item["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    value = item.get("input")
    if isinstance(value, str) and item["type"].endswith("_type"):
        # Where a list or a table belongs, it may be a command or a URL with a secret in it.
        return f"{text}, not a string"
    is_plain = isinstance(value, str | int | float | bool) and item["type"] != "value_error"
    if is_plain and not any(_SECRET.search(str(step)) for step in place.keys):
        return f"{text}, not {value!r}{_nearest(item)}"
    return text


def _nearest(item: dict[str, Any]) -> str:
    """The allowed word that a wrong one is most like."""
    if item["type"] != "literal_error" or not isinstance(item["input"], str):
        return ""
    hint = did_you_mean(item["input"], re.findall(r"'([^']+)'", item["ctx"]["expected"]))
    return f"; {hint}" if hint else ""


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for part in get_args(annotation) if (m := _model_in(part))), None)


def default_of(field: FieldInfo) -> object:
    """The default of a key, PydanticUndefined where it is required, None where it has none or one
    that depends on the machine."""
    if field.default_factory in (list, dict):
        # Lists and tables are made by a factory: pydantic copies a default value in Python code.
        return field.get_default(call_default_factory=True, validated_data={})
    return field.default if field.default_factory is None else None
