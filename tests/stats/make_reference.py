"""Make `reference.json`: ten bins with the statistics of Sherpa, and the same numbers in 60-digit arithmetic.

Run from the root of the repository, with Sherpa and mpmath installed:

    python -m tests.stats.make_reference          # recompute, compare with the stored file, write it
    python -m tests.stats.make_reference --check  # recompute and compare only

Sherpa is called through its public classes, one bin at a time (`calc_stat` returns the sum over bins, and the
second thing it returns is not the statistic per bin). Without Sherpa its stored numbers are kept and compared with
the 60-digit ones.
"""

import argparse
import importlib.util
import json
from pathlib import Path

import numpy as np

from tests.stats import oracle

FILE = Path(__file__).with_name("reference.json")
NAMES = ("wstat", "cash", "cstat")
SEED = 20260101
N_BINS = 10


def inputs() -> dict[str, list[float]]:
    """Ten bins: drawn from Poisson distributions, then empty ON, OFF and both, and no signal, set by hand."""
    random = np.random.default_rng(SEED)
    mu_sig = np.round(random.uniform(0.1, 12.0, N_BINS), 6)
    alpha = np.round(random.uniform(0.05, 1.5, N_BINS), 6)
    mu_off = random.uniform(1.0, 40.0, N_BINS)
    n_on, n_off = random.poisson(mu_sig + alpha * mu_off), random.poisson(mu_off)
    n_on[6], n_off[7], mu_sig[9] = 0, 0, 0.0
    n_on[8] = n_off[8] = 0
    return {
        "n_on": [float(x) for x in n_on],
        "n_off": [float(x) for x in n_off],
        "alpha": alpha.tolist(),
        "mu_sig": mu_sig.tolist(),
        # of cash and cstat, which know no background
        "mu_on": (mu_sig + 0.5).tolist(),
    }


def arguments(name: str, data: dict) -> list[tuple]:
    """Arguments of one statistic, bin by bin."""
    keys = ("n_on", "n_off", "alpha", "mu_sig") if name == "wstat" else ("n_on", "mu_on")
    return list(zip(*(data[key] for key in keys), strict=True))


def with_mpmath(data: dict) -> dict[str, list[float]]:
    return {name: [float(getattr(oracle, name)(*row)) for row in arguments(name, data)] for name in NAMES}


def with_sherpa(data: dict) -> dict[str, list[float]]:
    return {name: [_sherpa_bin(name, *row) for row in arguments(name, data)] for name in NAMES}


def _sherpa_bin(name: str, *row: float) -> float:
    """Statistic of a spectrum of one channel; alpha is the ratio of the BACKSCAL values."""
    from sherpa.astro.data import DataPHA
    from sherpa.data import Data1D
    from sherpa.models.basic import UserModel
    from sherpa.stats import Cash, CStat, WStat

    model = UserModel("expected", pars=())
    model.calc = lambda pars, *args, **kwargs: np.array([row[-1]])
    channel = np.array([1])
    if name != "wstat":
        data = Data1D("on", channel, np.array([row[0]]))
        return float({"cash": Cash, "cstat": CStat}[name]().calc_stat(data, model)[0])
    n_on, n_off, alpha, _ = row
    data = DataPHA("on", channel, np.array([n_on]), exposure=1.0, backscal=alpha)
    data.set_background(DataPHA("off", channel, np.array([n_off]), exposure=1.0, backscal=1.0))
    return float(WStat().calc_stat(data, model)[0])


def make(stored: dict | None) -> dict:
    """Everything recomputed; the numbers of Sherpa are the stored ones where it is not installed."""
    data = inputs()
    reference = {
        "seed": SEED,
        "versions": {"numpy": np.__version__, "mpmath": oracle.mp.__version__},
        "inputs": data,
    }
    reference["mpmath"] = with_mpmath(data)
    if importlib.util.find_spec("sherpa") is not None:
        import sherpa

        reference["versions"]["sherpa"] = sherpa.__version__
        reference["sherpa"] = with_sherpa(data)
    elif stored is not None:
        reference["versions"]["sherpa"] = stored["versions"]["sherpa"]
        reference["sherpa"] = stored["sherpa"]
    else:
        raise SystemExit("sherpa is not installed and there is no stored file to take its numbers from")
    return reference


def differences(one: dict, other: dict) -> list[str]:
    """Which numbers of two references differ, beyond the rounding of sums of ten terms of order 100."""
    pairs = [(one["inputs"][k], other["inputs"][k], f"inputs {k}") for k in one["inputs"]]
    pairs += [(one[s][n], other[s][n], f"{s} {n}") for s in ("mpmath", "sherpa") for n in NAMES]
    pairs += [(one["mpmath"][n], one["sherpa"][n], f"{n} of mpmath and of Sherpa") for n in NAMES]
    return [text for a, b, text in pairs if not np.allclose(a, b, rtol=1e-12, atol=1e-12)]


def main() -> None:
    """Recompute, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the stored file, write nothing")
    check = parser.parse_args().check
    stored = json.loads(FILE.read_text()) if FILE.exists() else None
    reference = make(stored)
    wrong = differences(reference, stored or reference)
    print("\n".join(f"differs: {text}" for text in wrong) or "all numbers agree")
    if not check:
        FILE.write_text(json.dumps(reference, indent=1) + "\n")
    elif wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
