"""``python -m gammajax`` is the command ``gammajax``."""

import sys

from gammajax.cli import main

if __name__ == "__main__":
    sys.exit(main())
