"""The gallery: every spectral and temporal model of the registries with its picture, formula and parameters; a new model appears by itself.

A model is drawn from its defaults, each of its shape parameters varied in a panel of its own. `EXAMPLES` has other values for those
whose defaults show little, and arguments for those that need some.
"""

import inspect
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from astropy import units as u
from astropy.time import Time
from numpydoc.docscrape import ClassDoc

import gammajax
import gammajax.models as gm
from gammajax.errors import MissingFileError
from gammajax.models.temporal import TEMPORAL_MODELS, TemplatePhaseCurveTemporalModel, TemporalModel

DNDE = u.Unit("cm-2 s-1 TeV-1")
ENERGIES = np.geomspace(0.1, 50, 200) * u.TeV
PANELS = 4


def absorbed():
    """The tables of Dominguez et al. where gammapy's data are, else a formula about as steep."""
    try:
        return gm.EBLAbsorptionNormSpectralModel.read_builtin("dominguez")
    except MissingFileError:
        energy, z = np.geomspace(0.05, 60, 40), np.linspace(0.01, 0.5, 12)
        data = np.exp(-np.outer(z, 2.5 * energy**0.9))
        return gm.EBLAbsorptionNormSpectralModel(energy * u.TeV, z, data)


EXAMPLES = {
    "BrokenPowerLawSpectralModel": lambda: gm.BrokenPowerLawSpectralModel(index1=1.6, index2=3.0, ebreak=2 * u.TeV),
    "SmoothBrokenPowerLawSpectralModel": lambda: gm.SmoothBrokenPowerLawSpectralModel(
        index1=1.6, index2=3.0, ebreak=2 * u.TeV
    ),
    "LogParabolaSpectralModel": lambda: gm.LogParabolaSpectralModel(reference=1 * u.TeV, beta=0.2),
    "LogParabola2SpectralModel": lambda: gm.LogParabola2SpectralModel(reference=1 * u.TeV, beta=0.2),
    "LogParabolaNormSpectralModel": lambda: gm.LogParabolaNormSpectralModel(reference=1 * u.TeV, beta=0.1),
    "SuperExpCutoffPowerLaw4FGLSpectralModel": lambda: gm.SuperExpCutoffPowerLaw4FGLSpectralModel(
        expfactor=1e-3, index_2=0.5
    ),
    "SuperExpCutoffPowerLaw4FGLDR3SpectralModel": lambda: gm.SuperExpCutoffPowerLaw4FGLDR3SpectralModel(
        expfactor=0.4, index_2=0.6
    ),
    "PiecewiseNormSpectralModel": lambda: gm.PiecewiseNormSpectralModel([0.3, 1, 4, 20] * u.TeV, [1, 2, 0.6, 1.2]),
    "TemplateSpectralModel": lambda: gm.TemplateSpectralModel([0.1, 1, 5, 50] * u.TeV, [9e-11, 3e-12, 2e-13, 1e-16] * DNDE),
    "EBLAbsorptionNormSpectralModel": absorbed,
    "CompoundSpectralModel": lambda: gm.PowerLawSpectralModel() * absorbed(),
    "ScaleSpectralModel": lambda: gm.ScaleSpectralModel(gm.MeyerCrabSpectralModel()),
    "LinearTemporalModel": lambda: gammajax.LinearTemporalModel(beta=0.1 / u.d),
    "SineTemporalModel": lambda: gammajax.SineTemporalModel(amp=0.5, omega=2 * u.rad / u.d),
    "LightCurveTemplateTemporalModel": lambda: gammajax.LightCurveTemplateTemporalModel(
        [-3, -1, 0, 0.5, 2, 6] * u.d, [1, 1, 3, 2.2, 1.3, 1]
    ),
    "TemplatePhaseCurveTemporalModel": lambda: TemplatePhaseCurveTemporalModel(
        [0, 0.2, 0.3, 0.4, 0.7, 0.8, 0.9, 1], [0.2, 0.2, 3, 0.4, 0.4, 1.6, 0.2, 0.2]
    ),
}  # fmt: skip


def models():
    """Fluxes and factors with a fixed list of parameters, and what is made from tables and models; each by name."""
    groups = {"Fluxes": [], "Factors": [], "From tables and from other models": []}
    own = {c for c in gm.SPECTRAL_MODELS.values() if c.__module__.startswith("gammajax.")} - {gm.SpectralModel}
    for cls in sorted(own, key=lambda c: c.__name__):
        # a class that takes more than its parameters has a constructor of its own
        made = "__init__" in vars(cls)
        groups[list(groups)[2 if made else int(cls.dnde_unit == "")]].append(cls)
    return groups


def shapes(model):
    """Names of the parameters that change the shape, free ones first."""
    strength = set(model.form.linear)
    rows = [
        (n, p) for n, f, p in zip(model.parameter_names, model.form.names, model.parameters, strict=True)
        if f not in strength and p.name not in ("reference", "emin", "emax")
    ]  # fmt: skip
    return [n for n, p in sorted(rows, key=lambda row: row[1].frozen)][:PANELS]


def variations(parameter):
    """Three values around the present one: by a half, or by a factor of two where there is a unit or the value is small."""
    value = parameter.value
    if parameter.unit != u.dimensionless_unscaled or 0 < value < 1:
        return [value / 2, value, 2 * value]
    return [value - 0.5, value, value + 0.5]


def drawn(model):
    """E^2 dN/dE, or the factor itself."""
    y = model(ENERGIES)
    return y.to_value("") if model.is_norm_spectral_model else (y * ENERGIES**2).to_value("erg cm-2 s-1")


def limits(y):
    """Ends of the vertical axis: three decades of the middle curve at most, and room for its neighbours."""
    top = np.max(y)
    return max(np.min(y), 1e-3 * top) / 4, 4 * top


def draw(model, path):
    """Draw E^2 dN/dE, or the factor itself, with one panel for each shape parameter."""
    names = shapes(model) or [None]
    figure, axes = plt.subplots(1, len(names), figsize=(1 + 3.1 * len(names), 3.1), sharey=True, squeeze=False)
    for ax, name in zip(axes[0], names, strict=True):
        parameter = None if name is None else model.parameters[model.parameter_names.index(name)]
        present = None if parameter is None else parameter.value
        for value in [None] if parameter is None else variations(parameter):
            if parameter is not None:
                parameter.value = value
            label = None if parameter is None else f"{value:.3g} {parameter.unit.to_string('unicode')}".strip()
            ax.plot(ENERGIES.value, drawn(model), label=label, linewidth=2.2 if value == present else 1.2)
        if parameter is not None:
            parameter.value = present
            ax.legend(title=name, fontsize=8, title_fontsize=9)
        ax.set(xscale="log", yscale="log", xlabel="Energy [TeV]", ylim=limits(drawn(model)))
        ax.grid(alpha=0.3)
    norm = model.is_norm_spectral_model
    axes[0, 0].set_ylabel("Factor" if norm else r"E$^2$ dN/dE [erg cm$^{-2}$ s$^{-1}$]")
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def table(model, doc):
    """Rows of a list table: name, default and unit from the class, and what the docstring says of it."""
    said = {n.strip(): " ".join(p.desc) for p in doc["Parameters"] for n in p.name.split(",")}
    rows = [("Parameter", "Default", "Unit", "Frozen", "")]
    for d in type(model).declared:
        rows.append((f"``{d.name}``", f"{d.value:g}", d.unit, "yes" if d.frozen else "", said[d.name]))
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: 14 10 18 8 50", ""]
    for row in rows:
        lines += [f"   {'*' if k == 0 else ' '} - {cell}" for k, cell in enumerate(row)]
    return [*lines, ""]


def draw_temporal(model, path):
    """Draw the factor over some days around the reference time, with one panel for each parameter but that time."""
    names = [p.name for p in model.parameters if p.name not in ("t_ref", "phi_ref", "f1", "f2")][:PANELS] or [None]
    figure, axes = plt.subplots(1, len(names), figsize=(1 + 3.1 * len(names), 3.1), sharey=True, squeeze=False)
    turns = isinstance(model, TemplatePhaseCurveTemporalModel)
    first = 51544.0 if model.form.reference is None else model.t_ref.value
    days = (
        np.linspace(0, 3 / 86400 / model.f0.value, 400)
        if turns
        else np.linspace(0.01 if model.tag[-1] in ("powerlaw", "exp-decay") else -3, 6, 400)
    )
    times = Time(np.full(400, first), days, format="mjd", scale=model.scale)
    for ax, name in zip(axes[0], names, strict=True):
        parameter = None if name is None else getattr(model, name)
        for value in [None] if parameter is None else variations(parameter):
            present = value is None or parameter.value
            if value is not None:
                parameter.value = value
            label = None if value is None else f"{value:.4g} {parameter.unit.to_string('unicode')}".strip()
            ax.plot(days * 86400 if turns else days, model(times).value, label=label)
            if value is not None:
                parameter.value = present
        if parameter is not None:
            ax.legend(title=name, fontsize=8, title_fontsize=9)
        ax.set_xlabel("Time [s]" if turns else "Time since t_ref [d]")
        ax.grid(alpha=0.3)
    axes[0, 0].set_ylabel("Factor")
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def section(cls, folder, draw=draw, prefix=""):
    """Text of one model, its picture written beside."""
    model = EXAMPLES.get(cls.__name__, cls)()
    tag = prefix + cls.tag[-1]
    draw(model, folder / f"{tag}.svg")
    doc = ClassDoc(cls, config={"show_class_members": False})
    name = cls.__name__
    lines = [name, "~" * len(name), "", *doc["Summary"], "", *doc["Extended Summary"], ""]
    lines += [f".. image:: {tag}.svg", f"   :alt: {name} with its parameters varied", ""]
    if isinstance(cls.declared, tuple) and cls.declared:
        lines += table(model, doc)
    elif doc["Parameters"]:
        lines += [f"{p.name}\n    {' '.join(p.desc)}\n" for p in doc["Parameters"]]
    if doc["References"]:
        lines += [*doc["References"], ""]
    return [*lines, f"Short name ``{cls.tag[-1]}``, class :class:`~gammajax.{name}`.", ""]


def write(app, config):
    """Write the page and its pictures."""
    folder = Path(app.srcdir) / "generated"
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["Models", "======", "", inspect.cleandoc(INTRODUCTION), ""]
    for title, classes in models().items():
        lines += [title, "-" * len(title), ""]
        for cls in classes:
            lines += section(cls, folder)
    lines += ["Variation in time", "-----------------", ""]
    for cls in sorted(set(TEMPORAL_MODELS.values()) - {TemporalModel}, key=lambda c: c.__name__):
        lines += section(cls, folder, draw_temporal, "time-")
    (folder / "models.rst").write_text("\n".join(lines))


INTRODUCTION = """
All models, with the names, parameters, defaults and units of gammapy. Energies are in TeV; the default of a parameter is given in
the unit beside it. In each panel one parameter takes three values, the others those of the middle curve.
"""


def setup(app):
    """Write the page as soon as the settings are read, before files are looked for."""
    app.connect("config-inited", write)
    return {"parallel_read_safe": True}
