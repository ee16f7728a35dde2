"""The exceptions of gammajax: one small family, all under `GammajaxError`.

A mistake of the caller is an exception. A fit or scan that ends badly is not: it is a result with flags.
Each class also derives from the built-in exception that a caller without gammajax in mind would catch.
"""

__all__ = [
    "DataError",
    "DeviceError",
    "DownloadError",
    "FileFormatError",
    "FitError",
    "GammajaxError",
    "InputError",
    "MissingFileError",
    "ModelError",
    "PrecisionError",
    "ScanError",
    "UnitError",
    "WriteError",
]


class GammajaxError(Exception):
    """Base of every exception that gammajax raises on purpose."""


class InputError(GammajaxError, ValueError):
    """An argument that cannot be used: wrong type, wrong value, unknown name."""


class UnitError(InputError):
    """A quantity whose unit is missing or of the wrong physical dimension."""


class ModelError(InputError):
    """A model that is missing, duplicated, or cannot be evaluated."""


class DataError(InputError):
    """Data that no fit can use: negative or non-finite counts, mismatched axes, an empty fit range."""


class FileFormatError(DataError):
    """A file that cannot be read as what it claims to be; the text names file, HDU and column."""


class MissingFileError(FileFormatError, FileNotFoundError):
    """A file that is not there, or that another file points to and is not there."""


class DeviceError(GammajaxError, RuntimeError):
    """There is no device to compute on: JAX was told to use one that is not there, that does not start, that was lost or has no memory left."""


class DownloadError(GammajaxError, OSError):
    """A file that cannot be fetched: no answer, not there, or another checksum than expected."""


class WriteError(GammajaxError, OSError):
    """A file that cannot be written: disk full, folder read-only. What was there before is as it was."""


class FitError(GammajaxError, RuntimeError):
    """A fit that cannot be started, for instance because no parameter is free."""


class PrecisionError(GammajaxError, RuntimeError):
    """A computation in single precision where double precision is needed."""


class ScanError(GammajaxError, OSError):
    """A stored scan that cannot go on or be read: no space, no permission, a lost device; what is stored stays readable."""
