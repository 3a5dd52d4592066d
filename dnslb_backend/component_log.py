"""The log of one component, which counts the unexpected exceptions that it reports."""

import logging
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dnslb_backend.metrics import Component


class ComponentLog(logging.LoggerAdapter[logging.Logger]):
    """A logger whose `exception` also counts in `dnslb_errors_total{component}`."""

    def __init__(self, name: str, component: "Component") -> None:
        super().__init__(logging.getLogger(name))
        self._component = component

    def process(
        self, msg: object, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        # The base class would replace the `extra` of the call.
        return msg, kwargs

    def exception(self, msg: object, *args: object, **options: Any) -> None:
        """Log an exception that no code expected, by default the one being handled; count it."""
        # A daemon has imported it long since; `check-config` would take a third longer with it.
        from dnslb_backend.metrics import count_error  # noqa: PLC0415 -- see above

        count_error(self._component)
        super().exception(msg, *args, **options)
