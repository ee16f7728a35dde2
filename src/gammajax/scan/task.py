"""A scan cut into chunks, each of which is a pure function of the task and its number.

A `Task` holds everything: what is scanned, the likelihood, where every node starts, and the partition. Nothing in it refers to the
objects that a person holds, so it can be stored, sent to another process, and found there the same.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from gammajax.errors import InputError
from gammajax.hooks import hook
from gammajax.provenance import data_hash
from gammajax.scan.axes import Grid, grids_of
from gammajax.scan.identity import digest, fingerprint, structure_digest
from gammajax.scan.portable import decode, encode
from gammajax.solve.batch import MAX_ITER, SPECIALISE, TOL

__all__ = ["KERNEL", "Grid", "Task", "check_kernel", "make_task"]

# to be raised whenever what a node comes out as changes, by rounding included: a scan is of one kind. 2: surfaces by factors of each axis
KERNEL = 2
ARRAYS = ("theta", "lower", "upper", "scale", "factor", "hessian")


@dataclass(frozen=True)
class Task:
    """A scan.

    Attributes
    ----------
    spec : dict
        What makes it this scan and no other, as plain values: grids, parameters, tolerances, digests of data and model, partition.
    info : dict
        What results tell beside that: units, best fit, options.
    theta, lower, upper, scale, factor : array, shape (P,)
        Best fit, limits and scales in internal units, and internal units per unit of the parameter.
    hessian : array, shape (P, P)
        Exact Hessian at the best fit; zeros in a frozen scan.
    compact : pytree
        The likelihood as the solver takes it.
    structure : object or None
        The likelihood's structure as plain values; None where it cannot be written down.
    models : str or None
        The models as a model file.
    """

    spec: dict[str, Any]
    info: dict[str, Any]
    theta: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    scale: np.ndarray
    factor: np.ndarray
    hessian: np.ndarray
    compact: Any
    structure: Any = None
    models: str | None = None
    why: str = ""
    placed: dict = field(default_factory=dict, repr=False, compare=False)

    # -- what it is ------------------------------------------------------------------------------------------------

    @property
    def fingerprint(self) -> str:
        """SHA-256 of `spec`."""
        return fingerprint(self.spec)

    @property
    def grids(self) -> tuple[Grid, ...]:
        """The grids, one after the other in the numbering of the nodes."""
        return grids_of(self.spec)

    @property
    def n_nodes(self) -> int:
        """Nodes of all grids."""
        return sum(g.size for g in self.grids)

    @property
    def chunk_size(self) -> int:
        """Nodes of a chunk; the last one has fewer."""
        return int(self.spec["chunk_size"])

    @property
    def n_chunks(self) -> int:
        """Number of chunks."""
        return -(-self.n_nodes // self.chunk_size)

    @property
    def refits(self) -> bool:
        """Whether anything is fitted at the nodes."""
        return self.spec["kind"] == "profile"

    @property
    def free(self) -> np.ndarray:
        """Which parameters a fit varies, shape (P,)."""
        return np.array([n in self.spec["free"] for n in self.spec["parameters"]], dtype=bool)

    # -- what the solver asks a likelihood for -----------------------------------------------------------------------

    @property
    def start(self) -> np.ndarray:
        """The best fit, shape (P,)."""
        return self.theta

    # -- there and back ----------------------------------------------------------------------------------------------

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays by name, those of the likelihood numbered."""
        own = {name: getattr(self, name) for name in ARRAYS}
        return own | {f"leaf_{n}": np.asarray(a) for n, a in enumerate(jax.tree.leaves(self.compact))}

    def document(self) -> dict[str, Any]:
        """All plain values."""
        return {
            "spec": self.spec,
            "info": self.info,
            "structure": self.structure,
            "models": self.models,
            "why": self.why,
        }

    def with_chunks(self, size: int) -> "Task":
        """The same scan in chunks of another size."""
        return Task(**self._fields() | {"spec": self.spec | {"chunk_size": int(size)}})

    def with_arrays(self, document: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Task":
        """The stored form of this very scan: its numbers, with the functions of this one."""
        flat, structure = jax.tree.flatten(self.compact)
        stored = [arrays.get(f"leaf_{n}") for n in range(len(flat))]
        if f"leaf_{len(flat)}" in arrays or any(
            a is None or a.shape != b.shape for a, b in zip(stored, flat, strict=True)
        ):
            numbers = range(sum(k.startswith("leaf_") for k in arrays))
            if document["structure"] is not None and all(f"leaf_{n}" in arrays for n in numbers):
                # the same scan by its specification, whose likelihood an earlier version laid out in another way
                return self.rebuilt(document, arrays)
            raise InputError(
                "store: the likelihood of that scan was laid out by another version of gammajax; go on with that version, or begin anew "
                "in another folder."
            )
        compact = jax.tree.unflatten(structure, stored)
        return self.of(document, arrays, compact)

    @classmethod
    def of(cls, document: dict[str, Any], arrays: dict[str, np.ndarray], compact: Any) -> "Task":
        """A task from its plain values, its arrays and the likelihood."""
        check_kernel(document["spec"])
        numbers = {n: arrays[n] for n in ARRAYS}
        return cls(**(document | numbers), compact=compact)

    @classmethod
    def rebuilt(cls, document: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Task":
        """A task from its plain values and arrays alone.

        Raises
        ------
        InputError
            If the likelihood holds functions of a process that is gone.
        """
        if document["structure"] is None:
            raise InputError(
                f"scan: this likelihood cannot be rebuilt from its folder ({document['why']}); run the scan from the program that "
                "made it, with the same call."
            )
        models = _read_models(document["models"])
        leaves = [arrays[f"leaf_{n}"] for n in range(sum(k.startswith("leaf_") for k in arrays))]
        compact = decode(document["structure"], leaves, models)
        if structure_digest(compact.structure) != document["spec"]["model"]:
            raise InputError(
                "scan: the models of the scan are defined differently here; import the file that defined them as it was then."
            )
        return cls.of(document, arrays, compact)

    def _fields(self) -> dict[str, Any]:
        names = ("spec", "info", *ARRAYS, "compact", "structure", "models", "why")
        return {n: getattr(self, n) for n in names}


def check_kernel(spec: dict[str, Any]) -> None:
    """Refuse to go on with a scan whose nodes come out differently here.

    Raises
    ------
    InputError
        With both numbers.
    """
    if spec.get("kernel") != KERNEL:
        raise InputError(
            f"scan: it was begun by a version of gammajax that computes nodes in another way (kernel {spec.get('kernel')!r}, here "
            f"{KERNEL}), the numbers would not be of one kind; go on with that version, or begin anew in another folder. What is done "
            "can be read with gammajax.scan.open."
        )


def make_task(
    likelihood: Any,
    grids: Sequence[Grid],
    *,
    hessian: np.ndarray | None,
    best: float,
    starts: int = 1,
    options: dict[str, Any] | None = None,
    chunk_size: int = 1,
) -> Task:
    """A task from a likelihood and grids.

    Parameters
    ----------
    likelihood : `gammajax.Likelihood`
        The function; its start is the best fit, or what is held in a frozen scan.
    grids : sequence of `Grid`
        What is scanned.
    hessian : array, shape (P, P), or None
        Exact Hessian at the best fit; None for a frozen scan.
    best : float
        Statistic there.
    starts : int
        Starts per node.
    options : dict, optional
        `tol` and `max_iter` of the re-fit.
    chunk_size : int
        Nodes of a chunk.
    """
    options = dict(options or {})
    table, compact = likelihood.table, likelihood.compact()
    scanned = {n for g in grids for n in g.names}
    free = [n for n, f in zip(table.names, table.free, strict=True) if f]
    # with several grids a parameter that one of them scans is re-fitted in another
    stored = [n for n in free if len(grids) > 1 or n not in scanned]
    refits = hessian is not None
    held = {
        n: float(v)
        for n, v, f in zip(table.names, table.theta, table.free, strict=True)
        if not (refits and f) and not all(n in g.names for g in grids)
    }
    spec = {
        "kernel": KERNEL,
        "kind": "profile" if refits else "frozen",
        "dtype": "float64",
        "grids": [
            {"names": list(g.names), "index": list(g.index), "axes": [a.tolist() for a in g.axes]} for g in grids
        ],
        "parameters": list(table.names),
        "free": free,
        "held": held,
        "limits": {n: [_limit(a), _limit(b)] for n, a, b in zip(table.names, table.lower, table.upper, strict=True)},
        "start": f"best fit and linear prediction, {starts} per node" if refits else "none",
        "starts": int(starts),
        "tol": float(options.get("tol", TOL)),
        "max_iter": int(options.get("max_iter", MAX_ITER)),
        "data": data_hash(likelihood.data),
        "priors": digest(jax.tree.leaves(likelihood.numbers)),
        "model": structure_digest(likelihood.structure),
        "chunk_size": int(chunk_size),
    }
    info = {
        "stored": stored if refits else [],
        "units": {n: p.unit.to_string() for n, p in _parameters(likelihood).items()},
        "best": {n: float(p.value) for n, p in _parameters(likelihood).items()},
        "stat_best": float(best),
        "options": options,
        "step": likelihood.step,
        "large": sum(g.size for g in grids) >= SPECIALISE,
    }
    structure, models, why = _portable(compact, likelihood.models)
    n_par = len(table.theta)
    return Task(
        spec, info, table.theta.copy(), table.lower.copy(), table.upper.copy(), table.scale.copy(), table.factor.copy(),
        np.zeros((n_par, n_par)) if hessian is None else hessian, compact, structure, models, why,
    )  # fmt: skip


def _limit(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _parameters(likelihood: Any) -> dict[str, Any]:
    unique = likelihood.parameters.unique_parameters
    return dict(zip(likelihood.names, unique, strict=True))


def _portable(compact: Any, models: Any) -> tuple[Any, str | None, str]:
    """Structure and models as plain values, or why they have no such form."""
    try:
        text = hook("models to yaml")(models, True)
        document = encode(compact, models)
        again = decode(document, jax.tree.leaves(compact), _read_models(text))
    except InputError as error:
        return None, None, str(error)
    if structure_digest(again.structure) != structure_digest(compact.structure):
        return None, None, "its models read from a file are not the same"
    return document, text, ""


def _read_models(text: str) -> Any:
    with warnings.catch_warnings():
        # what is not taken up from a model file takes no part here either
        warnings.simplefilter("ignore")
        return hook("models from yaml")(text)
