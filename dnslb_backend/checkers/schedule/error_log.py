"""Check errors in the log: checks that cannot judge their target."""

import logging

from dnslb_backend.core.health.observation import Observation
from dnslb_backend.core.health.results import Outcome, Result

log = logging.getLogger(__name__)


def log_check_error(observed: Observation) -> None:
    """Log a check error, once until its reason changes."""
    result, last = observed.result, observed.before.result
    if result.outcome is not Outcome.ERROR or (last is not None and last.text == result.text):
        return
    text = "%s: check error, health unchanged: %s"
    log.log(_level_of(result), text, observed.target.address, result.text)


def _level_of(result: Result) -> int:
    """A busy machine breaks no check, and a first push report that is still to come is no error."""
    if result.report == 0:
        return logging.INFO
    return logging.WARNING if result.is_stall else logging.ERROR
