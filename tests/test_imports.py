"""The architecture: which package may import which, what `import gammajax` does, what no file may name."""

import ast
import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"

# Bottom to top. A package imports only from rows below its own; those of one row never import one another.
# Data sets carry models and responses and so stand on them; `fit` calls `scan` (Fit.stat_profile), never the
# reverse.
LAYERS = [
    ["direct", "elsewhere", "errors", "runtime"],
    [
        "arguments",
        "closed",
        "units",
        "cache",
        "elementary",
        "hooks",
        "lazy",
        "progress",
        "provenance",
        "sequence",
        "times",
    ],
    ["compiling"],
    ["parameters"],
    ["models", "response", "stats"],
    ["datasets"],
    ["likelihood"],
    ["solve"],
    ["scan"],
    ["fit"],
    ["io", "interop", "plotting", "data"],
]
LEVEL = {package: level for level, row in enumerate(LAYERS) for package in row}

# the public names and the program that uses them may import everything
FREE = {"", "__main__", "cli", "public", "tutorial"}

# what an installation may lack, or what makes a cold start slow: module -> where it may be imported
ONLY_IN = {
    "gammapy": ("gammajax.interop",),
    "xarray": ("gammajax.scan.result",),
    "matplotlib": ("gammajax.plotting", "gammajax.tutorial"),
    "sherpa": ("gammajax.fit.backends.sherpa_opt",),
    "distributed": ("gammajax.scan.dask",),
    "pooch": ("gammajax.data.download",),
}
# imported inside functions only: none of them is needed before something is read, fitted or printed
LAZY = (
    "distributed",
    "pooch",
    "astropy.io",
    "astropy.table",
    "iminuit",
    "matplotlib",
    "optax",
    "scipy",
    "sherpa",
    "tqdm",
    "yaml",
)


class Import(NamedTuple):
    """One import statement: in which module, of which, at which line, inside which functions."""

    source: str
    target: str
    line: int
    functions: tuple[str, ...]

    def __str__(self):
        inside = f" (in {'.'.join(self.functions)})" if self.functions else ""
        return f"{self.source}:{self.line} imports {self.target}{inside}"


def package(module):
    """First name below gammajax: "gammajax.fit.minos" -> "fit", "gammajax" -> ""."""
    return [*module.split("."), ""][1]


def find_modules(source):
    """Dotted name -> file of every module below a folder."""
    modules = {}
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


class Visitor(ast.NodeVisitor):
    """Collect the imports of one module, those inside functions and import_module("...") included."""

    def __init__(self, module, is_package, modules):
        self.module, self.modules = module, modules
        self.package = module if is_package else module.rpartition(".")[0]
        self.functions = []
        self.found = []

    def add(self, target, node):
        self.found.append(Import(self.module, target, node.lineno, tuple(self.functions)))

    def visit_FunctionDef(self, node):
        self.functions.append(node.name)
        self.generic_visit(node)
        self.functions.pop()

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Import(self, node):
        for alias in node.names:
            self.add(alias.name, node)

    def visit_ImportFrom(self, node):
        name = "." * node.level + (node.module or "")
        base = importlib.util.resolve_name(name, self.package) if node.level else name
        for alias in node.names:
            full = f"{base}.{alias.name}"
            # `from package import module` is an import of that module; astropy.io is one of a foreign package
            foreign = not base.startswith("gammajax")
            self.add(full if full in self.modules or foreign else base, node)

    def visit_Call(self, node):
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in ("import_module", "__import__") and node.args:
            argument = node.args[0]
            if isinstance(argument, ast.Constant):
                self.add(str(argument.value), node)
            else:
                self.add("<computed>", node)
        self.generic_visit(node)


def find_imports(source):
    """All imports of all modules below a folder."""
    modules = find_modules(source)
    found = []
    for module, path in modules.items():
        visitor = Visitor(module, path.name == "__init__.py", modules)
        visitor.visit(ast.parse(path.read_text()))
        found += visitor.found
    return found


def within(module, name):
    return module == name or module.startswith(name + ".")


def is_plot_method(edge):
    """Whether it is the one exemption: a plot method that imports gammajax.plotting when it is called."""
    names = edge.functions
    return package(edge.target) == "plotting" and any(n.startswith("plot") or n == "peek" for n in names)


def against_the_arrows(imports):
    """Imports inside gammajax that do not point down."""
    wrong = []
    for edge in imports:
        source, target = package(edge.source), package(edge.target)
        if not within(edge.target, "gammajax") or source in FREE or source == target or is_plot_method(edge):
            continue
        if target not in LEVEL or LEVEL[target] >= LEVEL[source]:
            wrong.append(str(edge))
    return wrong


def find_cycle(imports):
    """One cycle among the modules as a list of names, or [] (the public names and plot methods left out)."""
    graph = {}
    for edge in imports:
        if within(edge.target, "gammajax") and package(edge.target) and package(edge.source) not in FREE:
            if edge.source != edge.target and not is_plot_method(edge):
                graph.setdefault(edge.source, set()).add(edge.target)
    done = set()

    def visit(node, path):
        if node in path:
            return [*path[path.index(node) :], node]
        if node not in done:
            for following in sorted(graph.get(node, ())):
                if cycle := visit(following, [*path, node]):
                    return cycle
            done.add(node)
        return []

    return next((cycle for node in sorted(graph) if (cycle := visit(node, []))), [])


@pytest.fixture(scope="module")
def imports():
    found = find_imports(SOURCE)
    # the collector sees something: far more than one import for each folder
    assert len(found) > 100
    return found


def test_every_module_has_its_place():
    modules = find_modules(SOURCE)
    assert [m for m in modules if package(m) not in FREE and package(m) not in LEVEL] == []


def test_imports_point_one_way(imports):
    assert against_the_arrows(imports) == []


def test_no_module_imports_itself_in_a_circle(imports):
    assert find_cycle(imports) == []


def test_a_backend_knows_no_model_and_no_dataset(imports):
    known = ("gammajax.errors", "gammajax.units", "gammajax.fit.backends")
    wrong = [
        str(edge)
        for edge in imports
        if within(edge.source, "gammajax.fit.backends") and within(edge.target, "gammajax")
        if not any(within(edge.target, name) for name in known)
    ]
    assert wrong == []


@pytest.mark.parametrize("name", ONLY_IN)
def test_optional_packages_are_imported_in_one_place(name, imports):
    wrong = [
        str(edge)
        for edge in imports
        if within(edge.target, name) and not any(within(edge.source, place) for place in ONLY_IN[name])
    ]
    assert wrong == []


def test_slow_packages_are_imported_inside_functions(imports):
    wrong = [
        str(edge)
        for edge in imports
        if not edge.functions and any(within(edge.target, name) for name in LAZY)
        if package(edge.source) != "tutorial"
    ]
    assert wrong == []


def test_no_name_that_is_loaded_when_used_is_that_of_a_module():
    """Python puts a module into its package as soon as it is imported: it would stand in the place of the name."""
    from gammajax.lazy import _homes

    packages = [p.parent for p in SOURCE.rglob("__init__.py") if "names_of(__name__)" in p.read_text()]
    assert SOURCE / "gammajax" / "likelihood" in packages
    for folder in packages:
        homes = _homes(".".join(folder.relative_to(SOURCE).parts), ".".join(folder.relative_to(SOURCE).parts))
        modules = {p.stem for p in folder.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
        assert not modules.intersection(name for name, (_, there) in homes.items() if there), folder


def test_computed_imports_are_those_of_backends_and_commands(imports):
    computed = {edge.source for edge in imports if edge.target == "<computed>"}
    assert computed <= {"gammajax.fit.backends", "gammajax.cli", "gammajax.hooks", "gammajax.lazy"}


WRONG = {
    "down to up": ("models/a.py", "import gammajax.likelihood\n"),
    "inside a function": ("stats/a.py", "def f():\n    from gammajax.fit import Fit\n"),
    "siblings": ("response/a.py", "from gammajax.models import spectral\n"),
    "scan to fit": ("scan/a.py", "from gammajax import fit\n"),
    "the public names": ("solve/a.py", "from gammajax import Fit\n"),
    "relative": ("models/a.py", "from ..datasets import spectrum\n"),
    "by a string": ("solve/a.py", 'importlib.import_module("gammajax.scan")\n'),
    "plotting, not in a plot method": ("fit/a.py", "def draw():\n    from gammajax import plotting\n"),
}


def write_tree(folder, name, text):
    for layer in [row for rows in LAYERS for row in rows]:
        (folder / "gammajax" / layer).mkdir(parents=True)
        (folder / "gammajax" / layer / "__init__.py").touch()
    (folder / "gammajax" / "__init__.py").touch()
    (folder / "gammajax" / name).write_text(text)
    return find_imports(folder)


@pytest.mark.parametrize("case", WRONG)
def test_the_check_sees_what_is_wrong(case, tmp_path):
    assert len(against_the_arrows(write_tree(tmp_path, *WRONG[case]))) == 1


def test_the_check_exempts_a_plot_method(tmp_path):
    text = "class A:\n    def plot_error(self):\n        from gammajax.plotting import band\n"
    assert against_the_arrows(write_tree(tmp_path, "models/a.py", text)) == []


def test_the_check_sees_a_circle(tmp_path):
    write_tree(tmp_path, "models/a.py", "from gammajax.models import b\n")
    (tmp_path / "gammajax" / "models" / "b.py").write_text("def f():\n    import gammajax.models.a\n")
    assert find_cycle(find_imports(tmp_path)) == [
        "gammajax.models.a",
        "gammajax.models.b",
        "gammajax.models.a",
    ]


def run_python(code, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=300,
    )


QUIET_GUEST = """
import json, os, sys, warnings
import jax
import numpy as np

def settings():
    jax_config = {name: repr(value) for name, value in jax.config.values.items()}
    return {"jax": jax_config, "environment": dict(os.environ), "numpy": np.geterr()}

before = settings()
import gammajax
# the public names are loaded when the first is used
assert gammajax.Fit
after = settings()
changed = [f"{kind} {name}" for kind in before for name in {*before[kind], *after[kind]}
           if before[kind].get(name) != after[kind].get(name)]
print(json.dumps({"settings": len(before["jax"]), "changed": changed, "modules": sorted(sys.modules)}))
"""


def test_import_is_a_quiet_guest():
    run = run_python(QUIET_GUEST)
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert report["settings"] > 50
    assert report["changed"] == []
    for name in ("matplotlib", "gammapy", "sherpa", "xarray", "iminuit", "optax"):
        assert name not in report["modules"]


def test_import_does_not_initialise_jax():
    # with a platform that does not exist, whatever initialises a backend fails
    assert run_python("import gammajax; gammajax.Fit", JAX_PLATFORMS="nowhere").returncode == 0
    run = run_python("import gammajax, jax; jax.devices()", JAX_PLATFORMS="nowhere")
    assert run.returncode != 0
    assert "nowhere" in run.stderr


WITHOUT_JAX = """
import sys
import gammajax
from gammajax.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
found = [n for n in ("jax", "astropy", "scipy", "gammajax.fit") if n in sys.modules]
assert found == [], found
print(code)
"""


@pytest.mark.parametrize("call", [["--help"], ["scan", "--help"], ["scan", "status", "nowhere"]])
def test_the_command_answers_without_jax(call):
    run = run_python(WITHOUT_JAX, *call)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == ("2" if "status" in call else "0")


NAMES = """
import sys
import gammajax
assert "jax" not in sys.modules
assert "Fit" in dir(gammajax)
from gammajax import Fit, io
assert gammajax.scan.open is gammajax.scan.stored.open_scan
import gammajax.public
assert set(gammajax.__all__) == set(gammajax.public.__all__)
try:
    gammajax.Fitt
except AttributeError as error:
    print(error)
"""


def test_public_names_are_loaded_when_they_are_used():
    run = run_python(NAMES)
    assert run.returncode == 0, run.stderr
    assert run.stdout == "module 'gammajax' has no attribute 'Fitt'; you may mean gammajax.Fit\n"


PACKAGES = ("datasets", "fit", "io", "likelihood", "models", "models.temporal", "scan", "solve")


@pytest.mark.parametrize("name", PACKAGES)
def test_packages_offer_what_they_list(name):
    package = importlib.import_module(f"gammajax.{name}")
    listed = package.__all__
    # the names are read from the import statements, the list is what a star import takes
    assert sorted(listed) == package.__getattr__("__all__")
    assert set(listed) <= set(dir(package))
    for each in listed:
        assert getattr(package, each) is not None
    with pytest.raises(AttributeError, match=f"module 'gammajax.{name}' has no attribute 'nothing_of_ours'"):
        package.__getattr__("nothing_of_ours")


def test_whatever_announces_itself_is_where_it_is_looked_for():
    from gammajax import hooks

    for name in hooks._home_of:
        assert callable(hooks.hook(name)), name


SMALL = """
import sys
from gammajax import Fit, LogParabolaSpectralModel, SkyModel, SpectrumDatasetOnOff
from gammajax.data import embedded_ogip_files
dataset = SpectrumDatasetOnOff.read(embedded_ogip_files()[0])
dataset.models = [SkyModel(LogParabolaSpectralModel(), "a")]
assert Fit([dataset]).run().success
others = ("gammajax.scan.", "gammajax.io.yaml", "gammajax.fit.flux", "gammajax.models.temporal.models")
print(*(m for m in sys.modules if m.startswith(others)))
"""


def test_a_fit_loads_nothing_of_scans_and_estimators():
    """What is not used costs a start nothing: a third of the time of the import was that."""
    run = run_python(SMALL)
    assert run.returncode == 0, run.stderr
    assert run.stdout == "\n"


ALONE = {
    "parameters": "gammajax.parameters.Parameter('a', 1.0)",
    "models": "gammajax.models.PowerLawSpectralModel().integral(1 * u.TeV, 2 * u.TeV)",
    "models to a file": "gammajax.models.Models([gammajax.models.SkyModel(gammajax.models.PowerLawSpectralModel(), 'a')]).to_yaml()",
    "datasets": "gammajax.datasets.SpectrumDatasetOnOff.read(files[0]).info_dict()",
    "datasets to a file": "gammajax.datasets.SpectrumDatasetOnOff.read(files[0], format='ogip')",
    "likelihood": "gammajax.likelihood.Likelihood.from_function(lambda t: t[0] ** 2, {'a': 1.0})",
    "scan": "gammajax.scan.check_axis",
    "scan.worker": "gammajax.scan.worker.task_of",
    "scan.dask": "gammajax.scan.dask.settings()",
    "scan.store": "gammajax.scan.store.machine()",
    "solve": "gammajax.solve.Status(1)",
    "fit": "gammajax.fit.Fit",
    "io": "gammajax.io.read_ogip(files[0])",
    "plotting": "gammajax.plotting",
}


@pytest.mark.slow
@pytest.mark.parametrize("what", ALONE)
def test_every_package_can_be_imported_by_itself(what):
    """What announces itself to it is loaded when it is looked up."""
    code = (
        f"import gammajax.{what.split()[0]}\nimport astropy.units as u\nfrom gammajax.data import embedded_ogip_files\n"
    )
    run = run_python(f"{code}files = embedded_ogip_files()\n{ALONE[what]}")
    assert run.returncode == 0, run.stderr


def project_files():
    """Files that are tracked, or would be with the next commit."""
    try:
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not in a git checkout")
    return [path for name in listed.splitlines() if (path := ROOT / name).is_file()]


MACHINE_PATH = re.compile(rb"(?<![\w.>-])/(root|work|opt|home/\w+|Users/\w+|tmp/\w+)(?![\w.-])")
REGISTRY = re.compile(rb"pypi\.org|pythonhosted\.org|(deb|security)\.debian\.org")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"path = '/%s/project/x'" % b"root", True),
        (b"cd /%s/main" % b"work", True),
        (b"#!/%s/bin/python" % b"opt", True),
        (b"../shared/gammapy-data and a/%s/b" % b"work", False),
        (b"data/options", False),
    ],
)
def test_the_pattern_of_a_machine_path(text, found):
    assert bool(MACHINE_PATH.search(text)) is found


def test_no_file_names_a_path_of_a_machine_or_a_registry():
    files = project_files()
    assert len(files) > 50
    wrong = [
        f"{path.relative_to(ROOT)}: {match.group().decode()}"
        for path in files
        for pattern in (MACHINE_PATH, REGISTRY)
        if (match := pattern.search(path.read_bytes()))
    ]
    assert wrong == []
