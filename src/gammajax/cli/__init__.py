"""The command `gammajax`: one subcommand per module of this package, imported when it is called."""

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Sequence

from gammajax import __version__
from gammajax.errors import GammajaxError

__all__ = ["COMMANDS", "INTERRUPTED", "main", "program"]

# exit code after Ctrl-C
INTERRUPTED = 130

# subcommand -> what it does; its module here has `add_arguments(parser)` and `run(arguments) -> int`
COMMANDS: dict[str, str] = {
    "download": "fetch gammapy's public data sets into $GAMMAPY_DATA, checked",
    "scan": "compute, watch and gather a stored scan",
    "tutorial": "read, fit, scan and draw the fitting tutorial",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; a mistake of the caller is one line on the standard error and exit code 2.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; those of the process by default.

    Returns
    -------
    int
        Exit code.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="gammajax", description="Maximum-likelihood fits of gamma-ray data.")
    parser.add_argument("--version", action="version", version=f"gammajax {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    # only the module of the command that is called is imported: --help answers at once
    named = next((a for a in arguments if not a.startswith("-")), None)
    for name, text in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name == named:
            module = importlib.import_module(f"gammajax.cli.{name}")
            module.add_arguments(sub)
            sub.set_defaults(run=module.run)
    parsed = parser.parse_args(arguments)
    try:
        return int(parsed.run(parsed) or 0)
    except GammajaxError as error:
        print(f"gammajax {parsed.command}: {error}", file=sys.stderr)
        return 2


def program() -> None:
    """The command as a process of its own: after Ctrl-C it ends without waiting for what a thread still computes."""
    try:
        code = main()
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code != INTERRUPTED:
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
