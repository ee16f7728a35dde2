"""Fixtures of all tests: where the real data are. Nothing global is set here but the hearing of Ctrl-C."""

import os
import signal
from pathlib import Path

import pytest

# started in the background of a script, Python and all processes that tests start would not hear Ctrl-C
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def gammapy_data():
    """Folder of gammapy's data; skips where GAMMAPY_DATA is not set, fails where it names no folder."""
    value = os.environ.get("GAMMAPY_DATA")
    if not value:
        pytest.skip("GAMMAPY_DATA is not set")
    path = Path(value)
    assert path.is_dir(), f"GAMMAPY_DATA is set to {value}, which is no folder"
    return path


@pytest.fixture(scope="session")
def hess_files(gammapy_data):
    """PHA files of the two H.E.S.S. observations of the Crab Nebula."""
    folder = gammapy_data / "joint-crab" / "spectra" / "hess"
    return [folder / f"pha_obs{obs_id}.fits" for obs_id in (23523, 23526)]


@pytest.fixture(scope="module")
def batched_program():
    """Every scan by the batched program, also small ones, which otherwise begin with the program of the fit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gammajax.solve.few.POINTS", {"evaluate": 0, "minimize": 0})
        yield


@pytest.fixture
def no_window():
    """Draw into memory, and leave no figure behind."""
    plt = pytest.importorskip("matplotlib.pyplot")
    backend = plt.get_backend()
    plt.switch_backend("agg")
    yield
    plt.close("all")
    plt.switch_backend(backend)
