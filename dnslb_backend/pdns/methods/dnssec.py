"""What PowerDNS asks of signed zones, and what pdnsutil writes for them.

PowerDNS signs; this keeps its keys and metadata, and knows which names are neighbours in a zone. A
write is answered when it is durable; one that is answered with an error never comes into force.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from typing import Protocol

from dnslb_backend.core.answers.dnssec import DnssecItem, Metadata, TsigKey, ZoneKey
from dnslb_backend.core.answers.nsec import (
    Chain,
    Nsec3Chain,
    Nsec3Param,
    NsecChain,
    is_hash,
    parse_nsec3param,
)
from dnslb_backend.core.answers.snapshot import Snapshot
from dnslb_backend.core.model.names import is_within
from dnslb_backend.core.model.zones import Zone
from dnslb_backend.errors import RequestError, StoreError
from dnslb_backend.pdns.wire.parameters import (
    Parameters,
    boolean,
    domain_name,
    integer,
    string,
    strings,
)
from dnslb_backend.pdns.wire.rows import render_result

KEY_LIMIT = 100
"""Keys that one zone may have; those of a rollover are three or four."""

KIND_LIMIT = 100
"""Kinds of metadata of one zone."""

TRANSFER_KEY_LIMIT = 1000

CONTENT_LIMIT = 16 * 1024
"""Characters of one key; those of RSA with 4096 bits are 3,300."""

VALUES_LIMIT = 32 * 1024
"""Characters of all values of one kind."""

WRITE_TIMEOUT = 1.5
"""Seconds that a write may take: PowerDNS waits for 2 (remote's `timeout`)."""

KIND_LENGTH = 64
HIGHEST_ID = 999_999_999

RULE_TERM = 120.0
"""Seconds for which names are taken for hashes after a zone has stopped using NSEC3: PowerDNS
caches metadata for `domain-metadata-cache-ttl`, a minute by default."""

FALSE, TRUE = render_result(False), render_result(True)

KEY_METHODS = frozenset({"getdomainkeys", "gettsigkey", "gettsigkeys"})
"""The methods whose answers hold private keys, in lower case."""

NO_KEYS = frozenset({FALSE, render_result([])})
"""Their answers when there is no key."""


class KeyStore(Protocol):
    """Where keys and metadata are. Zones are canonical names."""

    def keys(self, zone: str) -> Sequence[ZoneKey]: ...

    def metadata(self, zone: str) -> Mapping[str, Sequence[str]]: ...

    def transfer_keys(self) -> Sequence[TsigKey]: ...

    async def put(self, item: DnssecItem) -> None:
        """Set it durably. Where this raises StoreError or is cancelled, nothing has changed, and
        nothing will.
        """

    async def delete(self, item: DnssecItem) -> None:
        """Delete it durably; otherwise as `put`."""


class NoKeyStore:
    """A store that is empty and refuses writes."""

    def keys(self, zone: str) -> Sequence[ZoneKey]:
        return ()

    def metadata(self, zone: str) -> Mapping[str, Sequence[str]]:
        return {}

    def transfer_keys(self) -> Sequence[TsigKey]:
        return ()

    async def put(self, item: DnssecItem) -> None:
        raise StoreError("keys and metadata are not stored here")

    async def delete(self, item: DnssecItem) -> None:
        raise StoreError("keys and metadata are not stored here")


MethodResult = Callable[[Parameters], bytes]
Write = Callable[[Parameters], Awaitable[bytes]]


class DnssecMethods:
    """The methods of PowerDNS that are about signed zones: reads and writes.

    `mono` is a clock that only rises.
    """

    def __init__(
        self, current: Callable[[], Snapshot], key_store: KeyStore, mono: Callable[[], float]
    ) -> None:
        self._current = current
        self._key_store = key_store
        self._mono = mono
        self._turn = asyncio.Lock()
        self._chains: dict[tuple[str, Nsec3Param | None], tuple[object, Chain]] = {}
        self._rules: dict[str, tuple[Nsec3Param, float]] = {}
        self.answers: Mapping[str, MethodResult] = {
            "getdomainkeys": self._get_domain_keys,
            "getalldomainmetadata": self._get_all_domain_metadata,
            "getdomainmetadata": self._get_domain_metadata,
            "getbeforeandafternamesabsolute": self._get_before_and_after,
            "gettsigkey": self._get_tsig_key,
            "gettsigkeys": self._get_tsig_keys,
        }
        self._writes: Mapping[str, Write] = {
            "adddomainkey": self._add_domain_key,
            "removedomainkey": self._remove_domain_key,
            "activatedomainkey": partial(self._change_key, lambda key: replace(key, active=True)),
            "deactivatedomainkey": partial(
                self._change_key, lambda key: replace(key, active=False)
            ),
            "publishdomainkey": partial(self._change_key, lambda key: replace(key, published=True)),
            "unpublishdomainkey": partial(
                self._change_key, lambda key: replace(key, published=False)
            ),
            "setdomainmetadata": self._set_domain_metadata,
            "settsigkey": self._set_tsig_key,
            "deletetsigkey": self._delete_tsig_key,
        }

    def is_write(self, method: str) -> bool:
        """Whether a method, in lower case, changes what is kept."""
        return method in self._writes

    async def execute_write(self, method: str, parameters: Parameters) -> bytes:
        """Answer a write once it is durable. Raises StoreError; then nothing has changed.

        They are executed one after the other: each is about what the last one left.
        """
        try:
            # Waiting for those before counts: what PowerDNS has given up must not be done later.
            async with asyncio.timeout(WRITE_TIMEOUT), self._turn:
                return await self._writes[method](parameters)
        except TimeoutError:
            raise StoreError(
                f"not written within {WRITE_TIMEOUT:g} s; nothing was changed"
            ) from None

    # -- neighbours ------------------------------------------------------------------------

    def _get_before_and_after(self, parameters: Parameters) -> bytes:
        """PowerDNS asks for a name relative to the zone, or for a hash where it uses those."""
        snapshot = self._current()
        zone_id, qname = integer(parameters, "id"), domain_name(parameters, "qname")
        zone = next((z.name for z in snapshot.name_index.zones.values() if z.id == zone_id), None)
        if zone is None:
            return FALSE
        rule = self._hash_rule(zone) if is_hash(qname) else None
        chain = self._chain(snapshot, zone, rule)
        found = chain.adjacent(qname, partial(_is_unsure, snapshot))
        named = {field: f"{name}." for field, name in found._asdict().items()}
        return render_result(named if found.unhashed else named | {"unhashed": ""})

    def _hash_rule(self, zone: str) -> Nsec3Param | None:
        """How names are hashed, or were until a moment ago: PowerDNS caches that."""
        texts = self._key_store.metadata(zone).get("NSEC3PARAM", ())
        rule = parse_nsec3param(texts[0]) if texts else None
        if rule is not None:
            self._rules[zone] = rule, self._mono()
            return rule
        last, since = self._rules.get(zone, (None, 0.0))
        return last if self._mono() - since < RULE_TERM else None

    def _chain(self, snapshot: Snapshot, zone: str, rule: Nsec3Param | None) -> Chain:
        """Built once per configuration: chains do not depend on health."""
        layout = snapshot.name_index
        made_of, chain = self._chains.get((zone, rule), (None, None))
        if chain is None or made_of is not layout:
            # Drop chains of another configuration or rule.
            self._chains = {
                key: found
                for key, found in self._chains.items()
                if found[0] is layout and (key[0] != zone or (key[1] is None) != (rule is None))
            }
            chain = NsecChain(layout, zone) if rule is None else Nsec3Chain(layout, zone, rule)
            self._chains[zone, rule] = layout, chain
        return chain

    # -- keys ------------------------------------------------------------------------------

    def _get_domain_keys(self, parameters: Parameters) -> bytes:
        zone = self._zone(parameters)
        if zone is None:
            return FALSE
        return render_result(
            [
                {
                    "id": key.id,
                    "flags": key.flags,
                    "active": key.active,
                    "published": key.published,
                    "content": key.content,
                }
                for key in self._key_store.keys(zone)
            ]
        )

    async def _add_domain_key(self, parameters: Parameters) -> bytes:
        zone, said = self._zone(parameters), parameters.get("key")
        if zone is None:
            return FALSE
        if not isinstance(said, Mapping):
            raise RequestError("parameter key must be an object")
        inner = [name for name in self._current().name_index.zones if is_within(name, zone)]
        if len(inner) > 1:
            # There is no delegation to those, so nothing could prove where they begin.
            raise RequestError(
                f"{zone} cannot be signed, {max(inner, key=len)} is a zone within it"
            )
        flags, content = integer(said, "flags"), string(said, "content")
        if not 0 <= flags <= 0xFFFF:
            raise RequestError("the flags of a key have 16 bits")
        _check_key(content)
        number = _key_id(zone, content)
        known = self._key_store.keys(zone)
        if len(known) >= KEY_LIMIT:
            raise RequestError(f"a zone has at most {KEY_LIMIT} keys")
        if any(key.id == number and key.content != content for key in known):
            raise RequestError(f"{zone} has another key {number}: make a new one")
        active = boolean(said, "active", default=True)
        published = boolean(said, "published", default=True)
        await self._key_store.put(ZoneKey(zone, number, flags, active, published, content))
        return render_result(number)

    async def _remove_domain_key(self, parameters: Parameters) -> bytes:
        key = self._key(parameters)
        if key is None:
            return FALSE
        await self._key_store.delete(key)
        return TRUE

    async def _change_key(self, change: Callable[[ZoneKey], ZoneKey], said: Parameters) -> bytes:
        key = self._key(said)
        if key is None:
            return FALSE
        await self._key_store.put(change(key))
        return TRUE

    def _zone(self, parameters: Parameters) -> str | None:
        """The zone of the request, None if it is not configured."""
        zone = domain_name(parameters, "name")
        return zone if zone in self._current().name_index.zones else None

    def _key(self, parameters: Parameters) -> ZoneKey | None:
        zone, number = self._zone(parameters), integer(parameters, "id")
        keys = () if zone is None else self._key_store.keys(zone)
        return next((key for key in keys if key.id == number), None)

    # -- metadata --------------------------------------------------------------------------

    def _get_all_domain_metadata(self, parameters: Parameters) -> bytes:
        zone = self._zone(parameters)
        return render_result({} if zone is None else self.metadata(zone))

    def _get_domain_metadata(self, parameters: Parameters) -> bytes:
        zone, kind = self._zone(parameters), string(parameters, "kind")
        return render_result([] if zone is None else self.metadata(zone).get(kind, []))

    def metadata(self, zone: str) -> Mapping[str, Sequence[str]]:
        """All that is kept of a zone, and what the configuration says of it besides."""
        found = dict(self._key_store.metadata(zone))
        for kind, values in self._current().name_index.zones[zone].metadata.items():
            found[kind] = tuple(dict.fromkeys((*found.get(kind, ()), *values)))
        return found

    def has_secondaries(self, zone: Zone) -> bool:
        """Whether there is anyone to notify; pdnsutil may have configured that as well."""
        return bool(zone.also_notify or self._key_store.metadata(zone.name).get("ALSO-NOTIFY"))

    async def _set_domain_metadata(self, parameters: Parameters) -> bytes:
        """No values take the kind away."""
        zone, kind = self._zone(parameters), string(parameters, "kind")
        values = strings(parameters, "value")
        if zone is None:
            return FALSE
        if not 0 < len(kind) <= KIND_LENGTH or not kind.isprintable():
            raise RequestError(f"a kind of metadata has 1 to {KIND_LENGTH} characters")
        if sum(map(len, values)) > VALUES_LIMIT:
            raise RequestError(f"the values of one kind have at most {VALUES_LIMIT} characters")
        known = self._key_store.metadata(zone)
        if values:
            if kind not in known and len(known) >= KIND_LIMIT:
                raise RequestError(f"a zone has at most {KIND_LIMIT} kinds of metadata")
            await self._key_store.put(Metadata(zone, kind, values))
        elif kind in known:
            await self._key_store.delete(Metadata(zone, kind, ()))
        return TRUE

    # -- keys of transfers -----------------------------------------------------------------

    def _get_tsig_key(self, parameters: Parameters) -> bytes:
        key = self._transfer_key(domain_name(parameters, "name"))
        return FALSE if key is None else render_result(_tsig(key))

    def _get_tsig_keys(self, _: Parameters) -> bytes:
        return render_result([_tsig(key) for key in self._key_store.transfer_keys()])

    async def _set_tsig_key(self, parameters: Parameters) -> bytes:
        key = TsigKey(
            domain_name(parameters, "name"),
            string(parameters, "algorithm"),
            string(parameters, "content"),
        )
        if max(len(key.name), len(key.algorithm), len(key.content)) > CONTENT_LIMIT:
            raise RequestError(f"a part of a key has at most {CONTENT_LIMIT} characters")
        is_full = len(self._key_store.transfer_keys()) >= TRANSFER_KEY_LIMIT
        if is_full and self._transfer_key(key.name) is None:
            raise RequestError(f"there are at most {TRANSFER_KEY_LIMIT} keys of transfers")
        await self._key_store.put(key)
        return TRUE

    async def _delete_tsig_key(self, parameters: Parameters) -> bytes:
        key = self._transfer_key(domain_name(parameters, "name"))
        if key is None:
            return FALSE
        await self._key_store.delete(key)
        return TRUE

    def _transfer_key(self, name: str) -> TsigKey | None:
        return next((key for key in self._key_store.transfer_keys() if key.name == name), None)


def _check_key(content: str) -> None:
    """Refuse what PowerDNS could not read back: it would fail for all of the zone."""
    if len(content) > CONTENT_LIMIT:
        raise RequestError(f"a key has at most {CONTENT_LIMIT} characters")
    if not content.startswith("Private-key-format: v1.") or "\nAlgorithm: " not in content:
        raise RequestError("a key is written as `pdnsutil export-zone-key` writes it")


def _key_id(zone: str, content: str) -> int:
    """Derived from the key: the same on every node, and after a restore or import."""
    digest = blake2b(f"{zone}\0{content}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % HIGHEST_ID + 1


def _tsig(key: TsigKey) -> dict[str, str]:
    return {"name": f"{key.name}.", "algorithm": key.algorithm, "content": key.content}


def _is_unsure(snapshot: Snapshot, name: str) -> bool:
    """Whether the types of a name are not known yet, or differ between clients."""
    node = snapshot.names[name]
    return bool(node.unknown_types) or any(selector.is_for_views for selector in node.selectors)
