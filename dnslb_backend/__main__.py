"""`dnslb-backend` and `python -m dnslb_backend`."""

import gc
import signal
import sys

MUCH = 200_000
"""So many new objects make it worth while to look for garbage; the daemon has its own measure."""


def main() -> None:
    """Run the command that sys.argv names, and end the process.

    PowerDNS starts `pipe` once per thread and again whenever one breaks: it must start at once,
    and so runs before the command line and its libraries are imported.
    """
    if sys.argv[1:2] == ["pipe"]:
        from dnslb_backend.pdns.coprocess import main as run_pipe  # noqa: PLC0415 -- see above

        sys.exit(run_pipe(sys.argv[2:]))
    if sys.argv[1:2] == ["serve"]:
        # Without a configuration yet there is none to be read again; it must not be the end.
        for number in (signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
    # Nothing of what is imported and loaded is garbage, and at the end all of it goes: looking
    # through it again and again would be a quarter of the time of a command.
    gc.set_threshold(MUCH)
    from dnslb_backend.cli.app import run  # noqa: PLC0415 -- see above

    try:
        run()
    finally:
        gc.freeze()


if __name__ == "__main__":
    main()
