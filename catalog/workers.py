"""Killable child processes: where untrusted input meets a native parser or a regular expression.

A `Pool` runs module-level functions in children. A call that outlives its time or kills its child costs that child
alone: it is replaced, and the caller gets `WorkerFailed`. Children end with their parent, even when stuck in native
code: each holds the read end of a pipe nobody writes to, and the kernel signals it when the parent's end closes.
"""

from __future__ import annotations

import fcntl
import os
import queue
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, ParamSpec, TypeVar

from fairmesh.catalog.errors import WorkerFailed

P = ParamSpec("P")
R = TypeVar("R")


_BOOT = """
import sys
for name in sys.argv[3:]:
    __import__(name)
from fairmesh.catalog.workers import serve
serve(int(sys.argv[1]), int(sys.argv[2]))
"""


def serve(calls_fd: int, life_fd: int) -> None:
    """The life of a child: answer calls until the parent closes its end of the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when we stop
    signal.signal(signal.SIGIO, signal.SIG_DFL)  # the default action ends the process
    fcntl.fcntl(life_fd, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(life_fd, fcntl.F_SETFL, fcntl.fcntl(life_fd, fcntl.F_GETFL) | os.O_ASYNC)
    calls = Connection(calls_fd)
    sys.path[:] = calls.recv()
    memory = calls.recv()
    if memory is not None:
        _limit_memory(memory)
    warm_up = calls.recv()
    if warm_up is not None:
        warm_up()
    with suppress(OSError):  # the parent has ended: the next lines find out
        calls.send(None)
    while True:
        try:
            function, args = calls.recv()
        except (EOFError, OSError):
            return
        try:
            answer = (True, function(*args))
        except MemoryError:
            answer = (False, WorkerFailed(
                f"{function.__qualname__} took too much memory", remedy="Send less at once", code="worker-memory"
            ))  # fmt: skip
        except Exception as error:
            answer = (False, error)
        try:
            calls.send(answer)
        except (BrokenPipeError, OSError):
            return
        except Exception as error:  # the answer does not pickle
            calls.send((False, WorkerFailed(f"{function.__qualname__}: {error!r}")))


def _limit_memory(limit: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    with suppress(ValueError, OSError):  # systems that cannot limit it go without
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


_START = 60.0
"""Seconds a child may take to start and warm up."""


class _Worker:
    # a fresh interpreter, not a fork and not multiprocessing's spawn: nothing of the parent's main module or of the
    # native libraries it loaded gets into the child, some of which do not bear each other's company
    def __init__(
        self, warm_up: Callable[[], object] | None, first_imports: tuple[str, ...], memory: int | None
    ) -> None:
        self.calls, theirs = Pipe()
        self._ready = False
        life, self._life = os.pipe()
        fds = (theirs.fileno(), life)
        command = [sys.executable, "-P", "-c", _BOOT, *map(str, fds), *first_imports]
        try:
            self.process = subprocess.Popen(command, pass_fds=fds, stdin=subprocess.DEVNULL)
        except BaseException:
            self._close()
            raise
        finally:
            theirs.close()
            os.close(life)
        try:
            self.calls.send(sys.path)
            self.calls.send(memory)
            self.calls.send(warm_up)
        except BaseException:
            self.kill()
            raise

    def wait(self) -> bool:
        """Whether it is warm, after waiting for that. Raises `EOFError` or `OSError` when it ended."""
        if not self._ready and self.calls.poll(_START):
            self.calls.recv()
            self._ready = True
        return self._ready

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._close()

    def _close(self) -> None:
        self.calls.close()
        os.close(self._life)


class Pool:
    """At most `size` children, started on first use; safe to call from any thread.

    `warm_up` is a module-level function each child runs before its first call (compiled rules, say);
    `first_imports` are modules it imports before anything else. `memory` bounds a child's address space, in bytes: what
    swells ends with its child and not with the machine (some libraries reserve more than they use, so there is no
    default).
    """

    def __init__(
        self,
        size: int,
        *,
        warm_up: Callable[[], object] | None = None,
        first_imports: tuple[str, ...] = (),
        memory: int | None = None,
    ) -> None:
        self.size = size
        self._memory = memory
        self._first_imports = first_imports
        self._warm_up = warm_up
        self._seats: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(size):
            self._seats.put(None)
        self._alive: set[_Worker] = set()
        self._lock = threading.Lock()
        self._closed = False

    def call(self, function: Callable[P, R], *args: Any, timeout: float) -> R:
        """Run `function(*args)` in a child. `timeout` is in seconds, counted from when a child is free and warm.

        Raises what the function raised, or `WorkerFailed`: with the code `worker-late` when it took too long,
        `worker-memory` when it took too much memory, and `worker-died` when the child ended before it had answered. A
        child that died before the call is replaced.
        """
        worker = self._seats.get()
        try:
            if worker is not None and not worker.alive:
                self._discard(worker)
                worker = None
            if worker is None:
                worker = self._start()
            try:
                if not worker.wait():
                    raise WorkerFailed(
                        f"a process did not start within {_START:g} s", remedy="Try again when the service is less busy"
                    )
                worker.calls.send((function, args))
                if not worker.calls.poll(timeout):
                    raise WorkerFailed(
                        f"{function.__qualname__} took longer than {timeout:g} s and was stopped",
                        remedy="Send less at once, or try again when the service is less busy", code="worker-late",
                    )  # fmt: skip
                ok, answer = worker.calls.recv()
            except BaseException as error:  # an answer still on its way must not answer the next call
                self._discard(worker)
                worker = None
                if isinstance(error, EOFError | OSError):
                    raise WorkerFailed(
                        f"the process running {function.__qualname__} died", remedy="Try again", code="worker-died"
                    ) from error
                raise
        finally:
            self._seats.put(worker)
        if ok:
            result: R = answer
            return result
        raise answer

    def retried(self, function: Callable[P, R], *args: Any, timeout: float) -> R:
        """As `call`, once more where the child died: it may have been ended from outside."""
        try:
            return self.call(function, *args, timeout=timeout)
        except WorkerFailed as error:
            if error.code != "worker-died":
                raise
        return self.call(function, *args, timeout=timeout)

    def start(self) -> None:
        """Start every child now and wait until they are warm, so that no call waits for one."""
        seats = [self._seats.get() for _ in range(self.size)]
        try:
            started = [worker or self._start() for worker in seats]
            seats = [*started]
            for child in started:
                with suppress(EOFError, OSError):  # one that ended is replaced when it is called
                    child.wait()
        finally:
            for worker in seats:
                self._seats.put(worker)

    def close(self) -> None:
        """End the children. Calls under way fail with `WorkerFailed`."""
        with self._lock:
            self._closed = True
            alive, self._alive = self._alive, set()
        for worker in alive:
            worker.kill()

    def _start(self) -> _Worker:
        with self._lock:
            if self._closed:
                raise WorkerFailed("the worker pool is closed", remedy="Start the service again")
            try:
                worker = _Worker(self._warm_up, self._first_imports, self._memory)
            except OSError as error:
                raise WorkerFailed(
                    f"a worker process cannot be started: {error}", remedy="Raise the limits on processes and files"
                ) from error
            self._alive.add(worker)
        return worker

    def _discard(self, worker: _Worker) -> None:
        with self._lock:
            known = worker in self._alive
            self._alive.discard(worker)
        if known:
            worker.kill()
