"""``gammajax scan``: compute, watch and gather a stored scan from its folder alone."""

import argparse
import importlib.util
import logging
import sys
from pathlib import Path
from typing import Any

from gammajax.cli import INTERRUPTED
from gammajax.errors import InputError

__all__ = ["add_arguments", "run"]

# exit codes, beside 0 for complete and 2 for a mistake
FAILED, UNFINISHED = 1, 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="action")
    compute = actions.add_parser("run", help="compute what is missing; exit code 1 if chunks failed for good")
    compute.add_argument("folder", help="folder of a scan that stat_grid(..., store=folder, compute=False) began")
    compute.add_argument(
        "--shard", default="0/1", metavar="k/n", help="only the chunks k, k + n, k + 2 n, ... (k from 0)"
    )
    compute.add_argument("--device", help="cpu or gpu; all devices that suit by default")
    compute.add_argument(
        "--import", dest="module", metavar="FILE.py", help="run this file first: it defines your own models"
    )
    compute.add_argument("--no-progress", action="store_true", help="no bar and no lines")
    compute.add_argument("--no-cache", action="store_true", help="compile everything anew, keep no compiled programs")
    status = actions.add_parser(
        "status", help="how much is done; exit code 0 if all, 1 if chunks failed, 3 if some are left"
    )
    status.add_argument("folder", help="folder of the scan")
    merge = actions.add_parser("merge", help="write everything into one FITS file")
    merge.add_argument("folder", help="folder of the scan")
    merge.add_argument("--output", metavar="FILE.fits", help="the file; the name of the folder with .fits by default")
    merge.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    merge.add_argument("--partial", action="store_true", help="also if chunks are missing: their nodes are nan")


def run(arguments: argparse.Namespace) -> int:
    """Run the action."""
    return {"run": _run, "status": _status, "merge": _merge}[arguments.action](arguments)


def _shard(text: str) -> tuple[int, int]:
    """The numbers of ``k/n``."""
    k, _, n = text.partition("/")
    if not (k.isdigit() and n.isdigit() and int(k) < int(n)):
        raise InputError(f"--shard {text}: expected k/n with k from 0 to n - 1, such as 0/64; 63/64 is the last.")
    return int(k), int(n)


def _import(path: str) -> None:
    """Execute a file of the user, which defines models."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None or not Path(path).is_file():
        raise InputError(f"--import {path}: expected a Python file that is there.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)


def _run(arguments: argparse.Namespace) -> int:
    from gammajax.cache import enable_compilation_cache
    from gammajax.scan.store import resume, run_store
    from gammajax.solve import resolve_device

    shard = _shard(arguments.shard)
    # before the library says anything
    logging.basicConfig(format="%(asctime)s %(message)s")
    logging.getLogger("gammajax").setLevel(logging.INFO)
    if arguments.module:
        _import(arguments.module)
    if not arguments.no_cache:
        enable_compilation_cache()
    store = resume(arguments.folder)
    device = resolve_device(arguments.device)
    try:
        outcome = run_store(store, progress=not arguments.no_progress, device=device, shard=shard)
    except KeyboardInterrupt as interrupt:
        print("\n".join(getattr(interrupt, "__notes__", ())), file=sys.stderr)
        return INTERRUPTED
    scan: Any = _open(arguments.folder)
    print(scan)
    return FAILED if outcome.failed else 0


def _open(folder: str) -> Any:
    # not by the public name, which would load JAX
    from gammajax.scan.stored import open_scan

    return open_scan(folder)


def _status(arguments: argparse.Namespace) -> int:
    scan = _open(arguments.folder)
    print(scan)
    return 0 if scan.complete else FAILED if scan.failed else UNFINISHED


def _merge(arguments: argparse.Namespace) -> int:
    scan = _open(arguments.folder)
    if not (scan.complete or arguments.partial):
        raise InputError(
            f"{scan.path}: {len(scan.left)} chunks are not done and {len(scan.failed)} failed; run the scan on, or write what is there "
            "with --partial."
        )
    # a trailing slash is no name
    output = arguments.output or f"{Path(arguments.folder).resolve()}.fits"
    print(f"Wrote {scan.consolidate(output, overwrite=arguments.overwrite)}")
    return 0 if scan.complete else FAILED
