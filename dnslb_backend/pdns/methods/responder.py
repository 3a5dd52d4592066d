"""Answers PowerDNS's requests, whatever the transport.

A method that is not implemented, and a request for something that does not exist, get
`{"result":false}`. An internal error is never an answer: it is raised, and the transport makes
PowerDNS answer SERVFAIL.
"""

import logging
import time
from collections.abc import Callable
from random import getrandbits

from dnslb_backend.core.answers.dynamic import DynamicAnswer
from dnslb_backend.core.answers.snapshot import Snapshot
from dnslb_backend.core.model.names import key_of
from dnslb_backend.errors import RequestError
from dnslb_backend.pdns.methods.client_cache import ClientCache
from dnslb_backend.pdns.methods.dnssec import FALSE, TRUE, DnssecMethods, KeyStore, NoKeyStore
from dnslb_backend.pdns.methods.zones import ZoneMethods
from dnslb_backend.pdns.wire.parameters import Parameters, integer, string
from dnslb_backend.pdns.wire.rows import render_found, render_result

log = logging.getLogger(__name__)

PATTERN_LIMIT = 1024
"""Characters of a search pattern: it becomes a regular expression."""

SEARCH_LIMIT = 10_000
"""Rows that one search may return, whatever it asks for."""


NAME_LIMIT = 60
"""Characters of a method's name that are logged."""

UNKNOWN_LIMIT = 20
"""Unsupported methods that are logged, once each; PowerDNS has about ten of them."""


class Responder:
    """Answers from the snapshot that `current`, known as `snapshot`, returns at that moment.

    `key_store` has the data of signed zones; `notifies` returns whether a channel makes PowerDNS
    notify secondaries.
    """

    def __init__(
        self,
        current: Callable[[], Snapshot],
        client_cache: ClientCache | None = None,
        key_store: KeyStore | None = None,
        notifies: Callable[[], bool] = lambda: False,
    ) -> None:
        self.snapshot = current
        self._client_cache = client_cache or ClientCache(time.monotonic, lambda: getrandbits(64))
        self._dnssec = DnssecMethods(current, key_store or NoKeyStore(), time.monotonic)
        self._zones = ZoneMethods(current, self._dnssec.metadata, notifies)
        self._unknown = set[str]()
        self._methods: dict[str, Callable[[Parameters], bytes]] = {
            "initialize": lambda _: TRUE,
            "lookup": self._lookup,
            "apilookup": self._lookup,
            **self._zones.answers,
            **self._dnssec.answers,
            "searchrecords": self._search_records,
            "directbackendcmd": self._direct_backend_cmd,
        }

    def answer(self, method: str, parameters: Parameters) -> bytes:
        """The answer to `method`, whose letter case does not matter, as one line of JSON.

        Raises RequestError for invalid parameters, NotReadyError if the answer is not known yet;
        any other exception is an internal error.
        """
        perform = self._methods.get(method.lower())
        if perform is None:
            self._report_unknown(method[:NAME_LIMIT])
            return FALSE
        return perform(parameters)

    def _report_unknown(self, method: str) -> None:
        if method not in self._unknown and len(self._unknown) < UNKNOWN_LIMIT:
            self._unknown.add(method)
            log.warning(
                "method %r is not supported; if PowerDNS has no such method, "
                "check url and url-suffix of remote-connection-string in pdns.conf",
                method,
            )

    def is_write(self, method: str) -> bool:
        """Whether `method` is for `execute_write`, not for `answer`."""
        return self._dnssec.is_write(method.lower())

    async def execute_write(self, method: str, parameters: Parameters) -> bytes:
        """The answer to a write, once it is stored durably.

        Raises RequestError as `answer`, and StoreError if it could not be stored.
        """
        return await self._dnssec.execute_write(method.lower(), parameters)

    def lookup(self, qname: str, qtype: str, remote: Callable[[], str]) -> bytes:
        """The answer to `lookup`, for transports that need no dictionary to read it.

        `remote` returns the client, PowerDNS's real-remote; it is called only if that matters.
        """
        found = self.find(qname, qtype)
        return found if isinstance(found, bytes) else self.choose(found, qname, remote)

    def find(self, qname: str, qtype: str) -> bytes | DynamicAnswer:
        """The answer to a lookup if it is the same for all clients, else a DynamicAnswer."""
        return self.snapshot().lookup(key_of(qname), qtype)

    def choose(self, choice: DynamicAnswer, qname: str, remote: Callable[[], str]) -> bytes:
        """The answer for one client, after `find` has returned a DynamicAnswer."""
        client = remote()
        query_seed = self._client_cache.query_seed(qname, client) if choice.is_random else 0
        return choice.answer(self._client_cache.client(client), query_seed)

    def _lookup(self, parameters: Parameters) -> bytes:
        qname, qtype = string(parameters, "qname"), string(parameters, "qtype")
        return self.lookup(qname, qtype.upper(), lambda: str(parameters.get("real-remote", "")))

    def _search_records(self, parameters: Parameters) -> bytes:
        pattern = string(parameters, "pattern")
        if len(pattern) > PATTERN_LIMIT:
            raise RequestError(f"a search pattern has at most {PATTERN_LIMIT} characters")
        limit = min(max(integer(parameters, "maxResults"), 0), SEARCH_LIMIT)
        return render_found(self.snapshot().search(pattern, limit))

    def _direct_backend_cmd(self, parameters: Parameters) -> bytes:
        return render_result(self.command(string(parameters, "query")))

    def command(self, query: str) -> str:
        """What `pdnsutil backend-cmd` prints for `PING` or `STATUS name`."""
        word, _, rest = query.strip().partition(" ")
        name = rest.strip()
        if word.upper() == "PING" and not name:
            return "PONG"
        if word.upper() == "STATUS" and name:
            return self._description(key_of(name))
        return f"unknown command {query.strip()[:100]!r}; known are: PING, STATUS name"

    def _description(self, name: str) -> str:
        """The state of a canonical name, for people."""
        node = self.snapshot().names.get(name)
        if node is None:
            return f"{name}: no such name"
        lines = [f"{row.qname} {row.ttl} {row.qtype} {row.content}" for row in node.all_rows()]
        lines += [f"{name} {qtype}: not known yet" for qtype in sorted(node.unknown_types)]
        return "\n".join(lines) or f"{name}: no records, but names below it exist"
