"""Where clients are: an MMDB file, read into memory, and reread when it changes."""

import io
import logging
from pathlib import Path
from typing import Any

from dnslb_backend.core.model.clients import NO_LOCATION, Location
from dnslb_backend.errors import DnslbError
from dnslb_backend.files import read_file

log = logging.getLogger(__name__)

LARGEST = 1 << 30
"""Bytes of a database."""


class GeoDatabaseError(DnslbError):
    """The location database cannot be read."""


class GeoDatabase:
    """Answers from one MMDB file (country, city or ASN layout of MaxMind's databases)."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises GeoDatabaseError if it, or the library, is missing."""
        self._path = path
        self._seen = self._stamp()
        self._reader = _open(path)
        self._is_damaged = False

    @property
    def path(self) -> Path:
        return self._path

    def locate(self, address: str) -> Location:
        """The location of an address; NO_LOCATION of an unknown one."""
        try:
            found, bits = self._reader.get_with_prefix_len(address)
        except ValueError:
            return NO_LOCATION
        except Exception as error:  # noqa: BLE001 - a damaged file may raise anything
            self._report_damage(error)
            return NO_LOCATION
        record = _table(found)
        country = _table(record.get("country") or record.get("registered_country"))
        asn = record.get("autonomous_system_number")
        return Location(
            country=str(country.get("iso_code", "")),
            continent=str(_table(record.get("continent")).get("code", "")),
            asn=asn if isinstance(asn, int) else 0,
            bits=bits,
        )

    def _report_damage(self, error: Exception) -> None:
        """Log it once per file, not once per query."""
        if not self._is_damaged:
            self._is_damaged = True
            log.error("the location database %s is damaged: %r", self._path, error)

    def refresh(self) -> bool:
        """Reread the file if it has changed; if it is bad, log that and keep the old data."""
        stamp = self._stamp()
        if stamp == self._seen or stamp is None:
            return False
        self._seen = stamp
        try:
            self._reader = _open(self._path)
        except GeoDatabaseError as error:
            log.error("ignoring the changed location database: %s", error)
            return False
        self._is_damaged = False
        log.info("location database reloaded")
        return True

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


def _table(found: object) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}


def _open(path: Path) -> Any:
    try:
        import maxminddb  # noqa: PLC0415 - the extra `geo` brings it, and only this needs it
    except ImportError as error:
        raise GeoDatabaseError("needs the extra geo: pip install dnslb-backend[geo]") from error
    try:
        reader = maxminddb.open_database(io.BytesIO(read_file(path, LARGEST)), maxminddb.MODE_FD)
        reader.get("192.0.2.1")
    except OSError as error:
        raise GeoDatabaseError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a damaged file may raise anything
        raise GeoDatabaseError(f"{path} cannot be read: {error}") from error
    return reader
