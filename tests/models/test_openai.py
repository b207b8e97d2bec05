from __future__ import annotations

import asyncio
import gc
import json
import logging
import socket
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from loopwright.core.errors import (
    BadOutput,
    InputError,
    ModelNotFound,
    ModelUnavailable,
    PromptTooLong,
    QuotaExhausted,
    Refused,
    UnknownName,
    UnknownPrice,
)
from loopwright.core.feedback import Cost
from loopwright.core.identity import billed
from loopwright.core.model import Model, Reply, Request, Sampling
from loopwright.core.types import Turn
from loopwright.models import load
from loopwright.models.openai import OpenAIModel
from loopwright.models.prices import Prices

sys.path.insert(0, str(Path(__file__).parents[1]))
from fakes.openai_server import Server, completion, fails, serving

KEY = "sk-test-0123456789abcdef"


class Clock:
    """Time that passes only by waiting, and what was waited."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving() as server:
        yield server


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make(server: Server, clock: Clock | None = None, **options: Any) -> OpenAIModel:
    clock = clock or Clock()
    options = {
        "base_url": server.url,
        "api_key_env": "OPENAI_API_KEY",
        "sleep": clock.sleep,
        "clock": clock,
        "wall": clock,
    } | options
    return OpenAIModel("tiny", **options)


def ask(text: str = "What is 2 + 2?", *, n: int = 1, seed: int = 5, **sampling: Any) -> Request:
    turns = (Turn(role="system", text="Be brief."), Turn(role="user", text=text))
    return Request(turns=turns, n=n, seed=seed, sampling=Sampling(**sampling))


def answer(model: OpenAIModel, request: Request | None = None) -> Reply:
    async def main() -> Reply:
        try:
            (reply,) = await model.generate([request or ask()])
            return reply
        finally:
            await model.close()

    return asyncio.run(main())


def test_a_good_answer(server: Server) -> None:
    model = make(server, price=(1.0, 2.0))
    reply = answer(model, ask(max_tokens=9, temperature=0.5, top_p=0.9, stop=("END",)))
    assert isinstance(model, Model)
    assert reply.choices == (Turn(role="assistant", text="answer 5.0", finish="stop"),)
    assert (reply.cost.calls, reply.cost.prompt_tokens, reply.cost.completion_tokens) == (1, 7, 3)
    assert reply.cost.money == pytest.approx((7 * 1.0 + 3 * 2.0) / 1e6)
    assert server.bodies == [
        {
            "model": "tiny",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 2 + 2?"}],
            "temperature": 0.5, "top_p": 0.9, "seed": 5, "max_tokens": 9, "stop": ["END"],
        }
    ]  # fmt: skip
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_requests_are_answered_in_order_and_loops_do_not_share_connections(server: Server) -> None:
    model = make(server, concurrency=3)

    async def main(close: bool) -> list[str]:
        replies = await model.generate([ask(seed=i) for i in range(10)])
        if close:
            await model.close()
        return [reply.choices[0].text for reply in replies]

    expected = [f"answer {i}.0" for i in range(10)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert asyncio.run(main(close=True)) == asyncio.run(main(close=True)) == expected
        gc.collect()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ResourceWarning
        )  # a loop that ended without close() leaves its sockets to Python
        assert (
            asyncio.run(main(close=False))
            == asyncio.run(main(close=False))
            == asyncio.run(main(close=True))
            == expected
        )
        gc.collect()


def test_no_server_at_all(clock: Clock) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    model = OpenAIModel("tiny", base_url=f"http://127.0.0.1:{port}/v1", attempts=3, sleep=clock.sleep, clock=clock)
    with pytest.raises(ModelUnavailable, match="tried 3 times") as caught:
        answer(model)
    assert (caught.value.kind, caught.value.attempts, len(clock.waits)) == ("connection", 3, 2)


@pytest.mark.fault(41)
def test_a_deterministic_500_ends(server: Server, clock: Clock) -> None:
    server.will(fails(500, "tensor shape mismatch"))
    with pytest.raises(ModelUnavailable, match="tensor shape mismatch") as caught:
        answer(make(server, clock, attempts=4))
    assert (caught.value.kind, caught.value.attempts, len(server.bodies)) == ("server", 4, 4)
    assert all(0 <= wait <= 0.5 * 2**k for k, wait in enumerate(clock.waits))


def test_waits_are_the_same_for_the_same_seed(server: Server) -> None:
    waits = []
    for jitter in (1, 1, 2):
        clock = Clock()
        server.will(fails(503))
        with pytest.raises(ModelUnavailable):
            answer(make(server, clock, jitter=jitter))
        waits.append(clock.waits)
    assert waits[0] == waits[1] != waits[2]


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
def test_what_may_pass_is_tried_again(server: Server, status: int) -> None:
    server.will(fails(status), completion)
    assert answer(make(server)).choices[0].text == "answer 5.0"
    assert len(server.bodies) == 2


@pytest.mark.fault(30)
@pytest.mark.parametrize("value", ["7", "Thu, 01 Jan 1970 00:16:47 GMT"])
def test_retry_after_is_honoured(server: Server, clock: Clock, value: str) -> None:
    server.will(fails(429, "Rate limit reached for tiny", Retry_After=value), completion)
    answer(make(server, clock))
    assert len(clock.waits) == 1
    assert 7.0 <= clock.waits[0] <= 7.5


@pytest.mark.parametrize("value", ["soon", "nan", "-3", "Thu, 99 Jan", "inf"])
def test_a_strange_retry_after_is_no_wait(server: Server, clock: Clock, value: str) -> None:
    server.will(fails(429, Retry_After=value), completion)
    answer(make(server, clock))
    assert clock.waits[0] <= 0.5


@pytest.mark.fault(30)
def test_a_wait_past_the_deadline_is_not_begun(server: Server, clock: Clock) -> None:
    server.will(fails(429, Retry_After="3600"))
    with pytest.raises(ModelUnavailable, match="deadline of 60 s") as caught:
        answer(make(server, clock, deadline=60.0))
    assert (caught.value.kind, clock.waits) == ("rate-limit", [])


@pytest.mark.fault(31)
@pytest.mark.parametrize(
    "step",
    [
        fails(402, "pay first"),
        fails(429, "You exceeded your current quota", code="insufficient_quota"),
        fails(400, "Monthly limit reached"),
        fails(400, "Billing hard limit has been reached"),
        fails(400, "Your credit balance is too low"),
        fails(403, "Out of quota"),
    ],
)
def test_no_money_is_never_tried_again(server: Server, clock: Clock, step: Any) -> None:
    server.will(step)
    with pytest.raises(QuotaExhausted):
        answer(make(server, clock))
    assert len(server.bodies) == 1 and not clock.waits


@pytest.mark.parametrize(
    ("status", "message", "code", "error", "kind"),
    [
        (401, "bad key", "", ModelUnavailable, "auth"),
        (403, "not for you", "", ModelUnavailable, "auth"),
        (400, "context length limit reached", "", PromptTooLong, "too-long"),
        (422, "temperature must be a number", "", ModelUnavailable, "bad-request"),
        (404, "Not Found", "", ModelUnavailable, "bad-request"),
        (404, "The model tiny does not exist", "model_not_found", ModelNotFound, None),
    ],
)
def test_what_stays_wrong_is_told_at_once(
    server: Server, status: int, message: str, code: str, error: type[Exception], kind: str | None
) -> None:
    server.will(fails(status, message, code))
    with pytest.raises(error, match=message) as caught:
        answer(make(server))
    assert getattr(caught.value, "kind", None) == kind
    assert len(server.bodies) == 1


def test_a_redirect_is_not_followed(server: Server) -> None:
    server.will(lambda body: web.Response(status=307, headers={"Location": f"{server.url}/chat/completions"}))
    with pytest.raises(ModelUnavailable):
        answer(make(server))
    assert len(server.bodies) == 1


def test_a_slow_server_times_out(server: Server) -> None:
    server.will(5.0)
    with pytest.raises(ModelUnavailable, match="no answer within") as caught:
        answer(make(server, timeout=0.05, attempts=2))
    assert (caught.value.kind, caught.value.attempts) == ("timeout", 2)


def raw(body: bytes) -> Any:
    return lambda _: web.Response(body=body, content_type="application/json")


def choice(content: Any, **more: Any) -> Any:
    message = {"content": content, **more.pop("message", {})}
    return raw(json.dumps({"choices": [{"message": message, "finish_reason": "stop", **more}]}).encode())


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (choice(7), "malformed"),
        (choice([{"type": "image_url", "image_url": {"url": "x"}}]), "malformed"),
        (choice([7]), "malformed"),
        (choice(""), "empty"),
        (choice(None), "empty"),
        (choice(" \n"), "empty"),
        (choice("", finish_reason="length"), "empty"),
        (choice("half an", finish_reason="content_filter"), "refused"),
        (choice(None, message={"refusal": "I cannot help with that."}), "refused"),
    ],
)
def test_bad_output_is_an_error_and_never_text(server: Server, step: Any, kind: str) -> None:
    server.will(step)
    with pytest.raises(BadOutput) as caught:
        answer(make(server))
    assert caught.value.kind == kind
    assert len(server.bodies) == 1


NOTHING = [
    b"{}", b"[]", b'{"choices": []}', b'{"choices": null}', b'{"choices": {}}', b'{"choices": [null]}', b'{"choices": [{}]}',
    b'{"choices": [{"message": null, "finish_reason": "stop"}]}', b'{"choices": [{"message": "hello"}]}',
]  # fmt: skip


@pytest.mark.fault(48)
@pytest.mark.parametrize("body", NOTHING)
def test_a_200_without_an_answer_is_asked_again_and_then_lost(server: Server, clock: Clock, body: bytes) -> None:
    server.will(raw(body), raw(body), completion)
    assert answer(make(server, clock)).choices[0].text == "answer 5.0"
    assert len(server.bodies) == 3
    server.bodies.clear()
    server.will(raw(body))
    with pytest.raises(BadOutput) as caught:
        answer(make(server, clock, attempts=4))
    assert (caught.value.kind, len(server.bodies)) == ("malformed", 4)


def test_a_200_without_an_answer_costs_what_it_says_and_stops_at_the_deadline(server: Server, clock: Clock) -> None:
    server.will(raw(b'{"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 0}}'))
    with pytest.raises(BadOutput) as caught:
        answer(make(server, clock, deadline=60.0, backoff=1e9, longest_wait=1e9, jitter=0))
    assert caught.value.cost is not None and caught.value.cost.prompt_tokens == 9
    assert len(server.bodies) == 1


def test_no_message_where_a_filter_ended_the_reply_is_a_refusal(server: Server) -> None:
    server.will(raw(b'{"choices": [{"message": null, "finish_reason": "content_filter"}]}'))
    with pytest.raises(Refused, match="content_filter"):
        answer(make(server))
    assert len(server.bodies) == 1


def test_parts_of_text_are_joined_and_thinking_is_kept_apart(server: Server) -> None:
    forms: list[tuple[Any, str, str]] = [
        ([{"type": "text", "text": "4"}, {"type": "text", "text": "2"}], "42", ""),
        (["4", {"text": "2"}], "42", ""),
        ({"type": "text", "text": "42"}, "42", ""),
        ([{"type": "output_text", "text": "42"}], "42", ""),
        ([{"type": "text", "text": {"value": "42", "annotations": []}}], "42", ""),
        ([{"type": "thinking", "thinking": "6 x 7", "signature": "x"}, {"type": "text", "text": "42"}], "42", "6 x 7"),
        (
            [{"type": "thinking", "thinking": [{"type": "text", "text": "6 "}, {"type": "text", "text": "x 7"}]}, "42"],
            "42",
            "6 x 7",
        ),
    ]
    for content, text, thought in forms:
        server.will(choice(content))
        turn = answer(make(server)).choices[0]
        assert (turn.text, turn.reasoning) == (text, thought), content
    for key in ("reasoning_content", "reasoning", "thinking"):
        server.will(choice("42", message={key: "6 x 7"}))
        turn = answer(make(server)).choices[0]
        assert (turn.text, turn.reasoning, turn.said()) == ("42", "6 x 7", Turn(role="assistant", text="42"))


@pytest.mark.parametrize(
    ("message", "finish", "why"),
    [
        ({"tool_calls": [{"function": {"name": "search", "arguments": "{}"}}]}, "tool_calls", "called search instead"),
        ({"function_call": {"name": "search"}}, "function_call", "called search instead"),
        ({"reasoning_content": "hmm"}, "stop", "only its reasoning"),
        ({"reasoning_content": "hmm"}, "length", "max_tokens before it wrote anything but its reasoning"),
    ],
)
def test_an_answer_without_text_says_what_there_was(
    server: Server, message: dict[str, Any], finish: str, why: str
) -> None:
    server.will(choice(None, message=message, finish_reason=finish))
    with pytest.raises(BadOutput, match=why) as caught:
        answer(make(server))
    assert caught.value.kind == "empty"


@pytest.mark.parametrize(
    "finish", ["content_filter", "content_filter: PROHIBITED_CONTENT", "SAFETY", "refusal", "sensitive"]
)
def test_a_200_that_a_filter_ended_is_a_refusal(server: Server, finish: str) -> None:
    server.will(choice("half", finish_reason=finish))
    with pytest.raises(Refused, match=finish):
        answer(make(server))
    server.will(choice([{"type": "refusal", "refusal": "I will not."}]))
    with pytest.raises(Refused, match="I will not"):
        answer(make(server))
    server.will(raw(b'{"choices": [], "promptFeedback": {"blockReason": "SAFETY"}}'))
    with pytest.raises(Refused, match="SAFETY"):
        answer(make(server))


def test_one_of_several_samples_that_gave_no_answer_is_the_answer_of_nothing(server: Server) -> None:
    server.will(lambda body: completion(body, ["4", "", "4"]))
    assert [t.text for t in answer(make(server), ask(n=3)).choices] == ["4", "", "4"]
    server.will(lambda body: completion(body, ["", "", ""]))
    with pytest.raises(BadOutput):
        answer(make(server), ask(n=3))
    # and where they are asked for one by one
    server.will(
        lambda body: completion(body, ["4"]), lambda body: completion(body, [""]), lambda body: completion(body, ["5"])
    )
    reply = answer(make(server), ask(n=3))
    assert [t.text for t in reply.choices] in (["4", "", "5"], ["4", "5", ""])


def in_a_200(error: Any) -> Any:
    return raw(json.dumps(error if "error" in error or "object" in error else {"error": error}).encode())


@pytest.mark.parametrize(
    "step",
    [
        in_a_200({"message": "Provider returned error", "code": 502}),
        in_a_200({"message": "Rate limit exceeded: free-models-per-min", "code": 429}),
        in_a_200({"message": "overloaded"}),
        in_a_200({"object": "error", "message": "Internal server error", "code": 500}),
        in_a_200({"error": "upstream timed out"}),
        raw(b"<html><head><title>Bad gateway</title></head></html>"),
        raw(b"\n <!DOCTYPE html><html><body>Please log in</body></html>"),
        raw(b'{"choices": [{"mess'),
        raw(b"\xff\xfe"),
        raw(b"[" * 100_000),
        raw(b""),
    ],
)
def test_what_is_no_answer_in_a_200_is_tried_again(server: Server, step: Any) -> None:
    server.will(step, step, completion)
    assert answer(make(server)).choices[0].text == "answer 5.0"
    assert len(server.bodies) == 3


@pytest.mark.parametrize(
    ("error", "kind", "calls"),
    [
        ({"message": "Invalid API key", "code": 401}, ModelUnavailable, 1),
        ({"message": "Insufficient credits", "code": 402}, QuotaExhausted, 1),
        ({"message": "maximum context length is 5 tokens", "code": 400}, PromptTooLong, 1),
        ({"message": "The input was flagged by moderation", "code": 403}, Refused, 1),
        ({"message": "Provider returned error", "code": 503}, ModelUnavailable, 4),
    ],
)
def test_an_error_in_a_200_is_the_error_of_the_status_it_means(
    server: Server, error: dict[str, Any], kind: type[Exception], calls: int
) -> None:
    server.will(in_a_200(error))
    with pytest.raises(kind, match=error["message"]):
        answer(make(server, attempts=4))
    assert len(server.bodies) == calls


def test_a_page_that_stays_is_told_by_its_title_and_broken_json_costs_its_own_answer_alone(server: Server) -> None:
    server.will(raw(b"<html><title>Sign in</title></html>"))
    with pytest.raises(ModelUnavailable, match=r"page of HTML \(Sign in\).*tried 2 times"):
        answer(make(server, attempts=2))
    server.will(raw(b'{"choices": [{"mess'))
    with pytest.raises(BadOutput, match="not JSON") as caught:
        answer(make(server, attempts=2))
    assert caught.value.kind == "malformed"


def test_prompts_that_are_turned_away_do_not_open_the_circuit(server: Server) -> None:
    server.will(fails(400, "x", "context_length_exceeded"))
    model = make(server, circuit=2)
    for _ in range(4):
        with pytest.raises(PromptTooLong):
            answer(model)
    assert len(server.bodies) == 4


def test_the_reply_says_what_the_server_is(server: Server) -> None:
    server.will(lambda body: completion(body, top={"model": "tiny-2024", "system_fingerprint": "fp_1"}))
    reply = answer(make(server))
    assert (reply.model, reply.system_fingerprint) == ("tiny-2024", "fp_1")
    server.will(lambda body: completion(body, top={"model": None, "system_fingerprint": 7}))
    assert (answer(make(server)).model, answer(make(server)).system_fingerprint) == ("", "")


def test_a_cut_off_answer_says_so(server: Server) -> None:
    server.will(lambda body: completion(body, finish_reason="length"))
    assert answer(make(server)).choices[0].finish == "length"


def test_half_an_emoji_can_be_stored(server: Server) -> None:
    server.will(raw(b'{"choices": [{"message": {"content": "ok \\ud83d"}, "finish_reason": "length"}]}'))
    assert answer(make(server)).choices[0].text == "ok \ufffd"


def test_n_samples(server: Server) -> None:
    reply = answer(make(server), ask(n=4))
    assert [turn.text for turn in reply.choices] == [f"answer 5.{i}" for i in range(4)]
    assert len(server.bodies) == 1


def test_a_server_that_ignores_n_is_asked_for_the_missing(server: Server) -> None:
    server.will(lambda body: completion(body, [f"seed {body['seed']}"]))
    reply = answer(make(server), ask(n=4))
    assert len({turn.text for turn in reply.choices}) == 4
    assert reply.choices[0].text == "seed 5"
    assert (reply.cost.prompt_tokens, reply.cost.completion_tokens) == (28, 12)
    assert [body.get("n") for body in server.bodies] == [4, None, None, None]
    again = answer(make(server), ask(n=4))
    assert again.choices == reply.choices


def test_large_seeds_fit_any_server(server: Server) -> None:
    answer(make(server), ask(seed=2**52))
    assert 0 <= server.bodies[0]["seed"] < 2**31


def test_logprobs_and_token_ids(server: Server) -> None:
    given = {"content": [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -1.5}]}
    server.will(
        lambda body: completion(body, logprobs=given), lambda body: completion(body, logprobs=given, token_ids=[4, 9])
    )
    model = make(server)
    turn = answer(model, ask(logprobs=True)).choices[0]
    assert (turn.logprobs, turn.token_ids) == ((-0.5, -1.5), ())
    turn = answer(model, ask(logprobs=True)).choices[0]
    assert (turn.logprobs, turn.token_ids) == ((-0.5, -1.5), (4, 9))
    assert server.bodies[0]["logprobs"] is True


def test_a_logprob_that_is_not_a_number_is_refused(server: Server) -> None:
    server.will(lambda body: completion(body, logprobs={"content": [{"logprob": float("nan")}]}))
    with pytest.raises(BadOutput, match="not finite"):
        answer(make(server), ask(logprobs=True))


def test_schema_and_options_are_sent(server: Server) -> None:
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    answer(make(server, options={"top_k": 0}, headers={"X-Team": "blue"}), ask(schema=schema))
    assert server.bodies[0]["response_format"]["json_schema"]["schema"] == schema
    assert server.bodies[0]["top_k"] == 0
    assert server.headers[0]["X-Team"] == "blue"


def test_the_circuit_opens_and_closes(server: Server, clock: Clock) -> None:
    model = make(server, clock, circuit=3, attempts=1, cooldown=30.0)
    server.will(fails(500, "still down"))

    async def main() -> None:
        for _ in range(3):
            with pytest.raises(ModelUnavailable):
                await model.generate([ask()])
        with pytest.raises(ModelUnavailable, match=r"last 3 calls failed.*still down") as caught:
            await model.generate([ask()])
        assert (caught.value.kind, caught.value.attempts, len(server.bodies)) == ("server", 0, 3)
        clock.now += 31
        for _ in range(2):  # the first is let through, the second is not
            with pytest.raises(ModelUnavailable):
                await model.generate([ask()])
        assert len(server.bodies) == 4
        clock.now += 31
        server.will(completion)
        for _ in range(3):
            await model.generate([ask()])
        await model.close()

    asyncio.run(main())


def test_answers_that_cannot_be_used_do_not_open_the_circuit(server: Server) -> None:
    model = make(server, circuit=2)
    server.will(choice(""))
    for _ in range(4):
        with pytest.raises(BadOutput):
            answer(model)
    assert len(server.bodies) == 4


def test_secrets_are_not_told(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    model = make(server, headers={"X-Token": "Basic opensesame42"}, attempts=2)
    said = f"Incorrect API key provided: {KEY}, Basic opensesame42, Bearer other-key-77, sk-proj-ab**cd99"
    for step in (fails(401, said), fails(500, said), raw(said.encode()), choice(None, message={"refusal": said})):
        server.will(step)
        with pytest.raises((ModelUnavailable, BadOutput)) as caught:
            answer(model)
        told = f"{caught.value} {caught.value!r} {model!r} {caplog.text} {caught.value.__cause__!r}"
        assert "[secret]" in told
        for secret in (KEY, "opensesame42", "other-key-77", "sk-proj-ab"):
            assert secret not in told


def test_fingerprint_follows_what_changes_answers() -> None:
    def of(name: str = "a", **options: Any) -> str:
        return OpenAIModel(name, **({"base_url": "http://127.0.0.1:1/v1"} | options)).fingerprint

    assert of() == of(headers={"X": "secret"}, concurrency=2, attempts=1, base_url="http://127.0.0.1:1/v1/")
    assert len({of(), of("b"), of(base_url="http://127.0.0.1:2/v1"), of(options={"top_k": 1})}) == 4


def test_the_estimate_is_an_upper_bound(server: Server) -> None:
    request = ask("é" * 50, n=3, max_tokens=10)
    most = make(server, price=(1.0, 1.0)).estimate(request)
    assert most.prompt_tokens >= 3 * (100 + len("Be brief."))
    assert most.completion_tokens == 30
    assert most.money == pytest.approx((most.prompt_tokens + 30) / 1e6)
    server.will(lambda body: completion(body, usage=None))
    reply = answer(make(server), request)  # a server that does not say what it used is taken to have used the most
    assert (reply.cost.prompt_tokens, reply.cost.completion_tokens) == (most.prompt_tokens, 30)


@pytest.mark.parametrize(
    "broken",
    [
        {"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]},
        {"choices": [{"message": {"content": None, "refusal": "no"}, "finish_reason": "stop"}]},
        {"choices": [{"message": None}]},
        {"choices": []},
    ],
)
def test_a_reply_that_cannot_be_used_costs_what_it_says(server: Server, broken: dict[str, Any]) -> None:
    model, request = make(server, price=(1.0, 2.0), attempts=1), ask("hello " * 50, max_tokens=1000)
    told = {**broken, "usage": {"prompt_tokens": 7, "completion_tokens": 2}}
    server.will(lambda body: web.json_response(told))
    with pytest.raises(BadOutput) as caught:
        answer(model, request)
    assert billed(caught.value, model.estimate(request)) == Cost(
        calls=1, prompt_tokens=7, completion_tokens=2, money=11e-6
    )
    server.will(lambda body: web.json_response(broken))
    with pytest.raises(BadOutput) as caught:
        answer(model, request)
    assert billed(caught.value, model.estimate(request)) == model.estimate(request)  # not told: the most


@pytest.mark.fault(34)
def test_without_a_price(caplog: pytest.LogCaptureFixture) -> None:
    model = OpenAIModel("nobody-knows")
    assert model.estimate(ask()).money == model.estimate(ask()).money == 0.0
    assert caplog.text.count("no price is known") == 1
    with pytest.raises(UnknownPrice, match="nobody-knows"):
        OpenAIModel("nobody-knows", priced=True).estimate(ask())
    assert OpenAIModel("nobody-knows", priced=True, price=(1, 1)).estimate(ask()).money > 0
    assert (
        OpenAIModel("nobody-knows", priced=True, prices=Prices({}), base_url="http://[::1]:1/v1").estimate(ask()).money
        == 0.0
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": "127.0.0.1:80"}, {"base_url": "http://user:pass@127.0.0.1/v1"}, {"base_url": "http://127.0.0.1/v1?key=x"},
        {"options": {"stream": True}}, {"attempts": 0}, {"price": (1,)}, {"price": (-1, 1)}, {"price": (float("nan"), 1)},
    ],
)  # fmt: skip
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        OpenAIModel("tiny", **wrong)
    assert "pass@" not in str(caught.value)


def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "s")

    async def main() -> str:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", Server().handle)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.UnixSite(runner, path).start()
        model = load(f"openai:tiny@unix:{path}")
        (reply,) = await model.generate([ask()])
        await model.close()
        await runner.cleanup()
        return reply.choices[0].text

    assert asyncio.run(main()) == "answer 5.0"


def test_load(server: Server) -> None:
    model = load(f"openai:org/name:tag@v2@{server.url}", timeout=3.0, priced=True)
    assert isinstance(model, OpenAIModel)
    assert (model.name, model.base_url, answer(model).choices[0].text) == ("org/name:tag@v2", server.url, "answer 5.0")
    same = load({"backend": "openai", "model": "org/name:tag@v2", "base_url": server.url})
    assert same.fingerprint == model.fingerprint
    with pytest.raises(UnknownName, match="openai:gpt-4o-mini"):
        load("gpt-4o-mini")
    with pytest.raises(UnknownName, match="Did you mean openai"):
        load("opnai:tiny")
    with pytest.raises(InputError, match="colour"):
        load("openai:tiny", colour="red")
    with pytest.raises(InputError, match="backend"):
        load({"model": "tiny"})
    with pytest.raises(InputError, match="name of a model"):
        load("openai")


def test_an_adapter_cannot_be_served(server: Server) -> None:
    with pytest.raises(ModelUnavailable, match="adapter") as caught:
        answer(make(server), ask().model_copy(update={"adapter": "abc"}))
    assert caught.value.kind == "bad-request"
