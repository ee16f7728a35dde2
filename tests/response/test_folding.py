import numpy as np
import pytest

from gammajax.errors import DataError
from gammajax.response import check_dispersion, diagonal_dispersion, fold


def test_fold_is_the_matrix_product():
    flux, exposure, edisp = np.array([1.0, 2.0]), np.array([3.0, 0.5]), np.array([[0.2, 0.8, 0.0], [0.0, 0.5, 0.4]])
    np.testing.assert_allclose(fold(flux, exposure, edisp), [0.6, 2.9, 0.4])


def test_diagonal_dispersion_keeps_what_is_inside_the_axis():
    true, reco = np.geomspace(0.1, 10, 8), np.geomspace(0.3, 20, 5)
    matrix = diagonal_dispersion(true, reco)
    inside = (true[:-1] >= reco[0]) & (true[1:] <= reco[-1])
    np.testing.assert_allclose(matrix[inside].sum(axis=1), 1.0)
    assert np.all(matrix.sum(axis=1) <= 1 + 1e-12)


@pytest.mark.parametrize(
    ("matrix", "text"),
    [
        (np.ones((3, 2)) / 2, r"edisp has shape \(3, 2\), expected \(n_true, n_reco\) = \(2, 3\)"),
        (np.array([[0.1, np.nan, 0], [0, 0, 0]]), r"edisp\[0, 1\] is nan"),
        (np.array([[0.1, 0, 0], [0, -0.2, 0]]), r"edisp\[1, 1\] is -0.2"),
        (np.array([[0.1, 0, 0], [0.9, 0.9, 0]]), r"row 1 of edisp adds up to 1.8, expected at most 1"),
    ],
)
def test_impossible_matrices_are_refused(matrix, text):
    with pytest.raises(DataError, match=text):
        check_dispersion(matrix, 2, 3, "run 1")
