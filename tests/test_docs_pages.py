"""The Python blocks of the pages in docs/ run as they stand, one after another; indented code is not run."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)
# what takes more than a few seconds
SLOW = ()
PAGES = [p for p in sorted(FOLDER.glob("*.md")) if BLOCK.search(p.read_text())]


@pytest.mark.usefixtures("no_window")
@pytest.mark.parametrize(
    "page", [pytest.param(p, id=p.stem, marks=[pytest.mark.slow] * (p.stem in SLOW)) for p in PAGES]
)
def test_the_examples_run(page, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": page.stem}
    for number, block in enumerate(BLOCK.findall(page.read_text())):
        exec(compile(block, f"{page.name}, block {number}", "exec"), names)


def test_a_page_has_examples():
    assert "your_own_model" in [p.stem for p in PAGES]
