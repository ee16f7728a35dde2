"""Bars and messages: the switch, the first second, and nothing on the screen unasked."""

import logging
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import gammajax.progress as module
from gammajax import Datasets, Fit, set_progress
from gammajax.errors import InputError
from gammajax.fit.asimov import parameter_sensitivity
from gammajax.progress import Bar, progress_wanted, track
from tests.problems import embedded


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    monkeypatch.delenv("GAMMAJAX_PROGRESS", raising=False)
    yield
    set_progress(None)


class Clock:
    """Seconds that pass when they are told to."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    one = Clock()
    monkeypatch.setattr(module, "monotonic", one)
    return one


@pytest.mark.parametrize(
    ("word", "wanted"), [("0", False), ("no", False), ("Off", False), ("1", True), ("TRUE", True), (None, True)]
)
def test_the_environment(monkeypatch, word, wanted):
    if word is not None:
        monkeypatch.setenv("GAMMAJAX_PROGRESS", word)
    assert progress_wanted() is wanted
    set_progress(not wanted)
    assert progress_wanted() is not wanted
    set_progress(None)
    assert progress_wanted() is wanted


def test_wrong_words(monkeypatch):
    with pytest.raises(InputError, match="got 'yes', expected True, False or None"):
        set_progress("yes")
    monkeypatch.setenv("GAMMAJAX_PROGRESS", "loud")
    with pytest.raises(InputError, match="GAMMAJAX_PROGRESS='loud': expected one of 1, true"):
        progress_wanted()


def test_a_bar_shows_after_a_second(monkeypatch, clock, capsys):
    monkeypatch.setattr(module, "interactive", lambda: True)
    with Bar(10, "work", "piece") as bar:
        bar.update(2)
        assert capsys.readouterr().err == ""
        clock.now += 1.5
        bar.update(3)
        bar.update(4)
    err = capsys.readouterr().err
    assert "work" in err
    assert "5.00/10.0" in err
    assert "9.00/10.0" in err


@pytest.mark.parametrize(("columns", "size"), [(0, {"ncols": 80, "nrows": 24}), (120, {})])
def test_a_terminal_that_does_not_know_its_width(monkeypatch, columns, size):
    """Such as one in a container: a bar of no columns would show nothing."""
    monkeypatch.setattr(module.sys, "stderr", type("Screen", (), {"fileno": lambda self: 2})())
    monkeypatch.setattr(module.os, "get_terminal_size", lambda handle: os.terminal_size((columns, 24)))
    assert module._size() == size


@pytest.mark.parametrize("off", ["call", "environment"])
def test_no_bar_where_none_is_wanted(monkeypatch, clock, capsys, off):
    monkeypatch.setattr(module, "interactive", lambda: True)
    if off == "call":
        set_progress(False)
    else:
        monkeypatch.setenv("GAMMAJAX_PROGRESS", "0")
    for _ in track(range(3), 3, "work", "piece"):
        clock.now += 10
    assert capsys.readouterr().err == ""


def test_lines_in_a_log_where_nobody_looks(monkeypatch, clock, capsys, caplog):
    monkeypatch.setattr(module, "interactive", lambda: False)
    caplog.set_level(logging.INFO, "gammajax")
    for _ in track(range(5), 5, "work", "piece"):
        clock.now += 20
    assert [r.getMessage() for r in caplog.records] == ["work: 2 of 5 pieces", "work: 4 of 5 pieces"]
    assert capsys.readouterr().err == ""


@pytest.fixture(scope="module")
def fit():
    fit = Fit([embedded()], backend="newton")
    fit.run()
    return fit


def test_scans_node_by_node_and_in_one_batch_show_bars(monkeypatch, fit, capsys):
    monkeypatch.setattr(module, "interactive", lambda: True)
    monkeypatch.setattr(module, "AFTER", 0.0)
    fit.stat_profile("beta", [0.1, 0.2], reoptimize=True, backend="newton")
    err = capsys.readouterr().err
    assert "scan with newton" in err
    assert "2.00/2.00" in err
    monkeypatch.setattr("gammajax.solve.few.POINTS", {"evaluate": 0, "minimize": 0})
    fit.stat_profile("beta", np.linspace(0.0, 0.3, 5), reoptimize=False)
    err = capsys.readouterr().err
    assert "solver" in err
    # the best fit is one more node
    assert "6.00/6.00" in err
    set_progress(False)
    fit.stat_profile("beta", [0.1, 0.2], reoptimize=True, backend="newton")
    assert capsys.readouterr().err == ""


# as many as there are, by the names of the options that make each go its own way
BACKENDS = {
    "newton": {}, "minuit": {}, "scipy": {}, "scipy nelder-mead": {"method": "Nelder-Mead"},
    "optax": {"max_steps": 50},
}  # fmt: skip


@pytest.mark.parametrize("name", BACKENDS)
def test_a_fit_that_takes_long_shows_its_evaluations(monkeypatch, clock, fit, capsys, name):
    """Two seconds per evaluation: the bar is there from the first one on, and ends at what the result says."""
    monkeypatch.setattr(module, "interactive", lambda: True)

    def later(bar, value, seen=module.Evaluations.seen):
        clock.now += 2.0
        seen(bar, value)

    monkeypatch.setattr(module.Evaluations, "seen", later)
    backend = name.split()[0]
    fit.datasets.models.parameters["beta"].value = 0.3
    result = fit.run(backend=backend, optimize_opts=BACKENDS[name])
    err = capsys.readouterr().err
    shown = re.findall(rf"fit with {backend}: ([\d.]+) evaluations [^\r]*stat = ([\d.]+)", err)[-1]
    # three digits of the number; the optimiser's own lowest value, before the last Newton steps
    assert float(shown[0]) == pytest.approx(result.nfev, rel=5e-3)
    assert 0 <= float(shown[1]) - result.total_stat + 1e-5 < 0.1


def test_many_files_and_rows_show_bars(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(module, "interactive", lambda: True)
    monkeypatch.setattr(module, "AFTER", 0.0)
    datasets = Datasets([embedded(), embedded().copy("again")])

    def bars(call):
        call()
        return set(re.findall(r"(\w+): .*2\.00/2\.00", capsys.readouterr().err))

    assert bars(lambda: datasets.write(tmp_path / "datasets.yaml")) == {"write"}
    assert bars(lambda: Datasets.read(tmp_path / "datasets.yaml")) == {"read"}
    for cumulative in (False, True):
        assert bars(lambda c=cumulative: datasets.info_table(cumulative=c)) == {"info_table"}


def test_the_sensitivity_to_a_parameter_shows_its_evaluations(monkeypatch, fit, capsys):
    monkeypatch.setattr(module, "interactive", lambda: True)
    monkeypatch.setattr(module, "AFTER", 0.0)
    parameter_sensitivity(list(fit.datasets), fit.datasets.models.parameters["alpha"], 0.0, 5.0)
    assert re.search(r"sensitivity to alpha: \d\d\.0 evaluations", capsys.readouterr().err)


def test_a_short_fit_says_nothing(monkeypatch, fit, capsys):
    monkeypatch.setattr(module, "interactive", lambda: True)
    fit.run()
    assert capsys.readouterr().err == ""


def test_a_long_fit_where_nobody_looks(monkeypatch, clock, caplog):
    monkeypatch.setattr(module, "interactive", lambda: False)
    caplog.set_level(logging.INFO, "gammajax")
    with module.Evaluations("fit with scipy") as bar:
        for value in (5.0, 3.25, np.nan, 4.0):
            clock.now += 16
            bar.seen(value)
    assert [r.getMessage() for r in caplog.records] == [
        "fit with scipy: 2 evaluations, stat = 3.25", "fit with scipy: 4 evaluations, stat = 3.25",
    ]  # fmt: skip


def test_messages_of_fits_and_scans(fit, caplog):
    caplog.set_level(logging.INFO, "gammajax")
    fit.run()
    fit.stat_profile("beta", [0.1, 0.2], reoptimize=True, backend="newton")
    texts = {r.name: (r.levelname, r.getMessage()) for r in caplog.records}
    level, text = texts["gammajax.fit.runner"]
    assert (level, text.split(":")[0]) == ("INFO", "fit of HESS with newton")
    assert "stat = 27.6" in text or "stat = 2" in text
    assert texts["gammajax.fit.scans"][1] == "scan of crab.spectral.beta: 2 nodes, 0 without a fit"


def test_a_fit_that_ends_badly_is_a_warning(caplog):
    dataset = embedded()
    first = dataset.models[0]
    # two sources of one shape: only the sum of their strengths is measured
    dataset.models = [first, first.copy("again")]
    for p in dataset.models.parameters:
        p.frozen = p.name != "amplitude"
    result = Fit([dataset], backend="newton").run()
    assert not result.success
    (record,) = [r for r in caplog.records if r.name == "gammajax.fit.runner"]
    assert record.levelname == "WARNING"
    assert record.getMessage().endswith(result.flags.status.name.lower())


def test_nothing_is_printed_by_a_program_that_sets_up_no_logging():
    code = "import logging, gammajax; logging.getLogger('gammajax.fit').warning('x'); print(logging.getLogger('gammajax').handlers)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert run.stderr == ""
    assert run.stdout.startswith("[<NullHandler")
