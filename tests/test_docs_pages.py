"""The Python blocks of the pages in docs/ run as they stand, one after another; indented code is not run.

A block of text that follows one is what it prints.
"""

import contextlib
import io
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```)?", flags=re.DOTALL | re.MULTILINE)
# what takes more than a few seconds
SLOW = ("when_a_fit_fails",)
PAGES = [p for p in sorted(FOLDER.glob("*.md")) if BLOCK.search(p.read_text())]


@pytest.mark.usefixtures("no_window")
@pytest.mark.parametrize(
    "page", [pytest.param(p, id=p.stem, marks=[pytest.mark.slow] * (p.stem in SLOW)) for p in PAGES]
)
def test_the_examples_run(page, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": page.stem}
    for number, (block, printed) in enumerate(BLOCK.findall(page.read_text())):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(block, f"{page.name}, block {number}", "exec"), names)
        assert not printed or out.getvalue() == printed, f"{page.name}, block {number} printed {out.getvalue()}"


def test_a_page_has_examples():
    assert "your_own_model" in [p.stem for p in PAGES]
