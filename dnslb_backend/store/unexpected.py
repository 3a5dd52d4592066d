"""The one path of every exception that nothing in this package raises on purpose."""

import logging

from dnslb_backend import metrics

log = logging.getLogger(__name__)


def log_unexpected(what: str, error: Exception) -> None:
    """Log it with its traceback, and count it."""
    log.error("%s: unexpected %s", what, type(error).__name__, exc_info=error)
    metrics.count_error("mirror")
