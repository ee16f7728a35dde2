"""FITS files as bytes, with what a reader needs to see that they are whole."""

import hashlib
import io
from typing import Any

__all__ = ["fits_bytes"]


def fits_bytes(hdus: Any, checksum: bool = True) -> bytes:
    """The whole file, with all that tells a damaged one.

    CHECKSUM and DATASUM in every HDU; in the first the number of extensions (NEXTEND), and a hash of their bytes (SHA256): two flipped
    bits can cancel in the sums.

    Parameters
    ----------
    hdus : list of HDU
        Extensions, with or without a primary HDU before them.
    checksum : bool
        Whether to write sums and hash.
    """
    from astropy.io import fits

    members = list(hdus)
    first = members.pop(0) if isinstance(members[0], fits.PrimaryHDU) else fits.PrimaryHDU()
    first.header["NEXTEND"] = (len(members), "number of extensions")
    rest = _bytes([fits.PrimaryHDU(), *members], checksum)[len(_bytes([fits.PrimaryHDU()], checksum)) :]
    if checksum:
        # the value fills the card
        first.header["SHA256"] = hashlib.sha256(rest).hexdigest()
    return _bytes([first], checksum) + rest


def _bytes(hdus: list[Any], checksum: bool) -> bytes:
    from astropy.io import fits

    stream = io.BytesIO()
    fits.HDUList(hdus).writeto(stream, checksum=checksum)
    return stream.getvalue()
