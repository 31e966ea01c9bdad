"""Allocation that waits: other threads run meanwhile, deadlines and Ctrl-C end it."""

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from skbpool import Pool, PoolClosed, PoolExhausted


def once_waiting(pool: Pool, act: Callable[[], object]) -> threading.Thread:
    """Call `act` on another thread as soon as an allocation has found the pool empty."""
    before = pool.stats().alloc_empty

    def watch() -> None:
        pause = threading.Event()
        while pool.stats().alloc_empty < before + 2:
            pause.wait(0.001)
        act()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_a_released_buffer_ends_the_wait() -> None:
    with Pool(1) as pool:
        buffer = pool.alloc()
        thread = once_waiting(pool, buffer.release)
        pool.alloc(timeout=None).release()
        thread.join()


def test_the_deadline_ends_the_wait() -> None:
    with Pool(1) as pool:
        buffer = pool.alloc()
        with pytest.raises(PoolExhausted) as caught:
            pool.alloc(timeout=0.01)
        assert caught.value.in_flight == 1
        assert pool.stats().alloc_empty > 1, "it looked again before it gave up"
        buffer.release()


def test_closing_ends_the_wait() -> None:
    pool = Pool(1)
    buffer = pool.alloc()
    thread = once_waiting(pool, pool.close)
    with pytest.raises(PoolClosed):
        pool.alloc(timeout=60)
    thread.join()
    buffer.release()


def test_ctrl_c_ends_the_wait() -> None:
    with Pool(1) as pool:
        buffer = pool.alloc()
        thread = once_waiting(pool, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            pool.alloc(timeout=None)
        thread.join()
        buffer.release()
        pool.alloc().release()


def test_without_a_timeout_nothing_waits() -> None:
    with Pool(1) as pool:
        buffer = pool.alloc()
        for _ in range(3):
            with pytest.raises(PoolExhausted):
                pool.alloc()
        assert pool.stats().alloc_empty == 3, "one look each"
        buffer.release()


@pytest.mark.parametrize("timeout", [-1, -0.001, float("nan")])
def test_a_timeout_is_not_negative(pool: Pool, timeout: float) -> None:
    with pytest.raises(ValueError, match="0 or more seconds"):
        pool.alloc(timeout=timeout)


@pytest.mark.parametrize("timeout", ["1", b"", object()])
def test_a_timeout_is_a_number(pool: Pool, timeout: Any) -> None:
    with pytest.raises(TypeError):
        pool.alloc(timeout=timeout)


@pytest.mark.parametrize("timeout", [1e300, float("inf"), 0, 1])
def test_any_longer_time_is_fine(pool: Pool, timeout: float) -> None:
    pool.alloc(timeout=timeout).release()
