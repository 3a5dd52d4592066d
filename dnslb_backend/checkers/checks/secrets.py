"""Secrets of checks: where they come from, and how they are kept out of results."""

from collections.abc import Awaitable

from pydantic import SecretStr

from dnslb_backend.checkers.resources.classify import ProbeError, TargetError
from dnslb_backend.checkers.resources.text_search import TextWorkers
from dnslb_backend.core.health.results import Result
from dnslb_backend.redaction import redact


async def resolve_secret(secret: SecretStr | None, file: str, text: TextWorkers) -> str:
    """The secret, or the first line of `file`, read each time; "" if neither is given.

    Raises ProbeError when the file is missing, empty, or cannot be read.
    """
    if secret is not None:
        return secret.get_secret_value()
    if not file:
        return ""
    content = await text.read(file)
    if content is None:
        raise ProbeError(f"{file}: no such file")
    # Some editors put a byte order mark before the text.
    line = content.text.removeprefix("\ufeff").partition("\n")[0].strip()
    if not line:
        raise ProbeError(f"{file}: the first line is empty")
    return line


async def redacted(result: Awaitable[Result], *secrets: str) -> Result:
    """The result, or its TargetError, without the secrets that the target may have echoed."""
    try:
        found = await result
    except TargetError as error:
        raise TargetError(error.code, redact(str(error), *secrets)) from None
    return found._replace(text=redact(found.text, *secrets))
