"""Pieces of large work, run side by side."""

from threading import Event
from time import sleep

import pytest

from gammajax.solve.programs import in_parallel


def test_where_a_piece_fails_nothing_runs_on():
    """A chunk that is tried again fills the same arrays: one that runs on would write into them in between."""
    started, ended = Event(), []

    def call(begin, end):
        if begin == 1:
            assert started.wait(60)
            raise RuntimeError("no memory")
        if begin == 2:
            started.set()
            sleep(0.2)
        ended.append(begin)

    # an accelerator has several calls under way, however many cores there are
    with pytest.raises(RuntimeError, match="no memory"):
        list(in_parallel(call, 8, 1, 1, "gpu", "test of a piece that fails"))
    seen = list(ended)
    assert {0, 2} <= set(seen)
    sleep(0.3)
    assert ended == seen
