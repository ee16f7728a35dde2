"""The sign while something compiles: after a second, in a terminal, with nothing left behind, and nothing at all where nothing compiles."""

import logging
import os
import re
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from astropy import units as u
from astropy.time import Time

from gammajax import (
    GTI,
    Datasets,
    Fit,
    FluxPointsEstimator,
    LightCurveEstimator,
    ParameterEstimator,
    compiling,
    progress,
    set_progress,
)
from gammajax.errors import InputError
from tests.problems import embedded
from tests.scan.stored import ROOT
from tests.scan.test_bars import in_a_terminal

SIGN = re.compile(r"compiling \.\.\. (\d+) s")

# a program whose compilation takes as long as it is told to, in a process of its own
SLOW = """
import sys
import time
import gammajax
from gammajax.compiling import compiled

def slow(x):
    time.sleep(float(sys.argv[1]))
    return x + 1

program = compiled(slow)
print("BEGIN")
print(program(1.0))
print("tqdm" in sys.modules)
for x in range(10):
    program(float(x))
print("END")
"""


def run(script, *arguments, until=None, **more):
    """What a person sees in a terminal, and the exit code."""
    env = {
        k: v
        for k, v in (os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}).items()
        if k != "GAMMAJAX_PROGRESS"
    }
    return in_a_terminal([sys.executable, "-c", script, *arguments], env | {"NO_COLOR": "1"} | more, 100, until)


def on_the_screen(shown):
    """Lines as they are in the end: what follows a return overwrites what was there."""
    lines = []
    for line in shown.replace("\r\n", "\n").split("\n"):
        screen = ""
        for part in line.split("\r"):
            screen = part + screen[len(part) :]
        lines.append(screen.rstrip())
    return lines


def test_a_terminal():
    shown, code = run(SLOW, "2.5")
    assert code == 0, shown
    seconds = [int(s) for s in SIGN.findall(shown)]
    # from the first second on, each once; a busy machine takes longer
    assert seconds == list(range(1, 1 + len(seconds)))
    assert len(seconds) >= 2
    # and then it is gone, also where other programs that are compiled already run
    assert on_the_screen(shown) == ["BEGIN", "2.0", "True", "END", ""]


@pytest.mark.parametrize(("seconds", "more"), [("0.3", {}), ("1.5", {"GAMMAJAX_PROGRESS": "0"})], ids=["short", "off"])
def test_nothing_in_a_terminal(seconds, more):
    shown, code = run(SLOW, seconds, **more)
    assert code == 0, shown
    # not even tqdm is imported
    assert shown == "BEGIN\r\n2.0\r\nFalse\r\nEND\r\n"


def test_ctrl_c_in_a_terminal():
    """The line belongs to what Python says."""
    begin = time.monotonic()
    shown, code = run(SLOW, "60", until=SIGN.search)
    assert code != 0
    assert time.monotonic() - begin < 40
    lines = on_the_screen(shown)
    assert lines[:2] == ["BEGIN", "Traceback (most recent call last):"]
    assert lines[-2:] == ["KeyboardInterrupt", ""]


FIT = """
from gammajax import Fit, progress
from tests.problems import embedded

progress.AFTER = 0.3
fit = Fit([embedded()])
print("FIRST")
fit.run()
print("SECOND")
fit.run()
fit.confidence("beta")
print("END")
"""


@pytest.mark.slow
def test_the_first_fit_in_a_terminal():
    shown, code = run(FIT)
    assert code == 0, shown
    first, second = shown.split("SECOND")
    assert len(SIGN.findall(first)) >= 1
    assert second == "\r\nEND\r\n"
    assert on_the_screen(shown) == ["FIRST", "SECOND", "END", ""]


@pytest.mark.slow
def test_a_notebook(monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    monkeypatch.delenv("GAMMAJAX_PROGRESS", raising=False)
    cells = [nbformat.v4.new_code_cell(c) for c in (SLOW.replace("float(sys.argv[1])", "2.5"), "print(program(2.0))")]
    book = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute()
    first, second = (c.outputs for c in book.cells)
    text = "".join(o.get("text", "") for o in first)
    # with the widgets of Jupyter it is one of them, otherwise it is text
    assert SIGN.search(text) or any("widget-view" in str(o.get("data", "")) for o in first), first
    assert [o["text"] for o in second] == ["3.0\n"]


def test_no_terminal():
    env = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    out = subprocess.run([sys.executable, "-c", SLOW, "1.5"], env=env, capture_output=True, text=True, check=True)
    assert (out.stdout.split(), out.stderr) == (["BEGIN", "2.0", "False", "END"], "")


class Screen:
    """Keeps what tqdm would show."""

    def __init__(self):
        self.texts, self.closed, self.threads = [], 0, set()

    def __call__(self, text):
        self.set_description_str(text)
        return self

    def set_description_str(self, text):
        self.texts.append(text)
        self.threads.add(threading.current_thread().name)

    def close(self):
        self.closed += 1


@pytest.fixture
def screen(monkeypatch):
    """A person who looks from the first moment on."""
    one = Screen()
    # whatever was compiled before is long ago
    compiling._sign.ended = float("-inf")
    monkeypatch.setattr(progress, "new_sign", one)
    monkeypatch.setattr(progress, "interactive", lambda: True)
    monkeypatch.setattr(progress, "AFTER", 0.0)
    monkeypatch.delenv("GAMMAJAX_PROGRESS", raising=False)
    yield one
    set_progress(None)
    assert [t for t in threading.enumerate() if t.name == "gammajax-compiling"] == []


def slow(seconds=0.1):
    def function(x):
        time.sleep(seconds)
        return x + 1

    return compiling.compiled(function)


def test_a_program_shows_it_once_for_each_kind_of_arrays(screen):
    program = slow()
    for n, closed in ((3, 1), (3, 1), (4, 2)):
        program(np.ones(n))
        assert screen.closed == closed
    assert screen.threads == {"gammajax-compiling"}


def test_programs_behind_one_another_count_as_one(screen, monkeypatch):
    """Several that take less than a second each take long together; after a pause it begins anew."""
    monkeypatch.setattr(progress, "AFTER", 1.0)
    for _ in range(2):
        slow(0.6)(1.0)
    assert screen.closed == 1
    monkeypatch.setattr(compiling, "PAUSE", 0.0)
    slow(0.6)(1.0)
    assert screen.closed == 1


def test_the_first_second_of_a_bar_begins_behind_it(screen, monkeypatch, capsys):
    """A fit of milliseconds that had to be compiled for leaves no bar."""
    monkeypatch.setattr(progress, "AFTER", 0.1)
    with progress.Bar(3, "work", "piece") as bar:
        slow(0.2)(1.0)
        bar.update()
        assert capsys.readouterr().err == ""
        slow(0.2)(1.0)
        bar.update()
        assert "2.00/3.00" in capsys.readouterr().err


def test_threads_share_the_sign(screen):
    threads = [threading.Thread(target=slow(0.2), args=(1.0,)) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert screen.closed == 1
    assert compiling._sign.threads == 0


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_it_goes_away_with_an_error(screen, error):
    def broken(x):
        time.sleep(0.1)
        raise error("broken")

    with pytest.raises(error, match="broken"):
        compiling.compiled(broken)(1.0)
    assert screen.closed == 1
    assert compiling._sign.threads == 0
    slow()(1.0)
    assert screen.closed == 2


def test_where_none_is_wanted(screen, monkeypatch):
    set_progress(False)
    slow()(1.0)
    set_progress(None)
    with compiling.silent(True):
        slow()(1.0)
    assert screen.texts == []
    with compiling.silent(False):
        slow()(1.0)
    assert screen.closed == 1
    monkeypatch.setenv("GAMMAJAX_PROGRESS", "loud")
    with pytest.raises(InputError, match="GAMMAJAX_PROGRESS='loud': expected one of"):
        slow()(1.0)
    assert compiling._sign.threads == 0


def test_a_line_in_a_log_where_nobody_looks(screen, monkeypatch, caplog):
    monkeypatch.setattr(progress, "interactive", lambda: False)
    monkeypatch.setattr(progress, "EVERY", 0.1)
    caplog.set_level(logging.INFO, "gammajax")
    slow(0.25)(1.0)
    assert screen.texts == []
    assert len(caplog.records) >= 2
    assert {r.getMessage() for r in caplog.records} == {"compiling: 0 s"}


def test_somebody_interrupts_while_another_thread_compiles(screen):
    thread = threading.Thread(target=slow(0.5), args=(1.0,))
    thread.start()
    while not screen.texts:
        time.sleep(0.01)
    compiling.hush()
    assert screen.closed == 1
    thread.join()
    assert screen.closed == 1
    assert compiling._sign.threads == 0


@pytest.fixture(scope="module")
def fit():
    fit = Fit([embedded()], backend="newton")
    fit.run()
    return fit


def grid(fit, n, **more):
    return fit.stat_grid({"alpha": np.linspace(2, 2.4, n), "beta": np.linspace(0.1, 0.3, n)}, **more)


def nights(fit):
    """Two runs, an hour apart."""
    out = Datasets([fit.datasets[0].copy(name) for name in ("a", "b")])
    for k, d in enumerate(out):
        start = Time(53343.9, format="mjd", scale="tt") + k * u.h
        d.gti, d.models = GTI.create(start, start + 0.5 * u.h), fit.datasets.models
    return out


EDGES = [1, 3, 10] * u.TeV
# everything that may be the first call of a program
CALLS = {
    "run": lambda fit: fit.run(),
    "optimize": lambda fit: fit.optimize(),
    "covariance": lambda fit: fit.covariance(),
    "minuit": lambda fit: fit.run(backend="minuit"),
    "profile": lambda fit: fit.stat_profile("beta", reoptimize=True),
    "small surface": lambda fit: grid(fit, 10, reoptimize=True),
    "surface": lambda fit: grid(fit, 100, reoptimize=True),
    "held surface": lambda fit: grid(fit, 100, reoptimize=False),
    "profiles in chunks": lambda fit: fit.stat_profiles("all", nvalues=50, reoptimize=True, chunk_size=100),
    "interval": lambda fit: fit.confidence("beta"),
    "contour": lambda fit: fit.stat_contour("alpha", "beta"),
    "many": lambda fit: fit.run_each(nights(fit)),
    "points": lambda fit: FluxPointsEstimator(energy_edges=EDGES, source="crab", selection_optional="all").run(
        fit.datasets
    ),
    "re-fitted points": lambda fit: FluxPointsEstimator(
        energy_edges=EDGES, source="crab", selection_optional="all", reoptimize=True
    ).run(fit.datasets),
    "light curve": lambda fit: LightCurveEstimator(energy_edges=EDGES, source="crab").run(nights(fit)),
    "parameter": lambda fit: ParameterEstimator(selection_optional="all").run(fit.datasets, "beta"),
    "simulations": lambda fit: fit.goodness_of_fit(50, random_state=0),
}


@pytest.fixture
def unseen():
    """Seconds of compiling under the sign, and without it."""
    import jax

    seconds = {True: 0.0, False: 0.0}

    def listen(event, duration, **more):
        if event.startswith("/jax/core/compile"):
            seconds[compiling._thread.compiles] += duration

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield seconds
    jax._src.monitoring.unregister_event_duration_listener(listen)


@pytest.mark.slow
@pytest.mark.parametrize("what", CALLS)
def test_all_that_compiles_is_under_the_sign(screen, fit, unseen, what):
    import jax

    jax.clear_caches()
    CALLS[what](fit)
    assert unseen[True] > 0.3
    # small operations outside of programs, all of which were forgotten here
    assert unseen[False] < 0.25 * unseen[True]
    assert screen.closed > 0
    # and a second time nothing compiles
    texts, closed = list(screen.texts), screen.closed
    unseen.update({True: 0.0, False: 0.0})
    CALLS[what](fit)
    assert (screen.texts, screen.closed) == (texts, closed)
    assert unseen[True] == 0.0
