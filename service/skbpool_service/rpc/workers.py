"""The threads that answer unary calls."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class Workers(ThreadPoolExecutor):
    """A pool of threads that knows when calls wait for one."""

    def __init__(self, most: int, name: str):
        super().__init__(most, thread_name_prefix=name)
        self._most = most
        self._lock = threading.Lock()
        self._inside = 0
        self.on_crowd: Callable[[], object] = lambda: None
        """Called, by whoever brings it, with each call that finds no thread free."""

    @property
    def is_crowded(self) -> bool:
        """Whether a call waits for a thread."""
        return self._inside > self._most

    def submit(self, job: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run `job` on the next thread that is free."""
        with self._lock:
            self._inside += 1
        try:
            future = super().submit(self._run, job, args, kwargs)
        except BaseException:
            self._leave()
            raise
        if self.is_crowded:
            self.on_crowd()
        return future

    def _run(self, job: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        try:
            return job(*args, **kwargs)
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._lock:
            self._inside -= 1
