"""Write, read, write: the second file is the first, whatever the values."""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from gammajax import Fit, FitResult, SpectrumDatasetOnOff
from gammajax.io.models_special import SPECIAL
from gammajax.io.spectral_yaml import spectral_classes
from gammajax.models import Models, SkyModel
from tests.problems import embedded, small

EXAMPLES = settings(max_examples=15, deadline=None, derandomize=True, database=None)
seeds = st.integers(0, 2**32 - 1)
DECLARED = sorted(
    {c for c in spectral_classes().values() if c.tag[0] not in SPECIAL and c.declared}, key=lambda c: c.__name__
)
# numbers that decimal text is bad at
AWKWARD = (
    0.0,
    -0.0,
    0.1 + 0.2,
    1 / 3,
    1e-12,
    5e-324,
    2.2250738585072014e-308,
    1.7976931348623157e308,
    -1e300,
    2.0**53 + 2,
)


def drawn_models(rng):
    """One to three sources of any declared spectrum, with drawn values, errors, limits and frozen flags."""

    def number():
        return (
            float(rng.choice(AWKWARD)) if rng.random() < 0.2 else float(rng.normal() * 10.0 ** rng.integers(-300, 300))
        )

    out = []
    for k in range(rng.integers(1, 4)):
        spectrum = DECLARED[rng.integers(len(DECLARED))]()
        for p in spectrum.parameters:
            p.min = p.max = np.nan
            low, value, high = sorted(number() for _ in range(3))
            p.value = value
            p.min, p.max = (low if rng.random() < 0.5 else np.nan), (high if rng.random() < 0.5 else np.nan)
            # its square must be a number as well
            p.error = float(10.0 ** rng.uniform(-100, 100)) if rng.random() < 0.5 else 0.0
            p.frozen = bool(rng.random() < 0.5)
        out.append(SkyModel(spectrum, name=f"source-{k}"))
    return Models(out)


def without_time(text):
    return [line for line in text.splitlines() if not line.strip().startswith(("date", "created"))]


# some of the models drawn are none of gammapy's, which writing says
@pytest.mark.filterwarnings("ignore:write. gammapy knows no")
@EXAMPLES
@given(seed=seeds, full=st.booleans())
def test_model_files(seed, full):
    models = drawn_models(np.random.default_rng(seed))
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder) / "one.yaml", Path(folder) / "two.yaml"
        models.write(first, full_output=full, write_covariance=False)
        back = Models.read(first)
        back.write(second, full_output=full, write_covariance=False)
        assert without_time(second.read_text()) == without_time(first.read_text())
        for p, q in zip(models.parameters, back.parameters, strict=True):
            np.testing.assert_equal(
                (q.value, q.error, q.min, q.max, q.frozen), (p.value, p.error, p.min, p.max, p.frozen)
            )


def same_hdus(one, other):
    """Names, headers and data of two FITS files, but for the time and the checksums over it, the data set's own among them."""
    with fits.open(one) as a, fits.open(other) as b:
        assert [h.name for h in a] == [h.name for h in b]
        for x, y in zip(a, b, strict=True):
            skip = ("DATE", "SHA256", "CHECKSUM", "DATASUM", "ANCRFILE", "RESPFILE", "BACKFILE")
            cards = [[tuple(map(str, c)) for c in h.header.cards if c.keyword not in skip] for h in (x, y)]
            assert cards[0] == cards[1]
            if x.data is not None:
                assert x.data.tobytes() == y.data.tobytes()


@settings(EXAMPLES, max_examples=5)
@given(seed=seeds)
def test_ogip_files(seed):
    rng = np.random.default_rng(seed)
    matrix = rng.uniform(size=(8, 6)) * (rng.uniform(size=(8, 6)) > 0.4) / 6
    d = small(
        n_on=rng.poisson(9, 6),
        n_off=rng.poisson(20, 6),
        edisp=matrix,
        exposure=10 ** rng.uniform(10, 14, 8) * u.Unit("cm2 s"),
        acceptance=rng.uniform(0.5, 2, 6),
        alpha=None,
        acceptance_off=rng.uniform(5, 20, 6),
        mask_safe=rng.uniform(size=6) > 0.3,
        livetime=rng.uniform(100, 1e5) * u.s,
    )
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder) / "one", Path(folder) / "two"
        first.mkdir(), second.mkdir()
        d.write(first / "x.fits")
        SpectrumDatasetOnOff.read(first / "x.fits").write(second / "x.fits")
        files = sorted(p.name for p in first.iterdir())
        assert files == sorted(p.name for p in second.iterdir())
        for name in files:
            same_hdus(first / name, second / name)


@pytest.fixture(scope="module")
def result():
    return Fit(embedded(), backend="newton").run()


@pytest.mark.parametrize("suffix", ["ecsv", "yaml", "fits"])
def test_result_files(result, suffix):
    """With drawn numbers in the place of the fitted ones: the layout is compiled from nothing."""

    @settings(EXAMPLES, max_examples=5)
    @given(stat=st.floats(), edm=st.floats(allow_nan=True), nfev=st.integers(0, 2**31), message=st.text(max_size=40))
    def check(stat, edm, nfev, message):
        drawn = dataclasses.replace(result, total_stat=stat, edm=edm, nfev=nfev, message=message)
        with tempfile.TemporaryDirectory() as folder:
            first, second = Path(folder) / f"one.{suffix}", Path(folder) / f"two.{suffix}"
            drawn.write(first)
            back = FitResult.read(first)
            np.testing.assert_equal((back.total_stat, back.edm, back.nfev, back.message), (stat, edm, nfev, message))
            back.write(second)
            if suffix == "fits":
                same_hdus(first, second)
            else:
                assert second.read_bytes() == first.read_bytes()

    check()
