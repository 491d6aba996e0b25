"""Wakes the agent the moment something stalls, where the kernel can say so; a plain sleep elsewhere.

A trigger is a descriptor on /proc/pressure/* that becomes ready (POLLPRI) when tasks were stalled for
long enough within a window. asyncio waits for no POLLPRI, so a thread of its own does; it sleeps in
poll() and costs nothing until the kernel wakes it.
"""

from __future__ import annotations

import asyncio
import os
import select
import threading
from types import TracebackType

RESOURCES = ("cpu", "memory", "io")
# Without CAP_SYS_RESOURCE the kernel takes only windows of whole multiples of 2 s.
WINDOWS_US = (1_000_000, 2_000_000)
STALLED_PERMILLE = 150


class PressureTrigger:
    """A sleep that ends early when the host stalls.

    `reasons` says for each resource that cannot be watched why not. With none left, `wait` sleeps.

    with PressureTrigger() as trigger:
        stalled = await trigger.wait(1.0)  # {"memory"}, or empty when the second has passed
    """

    def __init__(
        self, *, stalled_permille: int = STALLED_PERMILLE, folder: str = "/proc/pressure"
    ) -> None:
        """Arm the triggers: `stalled_permille` of a window's time, some task stalled. Never raises."""
        self.reasons: dict[str, str] = {}
        self._armed: dict[int, str] = {}
        self._fired: set[str] = set()
        self._event = asyncio.Event()
        self._thread: threading.Thread | None = None
        self._stop = os.eventfd(0, os.EFD_CLOEXEC)
        for resource in RESOURCES:
            try:
                self._armed[_arm(f"{folder}/{resource}", stalled_permille)] = resource
            except OSError as error:
                self.reasons[resource] = f"{folder}/{resource}: {error.strerror}"

    def __enter__(self) -> PressureTrigger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def wait(self, seconds: float) -> frozenset[str]:
        """Sleep for `seconds`, or until something stalls; return what did since the last call."""
        if self._armed and self._thread is None:
            loop = asyncio.get_running_loop()
            self._thread = threading.Thread(
                target=self._watch, args=(loop,), name="pressure", daemon=True
            )
            self._thread.start()
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            pass
        self._event.clear()
        stalled, self._fired = frozenset(self._fired), set()
        return stalled

    def close(self) -> None:
        """Stop the thread and give the descriptors back. A second call does nothing."""
        if self._stop < 0:
            return
        os.eventfd_write(self._stop, 1)
        if self._thread is not None:
            self._thread.join()
        for fd in (*self._armed, self._stop):
            os.close(fd)
        self._armed.clear()
        self._stop = -1

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run in the thread: hand every event to the loop until told to stop."""
        poll = select.poll()
        poll.register(self._stop, select.POLLIN)
        for fd in self._armed:
            poll.register(fd, select.POLLPRI)
        while True:
            for fd, events in poll.poll():
                if fd == self._stop:
                    return
                if events & (select.POLLERR | select.POLLNVAL):
                    poll.unregister(fd)  # its cgroup or the whole interface went away
                    continue
                try:
                    loop.call_soon_threadsafe(self._fire, self._armed[fd])
                except RuntimeError:
                    return  # the loop is closed: nobody listens any more

    def _fire(self, resource: str) -> None:
        self._fired.add(resource)
        self._event.set()


def _arm(path: str, permille: int) -> int:
    """Return a descriptor with a trigger on it; OSError where the kernel takes none of the windows."""
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    for window in WINDOWS_US:
        try:
            # The kernel cuts off the last byte, so it has to be a NUL.
            os.write(fd, f"some {window * permille // 1000} {window}\0".encode())
        except OSError:
            if window == WINDOWS_US[-1]:
                os.close(fd)
                raise
        else:
            return fd
    raise AssertionError("there is at least one window")
