"""The dialect of PowerDNS's pipe backend (`launch=pipe`), ABI 1 to 5: lines of tabbed fields.

    HELO 3                                              OK  banner
    Q    qname  IN  qtype  id  remote  local  real      DATA .. DATA .. END
    AXFR id [qname since ABI 4]                         DATA .. DATA .. END
    CMD  text (ABI 5)                                   text .. END
    PING                                                END

DATA begins with scopeMask and auth since ABI 3. FAIL is a fault of ours: SERVFAIL.
"""

import json
from functools import lru_cache
from typing import cast

from dnslb_backend.core.answers.snapshot import ENT, NAME_EXISTS
from dnslb_backend.errors import RequestError
from dnslb_backend.pdns.methods.dnssec import FALSE
from dnslb_backend.pdns.methods.metered import MeteredResponder

HELLO = b"HELO\t"
END = b"END\n"
FAIL = b"FAIL\n"
BANNER = b"OK\tdnslb-backend\n"
VERSIONS = range(1, 6)

CACHE_SIZE = 4096
"""Answers that are remembered in this dialect."""

MEMORABLE = 16 * 1024
"""Bytes of the longest one that is: a transfer of a zone may have megabytes."""

_CONTROLS = {code: f"\\{code:03d}" for code in range(32)}


class PipeAbiSession:
    """One connection of a pipe backend that has introduced itself with this version.

    Raises RequestError for a version that there is not.
    """

    def __init__(self, responder: MeteredResponder, version: int) -> None:
        if version not in VERSIONS:
            raise RequestError(f"the pipe backend's ABI has no version {version}")
        self.version = version
        self._responder = responder

    def answer(self, line: bytes) -> bytes:
        """All lines of the answer to one. Raises as Responder.answer."""
        known = self._responder.known(line)
        if known is not None:
            return self._data(known)
        try:
            kind, *fields = line.decode().split("\t")
        except UnicodeDecodeError as error:
            raise RequestError(f"not UTF-8: {error}") from None
        match kind, fields:
            case "Q", [qname, _, qtype, _, *remotes] if remotes:
                # The client's own network comes last, since ABI 3; before, it is the resolver.
                asker = remotes[-1] if self.version > 2 else remotes[0]
                return self._data(self._responder.lookup(qname, qtype, lambda: asker, line))
            case "AXFR", [zone_id, *name]:
                return self._transfer(zone_id, name[0] if name else None)
            case "CMD", [*words]:
                return _scope_text(self._responder.responder.command("\t".join(words)))
            case "PING", []:
                return END
        raise RequestError(f"the pipe backend's ABI has no line {line[:100]!r}")

    def _transfer(self, zone_id: str, name: str | None) -> bytes:
        parameters = {"domain_id": zone_id} if name is None else {"zonename": name}
        answer = self._responder.answer("list", parameters)
        if answer == FALSE:
            raise RequestError(f"no such zone: {name or zone_id}")
        return self._data(answer)

    def _data(self, answer: bytes) -> bytes:
        render = as_lines if len(answer) <= MEMORABLE else as_lines.__wrapped__
        return render(answer, has_scope=self.version > 2)


def hello_version(line: bytes) -> int:
    """The version in `HELO<tab>3`; 0 where there is none."""
    text = line[len(HELLO) :].strip()
    return int(text) if len(text) == 1 and text.isdigit() else 0


@lru_cache(CACHE_SIZE)
def as_lines(answer: bytes, *, has_scope: bool) -> bytes:
    """An answer to `lookup` or `list` in this dialect."""
    rows = cast(list[dict[str, object]], json.loads(answer)["result"])
    return "".join(_line(row, has_scope=has_scope) for row in rows).encode() + END


def _line(row: dict[str, object], *, has_scope: bool) -> str:
    qtype, content = str(row["qtype"]), str(row["content"])
    # The priority is a field of its own. Any other tab would cut the content in two.
    contents = content.split(" ", 1) if qtype in ("MX", "SRV") else [content]
    if qtype == ENT:
        # PowerDNS skips empty fields here, and takes no other content for ENT.
        qtype, *contents = NAME_EXISTS
    scope = (row["scopeMask"], row["auth"]) if has_scope else ()
    fields = (*scope, row["qname"], "IN", qtype, row["ttl"], row["domain_id"], *contents)
    return "\t".join(["DATA", *(str(field).translate(_CONTROLS) for field in fields)]) + "\n"


def _scope_text(text: str) -> bytes:
    lines = (f" {line}" if line == "END" else line for line in text.splitlines())
    return "".join(f"{line}\n" for line in lines).encode() + END
