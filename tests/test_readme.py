"""The README's Python blocks run as they stand, one after another."""

import re
from pathlib import Path

import jax
import pytest

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text(), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.usefixtures("hess_files", "no_window")
def test_the_examples_run(capsys, monkeypatch, tmp_path):
    assert BLOCKS, "the README has no Python block"
    monkeypatch.chdir(tmp_path)
    names = {}
    double = jax.config.jax_enable_x64
    try:
        for number, block in enumerate(BLOCKS):
            exec(compile(block, f"README, block {number}", "exec"), names)
    finally:
        # one block sets it, as a program of its own would
        jax.config.update("jax_enable_x64", double)
    assert "total stat            : 30.3495" in capsys.readouterr().out
