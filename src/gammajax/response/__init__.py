"""Response: flux per true-energy bin to predicted counts per reconstructed bin."""

from gammajax.response.folding import check_dispersion, diagonal_dispersion, fold

__all__ = ["check_dispersion", "diagonal_dispersion", "fold"]
