"""The NSEC and NSEC3 chains of a signed zone, which prove what does not exist.

    NSEC    names in canonical order (RFC 4034, section 6.1): the apex, names with rows of their
            own, and delegations
    NSEC3   the hashes (RFC 5155) of those and of empty non-terminals

Names below a delegation are in no chain. A name whose health is unknown, or that has no rows for
clients in no view, is in its chain like any other.
"""

from base64 import b32hexdecode, b32hexencode
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha1
from typing import NamedTuple

import dns.exception
import dns.name

from dnslb_backend.core.answers.name_index import NameEntry, NameIndex
from dnslb_backend.errors import RequestError

SortKey = tuple[bytes, ...]
"""The labels of a name in lower case, the last one first: compares as names are ordered."""

SHA1 = 1
OPT_OUT = 1
HASH_SIZE = 20
HASH_LENGTH = 32
"""Bytes of a hash, and its characters in base32hex."""

MOST_ITERATIONS = 2500
"""RFC 5155, section 10.3: the limit for keys of 4096 bits."""

IsUnsure = Callable[[str], bool]
"""Whether the types of a canonical name must not be asserted now, as its health is unknown."""


class Adjacent(NamedTuple):
    """The last owner of a chain that does not sort after a name, and the owner after that.

    `unhashed` is the canonical name of `before`, "" where it has none. The others are relative
    to the zone ("" for the apex), or hashes in an NSEC3 chain.
    """

    unhashed: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Nsec3Param:
    """How names are hashed; `opt_out` leaves out unsigned delegations."""

    iterations: int
    salt: bytes
    opt_out: bool


def parse_nsec3param(text: str) -> Nsec3Param | None:
    """Parse the content of an NSEC3PARAM record (`1 0 0 -`); None where it cannot be used."""
    try:
        algorithm, flags, iterations, salt = text.split()
        count = int(iterations)
        if int(algorithm) != SHA1 or not 0 <= count <= MOST_ITERATIONS:
            return None
        octets = b"" if salt == "-" else bytes.fromhex(salt)
        return Nsec3Param(count, octets, bool(int(flags) & OPT_OUT))
    except ValueError:
        return None


def is_hash(qname: str) -> bool:
    """Whether a name can be a hash: one label of 32 characters of base32hex."""
    if len(qname) != HASH_LENGTH or not qname.isalnum():
        return False
    return qname.isascii() and max(qname) <= "v"


def sort_key(name: str) -> SortKey:
    """The sort key of a name without its final dot, in PowerDNS's spelling or ours.

    Raises dns.exception.DNSException for an invalid name.
    """
    if "\\" not in name:
        return tuple(reversed(name.lower().encode().split(b"."))) if name else ()
    return tuple(label.lower() for label in reversed(dns.name.from_text(f"{name}.").labels[:-1]))


def hash_name(key: SortKey, rule: Nsec3Param) -> bytes:
    """The hash of an absolute name (RFC 5155, section 5)."""
    wire = b"".join(bytes((len(label),)) + label for label in reversed(key)) + b"\0"
    digest = sha1(wire + rule.salt, usedforsecurity=False).digest()
    for _ in range(rule.iterations):
        digest = sha1(digest + rule.salt, usedforsecurity=False).digest()
    return digest


class NsecChain:
    """The names of one zone that own an NSEC record."""

    def __init__(self, name_index: NameIndex, zone: str) -> None:
        self._zone = zone
        depth = len(sort_key(zone))
        owners = _owners(name_index, zone, is_hashed=False)
        self._keys = [key[depth:] for key, _ in owners]
        self._names = [name for _, name in owners]

    def adjacent(self, name: str, is_unsure: IsUnsure) -> Adjacent:
        """The neighbours of `name`, relative to the zone, whether it exists or not.

        Where `name` does not exist and the types of the name before it are unsure, `before` is
        the first possible name below that: it does not exist and so has no types. Raises
        RequestError for an invalid name.
        """
        try:
            key = sort_key(name)
        except (dns.exception.DNSException, UnicodeError) as error:
            raise RequestError(f"{name!r} is not a valid name: {error}") from error
        found = bisect_right(self._keys, key) - 1
        owner = self._names[found]
        before = self._relative(owner)
        if self._keys[found] != key and is_unsure(owner):
            before = f"\\000.{before}".removesuffix(".")
        after = self._relative(self._names[(found + 1) % len(self._names)])
        return Adjacent(owner, before, after)

    def _relative(self, name: str) -> str:
        return name[: len(name) - len(self._zone)].removesuffix(".")


class Nsec3Chain:
    """The hashes of the names of one zone that own an NSEC3 record."""

    def __init__(self, name_index: NameIndex, zone: str, rule: Nsec3Param) -> None:
        owners = _owners(name_index, zone, is_hashed=True, opt_out=rule.opt_out)
        hashed = sorted((hash_name(key, rule), name) for key, name in owners)
        self._hashes = [digest for digest, _ in hashed]
        self._names = [name for _, name in hashed]

    def adjacent(self, name: str, is_unsure: IsUnsure) -> Adjacent:
        """The neighbours of a hash for which `is_hash` holds.

        As in an NSEC chain, an owner whose types are unsure is replaced by the next possible hash.
        """
        digest = b32hexdecode(name.upper())
        found = bisect_right(self._hashes, digest) - 1
        unhashed, before = self._names[found], self._hashes[found]
        if before != digest and is_unsure(unhashed):
            unhashed, before = "", _next(before)
        after = self._hashes[(found + 1) % len(self._hashes)]
        return Adjacent(unhashed, _text(before), _text(after))


Chain = NsecChain | Nsec3Chain


def _text(digest: bytes) -> str:
    return b32hexencode(digest).decode().lower()


def _next(digest: bytes) -> bytes:
    number = (int.from_bytes(digest, "big") + 1) % (1 << 8 * HASH_SIZE)
    return number.to_bytes(HASH_SIZE, "big")


def _owners(
    name_index: NameIndex, zone: str, *, is_hashed: bool, opt_out: bool = False
) -> list[tuple[SortKey, str]]:
    """The names of a chain in canonical order, each with its key."""
    return [
        (key, entry.name)
        for key, entry in _signed_names(name_index, zone)
        if is_hashed or entry.is_apex or entry.records or entry.static
        if not (opt_out and _is_cut(entry) and all(row.qtype != "DS" for row in entry.static))
    ]


def _signed_names(name_index: NameIndex, zone: str) -> Iterator[tuple[SortKey, NameEntry]]:
    """The names of a zone in canonical order without those below its delegations."""
    found = sorted((sort_key(name), name) for name in name_index.names[zone])
    cut: SortKey | None = None
    for key, name in found:
        if cut is not None and key[: len(cut)] == cut:
            continue
        entry = name_index.entries[name]
        cut = key if _is_cut(entry) else None
        yield key, entry


def _is_cut(entry: NameEntry) -> bool:
    return not entry.is_apex and any(row.qtype == "NS" for row in entry.static)
