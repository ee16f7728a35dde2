"""FITS files as bytes, with what a reader needs to see that they are whole."""

import io
from typing import Any

__all__ = ["fits_bytes"]


def fits_bytes(hdus: Any, checksum: bool = True) -> bytes:
    """The whole file: CHECKSUM and DATASUM in every HDU, and their number (NEXTEND) in the first.

    Parameters
    ----------
    hdus : list of HDU
        Extensions, with or without a primary HDU before them.
    checksum : bool
        Whether to write the sums.
    """
    from astropy.io import fits

    members = list(hdus)
    if not isinstance(members[0], fits.PrimaryHDU):
        members.insert(0, fits.PrimaryHDU())
    members[0].header["NEXTEND"] = (len(members) - 1, "number of extensions")
    stream = io.BytesIO()
    fits.HDUList(members).writeto(stream, checksum=checksum)
    return stream.getvalue()
