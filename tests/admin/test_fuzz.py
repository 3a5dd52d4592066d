"""The API of a real daemon, fuzzed from its own OpenAPI document (schemathesis)."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from pathlib import Path

import pytest

from tests.admin.node import OPERATE_TOKEN, TOKENS
from tests.rigs.daemon import Daemon
from tests.system.writing import config, record, table

CASES = "40"
"""Requests an endpoint in each phase; the whole takes 15 s."""

STATIC = {"type": "static"}
PUSH = "push-0123456789abcdef"

SEMANTICS = """\
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "403", "409", "422"]
"""
"""No schema says which targets there are, or that two fields exclude each other; and the token of
an operator, which is sent here, is none of a push check."""


CONFIG = config(
    table('zones."other.example"'),
    table("views.office", networks=["10.0.0.0/8"]),
    record("www", dest=["192.0.2.1@2", "192.0.2.2"], check=STATIC, fallback="192.0.2.99"),
    record("v6", "AAAA", dest=["2001:db8::1"], check=STATIC),
    record("*.wild", dest=["192.0.2.5", {"host": "192.0.2.6", "views": ["office"]}], check=STATIC),
    record("push", dest=["192.0.2.9"], check={"type": "push", "token": PUSH, "max_silence": 60}),
)


@pytest.mark.timeout(180)
async def test_it_keeps_to_its_document_whatever_is_sent(tmp_path: Path) -> None:
    """No 5xx, no undocumented status, and every body is what the document says."""
    tokens = tmp_path / "tokens"
    tokens.write_text(TOKENS)
    tokens.chmod(0o640)
    (tmp_path / "schemathesis.toml").write_text(SEMANTICS)
    async with Daemon(f"{CONFIG}\n{table('admin', token_file=str(tokens))}") as daemon:
        url = f"http://{daemon.admin}"
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
        _, metrics = await daemon.get("/metrics")
        assert 'dnslb_admin_requests_total{status="5xx"} 0.0' in metrics
        assert "Traceback" not in daemon.log
        assert await daemon.health("/readyz")
