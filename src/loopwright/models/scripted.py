"""A model whose answers are written down: for tests, conformance checks and trying a task without a model."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from types import CodeType
from typing import Any

from loopwright.core.errors import InputError, ModelError, ModelUnavailable
from loopwright.core.feedback import Cost
from loopwright.core.model import Reply, Request
from loopwright.core.types import Turn, digest

Answer = Callable[[Request, int], str] | Mapping[str, "str | Sequence[str]"] | Sequence[str]

_LETTERS = 4  # characters that count as one token


class ScriptedModel:
    """Answers as a function of (request, index of the sample), never of the order of the calls.

    answer: a function of (request, index); or a mapping from the last user turn to its answer, or to several from which
        (seed, request, index) picks one; or a sequence to pick from for any request.
    seed: of the picking. A function finds the call's own seed in ``request.seed``.
    latency: seconds that a ``generate`` call takes.
    failures: the error to raise at the k-th request this object was asked, counted from 1.
    batch_rows: as in core.model.Model; a wave above it fails, so that tests catch an engine that composes one.
    fingerprint: give one where a function depends on what its code, defaults and closure do not show.

    ``calls`` counts requests and ``waves`` holds the rows of every ``generate`` call, both for this process only. Four
    characters count as one token, and ``max_tokens`` and ``stop`` are obeyed.
    """

    def __init__(
        self,
        answer: Answer,
        *,
        name: str = "scripted",
        seed: int = 0,
        latency: float = 0.0,
        failures: Mapping[int, ModelError] | None = None,
        batch_rows: int = 0,
        fingerprint: str | None = None,
    ) -> None:
        if isinstance(answer, str):
            answer = (answer,)
        if not callable(answer) and not answer:
            raise InputError("scripted model: expected at least one answer, got none")
        self.answer = answer
        self.name = name
        self.seed = seed
        self.latency = latency
        self.failures = dict(failures or {})
        self.batch_rows = batch_rows
        self.fingerprint = fingerprint or digest(["scripted", seed, _identity(answer)])
        self.calls = 0
        self.waves: list[int] = []

    def __repr__(self) -> str:
        return f"ScriptedModel({self.name!r}, calls={self.calls})"

    async def generate(self, requests: Sequence[Request]) -> Sequence[Reply]:
        """Raises the scripted failure when its turn comes, InputError where the script has no answer."""
        rows = sum(request.n for request in requests)
        self.waves.append(rows)
        first = self.calls + 1
        self.calls += len(requests)
        if self.latency:
            await asyncio.sleep(self.latency)
        for k in range(first, first + len(requests)):
            if k in self.failures:
                raise self.failures[k]
        if self.batch_rows and rows > self.batch_rows and len(requests) > 1:
            message = f"a wave of {rows} rows was sent to a model of batch_rows={self.batch_rows}"
            raise ModelUnavailable(message, kind="bad-request")
        return [self._reply(request) for request in requests]

    def estimate(self, request: Request) -> Cost:
        completion = request.n * request.sampling.max_tokens
        return Cost(calls=1, prompt_tokens=_prompt_tokens(request), completion_tokens=completion)

    async def close(self) -> None:
        return None

    def _reply(self, request: Request) -> Reply:
        choices = tuple(self._turn(request, i) for i in range(request.n))
        written = sum(_tokens(turn.text) for turn in choices)
        return Reply(
            choices=choices,
            cost=Cost(calls=1, prompt_tokens=_prompt_tokens(request), completion_tokens=written, seconds=self.latency),
        )

    def _turn(self, request: Request, index: int) -> Turn:
        text = self._text(request, index)
        if not isinstance(text, str):
            raise InputError(f"scripted model: expected the answer as text, got {type(text).__name__}")
        for stop in request.sampling.stop:
            text = text.split(stop, 1)[0]
        if _tokens(text) > request.sampling.max_tokens:
            return Turn(role="assistant", text=text[: request.sampling.max_tokens * _LETTERS], finish="length")
        return Turn(role="assistant", text=text, finish="stop")

    def _text(self, request: Request, index: int) -> str:
        if callable(self.answer):
            return self.answer(request, index)
        answers: str | Sequence[str]
        if isinstance(self.answer, Mapping):
            asked = next((turn.text for turn in reversed(request.turns) if turn.role == "user"), "")
            if asked not in self.answer:
                raise InputError(f"scripted model: no answer for {asked[:200]!r}; {len(self.answer)} others are known")
            answers = self.answer[asked]
        else:
            answers = self.answer
        return answers if isinstance(answers, str) else answers[_pick(self.seed, request, index) % len(answers)]


def _pick(seed: int, request: Request, index: int) -> int:
    words = [str(seed), str(request.seed), str(index), request.adapter or ""]
    words += [f"{turn.role}:{turn.text}" for turn in request.turns]
    return int.from_bytes(hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).digest()[:8], "big")


def _tokens(text: str) -> int:
    return -(-len(text) // _LETTERS)


def _prompt_tokens(request: Request) -> int:
    return sum(_tokens(turn.text) for turn in request.turns)


def _identity(answer: Answer) -> Any:
    """Plain data that differs where the answers can differ, the same in every process."""
    if isinstance(answer, Mapping):
        return {key: value if isinstance(value, str) else list(value) for key, value in answer.items()}
    if not callable(answer):
        return list(answer)
    owner = answer if hasattr(answer, "__qualname__") else type(answer)
    cells = getattr(answer, "__closure__", None) or ()
    return {
        "name": f"{owner.__module__}:{owner.__qualname__}",
        "code": _plain(getattr(answer, "__code__", None)),
        "defaults": _plain([getattr(answer, "__defaults__", None), getattr(answer, "__kwdefaults__", None)]),
        "closure": [_plain(cell.cell_contents) for cell in cells],
        "state": _plain(getattr(answer, "__dict__", None)),
    }


def _plain(value: Any) -> Any:
    """A value without addresses: ``repr`` of a function or an object differs from process to process."""
    if isinstance(value, CodeType):
        return [value.co_code.hex(), list(value.co_names), [_plain(const) for const in value.co_consts]]
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(repr(_plain(item)) for item in value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, str | int | float | bytes | bool | None):
        return repr(value)
    code = getattr(value, "__code__", None)
    return [type(value).__qualname__, getattr(value, "__qualname__", ""), _plain(code)]
