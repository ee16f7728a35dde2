"""How many nodes make a chunk: settled once, when a scan begins, and stored with it."""

from time import perf_counter
from typing import Any

from gammajax.errors import InputError
from gammajax.scan.chunk import compute_nodes
from gammajax.scan.task import Task

__all__ = ["check_size", "measured_size"]

# seconds of a chunk: storing it then costs a thousandth, and a kill little
AIM = 10.0
# a scan of less than a minute or two has this many chunks, but none is shorter than a second
FEW, SHORTEST = 8, 1.0
# seconds for which the rate is measured at least
MEASURE = 0.2
# numbers of a chunk at most: its arrays, 64 MB, are in memory at once
MOST = 1 << 23
# nodes of an inner batch on a CPU
WHOLE = 32


def check_size(size: Any, nodes: int) -> int:
    """A chunk size that a caller gave.

    Raises
    ------
    InputError
        If it is no whole number of at least 1.
    """
    if isinstance(size, bool) or int(size) != size or size < 1:
        raise InputError(f"chunk_size={size!r}: expected a whole number of nodes, at least 1.")
    return min(int(size), nodes)


def measured_size(task: Task, device: Any = None) -> int:
    """Nodes per chunk of about 10 s, from the rate of some nodes in the middle; a power of two, so that it is mostly the same again."""
    n = task.n_nodes
    rate, some = 0.0, min(WHOLE, n)
    # the first call compiles
    compute_nodes(task, n // 2, min(n // 2 + 1, n), device)
    while True:
        begin = (n - some) // 2
        start = perf_counter()
        compute_nodes(task, begin, begin + some, device)
        seconds = max(perf_counter() - start, 1e-6)
        rate = some / seconds
        if seconds >= MEASURE or some == n:
            break
        some = min(some * 8, n)
    size = min(AIM * rate, max(n / FEW, SHORTEST * rate), MOST / (3 + len(task.info["stored"])))
    return min(max(1 << max(round(size) - 1, 0).bit_length(), WHOLE), n)
