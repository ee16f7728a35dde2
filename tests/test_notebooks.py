"""Every notebook runs from top to bottom."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
# an empty folder fails: it would pass without running anything
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb")) or [FOLDER / "a-notebook.ipynb"]

pytestmark = pytest.mark.notebook


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path, monkeypatch):
    assert path.is_file(), f"no notebook was found in {FOLDER.name}/"
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    # what the kernel writes goes to the test's own folder: its files, and IPython's history
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(path, as_version=4)
    assert any(cell.cell_type == "code" for cell in notebook.cells), f"{path.name} has no code cell"
    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()  # raises CellExecutionError with the cell and its traceback
