"""How far a scan is, as a person sees it: in a terminal, in a notebook, in a log; and what Ctrl-C does there."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

import gammajax
from tests.scan.stored import ROOT, driver, environment, fine, fitted, n_done, scan, wait_for

# rate and time left, as tqdm writes them
BAR = re.compile(r"scan shown: +\d+%\|.*?/\d[\d.]*k? \[\d\d:\d\d<\d\d:\d\d, +[\d.]+[kM]?node/s\]")


@pytest.fixture(scope="module")
def fit():
    return fitted()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def in_a_terminal(command, env, columns, until=None):
    """Run a program in a pseudo-terminal, and return what it showed and its exit code; Ctrl-C once `until` is true of what it showed."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40 if columns else 0, columns, 0, 0))
    process = subprocess.Popen(
        command, env=env, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    shown, asked = b"", False
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:
            # the other end is closed
            break
        if not part:
            break
        shown += part
        if until is not None and not asked and until(shown.decode(errors="replace")):
            asked = True
            os.killpg(process.pid, signal.SIGINT)
    os.close(ours)
    return shown.decode(errors="replace"), process.wait(timeout=60)


@pytest.mark.slow
@pytest.mark.parametrize("columns", [100, 0], ids=["a terminal", "one that does not know its width"])
def test_a_terminal(fit, tmp_path, cache, columns):
    scan(fit, tmp_path / "shown", fine(1000), chunk_size=20, compute=False)
    command = [sys.executable, "-m", "gammajax", "scan", "run", str(tmp_path / "shown"), "--no-cache"]
    env = {k: v for k, v in environment(cache).items() if k not in ("COLUMNS", "LINES", "GAMMAJAX_PROGRESS")}
    shown, code = in_a_terminal(command, env, columns)
    assert code == 0, shown
    assert len(BAR.findall(shown)) >= 2, shown
    assert "20.0k/20.0k" in shown
    # and what it came to
    assert "1000 of 1000 done, 0 failed, 0 left" in shown


@pytest.mark.slow
def test_ctrl_c_in_a_terminal(fit, tmp_path, cache):
    folder = tmp_path / "shown"
    scan(fit, folder, fine(5000), chunk_size=20, compute=False)
    command = [sys.executable, "-m", "gammajax", "scan", "run", str(folder), "--no-cache"]
    shown, code = in_a_terminal(command, environment(cache), 100, until=lambda shown: n_done(folder) >= 5)
    assert code == 130, shown
    assert "make the same call again to go on from there" in shown
    # for a person, not for a programmer
    assert "Traceback" not in shown
    assert 5 <= len(gammajax.scan.open(folder).done) < 5000


@pytest.mark.slow
def test_a_second_ctrl_c_ends_at_once(fit, tmp_path, cache):
    scan(fit, tmp_path / "shown", fine(5000), chunk_size=20, compute=False)
    process = driver(tmp_path / "shown", cache)
    wait_for(tmp_path / "shown", 5, process)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    begin = time.monotonic()
    process.communicate(timeout=60)
    # a chunk takes milliseconds here, an end of the interpreter half a second
    assert time.monotonic() - begin < 5
    assert process.returncode != 0
    assert all(len(gammajax.scan.open(tmp_path / "shown").chunk(n)["stat"]) == 20 for n in range(5))


@pytest.mark.slow
def test_a_notebook(fit, tmp_path, cache, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    for name, value in environment(cache).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GAMMAJAX_PROGRESS", raising=False)
    scan(fit, tmp_path / "shown", fine(1000), chunk_size=20, compute=False)
    code = f"""
from gammajax.scan.store import resume, run_store
run_store(resume({str(tmp_path / "shown")!r}))
None
"""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbclient.NotebookClient(
        book, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}
    ).execute()
    outputs = book.cells[0].outputs
    text = "".join(o.get("text", "") for o in outputs)
    # with the widgets of Jupyter the bar is one of them, otherwise it is text
    assert BAR.search(text) or any("widget-view" in str(o.get("data", "")) for o in outputs), outputs
