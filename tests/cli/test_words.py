"""What operators read is in standard English: help, the OpenAPI document, the page."""

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
import typer.main

from dnslb_backend.admin.api.endpoints import ENDPOINTS
from dnslb_backend.admin.api.openapi import build_openapi
from dnslb_backend.cli.app import commands

PRIVATE = re.compile(
    r"\b(told|tells?|heard|hears?|stands?|somebody|nobody|whoever|anew|of ours|makes no sense"
    r"|a bug in)\b|(?<!\.)\.\.(?![./])",
    re.IGNORECASE,
)
ORDERS = re.compile(r"(?<!in the )\borders?\b|\bordered\b", re.IGNORECASE)
"""An operator's intervention is an override."""


def texts_of_help(command: Any) -> Iterator[str]:
    yield command.help or ""
    for parameter in command.params:
        yield getattr(parameter, "help", None) or ""
    for child in getattr(command, "commands", {}).values():
        yield from texts_of_help(child)


def texts_of_document(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            if key in ("summary", "description", "title") and isinstance(each, str):
                yield each
            else:
                yield from texts_of_document(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts_of_document(each)


def test_help() -> None:
    texts = list(texts_of_help(typer.main.get_command(commands())))
    assert len(texts) > 50
    assert [text for text in texts if PRIVATE.search(text) or ORDERS.search(text)] == []


def test_the_openapi_document() -> None:
    document = json.loads(json.dumps(build_openapi(ENDPOINTS, "1")))
    texts = list(texts_of_document(document))
    assert len(texts) > 100
    assert [text for text in texts if PRIVATE.search(text) or ORDERS.search(text)] == []


@pytest.mark.parametrize(
    "name",
    sorted(
        entry.name
        for entry in (files("dnslb_backend.admin") / "page").iterdir()
        if entry.name.endswith((".js", ".html"))
    ),
)
def test_the_page(name: str) -> None:
    text = (files("dnslb_backend.admin") / "page" / name).read_text()
    assert [line for line in text.splitlines() if PRIVATE.search(line)] == []
