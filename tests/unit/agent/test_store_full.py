"""A full disk is a fault that the agent must be able to report."""

from __future__ import annotations

import os
import subprocess

import pytest

from sentinel.agent.store import Store
from sentinel.agent.store_file import RESERVE_BYTES
from sentinel.errors import StoreError
from sentinel.protocol import Cleared, Letter
from tests.needed import root


@pytest.fixture
def small_disk(tmp_path):
    root("mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    size = RESERVE_BYTES + (4 << 20)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "x", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def letter(number):
    return Letter(id=f"l{number}", cleared=Cleared(event="e", observed=number, at_ms=1))


def fill(folder):
    ballast = os.open(folder / "ballast", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        while True:
            os.write(ballast, b"x" * 4096)
    except OSError:
        return
    finally:
        os.close(ballast)


def put_until_full(store):
    for number in range(10_000):
        store.put(letter(number))


def test_the_reserve_makes_room_for_what_a_full_disk_refused(small_disk):
    with Store(small_disk / "node.db") as store:
        fill(small_disk)
        with pytest.raises(StoreError, match="full"):
            put_until_full(store)
        stored = store.waiting()
        assert store.release_reserve()
        assert store.put(letter(20_000))
        assert store.waiting() == stored + 1
        assert not store.release_reserve()


def test_without_room_for_a_reserve_the_store_opens_all_the_same(small_disk):
    with Store(small_disk / "node.db"):
        pass
    (small_disk / "node.reserve").unlink()
    fill(small_disk)
    os.truncate(small_disk / "ballast", RESERVE_BYTES + (1 << 20))
    with Store(small_disk / "node.db") as store:
        assert not store.release_reserve()
        assert store.put(letter(1))
