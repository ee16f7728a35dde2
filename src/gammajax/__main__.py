"""``python -m gammajax`` is the command ``gammajax``."""

from gammajax.cli import program

if __name__ == "__main__":
    program()
