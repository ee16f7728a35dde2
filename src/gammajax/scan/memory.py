"""How much memory there is, and what a scan needs of it."""

import os
from pathlib import Path

from gammajax.errors import InputError

__all__ = ["available", "check_memory", "result_bytes"]

# what JAX, astropy and the programs take by themselves is there already; this much is left to everything else
SPARE = 0.1
# working arrays of a scan that is computed at once, numbers for each parameter and node
WORKING = 8
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
