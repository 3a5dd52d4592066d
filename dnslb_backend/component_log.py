"""The log of one component, which counts the unexpected exceptions that it reports."""

import logging
from collections.abc import MutableMapping
from typing import Any

from dnslb_backend.metrics import Component, count_error


class ComponentLog(logging.LoggerAdapter[logging.Logger]):
    """A logger whose `exception` also counts in `dnslb_errors_total{component}`."""

    def __init__(self, name: str, component: Component) -> None:
        super().__init__(logging.getLogger(name))
        self._component = component

    def process(
        self, msg: object, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        # The base class would replace the `extra` of the call.
        return msg, kwargs

    def exception(self, msg: object, *args: object, **options: Any) -> None:
        """Log an exception that no code expected, by default the one being handled; count it."""
        count_error(self._component)
        super().exception(msg, *args, **options)
