"""``gammajax download``: gammapy's public data sets into $GAMMAPY_DATA."""

import argparse
from itertools import count

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("names", nargs="*", help="groups or paths, as --list shows them; all if there are none")
    parser.add_argument("--folder", help="where to; $GAMMAPY_DATA by default")
    parser.add_argument(
        "--base-url", help="where from; $GAMMAJAX_DATA_URL, or the public repository of gammapy's data, by default"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there with another checksum")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds to wait for the server (60)")
    parser.add_argument("--list", action="store_true", help="show groups and paths, fetch nothing")


def run(arguments: argparse.Namespace) -> int:
    """Fetch, and say what was done."""
    from gammajax.data.download import GROUPS, download, select

    if arguments.list:
        for group in GROUPS:
            print(group)
            for path in select([group]):
                print(f"    {path}")
        return 0
    n, number = len(select(arguments.names)), count(1)
    done = download(
        arguments.names, arguments.folder, arguments.base_url, arguments.overwrite, arguments.timeout,
        progress=lambda path: print(f"[{next(number)}/{n}] {path}", flush=True),
    )  # fmt: skip
    fetched = sum(v == "fetched" for v in done.values())
    print(f"{fetched} files fetched, {len(done) - fetched} were there.")
    return 0
