"""``gammajax tutorial``: the fitting tutorial, end to end."""

import argparse

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--output", default="tutorial-output", help="folder for figures and tables")
    parser.add_argument("--no-plots", action="store_true", help="compute and write the tables, draw nothing")
    parser.add_argument("--no-cache", action="store_true", help="compile everything anew, keep no compiled programs")


def run(arguments: argparse.Namespace) -> int:
    """Run the tutorial."""
    from gammajax.cache import enable_compilation_cache
    from gammajax.tutorial.run import run as run_tutorial

    if not arguments.no_cache:
        print(f"Compiled programs are kept in {enable_compilation_cache()}")
    run_tutorial(arguments.output, plots=not arguments.no_plots)
    return 0
