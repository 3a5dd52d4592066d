"""Secrets of checks: given in place, or as the first line of a file."""

from pydantic import SecretStr

from dnslb_backend.checkers.resources.classify import ProbeError
from dnslb_backend.checkers.resources.text_search import TextWorkers


async def resolve_secret(secret: SecretStr | None, file: str, text: TextWorkers) -> str:
    """The secret, or the first line of `file`, read anew each time; "" if neither is given.

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
