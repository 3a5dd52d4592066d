"""A Dockerfile as the tests read it: its stages, and what they say of the image."""

import fnmatch
import json
import shlex
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from string import Template

from dockerfile_parse import DockerfileParser  # type: ignore[import-untyped]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: `--flags`, and the rest, its words where it has the form of a JSON list."""

    name: str
    flags: dict[str, str]
    text: str

    @property
    def words(self) -> list[str]:
        if self.text.startswith("["):
            return [str(word) for word in json.loads(self.text)]
        return shlex.split(self.text)


@dataclass(slots=True)
class Stage:
    """From one FROM to the next."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def every(self, name: str) -> list[Instruction]:
        return [each for each in self.instructions if each.name == name]

    def last(self, name: str) -> Instruction:
        """The one that counts, of those that replace each other."""
        return self.every(name)[-1]

    @property
    def environment(self) -> dict[str, str]:
        pairs = [word.partition("=") for each in self.every("ENV") for word in each.words]
        return {key: value for key, _, value in pairs}

    @property
    def commands(self) -> list[str]:
        """The command lines of its RUNs, one program each, build arguments filled in."""
        pairs = [word.partition("=") for each in self.every("ARG") for word in each.words]
        arguments = {key: value for key, _, value in pairs}
        return [
            Template(part).safe_substitute(arguments).strip()
            for each in self.every("RUN")
            for part in each.text.split("&&")
        ]

    @property
    def packages(self) -> set[str]:
        """What it installs of the distribution."""
        found = [shlex.split(line) for line in self.commands if line.startswith("apt-get")]
        return {
            word
            for words in found
            if "install" in words
            for word in words[words.index("install") + 1 :]
            if not word.startswith("-")
        }

    @property
    def health_check(self) -> list[str]:
        _, _, command = self.last("HEALTHCHECK").text.partition("CMD ")
        return [str(word) for word in json.loads(command)]

    @property
    def command(self) -> list[str]:
        """ENTRYPOINT and CMD, as the engine puts them together."""
        return [*self.last("ENTRYPOINT").words, *self.last("CMD").words]


def read(path: Path) -> list[Stage]:
    """The stages of a Dockerfile, in their order."""
    parser = DockerfileParser(fileobj=BytesIO(path.read_bytes()))
    stages: list[Stage] = []
    for item in parser.structure:
        name, text = item["instruction"], item["value"]
        if name == "COMMENT":
            continue
        if name == "FROM":
            base, _, alias = text.partition(" AS ")
            stages.append(Stage(base, alias))
            continue
        flags: dict[str, str] = {}
        while text.startswith("--"):
            flag, _, text = text.partition(" ")
            key, _, value = flag.removeprefix("--").partition("=")
            flags[key] = value
            text = text.lstrip()
        stages[-1].instructions.append(Instruction(name, flags, text))
    return stages


def is_sent(path: str, ignore: Path) -> bool:
    """Whether the builder gets to see `path`; of the lines of .dockerignore the last one counts."""
    sent = True
    for line in ignore.read_text().splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        keeps = pattern.startswith("!")
        if _matches(path, pattern.removeprefix("!").removeprefix("**/"), "**/" in pattern):
            sent = keeps
    return sent


def _matches(path: str, pattern: str, is_anywhere: bool) -> bool:
    """Whether a pattern names the path or a folder that it is in."""
    parts = path.split("/")
    if is_anywhere:
        return any(fnmatch.fnmatch(part, pattern) for part in parts)
    heads = ("/".join(parts[:count]) for count in range(1, len(parts) + 1))
    return any(head.count("/") == pattern.count("/") and fnmatch.fnmatch(head, pattern)
               for head in heads)  # fmt: skip
