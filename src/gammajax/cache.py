"""The persistent compilation cache: programs compiled in one process are loaded by the next."""

import os
import stat
from pathlib import Path

from gammajax.errors import InputError

__all__ = ["enable_compilation_cache"]


def enable_compilation_cache(folder: str | Path | None = None) -> Path:
    """Keep compiled programs on disk, and load them from there in later processes.

    Sets JAX's options for the whole process: the folder, and thresholds of zero, so that every program is kept. What is loaded
    from the cache is executed, so the folder has to belong to the user and be writable for nobody else.

    Parameters
    ----------
    folder : path, optional
        By default ``$JAX_COMPILATION_CACHE_DIR``, or ``gammajax/jax`` in ``$XDG_CACHE_HOME`` or ``~/.cache``. It is made if it
        does not exist, for the user alone.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    InputError
        If the folder belongs to somebody else, others can write to it, or it cannot be made.
    """
    path = _folder(folder)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"compilation cache: the folder {path} cannot be made ({error}); name another one.") from None
    _check(path)
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    # whatever ran before has settled that there is no cache
    compilation_cache.reset_cache()
    return path


def _folder(folder: str | Path | None) -> Path:
    if folder is not None:
        return Path(os.path.expandvars(folder)).expanduser()
    if named := os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "gammajax" / "jax"


def _check(path: Path) -> None:
    """Refuse a folder in which somebody else could leave programs."""
    info = path.stat()
    if hasattr(os, "getuid") and info.st_uid != os.getuid():
        raise InputError(
            f"compilation cache: {path} belongs to another user (uid {info.st_uid}); what is loaded from there is executed. "
            "Name a folder of your own."
        )
    if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise InputError(
            f"compilation cache: others can write to {path} (mode {stat.filemode(info.st_mode)}); what is loaded from there is "
            f"executed. Run chmod go-w {path}, or name another folder."
        )
