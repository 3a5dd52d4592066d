"""Where clients are: an MMDB file, read into memory and read again when it changes."""

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
        """Read the file. Raises PlacesError where it, or the library for it, is not there."""
        self._path = path
        self._seen = self._stamp()
        self._reader = _open(path)
        self._is_damaged = False

    @property
    def path(self) -> Path:
        return self._path

    def locate(self, address: str) -> Location:
        """What the database says of an address; of an unknown one, that it is nowhere."""
        try:
            found, bits = self._reader.get_with_prefix_len(address)
        except ValueError:
            return NO_LOCATION
        except Exception as error:  # noqa: BLE001 - a damaged file may raise anything
            self._complain(error)
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

    def _complain(self, error: Exception) -> None:
        """Say it once a file, not once a question."""
        if not self._is_damaged:
            self._is_damaged = True
            log.error("the location database %s is damaged: %r", self._path, error)

    def refresh(self) -> bool:
        """Read the file again if it has changed; a bad one is reported and the old one serves."""
        stamp = self._stamp()
        if stamp == self._seen or stamp is None:
            return False
        self._seen = stamp
        try:
            self._reader = _open(self._path)
        except GeoDatabaseError as error:
            log.error("the location database has changed but is not used: %s", error)
            return False
        self._is_damaged = False
        log.info("the location database was read again")
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
    except Exception as error:  # a damaged file may raise anything
        raise GeoDatabaseError(f"{path} cannot be read: {error}") from error
    return reader
