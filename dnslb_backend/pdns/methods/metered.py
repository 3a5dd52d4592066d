"""The responder as one transport sees it: its lookups are counted."""

import logging
from collections.abc import Callable
from functools import partial
from time import perf_counter

from dnslb_backend import metrics
from dnslb_backend.core.answers.snapshot import ENT, Snapshot
from dnslb_backend.logs import fields
from dnslb_backend.pdns.methods.dnssec import FALSE, KEY_METHODS, NO_KEYS
from dnslb_backend.pdns.methods.responder import Responder
from dnslb_backend.pdns.wire.parameters import Parameters, string
from dnslb_backend.pdns.wire.rows import render_result

log = logging.getLogger(__name__)

NXDOMAIN = render_result([])
NODATA = f'{{"result":[{{"qtype":"{ENT}"'.encode()
"""The start of an answer whose only row marks that the name exists."""

LOOKUPS = ("lookup", "apilookup")

QUESTION_LIMIT = 2048
"""Bytes of a question that is cached: the longest name, escaped, and its headers need fewer."""

CACHE_SIZE = 4096
"""Cached questions, since busy resolvers repeat their queries; beyond that the cache is cleared."""


class MeteredResponder:
    """Answers as `responder` does, and counts lookups under `transport`."""

    def __init__(self, responder: Responder, transport: metrics.Transport) -> None:
        self.responder = responder
        self._transport = transport
        self._meter = metrics.LookupMeter(transport)
        self._snapshot: Snapshot | None = None
        self._known: dict[bytes, tuple[bytes | Callable[[], bytes], metrics.LookupOutcome]] = {}

    def known(self, question: bytes) -> bytes | None:
        """The answer to a `question` that was found before, None if it must be found; counted."""
        began = perf_counter()
        snapshot = self.responder.snapshot()
        if snapshot is not self._snapshot:
            self._snapshot, self._known = snapshot, {}
            return None
        known = self._known.get(question)
        if known is None:
            return None
        answer, outcome = known
        if not isinstance(answer, bytes):
            return self._choose(answer, began)
        self._meter.count(outcome, perf_counter() - began)
        return answer

    def lookup(
        self, qname: str, qtype: str, remote: Callable[[], str], question: bytes = b""
    ) -> bytes:
        """As Responder.lookup. What was found is cached for `known(question)`."""
        began = perf_counter()
        try:
            found = self.responder.find(qname, qtype)
        except Exception:
            self._meter.count("servfail", perf_counter() - began)
            raise
        if not isinstance(found, bytes):
            choose = partial(self.responder.choose, found, qname, remote)
            self._remember(question, choose, "found")
            return self._choose(choose, began)
        outcome = _outcome(found)
        # A random name is not asked for again; PowerDNS asks for its wildcard every time.
        if outcome != "nxdomain" or qname.startswith("*"):
            self._remember(question, found, outcome)
        self._meter.count(outcome, perf_counter() - began)
        return found

    def forget(self) -> None:
        """Find everything again."""
        self._snapshot, self._known = None, {}

    def _choose(self, choose: Callable[[], bytes], began: float) -> bytes:
        """The answer for one client, counted."""
        try:
            answer = choose()
        except Exception:
            self._meter.count("servfail", perf_counter() - began)
            raise
        self._meter.count(_outcome(answer), perf_counter() - began)
        return answer

    def _remember(
        self,
        question: bytes,
        answer: bytes | Callable[[], bytes],
        outcome: metrics.LookupOutcome,
    ) -> None:
        if question and len(question) <= QUESTION_LIMIT:
            if len(self._known) >= CACHE_SIZE:
                self._known.clear()
            self._known[question] = answer, outcome

    def answer(self, method: str, parameters: Parameters) -> bytes:
        """As Responder.answer."""
        if method.lower() not in LOOKUPS:
            return self.responder.answer(method, parameters)
        qname, qtype = string(parameters, "qname"), string(parameters, "qtype").upper()
        return self.lookup(qname, qtype, lambda: str(parameters.get("real-remote", "")))

    def is_write(self, method: str) -> bool:
        """As Responder.is_write."""
        return self.responder.is_write(method)

    async def execute_write(self, method: str, parameters: Parameters, peer: str) -> bytes:
        """As Responder.execute_write; logged with the name of the peer that wrote, never with a
        key.
        """
        answer = await self.responder.execute_write(method, parameters)
        about = {
            key: str(parameters[key])[:255] for key in ("name", "kind", "id") if key in parameters
        }
        done = "nothing to change" if answer == FALSE else "done"
        log.info(
            "PowerDNS wrote: %s",
            method,
            extra=fields(**about, result=done, transport=self._transport, peer=peer),
        )
        return answer

    def shows_keys(self, method: str, answer: bytes) -> bool:
        """Whether an answer to `method` holds private keys."""
        return method.lower() in KEY_METHODS and answer not in NO_KEYS

    def refused(self) -> None:
        """A request was invalid."""
        self._meter.count("bad_request", 0.0)


def _outcome(answer: bytes) -> metrics.LookupOutcome:
    if answer == NXDOMAIN:
        return "nxdomain"
    return "nodata" if answer.startswith(NODATA) else "found"
