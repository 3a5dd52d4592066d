"""Which records an override affects, looked up without visiting every member."""

import fnmatch
import re
from collections.abc import Iterable

from dnslb_backend.core.health.overrides import Override
from dnslb_backend.core.health.record_index import RecordIndex
from dnslb_backend.core.model.labels import is_label
from dnslb_backend.core.model.records import RecordKey


class Coverage:
    """An index of records by the aliases of their members and destinations."""

    def __init__(self) -> None:
        self._records = RecordIndex[str]()
        self._aliases: dict[RecordKey, tuple[str, ...]] = {}

    def put(self, key: RecordKey, aliases: Iterable[str]) -> None:
        """Replace the aliases of a record; without any, the record is removed."""
        before, after = self._aliases.pop(key, ()), frozenset(aliases)
        for alias in after.symmetric_difference(before):
            if alias in after:
                self._records.add(alias, key)
            else:
                self._records.discard(alias, key)
        if after:
            self._aliases[key] = tuple(after)

    def covered(self, override: Override) -> set[RecordKey]:
        """The records with a member or a destination that matches `override`."""
        found = set(self._records.of(override.target))
        if override.is_glob:
            # As `matches_alias`, of hundreds of thousands in one pass.
            is_match = re.compile(fnmatch.translate(override.target)).match
            for alias in filter(is_match, self._records):
                if is_label(override.target) or not is_label(alias):
                    found.update(self._records.of(alias))
        return {key for key in found if override.name in ("", key.name)}
