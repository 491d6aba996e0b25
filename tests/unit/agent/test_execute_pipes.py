"""What is kept of a command's output."""

from __future__ import annotations

import pytest

from sentinel.agent.pipes import OUTPUT_BYTES, Sink


@pytest.mark.parametrize("byte", [b"a", b"\xff", b"\0", "é".encode(), "€".encode(), b"\x1b"])
@pytest.mark.parametrize("chunk", [1, 7, 4096])
def test_what_is_kept_fits_the_bound_in_utf8_and_everything_else_is_counted(byte, chunk):
    data = byte * (OUTPUT_BYTES * 2 // len(byte))
    sink = Sink()
    for at in range(0, len(data), chunk * 97):
        sink.take(data[at : at + chunk * 97])
    text = sink.text()
    size = len(text.encode())
    assert OUTPUT_BYTES - 8 < size <= OUTPUT_BYTES
    assert sink.lost + len(kept(text, byte)) == pytest.approx(len(data), abs=4)
    assert sink.text() == text


def kept(text, byte):
    """The bytes that `text` shows."""
    return byte * (len(text) // len(byte.decode("utf-8", "replace").replace("\0", "\\x00")))


def test_short_output_is_whole_and_nothing_is_lost():
    sink = Sink()
    sink.take(b"one\n")
    sink.take("zwölf\n".encode()[:3])
    sink.take("zwölf\n".encode()[3:])
    assert sink.text() == "one\nzwölf\n"
    assert sink.lost == 0
