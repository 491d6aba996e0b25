"""Group commit: one task writes for the whole process, many operations to a transaction.

A commit costs a disk flush whether it holds one row or five hundred, so operations queue while the
last commit is on its way and go together in the next. Each runs inside a savepoint of its own: one
that fails takes only itself back, and its caller gets the error. Nobody is answered before the commit,
so what was acknowledged is on disk; what was not may have happened or not, and is safe to ask again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Generic, Protocol, TypeVar, cast

import msgspec

from sentinel import errors

T = TypeVar("T")
U = TypeVar("U")
U_co = TypeVar("U_co", covariant=True)


class Batch(Protocol[U_co]):
    """One transaction that is open."""

    async def attempt(self, operation: Callable[[U_co], Awaitable[object]]) -> object:
        """Run `operation` in a savepoint; return its result, or its exception as a value.

        Raises StoreError where the transaction as a whole is lost.
        """


class _Job(msgspec.Struct, Generic[U]):
    operation: Callable[[U], Awaitable[object]]
    answer: asyncio.Future[object]


class Writer(Generic[U]):
    """The queue and the task that drains it."""

    def __init__(
        self, begin: Callable[[], AbstractAsyncContextManager[Batch[U]]], *, batch: int, queue: int
    ) -> None:
        """`begin` opens a transaction that commits when its context ends without an exception.

        At most `batch` operations share a transaction; at most `queue` wait, then callers wait.
        """
        self._begin = begin
        self._batch = batch
        self._jobs: asyncio.Queue[_Job[U]] = asyncio.Queue(queue)
        self._waiting = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    async def write(self, operation: Callable[[U], Awaitable[T]]) -> T:
        """Run `operation` in some transaction and return its result after the commit.

        Raises what the operation raised, or StoreError where the transaction was lost.
        """
        if self._closed:
            raise errors.StoreError("the store is closed")
        job = _Job[U](operation, asyncio.get_running_loop().create_future())
        self._waiting += 1
        self._idle.clear()
        try:
            await self._jobs.put(job)
            return cast("T", await job.answer)
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._idle.set()

    async def close(self) -> None:
        """Take nothing more, and return when everybody who waits has been answered."""
        self._closed = True
        await self._idle.wait()

    async def run(self) -> None:
        """Commit what is queued, for ever; to be cancelled after `close`."""
        while True:
            jobs = [await self._jobs.get()]
            while len(jobs) < self._batch and not self._jobs.empty():
                jobs.append(self._jobs.get_nowait())
            await self._commit([job for job in jobs if not job.answer.cancelled()])

    async def _commit(self, jobs: list[_Job[U]]) -> None:
        outcomes: list[object] = []
        try:
            async with self._begin() as batch:
                outcomes = [await batch.attempt(job.operation) for job in jobs]
        except errors.StoreError as error:
            outcomes = [errors.StoreError(error.what, hint=error.hint) for _ in jobs]
        for job, outcome in zip(jobs, outcomes, strict=True):
            if job.answer.cancelled():
                continue
            if isinstance(outcome, BaseException):
                job.answer.set_exception(outcome)
            else:
                job.answer.set_result(outcome)
