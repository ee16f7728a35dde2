"""Benchmarks of gammajax beside gammapy: ``python -m benchmarks``."""
