"""Sums of FITS beside astropy's."""

import io

import numpy as np
import pytest
from astropy.io import fits

from gammajax.scan.fits_sums import RunningSum, with_sums


@pytest.mark.parametrize("seed", range(20))
def test_sums_are_those_of_astropy(seed):
    """Data of any length in pieces of any length; astropy takes the file, and has the same data sum."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 256, size=int(rng.integers(1, 9000)), dtype=np.uint8)
    total, data = RunningSum(), values.tobytes()
    cuts = np.sort(rng.integers(0, len(data), size=7))
    for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        total.add(data[begin:end])
    hdu = fits.PrimaryHDU(values)
    hdu.header["SEED"] = seed
    before = hdu.header.tostring()
    whole = with_sums(hdu.header, total.value()) + data + bytes(-len(data) % 2880)
    assert before[:80] == whole[:80].decode()
    with fits.open(io.BytesIO(whole), checksum=True) as file:
        # a sum that does not fit would be a warning, and warnings are errors here
        assert file[0].verify_checksum() == 1
        assert file[0].verify_datasum() == 1
        file[0].add_datasum()
        assert int(file[0].header["DATASUM"]) == total.value()
    assert len(with_sums(hdu.header)) == len(with_sums(hdu.header, 2**32 - 1))
