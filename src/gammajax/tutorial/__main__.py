"""Run the fitting tutorial: ``python -m gammajax.tutorial --output FOLDER``."""

import argparse

from gammajax.cache import enable_compilation_cache
from gammajax.tutorial.run import run


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m gammajax.tutorial", description="The gammajax fitting tutorial.")
    parser.add_argument("--output", default="tutorial-output", help="folder for figures and tables")
    parser.add_argument("--no-plots", action="store_true", help="compute and write the tables, draw nothing")
    parser.add_argument("--no-cache", action="store_true", help="compile everything anew, keep no compiled programs")
    arguments = parser.parse_args()
    if not arguments.no_cache:
        print(f"Compiled programs are kept in {enable_compilation_cache()}")
    run(arguments.output, plots=not arguments.no_plots)


if __name__ == "__main__":
    main()
