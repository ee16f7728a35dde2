"""The notebooks as pages: text and code; `tests/test_notebooks.py` runs them."""

import json
from pathlib import Path


def page(notebook):
    """Markdown of a notebook, without output."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
    return "\n\n".join(parts) + "\n"


def write(app, config):
    """Write one page for each notebook."""
    folder = Path(app.srcdir) / "generated" / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted((Path(app.srcdir).parent / "notebooks").glob("*.ipynb")):
        (folder / f"{path.stem}.md").write_text(page(json.loads(path.read_text())))


def setup(app):
    """Write the pages as soon as the settings are read, before files are looked for."""
    app.connect("config-inited", write)
    return {"parallel_read_safe": True}
