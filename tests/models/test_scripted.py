from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import pytest

from loopwright.core.errors import InputError, ModelUnavailable, UnknownName
from loopwright.core.model import Model, Reply, Request, Sampling
from loopwright.core.types import Turn
from loopwright.models import load
from loopwright.models.scripted import ScriptedModel


def echo(request: Request, index: int) -> str:
    return f"{request.turns[-1].text} {request.seed} {index} {'abc' in frozenset({'x', 'y'})}"


def ask(text: str = "hello", *, n: int = 1, seed: int = 0, **sampling: Any) -> Request:
    return Request(turns=(Turn(role="user", text=text),), n=n, seed=seed, sampling=Sampling(**sampling))


def run(model: Model, *requests: Request) -> Sequence[Reply]:
    return asyncio.run(_run(model, requests))


async def _run(model: Model, requests: Sequence[Request]) -> Sequence[Reply]:
    return await model.generate(requests)


def texts(model: Model, *requests: Request) -> list[str]:
    return [turn.text for reply in run(model, *requests) for turn in reply.choices]


def test_a_function_answers_by_request_and_index() -> None:
    model = ScriptedModel(echo)
    assert isinstance(model, Model)
    assert texts(model, ask(n=2, seed=3), ask("bye")) == ["hello 3 0 False", "hello 3 1 False", "bye 0 0 False"]
    assert (model.calls, model.waves) == (2, [3])


def test_a_mapping_answers_by_question() -> None:
    model = ScriptedModel({"hello": "hi", "many": ["a", "b", "c"]})
    assert texts(model, ask(n=2)) == ["hi", "hi"]
    assert set(texts(model, ask("many", n=50))) == {"a", "b", "c"}
    with pytest.raises(InputError, match="no answer for 'unheard'"):
        run(model, ask("unheard"))


def test_the_order_of_calls_changes_nothing() -> None:
    requests = [ask(str(i), seed=i, n=2) for i in range(20)]
    there, back = ScriptedModel(["a", "b", "c"]), ScriptedModel(["a", "b", "c"])
    forth = [texts(there, request) for request in requests]
    assert forth == [texts(back, request) for request in reversed(requests)][::-1]
    assert forth != [texts(ScriptedModel(["a", "b", "c"], seed=1), request) for request in requests]


def test_limits_and_stops() -> None:
    model = ScriptedModel("0123456789 END more")
    (reply,) = run(model, ask(max_tokens=2))
    assert reply.choices[0] == Turn(role="assistant", text="01234567", finish="length")
    assert texts(model, ask(stop=(" END",))) == ["0123456789"]


def test_costs_stay_below_the_estimate() -> None:
    model = ScriptedModel("x" * 1000)
    request = ask("y" * 100, n=3, max_tokens=10)
    (reply,) = run(model, request)
    most = model.estimate(request)
    assert reply.cost.prompt_tokens <= most.prompt_tokens
    assert reply.cost.completion_tokens <= most.completion_tokens == 30


def test_the_kth_call_fails() -> None:
    model = ScriptedModel("ok", failures={2: ModelUnavailable("planned", kind="timeout")})
    assert texts(model, ask()) == ["ok"]
    with pytest.raises(ModelUnavailable, match="planned"):
        run(model, ask())
    assert texts(model, ask()) == ["ok"]


def test_latency_is_waited_once_a_wave() -> None:
    start = time.perf_counter()
    run(ScriptedModel("ok", latency=0.05), *[ask() for _ in range(10)])
    assert 0.05 <= time.perf_counter() - start < 0.4


def test_a_wave_that_is_too_large_is_refused() -> None:
    model = ScriptedModel("ok", batch_rows=4)
    run(model, ask(n=2), ask(n=2))
    run(model, ask(n=9))  # one request alone cannot be made smaller
    with pytest.raises(ModelUnavailable, match="batch_rows=4"):
        run(model, ask(n=3), ask(n=2))


def test_fingerprints_follow_the_answers() -> None:
    def adding(k: int) -> ScriptedModel:
        return ScriptedModel(lambda request, index: str(k + index))

    answers: tuple[Any, ...] = ("a", "b", {"a": "b"}, echo)
    prints = [ScriptedModel("a", seed=1).fingerprint, *(ScriptedModel(answer).fingerprint for answer in answers)]
    assert len({*prints, adding(1).fingerprint, adding(2).fingerprint}) == 7
    assert adding(1).fingerprint == adding(1).fingerprint
    assert ScriptedModel("a", fingerprint="mine").fingerprint == "mine"


def test_another_process_has_the_same_answers_and_fingerprint() -> None:
    code = (
        "import sys, asyncio; sys.path.insert(0, sys.argv[1])\n"
        "import test_scripted as t\n"
        "m = t.ScriptedModel(t.echo); w = t.ScriptedModel(['a', 'b', 'c'])\n"
        "print(m.fingerprint, w.fingerprint, ''.join(t.texts(w, t.ask(n=20))))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code, str(__file__).rpartition("/")[0]],
            capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(outputs) == 1


def test_load() -> None:
    model = load(f"scripted:{__name__}:echo", name="mine", priced=True)
    assert texts(model, ask()) == ["hello 0 0 False"]
    assert texts(load({"backend": "scripted", "answer": {"hello": "hi"}}), ask()) == ["hi"]
    with pytest.raises(UnknownName, match="Did you mean echo"):
        load(f"scripted:{__name__}:echos")
    with pytest.raises(UnknownName, match="no_such_module"):
        load("scripted:no_such_module:f")
    with pytest.raises(InputError, match="scripted:module:function"):
        load("scripted")
    with pytest.raises(InputError):
        ScriptedModel([])


def test_loading_imports_nothing_heavy() -> None:
    code = (
        "import sys; from loopwright.models import load; load({'backend': 'scripted', 'answer': ['x']}); load('openai:x')\n"
        "print([m for m in ('torch', 'transformers', 'aiohttp', 'openai') if m in sys.modules])"
    )
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"
