"""Group commit: one task writes for the whole process, many operations to a transaction.

A commit costs a disk flush whether it holds one row or five hundred, so operations queue while the
last commit is on its way and go together in the next. Nearly all succeed, so a batch is first run as
one; if any fails, nothing of it is kept and it is run again with a savepoint around each, so that the
one that fails takes only itself back, and its caller gets the error. Nobody is answered before the
commit: what was acknowledged is on disk; what was not may have happened or not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar, cast

import msgspec

from sentinel import errors
from sentinel.hub.persist_writes import UnitOfWork

T = TypeVar("T")


class _Job(msgspec.Struct):
    operation: Callable[[UnitOfWork], Awaitable[object]]
    answer: asyncio.Future[object]


class _OneFailed(Exception):
    """An operation failed before the commit: nothing of its batch was kept."""


class Writer:
    """The queue and the task that drains it."""

    def __init__(
        self,
        begin: Callable[[], AbstractAsyncContextManager[UnitOfWork]],
        *,
        batch: int,
        queue: int,
    ) -> None:
        """`begin` opens a transaction that commits when its context ends without an exception.

        At most `batch` operations share a transaction; at most `queue` wait, then callers wait.
        """
        self._begin = begin
        self._batch = batch
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue(queue)
        self._waiting = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    async def write(self, operation: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run `operation` in some transaction and return its result after the commit.

        Raises what the operation raised, or StoreError where the transaction was lost.
        """
        if self._closed:
            raise errors.StoreError("the store is closed")
        job = _Job(operation, asyncio.get_running_loop().create_future())
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

    async def _commit(self, jobs: list[_Job]) -> None:
        try:
            outcomes = await self._as_one(jobs)
        except _OneFailed:
            outcomes = await self._each_by_itself(jobs)
        except errors.StoreError as error:
            outcomes = _lost(jobs, error)
        for job, outcome in zip(jobs, outcomes, strict=True):
            if job.answer.cancelled():
                continue
            if isinstance(outcome, BaseException):
                job.answer.set_exception(outcome)
            else:
                job.answer.set_result(outcome)

    async def _as_one(self, jobs: list[_Job]) -> list[object]:
        outcomes = []
        async with self._begin() as work:
            for job in jobs:
                try:
                    outcomes.append(await job.operation(work))
                except Exception as error:
                    raise _OneFailed from error
        return outcomes

    async def _each_by_itself(self, jobs: list[_Job]) -> list[object]:
        try:
            async with self._begin() as work:
                return [await work.attempt(job.operation) for job in jobs]
        except errors.StoreError as error:
            return _lost(jobs, error)


def _lost(jobs: list[_Job], error: errors.StoreError) -> list[object]:
    """Return the error once for each, because each caller adds its own trace to it."""
    return [errors.StoreError(error.what, hint=error.hint) for _ in jobs]
