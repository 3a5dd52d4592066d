"""What an endpoint is: one row of the table that routes and OpenAPI are both made from."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel

from dnslb_backend.admin.admission import ReadAdmission
from dnslb_backend.admin.auth import Access
from dnslb_backend.admin.control import Control
from dnslb_backend.admin.events import EventRing, Streams
from dnslb_backend.admin.tokens import Role
from dnslb_backend.throttle import Throttle


@dataclass(slots=True)
class AdminState:
    """What every request may use. `access` is replaced on reload."""

    control: Control
    access: Access
    ring: EventRing
    reads: ReadAdmission = field(default_factory=ReadAdmission)
    refusals: Throttle = field(default_factory=lambda: Throttle(time.monotonic))
    """Of what is said in the log of those who may not, or talk no HTTP."""


STATE = web.AppKey("state", AdminState)
STREAMS = web.AppKey("streams", Streams)


@dataclass(frozen=True, slots=True)
class Answer:
    """One way an endpoint answers: what it means, and its body."""

    text: str
    model: type[BaseModel] | None = None
    media: str = "application/json"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method and path: who may use it, what it takes and what it answers.

    `role` None is open to everybody. Answers of one that `is_long` pass the admission of reads.
    Refusals of its role, its query and its body need no row in `answers`.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    summary: str
    handler: Handler
    answers: Mapping[int, Answer]
    role: Role | None = Role.READ
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    tags: tuple[str, ...] = field(default=("api",))
    is_long: bool = False
