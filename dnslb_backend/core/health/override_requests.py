"""Overrides as operators request them, before validation."""

from dataclasses import dataclass

from dnslb_backend.core.health.overrides import Action


@dataclass(frozen=True, slots=True)
class OverrideRequest:
    """A requested override. `target` is an address, a destination host, a label, or a glob.

    `name` is a canonical name, empty for every record; `node` is empty for every node. `expires`
    is Unix time, None until cleared; `starts` is Unix time, None at once. `force` also takes the
    last serving member of a record. `weight` is that of Action.WEIGHT.
    """

    action: Action
    target: str
    name: str = ""
    node: str = ""
    reason: str = ""
    author: str = ""
    expires: float | None = None
    force: bool = False
    starts: float | None = None
    weight: int | None = None
