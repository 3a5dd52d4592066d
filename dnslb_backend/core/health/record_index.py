"""An index of records, for keys most of which have only one."""

from collections.abc import Collection, Hashable, Iterator
from typing import Generic, TypeVar

from dnslb_backend.core.model.records import RecordKey

K = TypeVar("K", bound=Hashable)


class RecordIndex(Generic[K]):
    """The records of each key; a key that has none is not in it."""

    # A set for one record would take ten times the memory of all that is in it.

    def __init__(self) -> None:
        self._records: dict[K, RecordKey | set[RecordKey]] = {}
        self._first: dict[K, RecordKey] = {}
        """Of keys with several records, as far as it was asked for."""

    def __contains__(self, key: object) -> bool:
        return key in self._records

    def __iter__(self) -> Iterator[K]:
        return iter(self._records)

    def of(self, key: K) -> Collection[RecordKey]:
        """The records of a key, each once; not to be kept while the index changes."""
        found = self._records.get(key, ())
        return (found,) if isinstance(found, RecordKey) else found

    def first(self, key: K) -> RecordKey:
        """The first record of a key, by its order; KeyError if it has none."""
        found = self._records[key]
        if isinstance(found, RecordKey):
            return found
        first = self._first.get(key)
        if first is None:
            first = self._first[key] = min(found)
        return first

    def add(self, key: K, record: RecordKey) -> None:
        found = self._records.setdefault(key, record)
        if isinstance(found, set):
            found.add(record)
            if key in self._first and record < self._first[key]:
                self._first[key] = record
        elif found != record:
            self._records[key] = {found, record}

    def discard(self, key: K, record: RecordKey) -> None:
        found = self._records.get(key)
        if isinstance(found, set):
            found.discard(record)
            if self._first.get(key) == record:
                del self._first[key]
        if not found or found == record:
            self._records.pop(key, None)
