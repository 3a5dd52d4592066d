"""`dnslb-backend` and `python -m dnslb_backend`."""

import gc
import os
import signal
import sys

MUCH = 200_000
"""So many new objects make it worth while to look for garbage; the daemon has its own measure."""

STDERR = 2

HEALTH_CHECKS = (["ping"], ["ping", "--ready"])
"""Command lines of containers' health checks."""


def main() -> None:
    """Run the command that sys.argv names, and end the process.

    PowerDNS starts `pipe` once per thread and again whenever one breaks: it must start at once,
    and so runs before the command line and its libraries are imported.
    """
    _open_standard_streams()
    if sys.argv[1:2] == ["pipe"]:
        from dnslb_backend.pdns.connectors.coprocess import main as run_pipe  # noqa: PLC0415 -- see above

        sys.exit(run_pipe(sys.argv[2:]))
    if sys.argv[1:2] == ["serve"]:
        # Without a configuration yet there is none to be read again; it must not be the end.
        # SIGUSR2 has no meaning, now or later; by default it would be the end, too.
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)
    # Nothing of what is imported and loaded is garbage, and at the end all of it goes: looking
    # through it again and again would be a quarter of the time of a command.
    gc.set_threshold(MUCH)
    if sys.argv[1:] in HEALTH_CHECKS:
        from dnslb_backend.cli.health_check import is_well  # noqa: PLC0415 -- see the module

        if is_well(is_ready="--ready" in sys.argv):
            sys.stdout.write("ready\n" if "--ready" in sys.argv else "alive\n")
            return
    from dnslb_backend.cli.app import run  # noqa: PLC0415 -- see above

    try:
        run()
    finally:
        gc.freeze()


def _open_standard_streams() -> None:
    """Open those that the caller has closed, before a socket gets the number of one."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


if __name__ == "__main__":
    main()
