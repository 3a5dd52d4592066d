"""The records of an earlier configuration: tables that are written as then need no parsing."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dnslb_backend.checkers.checks.base import Check
from dnslb_backend.core.model.quorum import CheckQuestion
from dnslb_backend.core.model.records import Record, RecordKey


@dataclass(frozen=True, slots=True)
class EarlierRecords:
    """What was made of which tables. `digests` are of those that no warning was given for."""

    digests: Mapping[RecordKey, bytes] = field(default_factory=dict)
    records: Mapping[RecordKey, Record] = field(default_factory=dict)
    checks: Mapping[str, Check] = field(default_factory=dict)
    questions: Mapping[str, CheckQuestion] = field(default_factory=dict)

    def record(self, key: RecordKey, digest: bytes) -> Record | None:
        """The record, if its table has this digest still."""
        return self.records[key] if self.digests.get(key) == digest else None


def digest_of(*written: Any) -> bytes:
    """A digest of values that TOML can hold: other values have another one."""
    return hashlib.blake2b(repr(written).encode("utf-8", "surrogatepass"), digest_size=16).digest()
