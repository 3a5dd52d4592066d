"""`dnslb-backend` and `python -m dnslb_backend`."""

import gc
import sys


def main() -> None:
    """Run the command that sys.argv names, and end the process.

    PowerDNS starts `pipe` once per thread and again whenever one breaks: it must start at once,
    and so runs before the command line and its libraries are imported.
    """
    if sys.argv[1:2] == ["pipe"]:
        from dnslb_backend.pdns.coprocess import main as run_pipe  # noqa: PLC0415 -- see above

        sys.exit(run_pipe(sys.argv[2:]))
    if sys.argv[1:2] == ["serve"]:
        # Nothing of what is imported and loaded until it serves is garbage; looking for some
        # would be a tenth of the start. The daemon turns this on again.
        gc.disable()
    from dnslb_backend.cli.app import run  # noqa: PLC0415 -- see above

    run()


if __name__ == "__main__":
    main()
