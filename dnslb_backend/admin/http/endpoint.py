"""What an endpoint is: one row of the table that routes and OpenAPI are both made from."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel

from dnslb_backend.admin.control import Control
from dnslb_backend.admin.http.access import Access
from dnslb_backend.admin.http.admission import ReadAdmission
from dnslb_backend.admin.http.event_stream import EventRing, EventStreams
from dnslb_backend.admin.http.tokens import Role
from dnslb_backend.admin.settings import AdminSettings
from dnslb_backend.throttle import LogRateLimiter


@dataclass(slots=True)
class AdminState:
    """What every request may use. `access` and `settings` are replaced on reload."""

    control: Control
    access: Access
    ring: EventRing
    reads: ReadAdmission = field(default_factory=ReadAdmission)
    refusals: LogRateLimiter = field(default_factory=lambda: LogRateLimiter(time.monotonic))
    """Of log lines about requests that are refused or are not HTTP."""
    settings: AdminSettings = field(default_factory=AdminSettings)


STATE = web.AppKey("state", AdminState)
STREAMS = web.AppKey("streams", EventStreams)


@dataclass(frozen=True, slots=True)
class ResponseSpec:
    """One way an endpoint answers: what it means, and its body."""

    text: str
    model: type[BaseModel] | None = None
    media: str = "application/json"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method and path: who may use it, what it takes and what it answers.

    `role` None is open to everybody. Answers of one that `is_long` pass the admission of reads.
    Refusals of its role, its query and its body need no row in `responses`.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    summary: str
    handler: Handler
    responses: Mapping[int, ResponseSpec]
    role: Role | None = Role.READ
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    tags: tuple[str, ...] = field(default=("api",))
    is_long: bool = False
