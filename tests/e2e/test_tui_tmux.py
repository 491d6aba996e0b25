"""The terminal as people have it: in tmux, over a real hub with a real fault, and when things go wrong."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time

import pytest

from sentinel.domain import State
from tests.e2e.place import living
from tests.e2e.tmux import Tmux

TUI = (sys.executable, "-m", "sentinel.tui.main")
SLOWER_S = 0.15  # between the parts of an escape sequence that a bad link has torn


@pytest.fixture
def place(tmp_path):
    with living(tmp_path, "tmux") as made:
        made.leak()
        yield made


@pytest.fixture
def terminal(tmp_path):
    """Return what opens a terminal; it is closed again."""
    opened = []

    def make(*words, environment=None, size=(80, 24)):
        folder = tmp_path / f"tmux{len(opened)}"
        folder.mkdir()
        opened.append(Tmux(folder, (*TUI, *words), environment or dict(os.environ), size))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


@pytest.fixture
def live(place, terminal):
    """The terminal of the site's operator, with the incident's row on it."""
    opened = terminal("--identity", place.site.operator, environment=place.environment)
    opened.sees("hub ok", place.name, "AWAITING")
    return opened


def incident(place):
    """Return the one incident as the hub has it."""
    (summary,) = place.sentinel("incidents", "--all", "--json").stdout.splitlines()
    return json.loads(place.sentinel("show", json.loads(summary)["id"], "--json").stdout)


def digits(place):
    return incident(place)["plan_digest"].removeprefix("sha256:")[:4]


def opens(screen):
    """From the list to the incident's screen."""
    screen.keys("Enter")
    screen.sees("WHY by playbook", "a approve")


def read_to_the_end(screen):
    def read(text):
        if "read on" not in text:
            return True
        screen.keys("PageDown")
        return False

    screen.until(read)


def approve(screen, place):
    """From the incident's screen to a decision for real."""
    screen.keys("a")
    screen.sees("Approving lets", "DRY-RUN", "digest > _")  # before that no key counts
    screen.keys("t")
    screen.sees("LIVE: the node does it")
    read_to_the_end(screen)
    screen.keys(digits(place))
    screen.sees(f"digest > {digits(place)}")
    screen.keys("Enter")


def test_an_operator_approves_and_watches_it_end(live, place):
    opens(live)
    approve(live, place)
    live.sees("resolved", "recovered")
    assert incident(place)["summary"]["state"] == State.RESOLVED


def test_keys_of_before_and_a_wrong_digest_decide_nothing(live, place):
    opens(live)
    # All at once: what is typed before the dialog has been drawn is not typed into it.
    live.keys("a", digits(place), "Enter")
    live.sees("Approving lets")
    read_to_the_end(live)
    wrong = "0000" if digits(place) != "0000" else "1111"
    live.keys(wrong, "Enter")
    live.sees("not the first 4 digits")
    live.keys("Escape")
    live.sees("WHY by playbook")
    assert incident(place)["summary"]["state"] == State.AWAITING
    assert incident(place)["decision"] is None


def test_an_operator_rejects_with_a_reason(live, place):
    opens(live)
    live.keys("r")
    live.sees("Rejecting the plan")
    live.keys("Enter")
    live.sees("a rejection needs a reason")
    live.keys("-l", "not at noon")
    live.sees("not at noon")
    live.keys("Enter")
    live.sees("MANUAL")
    found = incident(place)
    assert (found["summary"]["state"], found["decision"]["reason"]) == (State.MANUAL, "not at noon")


def test_an_operator_strikes_a_command_and_approves_the_rest(live, place):
    opens(live)
    live.keys("e")
    live.sees("REVISE")
    live.keys("Space")
    live.sees("STRUCK")
    live.keys("s")
    live.sees("WHY by", "AWAITING", "a approve")
    live.until(lambda _: incident(place)["plan"]["revision"] == 2)
    live.until(lambda _: incident(place)["summary"]["state"] == State.AWAITING)
    approve(live, place)
    live.sees("resolved", "recovered")
    assert incident(place)["plan"]["revision"] == 2


def typed_but_not_entered(screen, place):
    """From the incident's screen to an approval for which only Enter is missing."""
    screen.keys("a")
    screen.sees("Approving lets", "digest > _")
    read_to_the_end(screen)
    screen.keys(digits(place))
    screen.sees(f"digest > {digits(place)}")


def test_of_two_who_decide_at_once_the_second_is_told(live, place):
    opens(live)
    typed_but_not_entered(live, place)
    of, typed = incident(place)["summary"]["id"], digits(place)
    # The other decides between what is on the screen and Enter.
    assert place.sentinel("reject", of, "--reason", "I was first").returncode == 0
    live.keys("Enter")
    live.misses(
        f"digest > {typed}"
    )  # refused, or shown again because the hub was quicker than Enter
    live.keys("Escape")
    live.sees("MANUAL", "I was first")
    found = incident(place)
    assert (found["summary"]["state"], found["decision"]["choice"]) == (State.MANUAL, "reject")
    assert not found["results"]


def test_an_approval_is_overtaken_by_another_plan(live, place):
    opens(live)
    typed_but_not_entered(live, place)
    before = incident(place)
    assert place.sentinel("revise", before["summary"]["id"], "--strike", 1).returncode == 0
    live.keys("Enter")
    live.sees("revision 2 by", "digest > _")
    live.until(lambda _: incident(place)["summary"]["state"] == State.AWAITING)
    after = incident(place)
    assert after["plan_digest"] != before["plan_digest"]
    assert not after["decision"]
    assert not after["results"]


def test_the_hub_is_lost_and_comes_back(live, place):
    opens(live)
    hub = place.site.running["hub"]
    hub.send_signal(signal.SIGTERM)
    hub.wait(15)
    live.sees("STALE", "READ ONLY")
    live.keys("a")
    place.site.start("hub")
    live.sees("hub ok")
    live.misses("STALE")
    assert "Approving lets" not in live.text
    approve(live, place)
    live.sees("resolved", "recovered")


# ---------------------------------------------------------------- without any hub


@pytest.fixture
def demo(terminal):
    opened = terminal("--demo")
    opened.sees("db-01", "hub ok")
    return opened


def cursor(screen):
    """Return the row with the cursor."""
    return next((line for line in screen.text.splitlines() if line.startswith("> ")), "")


def test_it_shrinks_and_grows_with_its_window(demo):
    before = demo.text
    demo.resize(40, 10)
    demo.until(lambda text: len(text.splitlines()) <= 10 and "db-01" in text)
    assert max(len(line) for line in demo.text.splitlines()) <= 40
    demo.keys("Enter")
    demo.sees("db-01")
    demo.keys("Escape")
    demo.resize(80, 24)
    demo.until(lambda text: text.split()[:4] == before.split()[:4] and "EVIDENCE" in text)


def test_a_paste_of_100_kb_presses_no_key(demo):
    demo.paste("a\nr\nq\x1b[B:quit\n" * 8000)
    demo.keys("j")
    demo.until(lambda text: "node-017" in cursor(demo))
    demo.sees("EVIDENCE", "db-01")


def test_a_copy_is_in_the_buffer_of_a_tmux_as_it_is_shipped(demo):
    demo.keys("Enter")
    demo.sees("kill -TERM 2217", "a approve")
    demo.keys("j", "y")
    demo.sees("command copied to tmux")
    assert demo.run("show-buffer") == "kill -TERM 2217"


def test_a_torn_escape_sequence_is_still_one_key(demo):
    first = cursor(demo)
    for part in ((0x1B,), (0x5B, 0x42)):
        demo.bytes(*part)
        time.sleep(SLOWER_S)
    demo.until(lambda text: "node-017" in cursor(demo))
    for part in ((0x1B, 0x5B), (0x41,)):
        demo.bytes(*part)
        time.sleep(SLOWER_S)
    demo.until(lambda text: cursor(demo)[:6] == first[:6])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_gives_the_terminal_back(demo, number):
    assert demo.asked("alternate_on") == "1"
    shell = int(demo.asked("pane_pid"))
    with open(f"/proc/{shell}/task/{shell}/children") as file:
        (child,) = map(int, file.read().split())
    os.kill(child, number)
    demo.until(lambda text: re.search(r"READY\$ *$", text.rstrip("\n")) is not None)
    demo.until(lambda _: demo.asked("alternate_on") == "0")
    assert demo.asked("cursor_flag") == "1"
    assert demo.asked("mouse_any_flag") == "0"
    demo.keys("echo still", "Space", "here", "Enter")
    demo.sees("still here")


def test_what_is_left_broken_is_mended(demo, terminal):
    shell = int(demo.asked("pane_pid"))
    with open(f"/proc/{shell}/task/{shell}/children") as file:
        (child,) = map(int, file.read().split())
    os.kill(child, signal.SIGKILL)
    demo.until(lambda _: demo.asked("pane_current_command") == "sh")
    assert demo.asked("alternate_on") == "1"
    # The line discipline is still the program's: a person presses Ctrl-J where Enter does nothing.
    demo.keys("-l", f"{' '.join(TUI)} --reset")
    demo.keys("C-j")
    demo.until(lambda _: demo.asked("alternate_on") == "0")
    assert demo.asked("cursor_flag") == "1"
