"""The token file: lines `ROLE TOKEN [NAME]`, blank ones and `#` comments between them.

    # role    token                              name
    read      s0mePrometheusToken                prometheus
    operate   an0therTokenOfTheNightShift        night-shift

Tokens are kept as digests only. No message repeats one.
"""

import hashlib
import re
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dnslb_backend.errors import ConfigError, ConfigProblem
from dnslb_backend.files import read_file

LARGEST = 1 << 20
"""Bytes of a token file."""

SHORTEST_SAFE = 16
"""Characters; a shorter token is accepted with a warning."""

# RFC 6750, section 2.1: what an Authorization header can carry.
_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
_OTHERS_OR_GROUP_WRITE = stat.S_IRWXO | stat.S_IWGRP


class Role(StrEnum):
    READ = "read"
    OPERATE = "operate"

    def includes(self, other: "Role") -> bool:
        """Whether a caller of this role may do what `other` may."""
        return self is Role.OPERATE or self is other


@dataclass(frozen=True, slots=True)
class Token:
    """The role of a token, and its name: the author of the overrides that it creates."""

    role: Role
    name: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class TokenFile:
    """All tokens of one file, and warnings about it."""

    tokens: tuple[Token, ...] = ()
    warnings: tuple[str, ...] = ()


def digest_of(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()


def load_tokens(path: Path) -> TokenFile:
    """Read a token file. Raises ConfigError that names every bad line."""
    try:
        text = read_file(path, LARGEST).decode("utf-8-sig")
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigError(
            [ConfigProblem(str(path), "", f"cannot be read: {error.strerror}")]
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            [ConfigProblem(str(path), "", f"is not UTF-8: {error.reason}")]
        ) from error
    warnings = []
    if mode & _OTHERS_OR_GROUP_WRITE:
        warnings.append(f"{path}: permissions {stat.filemode(mode)} are too open: chmod 0640")
    tokens: dict[bytes, Token] = {}
    problems: list[ConfigProblem] = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        wrong = _wrong(words) or ("the token is there twice" if _known(words, tokens) else "")
        if wrong:
            problems.append(ConfigProblem(f"{path}:{number}", "", wrong))
            continue
        token = _token(words)
        tokens[token.digest] = token
        if len(words[1]) < SHORTEST_SAFE:
            warnings.append(f"{path}:{number}: shorter than {SHORTEST_SAFE} characters")
    if problems:
        raise ConfigError(problems)
    if not tokens:
        warnings.append(f"{path}: has no token: nothing can be changed over the API")
    return TokenFile(tuple(tokens.values()), tuple(warnings))


def _wrong(words: list[str]) -> str:
    """What is wrong with a line, "" if nothing; the token itself is never repeated."""
    if words[0] not in set(Role):
        return "ROLE must be read or operate: ROLE TOKEN [NAME]"
    if len(words) not in (2, 3):
        return "a line is ROLE TOKEN [NAME]"
    if not _TOKEN.fullmatch(words[1]):
        return "TOKEN may hold letters, digits and -._~+/ with = at its end (RFC 6750)"
    if len(words) == 3 and not words[2].isprintable():
        return "NAME must be printable"
    return ""


def _known(words: list[str], tokens: dict[bytes, Token]) -> bool:
    return digest_of(words[1]) in tokens


def _token(words: list[str]) -> Token:
    return Token(Role(words[0]), words[2] if len(words) == 3 else words[0], digest_of(words[1]))
