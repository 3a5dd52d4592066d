"""Commands that checks run: what each says of an address is up to the test."""

import shlex
from pathlib import Path


class Scripts:
    """A folder of shell scripts, one an address; `argv` runs that of the address it is asked for.

    An address of which nothing was said yet makes the command fail with exit code 2.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(exist_ok=True)

    @property
    def argv(self) -> list[str]:
        return ["/bin/sh", f"{self.folder}/%(address)s"]

    def say(self, address: str, output: str, code: int = 0) -> None:
        """From now on: print `output` and exit with `code`."""
        self.do(address, f"printf %s {shlex.quote(output)}; exit {code}")

    def do(self, address: str, script: str) -> None:
        """From now on: run `script`."""
        draft = self.folder / f"{address}.draft"
        draft.write_text(f"{script}\n", errors="surrogateescape")
        # At no moment is there half a script.
        draft.replace(self.folder / address)
