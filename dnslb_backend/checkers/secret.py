"""Secrets of checks: given in place, or as the first line of a file."""

from pydantic import SecretStr

from dnslb_backend.checkers.errands import Errands
from dnslb_backend.checkers.failures import ProbeError


async def reveal(secret: SecretStr | None, file: str, errands: Errands) -> str:
    """The secret, or the first line of `file`, read anew each time; "" if neither is given.

    Raises ProbeError when the file is missing, empty, or cannot be read.
    """
    if secret is not None:
        return secret.get_secret_value()
    if not file:
        return ""
    content = await errands.read(file)
    if content is None:
        raise ProbeError(f"{file}: no such file")
    # Some editors put a mark of byte order before the text.
    line = content.text.removeprefix("\ufeff").partition("\n")[0].strip()
    if not line:
        raise ProbeError(f"{file}: the first line is empty")
    return line
