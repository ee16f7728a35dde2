"""How much memory there is, what a scan needs of it, and what to do when a device has too little."""

import logging
import os
from pathlib import Path

from gammajax.errors import InputError
from gammajax.solve.programs import sizes

__all__ = ["available", "check_memory", "halve_batches", "result_bytes", "tell_of_batches"]

log = logging.getLogger("gammajax.scan")

# what JAX, astropy and the programs take by themselves is there already; this much is left to everything else
SPARE = 0.1
# working arrays of a scan that is computed at once, numbers for each parameter and node
WORKING = 8
LEAST_BATCH, LEAST_SURFACE = 1, 1 << 10
SMALL = 1 << 26


def available() -> int | None:
    """Bytes that this process can still take; None where the system does not tell."""
    found = []
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) * 1024)
    except OSError:
        pass
    if not found and "SC_AVPHYS_PAGES" in os.sysconf_names:
        found.append(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        try:
            found.append(int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):
            # no such limit
            continue
    return max(min(found), 0) if found else None


def result_bytes(nodes: int, nuisances: int) -> int:
    """Bytes of the result of a scan: statistic, EDM, status, and the nuisance parameters of every node."""
    return 8 * nodes * (3 + nuisances)


def check_memory(nodes: int, nuisances: int, parameters: int, what: str) -> None:
    """Refuse a scan whose arrays would not fit into memory, before any of them is made.

    Parameters
    ----------
    nodes, nuisances, parameters : int
        Nodes of all grids, parameters that are re-fitted there, and all parameters.
    what : str
        Name of the call, for the text.

    Raises
    ------
    InputError
        With the sizes.
    """
    need = result_bytes(nodes, nuisances) + 8 * nodes * WORKING * parameters
    # small scans are not kept waiting
    room = available() if need > SMALL else None
    if room is not None and need > (1 - SPARE) * room:
        raise InputError(
            f"{what}: {nodes} nodes need {_size(need)} of memory ({_size(result_bytes(nodes, nuisances))} of them for the result), and "
            f"{_size(room)} are available. Give store='folder': the scan then goes through in chunks and stays on disk."
        )


def _size(n: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if n < 1000:
            return f"{n:.3g} {unit}"
        n /= 1000
    return f"{n:.4g} TB"


def halve_batches(platform: str, refits: bool) -> bool:
    """Make the batches on a kind of device half as large, and the calls that hold them; False where they cannot be smaller."""
    size, which = sizes(platform), "minimize" if refits else "evaluate"
    inner = getattr(size, which) // 2
    if inner < LEAST_BATCH:
        return False
    setattr(size, which, inner)
    size.surface = max(size.surface // 2, min(size.surface, LEAST_SURFACE))
    # on a device that shares its memory with the host the arrays of a call are as much in the way as those of a batch
    size.capacity, size.large = (max(lanes // 2, inner) for lanes in (size.capacity, size.large))
    return True


def tell_of_batches(platform: str, refits: bool) -> None:
    """Say with which batches it goes on."""
    size = sizes(platform)
    n, what = (size.minimize, "fits") if refits else (size.evaluate, "evaluations")
    log.warning(
        "scan: the %s ran out of memory; going on with batches of %d %s%s.", platform, n, what,
        f", of surfaces {size.surface} nodes" if size.surface else "",
    )  # fmt: skip
