"""Write the manual pages: `python manpages.py DIRECTORY`.

dnslb-backend(1) is made from the commands themselves, dnslb.toml(5) from the models that docs/
configuration.md is made from; neither has a text of its own that could grow old.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main
from typer.core import TyperGroup

from dnslb_backend import __version__
from dnslb_backend.cli.app import commands
from dnslb_backend.cli.exit_codes import ExitCode
from dnslb_backend.config.reference import SECTIONS, options

EXITS = {
    ExitCode.FAILED: "failed",
    ExitCode.BAD_CONFIG: "bad configuration; one line a problem is on stderr",
    ExitCode.INTERRUPTED: "ended by Ctrl-C",
}
FILES = {
    "/etc/dnslb/dnslb.toml": "the configuration, see dnslb.toml(5)",
    "/etc/dnslb/records.d/": "balanced records, where load_records says so",
    "/var/lib/dnslb/state.sqlite": "the local copy of the health map, and the keys of signed zones",
    "/run/dnslb/pdns.sock": "where PowerDNS asks",
    "/usr/share/dnslb-backend/": "examples, PowerDNS configurations, alerts, dashboard, SQL",
}


def roff(text: str) -> str:
    """Plain text, with `code` and [links](page), as roff has it."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).replace("\\", "\\e").replace("-", "\\-")
    text = re.sub(r"`([^`]*)`", r"\\fB\1\\fR", text)
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)


def item(head: str, text: str) -> list[str]:
    return [".TP", head, roff(text)]


def page(name: str, section: int, what: str) -> list[str]:
    title = f'.TH "{name.upper()}" "{section}" "" "dnslb-backend {__version__}"'
    return [title, ".SH NAME", f"{roff(name)} \\- {what}"]


def leaves(group: TyperGroup, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every command by its words."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from leaves(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def command_lines(words: str, command: Any) -> Iterator[str]:
    """A command: how it is called, what it does, its switches."""
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    switches = [each for each in command.params if each.param_type_name == "option"]
    shown = " ".join(str(each.metavar or each.name.upper()) for each in arguments)
    yield ".SS " + roff(f"{words} {'[OPTION]... ' if switches else ''}{shown}".strip())
    yield roff(" ".join((command.help or "").split()))
    for each in arguments:
        if each.help:
            yield from item(f"\\fI{roff(str(each.metavar or each.name.upper()))}\\fR", each.help)
    for each in switches:
        names = ", ".join(f"\\fB{roff(name)}\\fR" for name in each.opts)
        value = "" if each.is_flag else f" \\fI{roff(str(each.metavar or each.type.name))}\\fR"
        yield from item(names + value, each.help or "")


def commands_page() -> str:
    """dnslb-backend(1)."""
    lines = page("dnslb-backend", 1, "DNS load balancer for PowerDNS")
    lines += [".SH SYNOPSIS", "\\fBdnslb\\-backend\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR]..."]
    lines += [".SH DESCRIPTION", "PowerDNS asks this daemon, and the daemon answers from what its"]
    lines += ["health checks found out: a server that fails leaves the answers within seconds."]
    lines.append(".SH COMMANDS")
    for words, command in leaves(typer.main.get_group(commands())):
        lines += command_lines(words, command)
    lines += [".SH EXIT STATUS", *item("0", "fine"), *item("2", "wrong usage")]
    for code, meaning in EXITS.items():
        lines += item(str(code.value), meaning)
    lines.append(".SH FILES")
    for path, meaning in FILES.items():
        lines += item(f"\\fI{roff(path)}\\fR", meaning)
    lines += [".SH SEE ALSO", "\\fBdnslb.toml\\fR(5), \\fBpdns_server\\fR(1)"]
    return "\n".join([*lines, ""])


def configuration_page() -> str:
    """dnslb.toml(5)."""
    lines = page("dnslb.toml", 5, "configuration of dnslb\\-backend")
    lines += [".SH DESCRIPTION", "One TOML file, and files with more records (load_records)."]
    lines += ["\\fBdnslb\\-backend check\\-config\\fR says what is wrong with it, and where."]
    lines += ["Times are in seconds. Kinds of checks are in the documentation of the package."]
    for section in SECTIONS:
        lines += [".SH " + roff(section.title).replace(chr(34), "\\(dq"), roff(section.text)]
        for option in options(section.model):
            default = "required" if option.default == "required" else f"default: {option.default}"
            text = f"{option.meaning} ({option.type}; {default})"
            if option.example != option.default:
                text += f" Example: {option.example}"
            lines += item(f"\\fB{roff(option.name)}\\fR", text)
    lines += [".SH SEE ALSO", "\\fBdnslb\\-backend\\fR(1)"]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    target = Path(sys.argv[1])
    (target / "dnslb-backend.1").write_text(commands_page())
    (target / "dnslb.toml.5").write_text(configuration_page())
