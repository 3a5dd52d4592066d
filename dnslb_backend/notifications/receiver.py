"""What a worker needs of a receiver."""

from dataclasses import dataclass
from typing import Protocol

from dnslb_backend.metrics import NotificationReceiver
from dnslb_backend.notifications.payload import Payload
from dnslb_backend.notifications.settings import ReceiverSettings


@dataclass(frozen=True, slots=True)
class Failure:
    """A delivery failed. `is_final`: it would fail again; `retry_after` are seconds to wait."""

    reason: str
    is_final: bool = False
    retry_after: float = 0.0


class Receiver(Protocol):
    """One webhook or command."""

    @property
    def kind(self) -> NotificationReceiver: ...

    @property
    def settings(self) -> ReceiverSettings: ...

    async def send(self, payload: Payload) -> Failure | None:
        """Deliver, within the timeout of the settings; None: it was accepted."""
