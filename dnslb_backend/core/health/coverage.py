"""Which records an override affects, looked up without visiting every member."""

from collections.abc import Iterable

from dnslb_backend.core.health.overrides import Override, matches_alias
from dnslb_backend.core.model.records import RecordKey


class Coverage:
    """An index of records by the aliases of their members and destinations."""

    def __init__(self) -> None:
        self._records: dict[str, set[RecordKey]] = {}
        self._aliases: dict[RecordKey, frozenset[str]] = {}

    def put(self, key: RecordKey, aliases: Iterable[str]) -> None:
        """Replace the aliases of a record; without any, the record is removed."""
        before, after = self._aliases.pop(key, frozenset()), frozenset(aliases)
        for alias in before - after:
            self._records[alias].discard(key)
            if not self._records[alias]:
                del self._records[alias]
        for alias in after - before:
            self._records.setdefault(alias, set()).add(key)
        if after:
            self._aliases[key] = after

    def covered(self, override: Override) -> set[RecordKey]:
        """The records with a member or a destination that matches `override`."""
        found = set(self._records.get(override.target, ()))
        if override.is_glob:
            for alias, keys in self._records.items():
                if matches_alias(override.target, alias):
                    found |= keys
        return {key for key in found if override.name in ("", key.name)}
