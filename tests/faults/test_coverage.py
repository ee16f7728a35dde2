"""Every entry of the list of bad inputs and faults has a row in a table of this folder."""

import importlib
from pathlib import Path

# the entries of reference/faults.md
REQUIRED = frozenset(range(1, 81))
# entries by the module that has them: input files; documents and writes; fits; scans, processes and devices
PARTS = {
    "test_files": frozenset(range(1, 45)),
    "test_yaml": frozenset({73, 74, 75, 76, 77}),
    "test_writes": frozenset({71}),
    "test_scans": frozenset({68, 69, 70, 71, 72}),
}


def numbers(name):
    return frozenset(importlib.import_module(f"tests.faults.{name}").NUMBERS)


def found():
    names = sorted(p.stem for p in Path(__file__).parent.glob("test_*.py") if p.stem != "test_coverage")
    return {name: numbers(name) for name in names}


def test_every_module_has_its_entries():
    have = found()
    for name, expected in PARTS.items():
        assert expected <= have[name], (name, sorted(expected - have[name]))


def test_no_entry_is_missing():
    have = frozenset().union(*found().values())
    assert have == REQUIRED, f"missing: {sorted(REQUIRED - have)}; unknown: {sorted(have - REQUIRED)}"
