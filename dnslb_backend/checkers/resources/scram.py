"""The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding.

The server chooses how much work the proof takes: here it is bounded.
"""

import hashlib
import hmac
import stringprep
import unicodedata
from base64 import b64decode, b64encode

from dnslb_backend.checkers.resources.classify import TargetError
from dnslb_backend.core.health.results import Code

ITERATION_LIMIT = 100_000
"""PostgreSQL's default is 4096. These take 20 ms of CPU time: a hundred targets that ask for so
many, probed every 5 s, take 40 % of a core."""

_NO_BINDING = b"n,,"

_PROHIBITED = (
    stringprep.in_table_a1,
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


class ScramClient:
    """One login; `nonce` is random, printable and without commas."""

    def __init__(self, password: str, nonce: str) -> None:
        self._password = prepared(password).encode()
        self._nonce = nonce.encode()
        self._bare = b"n=,r=" + self._nonce
        self._signature = b""

    def first(self) -> bytes:
        return _NO_BINDING + self._bare

    def final(self, server_first: bytes) -> bytes:
        """The proof. It may take ITERATION_LIMIT hashes: call it in a thread.

        Raises TargetError, or ValueError for what is not SCRAM.
        """
        attributes = _attributes(server_first)
        nonce, rounds = attributes[b"r"], int(attributes[b"i"])
        if not nonce.startswith(self._nonce) or rounds < 1:
            raise TargetError(Code.STATUS, "the server's SCRAM challenge is not acceptable")
        if rounds > ITERATION_LIMIT:
            limit = f"{ITERATION_LIMIT} are the limit (scram_iterations)"
            raise TargetError(
                Code.STATUS, f"the server asks for {rounds} SCRAM iterations; {limit}"
            )
        salt = b64decode(attributes[b"s"], validate=True)
        salted = hashlib.pbkdf2_hmac("sha256", self._password, salt, rounds)
        unproven = b"c=" + b64encode(_NO_BINDING) + b",r=" + nonce
        exchange = b",".join((self._bare, server_first, unproven))
        key = _hmac(salted, b"Client Key")
        mask = _hmac(hashlib.sha256(key).digest(), exchange)
        proof = bytes(a ^ b for a, b in zip(key, mask, strict=True))
        self._signature = _hmac(_hmac(salted, b"Server Key"), exchange)
        return unproven + b",p=" + b64encode(proof)

    def is_server(self, server_final: bytes) -> bool:
        """Whether the server has shown that it knows the password, too."""
        shown = _attributes(server_final).get(b"v", b"")
        return bool(self._signature) and hmac.compare_digest(b64encode(self._signature), shown)


def prepared(password: str) -> str:
    """The password by SASLprep (RFC 4013), or as it is if it has what that prohibits.

    PostgreSQL does the same where it stores one.
    """
    if password.isascii():
        return password
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char
        for char in password
        if not stringprep.in_table_b1(char)
    )
    normal = unicodedata.normalize("NFKC", mapped)
    if not normal or any(table(char) for char in normal for table in _PROHIBITED):
        return password
    return normal if _directions_fit(normal) else password


def _directions_fit(text: str) -> bool:
    """A text with letters from right to left begins and ends with such, and has no others."""
    if not any(map(stringprep.in_table_d1, text)):
        return True
    ends_fit = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    return ends_fit and not any(map(stringprep.in_table_d2, text))


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _attributes(message: bytes) -> dict[bytes, bytes]:
    """By their letter: `r=nonce,s=salt,i=4096`."""
    pairs = (part.partition(b"=") for part in message.split(b","))
    return {name: value for name, _, value in pairs}
