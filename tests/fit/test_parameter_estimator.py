"""One parameter with everything, against gammapy's own test values and against the calls it is made of."""

import numpy as np
import pytest
from astropy import units as u

from gammajax import Fit, ParameterEstimate, ParameterEstimator, PowerLawSpectralModel, SkyModel, SpectrumDatasetOnOff
from gammajax.errors import FitError, InputError
from gammajax.solve import Status
from tests.problems import embedded


def test_everything_is_what_the_single_calls_give(tmp_path):
    d = embedded()
    out = ParameterEstimator(selection_optional="all", null_value=0.0).run(d, "beta")
    fit = Fit(d, backend="newton")
    result = fit.run()
    assert out["beta"] == pytest.approx(result.parameters["beta"].value, abs=1e-7)
    assert out["beta_err"] == pytest.approx(result.parameters["beta"].error, rel=1e-6)
    assert out["ts"] == pytest.approx(out["stat_null"] - out["stat"])
    assert out["beta_errp"] == pytest.approx(fit.confidence("beta")["errp"], rel=1e-4)
    assert out["beta_ul"] == pytest.approx(out["beta"] + fit.confidence("beta", sigma=2)["errp"], rel=1e-4)
    assert out["stat_scan"].shape == out["beta_scan"].shape == (11,)
    assert out["stat_scan"].min() >= out["stat"] - 1e-9
    assert out["success"]
    assert out.status == Status.CONVERGED
    assert out.parameter == "crab.spectral.beta"
    inside = d.mask_array
    assert out["counts"].tolist() == [d.counts.data[inside].sum()]
    assert out["npred"] == pytest.approx([d.npred().data[inside].sum()])
    with pytest.raises(KeyError, match="'gamma': the keys are beta, beta_err, stat"):
        out["gamma"]
    with pytest.raises(ValueError, match="read-only"):
        out.stat_scan[0] = 0.0
    table = out.to_table()
    assert table["beta_scan"].shape == (1, 11)
    assert table["beta_ul"][0] == out.ul
    assert "upper limit" in str(out)
    assert out.provenance.settings["parameter"] == out.parameter
    for suffix in ("ecsv", "fits", "yaml"):
        out.write(tmp_path / f"beta.{suffix}")
        again = ParameterEstimate.read(tmp_path / f"beta.{suffix}")
        assert dict(again.to_dict(), counts=0, npred=0, beta_scan=0, stat_scan=0) == dict(
            out.to_dict(), counts=0, npred=0, beta_scan=0, stat_scan=0
        )
        for name in ("counts", "npred", "scan", "stat_scan"):
            assert np.array_equal(getattr(again, name), getattr(out, name)), name
        assert (again.flags, again.provenance, again.notes) == (out.flags, out.provenance, out.notes)


def test_the_values_of_gammapys_own_test(gammapy_data):
    """Its test of H.E.S.S. run 23523, amplitude of a power law: 5.1428e-11, 6.42467e-12, TS 353.2092, 38.3435, 391.5527, 6.703e-12, 6.152e-12."""
    d = SpectrumDatasetOnOff.read(gammapy_data / "joint-crab" / "spectra" / "hess" / "pha_obs23523.fits")
    spectrum = PowerLawSpectralModel(amplitude=3e-11 * u.Unit("cm-2 s-1 TeV-1"), index=2.7)
    d.models = SkyModel(spectrum, name="crab")
    out = ParameterEstimator(selection_optional=["errn-errp"]).run(d, spectrum.amplitude)
    assert out["amplitude"] == pytest.approx(5.1428e-11, rel=1e-3)
    assert out["amplitude_err"] == pytest.approx(6.42467e-12, rel=5e-3)
    assert out["ts"] == pytest.approx(353.2092, rel=1e-3)
    assert out["stat"] == pytest.approx(38.3435, rel=1e-3)
    assert out["amplitude_errp"] == pytest.approx(6.703e-12, rel=5e-3)
    assert out["amplitude_errn"] == pytest.approx(6.152e-12, rel=5e-3)


def test_mistakes_are_refused():
    d = embedded()
    with pytest.raises(InputError, match="unknown 'errors'; known are: errn-errp, ul, scan"):
        ParameterEstimator(selection_optional=["errors"])
    with pytest.raises(InputError, match="expected numbers above 0"):
        ParameterEstimator(n_sigma=0)
    with pytest.raises(FitError, match="reference is frozen"):
        ParameterEstimator(null_value=1.0).run(d, "reference")
    with pytest.raises(InputError, match="unknown parameter 'gamma'"):
        ParameterEstimator().run(d, "gamma")
    assert not np.isnan(d.models["crab"].spectral_model.beta.value)
