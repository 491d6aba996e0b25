from __future__ import annotations

import asyncio

import pytest

from sentinel.hub.reason.engine import (
    MAX_SPACE,
    MAX_TEXT,
    Deadlines,
    EngineError,
    Failure,
    Piece,
    collect,
    missing,
)

SOON = Deadlines(first_token_s=0.15, stall_s=0.1, total_s=0.4)
DONE = Piece(done=True, finish="stop", prompt_tokens=7, output_tokens=3)


async def pieces(*what):
    """Yield pieces; a number is a pause in seconds."""
    for each in what:
        if isinstance(each, float):
            await asyncio.sleep(each)
        else:
            yield Piece(text=each) if isinstance(each, str) else each


async def refused(*what, deadlines=SOON, total_s=9.0):
    with pytest.raises(EngineError) as caught:
        await collect(pieces(*what), deadlines, total_s)
    return caught.value


async def test_a_whole_answer_is_the_sum_of_its_pieces():
    answer = await collect(pieces("a", "b", DONE), SOON, 9.0)
    assert (answer.text, answer.prompt_tokens, answer.output_tokens) == ("ab", 7, 3)


@pytest.mark.parametrize(
    ("what", "failure", "reply"),
    [
        ((5.0,), Failure.FIRST_TOKEN, ""),
        (("a", 5.0), Failure.STALL, "a"),
        (("a", "b"), Failure.TRUNCATED, "ab"),
        ((), Failure.TRUNCATED, ""),
        ((DONE,), Failure.EMPTY, ""),
        ((" \n", DONE), Failure.EMPTY, " \n"),
        (("a", Piece(done=True, finish="length")), Failure.TRUNCATED, "a"),
        ((Piece(done=True, finish="load"),), Failure.EMPTY, ""),
        (("{", " " * MAX_SPACE, "\n"), Failure.WHITE_SPACE, None),
        (("x" * MAX_TEXT, "y"), Failure.TOO_LARGE, None),
    ],
    ids=str,
)
async def test_an_answer_that_is_not_whole_is_refused_and_what_came_is_kept(what, failure, reply):
    error = await refused(*what)
    assert error.failure is failure
    assert reply is None or error.reply == reply


async def test_pieces_that_come_in_time_do_not_postpone_the_end_of_it_all():
    assert (await refused(*["a", 0.05] * 50)).failure is Failure.TOTAL


async def test_what_is_left_of_the_whole_deadline_is_what_counts():
    patient = Deadlines(first_token_s=9, stall_s=9, total_s=9)
    assert (await refused(5.0, deadlines=patient, total_s=0.1)).failure is Failure.TOTAL
    assert (await refused(5.0, deadlines=patient, total_s=-1.0)).failure is Failure.TOTAL


async def test_white_space_between_words_is_no_run():
    words = ["word", " " * (MAX_SPACE - 1)] * 3
    assert (await collect(pieces(*words, DONE), SOON, 9.0)).text


async def test_the_source_is_closed_when_a_deadline_passes():
    closed = []

    async def source():
        try:
            yield Piece(text="a")
            await asyncio.sleep(9)
        finally:
            closed.append(True)

    with pytest.raises(EngineError):
        await collect(source(), SOON, 9.0)
    assert closed == [True]


async def test_cancellation_is_not_turned_into_a_failure():
    task = asyncio.ensure_future(collect(pieces(9.0), Deadlines(), 9.0))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_what_a_server_says_is_escaped_and_bounded():
    error = EngineError("\x1b[2J" + "x" * 9000, kind=Failure.SERVER_ERROR)
    assert error.what.isprintable()
    assert len(error.what) < 600


def test_a_missing_model_names_those_there_are():
    status = missing("ollama:a", "a", ["b", "c\x1b"])
    assert status.note == "the server does not have a; it has b, c\\x1b"
    assert status.failure is Failure.MODEL_MISSING
