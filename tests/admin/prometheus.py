"""A Prometheus server with rules, and what it has to say about them."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import aiohttp

from tests.rigs.ports import free_port
from tests.rigs.server import Server, executable

PACE = "500ms"


class Prometheus(Server):
    """Scrapes `targets` (HOST:PORT) as the job `dnslb` and evaluates `rules`, twice a second.

    Waiting times in the rules are cut to nothing: what is tried is whether a fault shows.
    """

    name = "prometheus"

    def __init__(self, targets: Iterable[str], rules: Path) -> None:
        super().__init__()
        self.port = free_port()
        hurried = re.sub(r"^( +)for: .*$", r"\1for: 0s", rules.read_text(), flags=re.MULTILINE)
        (self.directory / "rules.yml").write_text(hurried)
        job = {"job_name": "dnslb", "static_configs": [{"targets": list(targets)}]}
        # JSON is YAML.
        config = {
            "global": {
                "scrape_interval": PACE,
                "scrape_timeout": PACE,
                "evaluation_interval": PACE,
            },
            "rule_files": ["rules.yml"],
            "scrape_configs": [job],
        }
        (self.directory / "prometheus.yml").write_text(json.dumps(config))

    def command(self) -> list[str]:
        return [
            executable("prometheus"),
            *("--config.file", str(self.directory / "prometheus.yml")),
            *("--storage.tsdb.path", str(self.directory / "data")),
            *("--web.listen-address", f"127.0.0.1:{self.port}"),
            "--log.level=warn",
        ]

    async def answers(self) -> bool:
        try:
            async with (
                aiohttp.ClientSession(f"http://127.0.0.1:{self.port}") as session,
                session.get("/-/ready") as response,
            ):
                return response.status == 200
        except aiohttp.ClientConnectionError:
            return False

    async def get(self, path: str, **query: str) -> Any:
        """The `data` of an answer of its API."""
        async with (
            aiohttp.ClientSession(f"http://127.0.0.1:{self.port}") as session,
            session.get(path, params=query) as response,
        ):
            return (await response.json())["data"]

    async def firing(self) -> set[tuple[str, str]]:
        """Name and instance of the alerts that fire at this moment."""
        found = (await self.get("/api/v1/alerts"))["alerts"]
        return {
            (alert["labels"]["alertname"], alert["labels"]["instance"])
            for alert in found
            if alert["state"] == "firing"
        }

    async def value(self, expression: str) -> float | None:
        """The value of an expression with one result; None where there is none."""
        found = (await self.get("/api/v1/query", query=expression))["result"]
        return float(found[0]["value"][1]) if found else None
