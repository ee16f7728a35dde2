"""File formats; importing this package registers them with the data sets."""

from gammajax.io.ogip import read_ogip, write_ogip

__all__ = ["read_ogip", "write_ogip"]
