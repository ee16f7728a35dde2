"""Sphinx: the pages of this folder, and those that the modules of `_ext` write into `generated` when the build begins."""

import sys
from pathlib import Path

from gammajax import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "gammajax"
author = "The gammajax developers"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "mathml",
    "api_pages",
    "gallery",
    "notebook_pages",
]
exclude_patterns = ["_build", "_ext", "_templates"]
templates_path = ["_templates"]
nitpicky = False  # astropy's and JAX's names lead nowhere: nothing is fetched while building

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3

# names in docstrings stand in single backquotes
default_role = "py:obj"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autosummary_generate = True
numpydoc_show_class_members = False

html_theme = "furo"
html_title = f"gammajax {version}"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["gammajax.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
