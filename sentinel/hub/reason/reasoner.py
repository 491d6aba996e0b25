"""Stage 4: an incident in, a proposal out, always.

Code does what code can: the facts, the ranking and the playbook's plan are there before any model is
asked. A model is asked once, and once more with the words of what was wrong with its answer; whatever
goes wrong beyond that, the playbook's plan stands in and says so. Nothing here can start a process:
what a model says is data, and becomes a plan only through `parse`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import secrets
from collections.abc import Callable

import msgspec

from sentinel.config import EngineSettings
from sentinel.domain import Command, Diagnosis, Evidence, Incident, Reasoning
from sentinel.errors import ConfigError, printable
from sentinel.hub.reason import evidence, guard, parse, playbook, prompt
from sentinel.hub.reason.budget import Budget, Ledger
from sentinel.hub.reason.engine import (
    REPAIRABLE,
    Deadlines,
    Engine,
    EngineError,
    EngineStatus,
    Failure,
    Limits,
    Message,
    Request,
)
from sentinel.hub.reason.evidence import Fact
from sentinel.hub.reason.ollama_engine import OllamaEngine
from sentinel.hub.reason.openai_engine import OpenAIEngine
from sentinel.hub.reason.picture import Picture, picture
from sentinel.hub.reason.playbook import Draft, Playbook
from sentinel.hub.reason.runbook import Runbook

log = logging.getLogger(__name__)

PROBE_EVERY_S = 30.0
ATTEMPTS = 2  # the question, and one repair
GRACE_S = 1.0  # behind the deadline of the call itself, which keeps what had arrived
AT_ONCE = 1  # a local model answers one question after the other anyway
MAX_RECORD = 262_144  # of a prompt or a reply in the record


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """What to do about an incident, whose idea it is, and everything needed to replay how it came.

    `stand_in` says why the playbook's plan stands in for a model's, or is empty.
    """

    diagnosis: Diagnosis
    commands: tuple[Command, ...]
    author: str
    engine: str
    stand_in: str = ""
    evidence: tuple[Evidence, ...] = ()
    records: tuple[Reasoning, ...] = ()


class Reasoner:
    """Makes proposals, with the help of `engine` where there is one."""

    def __init__(
        self, engine: Engine | None, book: Playbook, *, budget: Budget | None = None
    ) -> None:
        """Nothing is asked yet: the engine may be unreachable, now or for ever."""
        self._engine = engine
        self._book = book
        self._ledger = Ledger(budget or Budget())
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._status = (
            EngineStatus(name="playbook", ready=True)
            if engine is None
            else EngineStatus(name=_name(engine), ready=False, note="not asked yet")
        )

    @property
    def runbooks(self) -> tuple[Runbook, ...]:
        """The runbooks that are loaded, in the order in which they are tried."""
        return self._book.runbooks

    def status(self) -> EngineStatus:
        """Return how the engine was when it was last asked. Does not wait."""
        return self._status

    async def run(self) -> None:
        """Keep `status` fresh, until cancelled."""
        while self._engine is not None:
            await self._probe(self._engine)
            await asyncio.sleep(PROBE_EVERY_S)

    async def propose(self, incident: Incident, attempt: int, now_ms: int) -> Proposal:
        """Return a plan for `incident`; `attempt` counts from 1. Raises nothing but cancellation."""
        scene = picture(incident.report)
        facts = evidence.facts(scene)
        draft = self._book.draft(scene, facts, attempt)
        if self._engine is None:
            return _by_playbook(draft, facts)
        limits = self._engine.limits
        question = _Question(
            engine=self._engine,
            ledger=self._ledger,
            incident=incident,
            seed=_seed(incident, attempt),
            clock=_clock(now_ms),
            deadline=asyncio.get_running_loop().time() + limits.deadlines.total_s,
        )
        try:
            asked = self._prompt(incident, scene, facts, limits)
            async with asyncio.timeout(limits.deadlines.total_s + GRACE_S):
                async with self._turn:
                    status = await self._probe(self._engine)
                    answer = await question.ask(asked, status)
        except EngineError as error:
            return self._stand_in(draft, facts, question, error)
        except TimeoutError:
            limit = limits.deadlines.total_s
            late = EngineError(f"no answer within {limit:g} s", kind=Failure.TOTAL)
            return self._stand_in(draft, facts, question, late)
        return Proposal(
            diagnosis=answer.diagnosis,
            commands=answer.commands,
            author=self._engine.kind,
            engine=_name(self._engine),
            evidence=tuple(fact.evidence for fact in facts),
            records=tuple(question.records),
        )

    async def _probe(self, engine: Engine) -> EngineStatus:
        status = await engine.probe()
        if (status.ready, status.note) != (self._status.ready, self._status.note):
            word = "ready" if status.ready else "not ready"
            note = f": {status.note}" if status.note else ""
            log.info("%s is %s%s", status.name, word, note, extra={"action": "engine_status"})
        self._status = status
        return status

    def _prompt(
        self, incident: Incident, scene: Picture, facts: tuple[Fact, ...], limits: Limits
    ) -> prompt.Prompt:
        return prompt.build(
            incident,
            scene,
            facts,
            (self._book.matching(scene)[0], self._book.examples(scene)),
            nonce=secrets.token_hex(8),
            limit=prompt.budget_bytes(limits),
        )

    def _stand_in(
        self, draft: Draft, facts: tuple[Fact, ...], question: _Question, error: EngineError
    ) -> Proposal:
        reason = f"{_name(question.engine)}: {error.kind}: {error.what}"
        log.warning(
            "the playbook stands in for %s", printable(reason, 300), extra={"action": "stand_in"}
        )
        return msgspec.structs.replace(
            _by_playbook(draft, facts),
            stand_in=printable(reason, 500),
            records=tuple(question.records),
        )


class _Question:
    """One incident before one engine: the calls that were made, and their record."""

    def __init__(
        self,
        *,
        engine: Engine,
        ledger: Ledger,
        incident: Incident,
        seed: int,
        clock: Callable[[], int],
        deadline: float,
    ) -> None:
        self.engine = engine
        self.records: list[Reasoning] = []
        self._ledger = ledger
        self._incident = incident
        self._seed = seed
        self._clock = clock
        self._deadline = deadline  # of the event loop's clock

    async def ask(self, asked: prompt.Prompt, status: EngineStatus) -> parse.Answer:
        """Return the model's answer; EngineError where even a repair gives none that can be used."""
        if not status.ready:
            raise EngineError(status.note, kind=status.failure)
        messages = asked.messages
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._call(asked, messages, attempt, status.digest)
            except EngineError as error:
                if attempt == ATTEMPTS or error.failure not in REPAIRABLE:
                    raise
                messages = prompt.repair(asked, error.reply, error.what)
        raise AssertionError("the last attempt returns or raises")

    async def _call(
        self, asked: prompt.Prompt, messages: tuple[Message, ...], attempt: int, digest: str
    ) -> parse.Answer:
        started_ms = self._clock()
        summary = self._incident.summary
        if reason := self._ledger.spend(summary.id, summary.host, started_ms):
            raise EngineError(reason, kind=Failure.BUDGET)
        request = Request(
            messages=messages,
            schema=parse.schema(asked.entities, asked.evidence),
            seed=self._seed + attempt,
            total_s=self._deadline - asyncio.get_running_loop().time(),
        )
        reply, failure = "", "interrupted"
        try:
            completion = await self.engine.complete(request)
            reply = completion.text
            answer = parse.parse(reply, asked.entities, asked.evidence)
            failure = ""
            return answer
        except EngineError as error:
            reply = error.reply = reply or error.reply
            failure = f"{error.kind}: {error.what}"
            raise
        finally:
            self.records.append(
                Reasoning(
                    engine=_name(self.engine),
                    model=printable(self.engine.model, 256)[:256],
                    model_digest=digest[:256],
                    prompt=_plain(
                        json.dumps([[m.role, m.content] for m in messages], ensure_ascii=False)
                    ),
                    schema=json.dumps(request.schema),
                    options=json.dumps(self.engine.options(request)),
                    reply=_plain(reply),
                    error=failure[:1024],
                    started_ms=started_ms,
                    ended_ms=self._clock(),
                )
            )


def from_settings(settings: EngineSettings) -> Reasoner:
    """Return the reasoner that a hub's settings describe; ConfigError that names the field."""
    book = playbook.shipped()
    if settings.kind == "playbook":
        return Reasoner(None, book)
    if not settings.model:
        raise ConfigError(
            f"engine.model is empty, and engine.kind is {settings.kind}",
            hint="name the model as its server lists it, for example qwen2.5-coder:7b",
        )
    limits = Limits(
        num_ctx=settings.num_ctx,
        num_predict=settings.num_predict,
        deadlines=Deadlines(
            first_token_s=settings.first_token_s,
            stall_s=settings.stall_s,
            total_s=settings.total_s,
        ),
    )
    server = guard.server_of(settings.url)
    maker = OllamaEngine if settings.kind == "ollama" else OpenAIEngine
    return Reasoner(maker(server, settings.model, limits), book)


def _by_playbook(draft: Draft, facts: tuple[Fact, ...]) -> Proposal:
    return Proposal(
        diagnosis=draft.diagnosis,
        commands=draft.commands,
        author="playbook",
        engine=f"playbook:{draft.runbook}",
        evidence=tuple(fact.evidence for fact in facts),
    )


def _name(engine: Engine) -> str:
    return f"{engine.kind}:{printable(engine.model, 128)}"


def _seed(incident: Incident, attempt: int) -> int:
    """Return the same seed for the same question, and another for every other."""
    words = f"{incident.summary.id} {attempt}".encode()
    return int.from_bytes(hashlib.sha256(words).digest()[:3], "big") * 2


def _clock(now_ms: int) -> Callable[[], int]:
    """Return a clock that says `now_ms` now, and goes on from there."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    return lambda: now_ms + int((loop.time() - start) * 1000)


def _plain(text: str) -> str:
    """Return `text` with what has no UTF-8 form escaped, within the bound of a record."""
    return text.encode("utf-8", "backslashreplace").decode()[:MAX_RECORD]
