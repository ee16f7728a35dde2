"""Run the fitting tutorial: ``python -m gammajax.tutorial --output FOLDER``, the same as ``gammajax tutorial``."""

import sys

from gammajax.cli import main

if __name__ == "__main__":
    sys.exit(main(["tutorial", *sys.argv[1:]]))
