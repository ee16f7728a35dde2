"""Rows of numbers of a batch whose data sets have responses of their own."""

import numpy as np
import pytest

from gammajax.likelihood import own_numbers

N, TRUE, RECO, SIZE = 5, 7, 6, (16, 16)
BINS = {
    "all": (np.arange(TRUE), np.arange(RECO)),
    "neighbours": (np.arange(2, 6), np.arange(1, 5)),
    "with holes": (np.array([0, 2, 3, 6]), np.array([1, 2, 5])),
}


@pytest.mark.parametrize("own_exposure", [False, True])
@pytest.mark.parametrize(("used", "fit"), BINS.values(), ids=BINS.keys())
def test_rows_hold_values_mask_and_the_product_of_exposure_and_dispersion(used, fit, own_exposure):
    rng = np.random.default_rng(4)
    counts, edisp = rng.random((N, RECO)), rng.random((N, TRUE, RECO))
    exposure = rng.random((N, TRUE) if own_exposure else TRUE)
    mask = rng.random((N, RECO)) > 0.3
    rows, names = own_numbers(
        [counts], fit=fit, used=used, size=SIZE, harmless=(7.0,), mask=mask, exposure=exposure, edisp=edisp
    )
    assert names == ("values", "mask", "matrix")
    assert rows.shape == (N, 16 + 16 + 256)
    assert len(rows) == N
    expected = np.zeros((N, rows.shape[1]))
    expected[:, :16] = 7.0
    for i in range(N):
        expected[i, : len(fit)] = np.where(mask[i, fit], counts[i, fit], 7.0)
        expected[i, 16 : 16 + len(fit)] = mask[i, fit]
        full = np.zeros(SIZE)
        full[: len(used), : len(fit)] = ((exposure[i] if own_exposure else exposure)[:, None] * edisp[i])[
            np.ix_(used, fit)
        ]
        expected[i, 32:] = full.ravel()
    for which in (slice(0, N), slice(1, 4), np.array([4, 0, 0])):
        np.testing.assert_array_equal(rows[which], expected[which])
    # into a part of a larger array, as the solver has it: what is beside it stays
    out = np.full((3, rows.shape[1] + 4), np.nan)
    rows.write(slice(2, 5), out[:, 3:-1])
    np.testing.assert_array_equal(out[:, 3:-1], expected[2:])
    assert np.isnan(out[:, :3]).all()
    assert np.isnan(out[:, -1]).all()
