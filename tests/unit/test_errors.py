from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel import errors


def test_only_a_leaf_can_be_raised():
    with pytest.raises(TypeError, match="somebody owns the fault"):
        raise errors.SentinelError("x")


def test_an_error_says_what_and_the_remedy():
    error = errors.ConfigError("hub.toml: port is 'x'", hint="write a number")
    assert errors.render(error, "sentinel-hub") == (
        "sentinel-hub: hub.toml: port is 'x'\n  write a number"
    )


def test_an_error_in_one_line_has_its_remedy_if_it_has_one():
    error = errors.ConfigError("port is 'x'", hint="write a number")
    assert errors.in_one_line(error) == "port is 'x'; write a number"
    assert errors.in_one_line(errors.PeerError("it was revoked")) == "it was revoked"


def test_what_could_act_on_a_terminal_is_shown_escaped():
    assert errors.printable("a\x1b[31mb\r\n\u202ec\u200b\x9b\U000e0041") == (
        "a\\x1b[31mb\\r\\n\\u202ec\\u200b\\x9b\\U000e0041"
    )


@given(st.text())
def test_a_printable_text_is_printable(text):
    assert errors.printable(text).isprintable()


def test_a_long_text_is_cut_and_says_so():
    assert errors.printable("x" * 10, limit=4) == "xxxx… (6 more characters)"
