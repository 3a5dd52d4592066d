"""Until when the certificates of a target are valid."""

import ssl
from functools import lru_cache
from typing import Any, cast

from dnslb_backend.checkers.resources.texts import one_line


def first_to_expire(session: ssl.SSLObject) -> tuple[float, str]:
    """When the verified chain ends to be valid (Unix time), and which certificate of it does.

    The public method of Python 3.13 gives only bytes, and nothing in the library reads those.
    """
    chain = cast(Any, session)._sslobj.get_verified_chain()
    ends = [_end(certificate) for certificate in chain]
    first = ends.index(min(ends))
    if first == 0:
        return ends[0], "certificate"
    subject = {key: value for part in chain[first].get_info()["subject"] for key, value in part}
    name = subject.get("commonName") or ", ".join(subject.values())
    return ends[first], f"CA certificate {one_line(name)!r}"


@lru_cache(maxsize=4096)
def _end(certificate: Any) -> float:
    """Cached by the certificate, since targets show the same ones again and again."""
    return ssl.cert_time_to_seconds(certificate.get_info()["notAfter"])


def verified_until(session: ssl.SSLObject | None) -> float | None:
    """When the first certificate of the chain expires; None where nothing was verified."""
    if session is None or session.context.verify_mode is ssl.CERT_NONE:
        return None
    return first_to_expire(session)[0]
