"""The API, fuzzed from its own OpenAPI document (schemathesis)."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from pathlib import Path

import pytest

from dnslb_backend.admin.settings import AdminSettings
from dnslb_backend.metrics import REGISTRY
from tests.admin.node import OPERATE_TOKEN, Node, serving

CASES = "60"
"""Requests an endpoint in each phase; the whole takes half a minute."""

SEMANTICS = """\
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "403", "409", "422"]
"""
"""No schema says which targets there are, or that two fields exclude each other; and the token of
an operator, which is sent here, is none of a push check."""


@pytest.mark.timeout(180)
async def test_it_keeps_to_its_document_whatever_is_sent(
    node: Node, token_file: Path, tmp_path: Path
) -> None:
    """No 5xx, no undocumented status, and every body is what the document says."""
    node.settle()
    before = server_errors()
    (tmp_path / "schemathesis.toml").write_text(SEMANTICS)
    settings = AdminSettings(listen="127.0.0.1:0", token_file=token_file)
    async with serving(node, settings) as url:
        command = [
            *(str(Path(sys.executable).parent / "schemathesis"), "run"),
            *(f"{url}/api/v1/openapi.json", "--url", url),
            *("--header", f"Authorization: Bearer {OPERATE_TOKEN}"),
            *("--checks", "all", "--max-examples", CASES, "--no-shrink"),
            *("--generation-deterministic", "--no-color"),
            # A stream has no end to wait for; test_events.py knows it.
            *("--exclude-path", "/api/v1/events"),
        ]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, cwd=tmp_path
        )
        out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    assert server_errors() == before


def server_errors() -> float | None:
    return REGISTRY.get_sample_value("dnslb_admin_requests_total", {"status": "5xx"})
