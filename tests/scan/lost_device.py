"""A device that is lost while a compiled program runs on it.

XLA learns of it as it does from the driver of a GPU: a function that the compiled program calls returns an error of the runtime. No Python
exception is raised anywhere. The function is written with ctypes after ``xla/ffi/api/c_api.h``, so that no compiler is needed.
"""

import ctypes
import os
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

TARGET = "gammajax_test_device"
MESSAGE = b"CUDA_ERROR_ECC_UNCORRECTABLE: uncorrectable ECC error encountered"
INTERNAL = 13


class _Extension(ctypes.Structure):
    pass


_Extension._fields_ = [("size", ctypes.c_size_t), ("type", ctypes.c_int), ("next", ctypes.POINTER(_Extension))]


class _Version(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("extension", ctypes.c_void_p),
        ("major", ctypes.c_int),
        ("minor", ctypes.c_int),
    ]


class _Metadata(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("version", _Version)]


class _MetadataExtension(ctypes.Structure):
    _fields_ = [("base", _Extension), ("metadata", ctypes.POINTER(_Metadata))]


class _ErrorArguments(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t), ("extension", ctypes.c_void_p), ("message", ctypes.c_char_p), ("code", ctypes.c_int),
    ]  # fmt: skip


_Create = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(_ErrorArguments))


class _Api(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t), ("extension", ctypes.c_void_p), ("version", _Version), ("internal", ctypes.c_void_p),
        ("error_create", _Create),
    ]  # fmt: skip


class _Frame(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("extension", ctypes.POINTER(_Extension)), ("api", ctypes.POINTER(_Api))]


# calls that the device of this process still serves; a file whose owner's device is bad
served: dict[str, float] = {"left": float("inf")}
mark: dict[str, Path | None] = {"path": None}


def lose(after: float, path: Path | None = None) -> None:
    """Lose the device of this process after so many calls; with a path that of the process which takes the file first."""
    served["left"], mark["path"] = after, path


def _mine() -> bool:
    path = mark["path"]
    if path is None:
        return True
    try:
        with path.open("x") as stream:
            stream.write(str(os.getpid()))
    except FileExistsError:
        pass
    return path.read_text() in ("", str(os.getpid()))


@ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(_Frame))
def _device(frame):
    call = frame.contents
    if call.extension:
        # it is registered: XLA asks for the version
        extension = ctypes.cast(call.extension, ctypes.POINTER(_MetadataExtension)).contents
        extension.metadata.contents.version.major = call.api.contents.version.major
        extension.metadata.contents.version.minor = call.api.contents.version.minor
        return None
    served["left"] -= 1
    if served["left"] >= 0 or not _mine():
        return None
    arguments = _ErrorArguments(ctypes.sizeof(_ErrorArguments), None, MESSAGE, INTERNAL)
    return call.api.contents.error_create(ctypes.byref(arguments))


@cache
def _register() -> None:
    pointer = ctypes.cast(_device, ctypes.c_void_p).value
    jax.ffi.register_ffi_target(TARGET, jax.ffi.pycapsule(pointer), platform="cpu")


@jax.custom_jvp
def asked(x):
    """Zero, from the device, which hands back what it was given."""
    _register()
    call = jax.ffi.ffi_call(
        TARGET, jax.ShapeDtypeStruct((), np.float64), vmap_method="broadcast_all", input_output_aliases={0: 0}
    )
    return call(x) - x


@asked.defjvp
def _(primals, tangents):
    return asked(*primals), jnp.zeros_like(tangents[0])


def statistic(theta):
    """A parabola in two parameters that asks the device every time; it is so short that an error is found when it is started."""
    return (theta[0] - 1) ** 2 + 3 * (theta[1] - theta[0]) ** 2 + asked(theta[0])


def long_statistic(theta):
    """One that runs while others go on; an error is found when its result is fetched."""
    waves = jnp.sum(jnp.sin(jnp.arange(100_000) * theta[0]))
    return statistic(theta) + 1e-12 * waves
