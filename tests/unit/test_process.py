from __future__ import annotations

import argparse
import logging
import socket

import pytest

from sentinel import errors, process


def parser(run):
    made = argparse.ArgumentParser()
    made.set_defaults(run=run)
    return made


def test_an_error_is_rendered_once_and_ends_with_status_2(capsys):
    def run(_):
        raise errors.ConfigError("x\x1b[31m is wrong", hint="mend it")

    assert process.main("sentinel-hub", parser(run), []) == 2
    assert capsys.readouterr().err == "sentinel-hub: x\\x1b[31m is wrong\n  mend it\n"


def test_a_command_s_own_status_is_the_process_s():
    assert process.main("x", parser(lambda _: 20), []) == 20


def test_an_interrupt_ends_as_shells_expect():
    def run(_):
        raise KeyboardInterrupt

    assert process.main("x", parser(run), []) == 130


def test_readiness_is_told_where_systemd_listens(tmp_path, monkeypatch):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        process.notify("READY=1")
        assert listener.recv(64) == b"READY=1"


def test_nobody_listening_is_no_error(monkeypatch, tmp_path):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    process.notify("READY=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    process.notify("READY=1")


@pytest.mark.parametrize("journal", [True, False])
def test_a_log_line_cannot_act_on_a_terminal_or_forge_another(journal, monkeypatch):
    if journal:
        monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    else:
        monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "a\nb\x1b[2J", (), None)
    record.action = "refused"
    line = process._Format().format(record)
    assert line.isprintable()
    assert line.endswith("error a\\nb\\x1b[2J [refused]")
    assert line.startswith("<3>") == journal
