"""The fitting tutorial as a program: ``python -m gammajax.tutorial``."""
