"""The tutorial as a program, without gammapy's data: the newcomer's way."""

import os
import subprocess
import sys

import pytest
from astropy.table import Table

FIGURES = ["01_peek", "02_fit", "03_correlation", "04_spectrum", "05_profiles", "06_contours", "07_surface_frozen", "07_surface_profile"]  # fmt: skip


@pytest.mark.slow
def test_tutorial_on_the_embedded_data(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "GAMMAPY_DATA"} | {"MPLBACKEND": "Agg"}
    out = subprocess.run(
        [sys.executable, "-m", "gammajax.tutorial", "--no-cache", "--output", str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    assert "the embedded SIMULATED data set (GAMMAPY_DATA is not set)" in out.stdout
    for backend in ("newton", "minuit", "scipy", "optax"):
        assert f"Fitted with {backend}" in out.stdout
    for name in FIGURES:
        assert (tmp_path / f"{name}.png").stat().st_size > 5000
    table = Table.read(tmp_path / "parameters.ecsv")
    assert list(table["name"]) == ["amplitude", "reference", "alpha", "beta"]
    surface = Table.read(tmp_path / "surface_alpha_beta_profile.ecsv")
    assert len(surface) == 400
    assert set(surface["status"]) <= {"CONVERGED", "OUTSIDE_LIMITS"}


def test_computing_part_alone(tmp_path, monkeypatch):
    from gammajax.tutorial.run import run

    monkeypatch.delenv("GAMMAPY_DATA", raising=False)
    results = run(tmp_path, plots=False)
    stats = [r.total_stat for r in results.values()]
    assert max(stats) - min(stats) < 5e-3
    assert not list(tmp_path.glob("*.png"))
    assert len(list(tmp_path.glob("*.ecsv"))) >= 20
