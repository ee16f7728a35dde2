# Needs only Python (3.11 or newer, with venv) and make.
#
#   make tutorial            the whole analysis, into the folder tutorial-output
#   make test                all tests: unit, doctests, notebooks
#   make PYTHON=python3.13   another interpreter; VENV=... another environment

PYTHON ?= python3
VENV ?= .venv
OUTPUT ?= tutorial-output
# SHERPA=1 adds the sherpa backend, which builds from source (see the README)
SHERPA ?=
# further arguments of pytest, such as ARGS="-k wstat"
ARGS ?=
# test processes side by side; the tests of one file stay in one process and share what they compile
JOBS ?= 2

MINIMUM := (3, 11)
comma := ,
TEST_EXTRAS := test,oracle$(if $(SHERPA),$(comma)sherpa)
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check
INSTALLED := $(VENV)/.installed
INSTALLED_TEST := $(VENV)/.installed-$(subst $(comma),-,$(TEST_EXTRAS))
INSTALLED_LINT := $(VENV)/.installed-lint
INSTALLED_DOCS := $(VENV)/.installed-docs

.DEFAULT_GOAL := help
.PHONY: help tutorial test notebooks slow lint types docs benchmarks clean interpreter

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | sed -n '1,/^$$/p;/^  make/p'
	@echo "  make notebooks | slow | lint | types | docs | benchmarks | clean"

tutorial: $(INSTALLED)
	$(BIN)/python -m gammajax.tutorial --output $(OUTPUT)

test: $(INSTALLED_TEST)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --doctest-modules src tests $(ARGS)

notebooks: $(INSTALLED_TEST)
	$(BIN)/python -m pytest -m notebook tests/test_notebooks.py $(ARGS)

slow: $(INSTALLED_TEST)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m slow tests $(ARGS)

benchmarks: $(INSTALLED_TEST)
	$(PIP) -e ".[bench]"
	$(BIN)/python -m benchmarks $(ARGS)
	$(BIN)/python -m benchmarks.scans

lint: $(INSTALLED_LINT)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED_LINT)
	$(BIN)/mypy

# pages into docs/_build/html, every warning an error
docs: $(INSTALLED_DOCS)
	$(BIN)/python -m sphinx -q -E -W --keep-going -b html docs docs/_build/html $(ARGS)

clean:
	rm -rf docs/_build docs/generated $(VENV) $(OUTPUT) build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis

# The environment is made once; it is installed anew only when pyproject.toml changes (the sources are live).
# A stamp is written last, so that an install that was interrupted is done again.
$(INSTALLED): pyproject.toml | interpreter
	$(PIP) -e .
	@touch $@

# Where gammapy cannot be installed the tests that compare with it show as skipped.
$(INSTALLED_TEST): pyproject.toml | interpreter
	$(PIP) -e ".[$(TEST_EXTRAS)]" || { \
	  echo "gammajax: the extras $(TEST_EXTRAS) could not be installed together; going on with the tests alone." >&2; \
	  $(PIP) -e ".[test]"; }
	@touch $@ $(INSTALLED)

$(INSTALLED_LINT): pyproject.toml | interpreter
	$(PIP) -e ".[lint]"
	@touch $@ $(INSTALLED)

$(INSTALLED_DOCS): pyproject.toml | interpreter
	$(PIP) -e ".[docs]"
	@touch $@ $(INSTALLED)

interpreter:
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
	  echo "gammajax: there is no '$(PYTHON)' here; name a Python 3.11 or newer: make PYTHON=/path/of/python3 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = ".".join(map(str, sys.version_info[:3])); ok = sys.version_info >= $(MINIMUM); \
	ok or sys.exit("gammajax: $(PYTHON) is Python %s, but gammajax needs Python 3.11 or newer; name another one: make PYTHON=python3.13 $(MAKECMDGOALS)" % v)'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "gammajax: $(PYTHON) cannot make virtual environments (module venv or ensurepip is missing; on Debian: apt-get install python3-venv)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv --clear $(VENV)
	@wanted="$$($(PYTHON) -c 'import sys; print(*sys.version_info[:2], sep=".")')"; \
	there="$$($(BIN)/python -c 'import sys; print(*sys.version_info[:2], sep=".")')"; \
	test "$$wanted" = "$$there" || { \
	  echo "gammajax: $(VENV) has Python $$there, but $(PYTHON) is Python $$wanted; 'make clean' removes it, VENV=... names another" >&2; exit 1; }
