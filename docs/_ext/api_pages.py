"""The reference: one page for each part of the library, along the way of the data, with all its public names."""

import importlib
from pathlib import Path

from sphinx.errors import ExtensionError

import gammajax

PARTS = {
    "parameters": ("Parameters", "What a person edits, and the flat vector that everything else works on."),
    "models": ("Models", "Parameters to flux in each bin of true energy. The pictures are in the {doc}`gallery </generated/models>`."),
    "response": ("Response", "Flux in bins of true energy to counts in bins of reconstructed energy."),
    "stats": ("Statistics", "Functions of arrays, -2 ln L, one value for each bin."),
    "datasets": ("Data sets", "Arrays and axes, a mask, a statistic."),
    "likelihood": ("Likelihood", "Where models, response, statistics and data meet: a pure function."),
    "solve": ("Solver", "Many minimisations at once, each with its verdict."),
    "fit": ("Fit", "Best fit, covariance, intervals, contours, flux points, and what they return."),
    "scan": ("Scans", "Grids of the statistic, and what they return."),
    "io": ("Files", "Readers and writers; data sets, models and results call them."),
    "interop.gammapy": ("gammapy", "gammapy's objects in memory."),
    "plotting": ("Plots", "matplotlib, imported when a plot is asked for."),
    "errors": ("Errors", "One family, all under `GammajaxError`."),
    "cache": ("Compiled programs", "Kept on disk for the next process."),
    "progress": ("Progress", "Bars and messages, and how to silence them."),
}  # fmt: skip


def public_names(module):
    """Full names, by the shortest way that a person imports them; flat names that were made in the part are of it."""
    made = [
        n for n in gammajax.__all__ if getattr(getattr(gammajax, n), "__module__", "").startswith(module.__name__ + ".")
    ]
    if module.__name__ == "gammajax.progress":
        # the rest of it is for the library itself
        return ["gammajax.set_progress"]
    names = dict.fromkeys([*module.__all__, *made])
    return [f"gammajax.{n}" if n in gammajax.__all__ else f"{module.__name__}.{n}" for n in names]


def page(part):
    """Text of the page of one part."""
    title, text = PARTS[part]
    names = public_names(importlib.import_module(f"gammajax.{part}"))
    lines = ["```{eval-rst}", ".. autosummary::", "   :toctree: .", "   :nosignatures:", ""]
    lines += [f"   {name}" for name in names]
    return "\n".join([f"# {title}", "", text, "", *lines, "```", ""])


def write(app, config):
    """Write the pages; a public name that no part has is an error."""
    folder = Path(app.srcdir) / "generated" / "api"
    folder.mkdir(parents=True, exist_ok=True)
    parts = {p: importlib.import_module(f"gammajax.{p}") for p in PARTS}
    there = {name for module in parts.values() for name in public_names(module)} | {f"gammajax.{p}" for p in parts}
    missing = [n for n in gammajax.__all__ if f"gammajax.{n}" not in there]
    if missing:
        raise ExtensionError(
            f"reference: no part of PARTS in {__file__} has {missing}; add the part, or export it there."
        )
    for part in PARTS:
        (folder / f"{part}.md").write_text(page(part))
    entries = "\n".join(PARTS)
    index = f"# Reference\n\nAlong the way of the data.\n\n```{{toctree}}\n:maxdepth: 1\n\n{entries}\n```\n"
    (folder / "index.md").write_text(index)


def setup(app):
    """Write the pages as soon as the settings are read, before files are looked for."""
    app.connect("config-inited", write)
    return {"parallel_read_safe": True}
