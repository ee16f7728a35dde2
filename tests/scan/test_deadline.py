"""Workers that hang: the clocks alone, and scans by executors whose futures do not come back."""

import math
import threading
import time
from concurrent.futures import Future

import numpy as np
import pytest

import gammajax
from gammajax.errors import InputError
from gammajax.scan.deadline import Deadline, check_timeout
from gammajax.solve.watch import Abandoned
from tests.scan.stored import assert_same, contents, fine, fitted, scan

AXES, SMALL = fine(6), 20
# seconds that are long for a chunk of 20 nodes, which takes milliseconds, and short for the person who runs the tests
SHORT = 0.5


@pytest.fixture(scope="module")
def fit():
    return fitted()


@pytest.fixture(scope="module")
def serial(fit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("serial") / "scan"
    return folder, scan(fit, folder, AXES, chunk_size=SMALL)


# -- the clocks --------------------------------------------------------------------------------------------------------


def test_the_limit_follows_what_chunks_take():
    clocks = Deadline(None)
    assert clocks.limit == math.inf
    for n, seconds in enumerate((1.0, 30.0, 40.0)):
        clocks.begin(n, 0.0)
        clocks.end(n, seconds)
    assert clocks.limit == 20 * 30.0
    quick = Deadline(None)
    quick.begin("a", 0.0)
    quick.end("a", 0.01)
    # not after a fifth of a second: the next one may have to compile
    assert quick.limit == 300.0
    assert Deadline(7.0).limit == 7.0


def test_the_clock_starts_when_a_later_one_comes_first():
    clocks = Deadline(10.0)
    for n in range(4):
        clocks.begin(n, float(n))
    # the queue moves in its order: nobody is late, however long it takes
    clocks.end(0, 100.0)
    clocks.end(1, 105.0)
    assert clocks.overdue(114.0) == []
    clocks.end(3, 110.0)
    assert clocks.overdue(119.0) == []
    clocks.begin(4, 119.0)
    assert clocks.overdue(121.0) == [2]
    # twice as many are under way as should be: twice the time
    assert clocks.overdue(121.0, crowd=2.0) == []
    clocks.forget(2)
    # nothing came since it was handed out
    assert clocks.overdue(128.0) == []
    assert clocks.overdue(130.0) == [4]


@pytest.mark.parametrize("value", [0, -1.0, math.nan, True, "60 s"])
def test_limits_that_are_none(value):
    with pytest.raises(InputError, match="chunk_timeout=.*expected seconds, more than 0"):
        check_timeout(value)


def test_a_limit_needs_an_executor(fit, tmp_path):
    with pytest.raises(InputError, match="chunk_timeout is for chunks that an executor computes"):
        scan(fit, tmp_path / "scan", AXES, chunk_timeout=5.0)
    with pytest.raises(InputError, match="expected seconds, more than 0"):
        scan(fit, tmp_path / "scan", AXES, chunk_timeout=-5.0, executor=Hanging({}))
    assert not (tmp_path / "scan").exists()


# -- executors ---------------------------------------------------------------------------------------------------------


class Hanging:
    """Computes at once, but for the chunks in `hang`: so many of their futures are never completed."""

    def __init__(self, hang):
        self.hang, self.numbers, self.kept = dict(hang), [], []

    def submit(self, function, payload, number):
        self.numbers.append(number)
        future = Future()
        # as in a pool: the work has begun and cannot be taken back
        future.set_running_or_notify_cancel()
        if self.hang.get(number, 0) > 0:
            self.hang[number] -= 1
            self.kept.append((future, function, payload, number))
        else:
            future.set_result(function(payload, number))
        return future


def test_a_chunk_that_never_comes_back_has_failed_in_the_end(fit, serial, tmp_path, caplog):
    executor = Hanging({2: math.inf})
    begin = time.monotonic()
    with pytest.warns(UserWarning, match="1 of 6 chunks failed"):
        result = scan(fit, tmp_path / "scan", AXES, chunk_size=SMALL, executor=executor, chunk_timeout=SHORT)
    assert 3 * SHORT < time.monotonic() - begin < 60
    assert executor.numbers.count(2) == 3
    assert sorted(set(executor.numbers)) == list(range(6))
    assert result.failures == ("chunk 2 (nodes 40 to 59): it did not come back within 0.5 s, 3 times",)
    assert gammajax.scan.open(tmp_path / "scan").failed == {2: "it did not come back within 0.5 s, 3 times"}
    assert "chunk 2 is handed out again" in caplog.text
    good = np.arange(120) // SMALL != 2
    np.testing.assert_array_equal(result.stat.ravel()[good], serial[1].stat.ravel()[good])
    assert (result.status.ravel()[~good] == gammajax.Status.FAILED).all()
    # the next run tries it again
    assert_same(scan(fit, tmp_path / "scan", AXES, chunk_size=SMALL, executor=Hanging({})), serial[1])
    assert contents(tmp_path / "scan") == contents(serial[0])


@pytest.mark.parametrize("store", [True, False])
def test_a_chunk_that_hangs_once_is_done_by_another(fit, serial, tmp_path, store):
    executor = Hanging({2: 1, 5: 1})
    folder = tmp_path / "scan" if store else None
    result = scan(fit, folder, AXES, chunk_size=SMALL, executor=executor, chunk_timeout=SHORT)
    assert_same(result, serial[1])
    assert executor.numbers.count(2) == executor.numbers.count(5) == 2
    # after the end nobody wants it any more, and what comes all the same is nobody's
    future, function, payload, number = executor.kept[0]
    with pytest.raises(Abandoned):
        function(payload, number)
    future.set_result({})
    assert result.failures == ()


def test_the_first_copy_that_comes_counts(fit, serial, tmp_path):
    """The first one comes while the second one is waited for, which then is not waited for any longer."""

    class Late(Hanging):
        def submit(self, function, payload, number):
            future = super().submit(function, payload, number)
            if number == 2 and self.numbers.count(2) == 2:
                first = self.kept[0][0]
                threading.Timer(0.1, lambda: first.set_result(function(payload, 2))).start()
            return future

    executor = Late({2: 2})
    result = scan(fit, tmp_path / "scan", AXES, chunk_size=SMALL, executor=executor, chunk_timeout=SHORT)
    assert executor.numbers.count(2) == 2
    assert_same(result, serial[1])
    assert contents(tmp_path / "scan") == contents(serial[0])


def test_no_limit_where_none_is_wanted(fit, serial, tmp_path):
    """Without an arrival there is nothing to measure; with inf there never is a limit."""
    executor = Hanging({0: 1})

    def come():
        time.sleep(3 * SHORT)
        future, function, payload, number = executor.kept[0]
        future.set_result(function(payload, number))

    threading.Thread(target=come).start()
    result = scan(fit, tmp_path / "scan", AXES, chunk_size=SMALL, executor=executor, chunk_timeout=math.inf, starts=1)
    assert executor.numbers.count(0) == 1
    assert_same(result, serial[1])
