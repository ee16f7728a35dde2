"""Checksums of FITS for files that are written piece by piece: DATASUM and CHECKSUM.

Seaman, Pence and Rots 2002, "FITS Checksum Proposal"; appendix J of version 4.0 of the standard.
"""

from typing import Any

import numpy as np

__all__ = ["RunningSum", "with_sums"]

# what has no place in a text of letters and digits
EXCLUDED = frozenset(b":;<=>?@[\\]^_`")


class RunningSum:
    """Sum of 32-bit words with the carry added below, of data that come in pieces of any length."""

    def __init__(self) -> None:
        self._total, self._rest = 0, b""

    def add(self, data: bytes) -> None:
        """Take the next piece.

        Parameters
        ----------
        data : bytes
            The piece.
        """
        data = self._rest + data
        whole = len(data) // 4 * 4
        self._rest = data[whole:]
        self._total = _folded(self._total + int(np.frombuffer(data[:whole], ">u4").sum(dtype=np.uint64)))

    def value(self) -> int:
        """Sum of all pieces, filled up with zeros."""
        return _folded(self._total + int.from_bytes(self._rest.ljust(4, b"\0"), "big"))


def _folded(total: int) -> int:
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def with_sums(header: Any, datasum: int = 0) -> bytes:
    """A header with DATASUM and CHECKSUM, padded; of the same length for any sum.

    Parameters
    ----------
    header : `~astropy.io.fits.Header`
        The header; it is changed.
    datasum : int
        Sum of the data behind it.
    """
    header["DATASUM"] = (str(datasum), "data unit checksum")
    header["CHECKSUM"] = ("0" * 16, "HDU checksum")
    total = RunningSum()
    total.add(header.tostring(padding=True).encode("ascii"))
    header["CHECKSUM"] = (_text(~_folded(total.value() + datasum) & 0xFFFFFFFF), "HDU checksum")
    return bytes(header.tostring(padding=True).encode("ascii"))


def _text(value: int) -> str:
    """Sixteen letters and digits whose sum, less that of sixteen zeros, is a number of 32 bits."""
    letters = bytearray(16)
    for i, byte in enumerate(value.to_bytes(4, "big")):
        four = [ord("0") + byte // 4 + (byte % 4 if k == 0 else 0) for k in range(4)]
        while EXCLUDED.intersection(four):
            for k in (0, 2):
                if EXCLUDED.intersection(four[k : k + 2]):
                    four[k], four[k + 1] = four[k] + 1, four[k + 1] - 1
        letters[i::4] = bytes(four)
    # a card begins its text one byte before a word
    return (letters[-1:] + letters[:-1]).decode("ascii")
