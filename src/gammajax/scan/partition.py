"""How many nodes make a chunk: settled once, when a scan begins, and stored with it."""

from time import perf_counter
from typing import Any

from gammajax.errors import InputError
from gammajax.scan.chunk import by_rows, compute_nodes, devices_for
from gammajax.scan.rows import LEAST_ROWS
from gammajax.scan.task import Task
from gammajax.solve.programs import ALONE, ALONE_FITS, workers
from gammajax.solve.surface import TILE, layout_of

__all__ = ["check_size", "measured_size", "size_in_memory"]

# seconds of a chunk, or up to half of that: storing it then costs a thousandth, and a kill little
AIM = 16.0
# a scan of less than two minutes has this many chunks or up to twice as many, but none of these takes less than half of so many seconds
FEW, SHORTEST = 8, 10.0
# seconds for which the rate is measured at least
MEASURE = 0.2
# bytes of a chunk at most: its arrays are in memory at once, and with all else of a process they stay below 1 GB
MOST = 320_000_000
# nodes of an inner batch on a CPU
WHOLE = 32
# nodes of a chunk that is not stored, node by node and by whole rows: no need to be long, and the bar moves
IN_MEMORY, ROWS_IN_MEMORY = 1 << 17, 1 << 20
# on an accelerator, which has several calls under way
IN_MEMORY_ELSEWHERE, ROWS_ELSEWHERE = 1 << 22, 1 << 23


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


def size_in_memory(task: Task, device: Any = None) -> int:
    """Nodes per chunk of a scan that is not stored."""
    cpu = devices_for(task, device)[0].platform == "cpu"
    if _rows_fit(task, device):
        return _whole_rows(task, ROWS_IN_MEMORY if cpu else ROWS_ELSEWHERE)
    return min(IN_MEMORY if cpu else IN_MEMORY_ELSEWHERE, task.n_nodes)


def measured_size(task: Task, device: Any = None, alone: bool = True) -> int:
    """Nodes per chunk of about 10 s, from the rate of some nodes in the middle; a power of two, so that it is mostly the same again.

    Where a chunk can be whole rows of a surface it is, and a power of two of them. A chunk of more than `MOST` bytes is made smaller.

    Parameters
    ----------
    task : `Task`
        The scan, as one chunk.
    device : jax.Device, optional
        Where it runs.
    alone : bool
        Whether a chunk has all cores; workers have one each.
    """
    n, most = task.n_nodes, MOST // chunk_bytes(task)
    each = _rate(task, device)
    rate = each * (_threads(task, n, device) if alone else 1)
    aim = min(AIM * rate, max(n / FEW, SHORTEST * rate))
    if _rows_fit(task, device):
        width = task.grids[0].shape[1]
        return _whole_rows(task, min(_power(aim / width) * width, most))
    size = _power(aim)
    # few nodes do not keep all cores busy
    while alone and size > WHOLE and size / _threads(task, size, device) > AIM * each:
        size //= 2
    return min(max(min(size, most), WHOLE), n)


def _threads(task: Task, nodes: int, device: Any) -> int:
    """Threads that compute a chunk of so many nodes."""
    devices = devices_for(task, device)
    if devices[0].platform != "cpu" or len(devices) > 1:
        return 1
    if by_rows(task, device):
        rows, columns = layout_of("cpu", True, (1, 1)).capacity
        least = rows * columns
    else:
        least = ALONE_FITS if task.refits else ALONE
    return min(workers(), max(nodes // least, 1))


def chunk_bytes(task: Task) -> int:
    """Bytes of a node in a chunk: statistic and status, EDM and re-fitted parameters."""
    return 9 + (8 + 8 * len(task.info["stored"]) if task.refits else 0)


def _rows_fit(task: Task, device: Any) -> bool:
    """Whether chunks can be whole rows of a surface."""
    return by_rows(task, device) and LEAST_ROWS * task.grids[0].shape[1] * chunk_bytes(task) <= MOST


def _power(size: float) -> int:
    """The power of two below."""
    return 1 << max(int(size).bit_length() - 1, 0)


def _whole_rows(task: Task, size: int) -> int:
    """As many rows as there are in so many nodes, whole tiles of them; a few at least."""
    shape = task.grids[0].shape
    rows = max(size // shape[1] // TILE[0] * TILE[0], LEAST_ROWS)
    return min(rows, shape[0]) * shape[1]


def _rate(task: Task, device: Any) -> float:
    """Nodes per second of one thread, or of all devices."""
    n = task.n_nodes
    # parts of a row cost as much as whole tiles of rows
    step = task.grids[0].shape[1] if by_rows(task, device) else 1
    some = min(WHOLE if step == 1 else LEAST_ROWS * step, n)
    # the first call compiles
    compute_nodes(task, n // 2, min(n // 2 + 1, n), device)
    while True:
        begin = (n - some) // 2 // step * step
        start = perf_counter()
        compute_nodes(task, begin, begin + some, device)
        seconds = max(perf_counter() - start, 1e-6)
        if seconds >= MEASURE or some == n:
            return some / seconds / _threads(task, some, device)
        some = min(int(some * min(max(1.5 * MEASURE / seconds, 2.0), 8.0)) // step * step, n)
