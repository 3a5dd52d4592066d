"""Requests of PowerDNS that arrive as JSON: `{"method": ..., "parameters": {...}}`."""

import json
from typing import cast

from dnslb_backend.errors import RequestError
from dnslb_backend.pdns.wire.parameters import Parameters


def parse_request(data: bytes) -> tuple[str, Parameters]:
    """Method and parameters of one request; raises RequestError."""
    request = load_object(data)
    method = request.get("method")
    if not isinstance(method, str):
        raise RequestError("a request names its method in a text")
    parameters = request.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise RequestError("the parameters of a request are an object")
    return method, parameters


def load_object(data: bytes | str) -> dict[str, object]:
    """The JSON object in `data`; raises RequestError."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"not JSON: {str(error)[:200]}") from None
    if not isinstance(value, dict):
        raise RequestError("a request is a JSON object")
    return cast(dict[str, object], value)
