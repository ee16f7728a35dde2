"""Every public name has a numpydoc docstring whose parameters are those of the signature."""

import dataclasses
import enum
import inspect
import re
from importlib import import_module

import pytest

import gammajax
from gammajax.models import SPECTRAL_MODELS, SpectralModel
from gammajax.parameters import Prior

# what a person imports; beside the flat names the modules that go by their own
MODULES = ("errors", "interop.gammapy", "io", "plotting", "stats")
# of the library: the examples in its documentation define models of their own
MODELS = [
    cls for cls in dict.fromkeys(SPECTRAL_MODELS.values())
    if cls.__module__.startswith("gammajax.") and not cls.__name__.startswith("Documented") and cls is not SpectralModel
]  # fmt: skip


def public():
    """Objects by name, each once: what is exported, and the public members of classes as far as the library defines them."""
    top = {name: getattr(gammajax, name) for name in gammajax.__all__}
    for module in map(import_module, (f"gammajax.{m}" for m in MODULES)):
        top |= {f"{module.__name__.removeprefix('gammajax.')}.{n}": getattr(module, n) for n in module.__all__}
    found = {}
    for name, thing in top.items():
        found[name] = thing
        if inspect.isclass(thing):
            bases = [b for b in thing.__mro__ if b.__module__.startswith("gammajax")]
            for base in reversed(bases):
                members = {k: v for k, v in vars(base).items() if not k.startswith("_")}
                found |= {f"{base.__name__}.{k}": v for k, v in members.items() if documented(k, v)}
    return {k: v for k, v in found.items() if not inspect.ismodule(v)}


# not for a person to call: JAX's protocol, and the function behind a prior
PROTOCOL = ("tree_flatten", "tree_unflatten", "function")


def documented(name, member):
    """Whether a member has, or should have, a docstring of its own."""
    if name in PROTOCOL:
        return False
    member = getattr(member, "__func__", member)
    return inspect.isfunction(member) or isinstance(member, property)


def signature(thing):
    """Names of the parameters as a docstring should have them, without self and cls."""
    function = getattr(thing, "__func__", thing)
    bound = isinstance(thing, classmethod) or (inspect.isfunction(thing) and "." in thing.__qualname__)
    if isinstance(thing, staticmethod):
        bound = False
    parameters = list(inspect.signature(function).parameters.values())[int(bound) :]
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return [stars.get(p.kind, "") + p.name for p in parameters if not p.name.startswith("_")]


def declared(cls):
    """Of a model or prior: its numbers, which the constructor takes by name; None where its constructor says all."""
    rows, extra = getattr(cls, "declared", None), ["weight"] if issubclass(cls, Prior) else []
    if not isinstance(rows, tuple) or cls in (Prior, SpectralModel, gammajax.TemporalModel):
        return None
    if "__init__" not in vars(cls):
        return [d.name for d in rows] + extra
    taken = signature(cls.__init__)
    own = [d.name for d in rows if d.name not in taken]
    return [n for name in taken for n in (own if name == "**kwargs" else [name])]


def names_of(cls):
    """What the constructor of a class takes."""
    names = declared(cls)
    return signature(cls.__init__) if names is None else names


def section(doc, *titles):
    """Names on the left of one section of a docstring: ``a, b : float`` has two."""
    names = []
    for title in titles:
        match = re.search(rf"^{title}\n-+\n(.*?)(?=^\S[^\n]*\n-{{3,}}$|\Z)", doc, flags=re.DOTALL | re.MULTILINE)
        for line in match[1].splitlines() if match else ():
            if line and not line.startswith(" "):
                names += [n.strip() for n in line.split(" :")[0].split(",")]
    return names


def faults(name, thing):
    """What is wrong with the docstring of one object."""
    doc = inspect.getdoc(getattr(thing, "__func__", thing)) or ""
    first = doc.split("\n\n")[0]
    if not doc:
        return ["no docstring"]
    out = [] if first.rstrip().endswith((".", "!", "?")) else [f"the summary {first!r} has no full stop"]
    if isinstance(thing, property):
        return out
    if inspect.isclass(thing):
        if issubclass(thing, enum.Enum | Exception):
            return out
        listed = section(doc, "Parameters", "Other Parameters", "Attributes")
        if dataclasses.is_dataclass(thing):
            fields = [f.name for f in dataclasses.fields(thing) if not f.name.startswith("_")]
            wanted, listed = (
                fields,
                [n for n in listed if n in fields] + [n for n in section(doc, "Parameters") if n not in fields],
            )
        else:
            if "Make one with `" in doc and not section(doc, "Parameters"):
                return out
            listed, wanted = (
                section(doc, "Parameters", "Other Parameters"),
                names_of(thing),
            )
    else:
        listed, wanted = section(doc, "Parameters", "Other Parameters"), signature(thing)
    missing, unknown = [n for n in wanted if n not in listed], [n for n in listed if n not in wanted]
    if missing:
        out.append(f"not described: {', '.join(missing)}")
    if unknown:
        out.append(f"described but not taken: {', '.join(unknown)}")
    if not missing and not unknown and listed != wanted:
        out.append(f"described in the order {', '.join(listed)}, taken in the order {', '.join(wanted)}")
    return out


def test_public_docstrings():
    objects = public()
    assert len(objects) > 300
    wrong = [f"{name}: {'; '.join(f)}" for name, thing in objects.items() if (f := faults(name, thing))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("cls", MODELS, ids=lambda cls: cls.__name__)
def test_a_model_tells_formula_defaults_and_units(cls):
    doc = inspect.getdoc(cls)
    assert ":math:" in doc.split("Parameters\n---")[0]
    for d in cls.declared if isinstance(cls.declared, tuple) else ():
        text = re.search(rf"^(?:\w+, )*{d.name}(?:, \w+)* : .*?(?=^\S|\Z)", doc, flags=re.DOTALL | re.MULTILINE)[0]
        words = re.findall(r"[A-Za-z]+(?:-\d)?", text)
        assert d.value in [float(n) for n in re.findall(r"(?<![\w-])-?\d+(?:\.\d+)?(?:e-?\d+)?", text)], text
        assert set(d.unit.split()) <= set(words), text
        assert d.frozen == ("frozen" in words), text


def test_models_from_the_literature_name_it():
    """The rest are forms without an author: power laws, constants, a Gaussian, tables and compounds."""
    named = {cls.__name__ for cls in MODELS if "References\n---" in inspect.getdoc(cls)}
    assert len(named) >= 8
    assert {n for n in named if re.search("FGL|Parabola(2|S)|Crab|EBL|Smooth", n)} == {
        cls.__name__ for cls in MODELS if re.search("FGL|Parabola(2|S)|Crab|EBL|Smooth", cls.__name__)
    }
