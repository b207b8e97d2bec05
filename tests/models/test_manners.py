"""What a server refuses of a request is learned from its answer, said once, and kept to; by the words that servers use."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from loopwright.core.errors import InputError, ModelUnavailable, UnknownName
from loopwright.core.model import Reply, Request, Sampling
from loopwright.core.types import Turn
from loopwright.models.failures import server_error
from loopwright.models.manners import OMITTED, refused
from loopwright.models.openai import OpenAIModel
from loopwright.models.prices import Prices

sys.path.insert(0, str(Path(__file__).parents[1]))
from fakes.openai_server import Server, completion, serving

SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}}


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def ask(*, n: int = 1, system: bool = True, **sampling: Any) -> Request:
    turns = (Turn(role="system", text="Be brief."),) if system else ()
    return Request(turns=(*turns, Turn(role="user", text="2 + 2?")), n=n, seed=5, sampling=Sampling(**sampling))


def answer(model: OpenAIModel, *requests: Request) -> list[Reply]:
    async def main() -> list[Reply]:
        try:
            return list(await model.generate(requests))
        finally:
            await model.close()

    return asyncio.run(main())


def make(server: Server, **options: Any) -> OpenAIModel:
    model = OpenAIModel("tiny", base_url=server.url, **options)
    model.notices = []
    return model


def openai_style(
    field: str, message: str, code: str = "unsupported_parameter", param: str | None = ""
) -> dict[str, Any]:
    param = field if param == "" else param
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


# (field, when it objects, what it says): objects to any value of it unless a condition is given.
Manner = tuple[str, Callable[[dict[str, Any]], bool], int, Any]
MANNERS: dict[str, Manner] = {
    "openai-temperature": ("temperature", lambda b: b.get("temperature", 1) != 1, 400, openai_style(
        "temperature", "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is "
        "supported.", "unsupported_value")),
    "openai-top_p": ("top_p", lambda b: "top_p" in b, 400, openai_style(
        "top_p", "Unsupported parameter: 'top_p' is not supported with this model.")),
    "openai-stop": ("stop", lambda b: "stop" in b, 400, openai_style(
        "stop", "Unsupported parameter: 'stop' is not supported with this model.")),
    "openai-logprobs": ("logprobs", lambda b: "logprobs" in b, 403, openai_style(
        "logprobs", "You are not allowed to request logprobs from this model")),
    "old-azure": ("logprobs", lambda b: "logprobs" in b, 400, openai_style(
        "", "Unrecognized request argument supplied: logprobs", "", None)),
    "azure-deployment": ("logprobs", lambda b: "logprobs" in b, 422, {"error": {
        "message": "The deployment doesn't support logprobs request parameter.", "code": "422"}}),
    "azure-old-seed": ("seed", lambda b: "seed" in b, 400, openai_style(
        "", "Unrecognized request argument supplied: seed", "", None)),
    "mistral-seed": ("seed", lambda b: "seed" in b, 422, {"object": "error", "message": {"detail": [
        {"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted", "input": 5}]},
        "type": "invalid_request_error", "code": 3051}),
    "fastapi-seed": ("seed", lambda b: "seed" in b, 422, {"detail": [
        {"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted", "input": 5}]}),
    "old-vllm-seed": ("seed", lambda b: "seed" in b, 400, {"object": "error", "code": 400, "type": "BadRequestError", "message":
        "[{'type': 'extra_forbidden', 'loc': ('body', 'seed'), 'msg': 'Extra inputs are not permitted', 'input': 5}]"}),
    "gemini-seed": ("seed", lambda b: "seed" in b, 400, [{"error": {"code": 400, "status": "INVALID_ARGUMENT",
        "message": 'Invalid JSON payload received. Unknown name "seed": Cannot find field.'}}]),
    "litellm-seed": ("seed", lambda b: "seed" in b, 500, {"error": {"message":
        "ollama does not support parameters: {'seed': 1}, for model=llama3:latest. To drop these, set `litellm.drop_params=True`",
        "type": None, "param": None, "code": 500}}),
    "litellm-temperature": ("temperature", lambda b: "temperature" in b, 400, {"error": {"message":
        "litellm.UnsupportedParamsError: openai does not support parameters: ['temperature'], for model=o3", "code": "400"}}),
    "wrapped": ("temperature", lambda b: "temperature" in b, 400, {"detail":
        "Error occurred: Error code: 400 - {'error': {'message': \"Unsupported parameter: 'temperature' is not supported with "
        "this model.\", 'type': 'invalid_request_error', 'param': 'temperature', 'code': 'unsupported_parameter'}}"}),
    "deepseek-schema": ("response_format", lambda b: "response_format" in b, 400, openai_style(
        "", "This response_format type is unavailable now", "invalid_request_error", None)),
    "groq-schema": ("response_format", lambda b: "response_format" in b, 400, openai_style(
        "", "'response_format.type' : value is not one of the allowed values ['text','json_object']", "", None)),
    "llama-grammar": ("response_format", lambda b: "response_format" in b, 400, {"error": {
        "code": 400, "message": "json_schema is not supported by this server", "type": "invalid_request_error"}}),
    "groq-n": ("n", lambda b: b.get("n", 1) > 1, 400, openai_style("", "'n' : number must be at most 1", "", None)),
    "llama-n": ("n", lambda b: b.get("n", 1) > 1, 500, {"error": {
        "code": 400, "message": "Only one completion choice is allowed", "type": "invalid_request_error"}}),
    "mlx-n": ("n", lambda b: b.get("n", 1) > 1, 400, {"detail": "n must equal 1 (multi-choice is not supported)"}),
    "vllm-greedy-n": ("n", lambda b: b.get("n", 1) > 1, 400, {
        "object": "error", "message": "n must be 1 when using greedy sampling, got 3.", "type": "BadRequestError", "code": 400}),
    "o1-mini-system": ("system", lambda b: b["messages"][0]["role"] == "system", 400, openai_style(
        "", "Unsupported value: 'messages[0].role' does not support 'system' with this model.", "unsupported_value",
        "messages[0].role")),
    "gemma-system": ("system", lambda b: b["messages"][0]["role"] == "system", 400, {
        "object": "error", "message": "System role not supported", "type": "BadRequestError", "code": 400}),
}  # fmt: skip


def strict(*manners: Manner) -> Callable[[dict[str, Any]], web.Response]:
    """A server that refuses what these say, the first first, and answers the rest."""

    def step(body: dict[str, Any]) -> web.Response:
        for _, objects, status, said in manners:
            if objects(body):
                return web.json_response(said, status=status)
        return completion(body, [f"four{i}; END of it" for i in range(body.get("n", 1))])

    return step


@pytest.mark.parametrize("name", MANNERS)
def test_a_field_that_is_refused_is_left_out_from_then_on_and_said_once(server: Server, name: str) -> None:
    field, objects = MANNERS[name][:2]
    server.will(strict(MANNERS[name]))
    model = make(server)
    request = ask(n=3, temperature=0.2, logprobs=True, schema=SCHEMA, stop=("END",))
    (first,) = answer(model, request)
    known = len(server.bodies)
    many = answer(model, request, request)
    assert len(first.choices) == 3 and all(len(r.choices) == 3 for r in many)
    assert len([b for b in server.bodies if objects(b)]) == 1 and not any(objects(b) for b in server.bodies[known:])
    assert model.notices is not None and len(model.notices) == 1
    assert field.replace("system", "system message") in model.notices[0]
    # Nothing else was dropped with it.
    kept = {"temperature", "top_p", "seed", "stop", "logprobs", "response_format", "max_tokens"} - {field}
    assert all(kept <= set(b) for b in server.bodies)


def test_a_hundred_calls_at_once_learn_it_once(server: Server) -> None:
    server.will(strict(MANNERS["openai-temperature"]))
    model = make(server)
    replies = answer(model, *(ask(temperature=0.0) for _ in range(100)))
    assert len(replies) == 100 and len(server.bodies) <= 200
    assert model.notices is not None and len(model.notices) == 1
    assert "whatever the task says" in model.notices[0]


def test_all_of_them_one_after_another(server: Server) -> None:
    server.will(strict(*MANNERS.values()))
    model = make(server)
    request = ask(n=3, temperature=0.2, logprobs=True, schema=SCHEMA, stop=("END",))
    (reply,) = answer(model, request)
    assert len(reply.choices) == 3 and set(server.bodies[-1]) == {"model", "messages", "max_tokens"}
    assert server.bodies[-1]["messages"] == [{"role": "user", "content": "Be brief.\n\n2 + 2?"}]
    assert model.notices is not None and len(model.notices) == 8


def test_a_stop_string_that_the_server_does_not_take_is_applied_here(server: Server) -> None:
    server.will(strict(MANNERS["openai-stop"]))
    (reply,) = answer(make(server), ask(stop=("END", ";")))
    assert reply.choices[0].text == "four0" and reply.choices[0].finish == "stop"


REASONING = [
    name for name in Prices.load().hosts["api.openai.com"] if re.match(r"o\d|gpt-5", name)
]  # the names that are offered


@pytest.mark.parametrize("name", REASONING)
def test_reasoning_models_that_are_offered_by_name_work(server: Server, name: str) -> None:
    """As OpenAI's behave: no max_tokens, no temperature but 1, no top_p, no stop, no logprobs."""
    limit = ("max_tokens", lambda b: "max_tokens" in b, 400, openai_style(
        "max_tokens", "Unsupported parameter: 'max_tokens' is not supported with this model. "
        "Use 'max_completion_tokens' instead.",
    ))  # fmt: skip
    chosen = ("openai-temperature", "openai-top_p", "openai-stop", "openai-logprobs")
    server.will(strict(limit, *(MANNERS[k] for k in chosen)))
    model = OpenAIModel(name, base_url=server.url)
    model.notices = []
    (reply,) = answer(model, ask(temperature=0.0, max_tokens=16, stop=("END",)))
    assert reply.choices[0].text.startswith("four0")
    assert server.bodies[-1]["max_completion_tokens"] == 16 and "max_tokens" not in server.bodies[-1]
    assert "max_completion_tokens" in model.notices[0]


def test_the_limit_goes_back_to_its_old_name_too(server: Server) -> None:
    server.will(strict(("x", lambda b: "max_completion_tokens" in b, 422, {"detail": [
        {"type": "extra_forbidden", "loc": ["body", "max_completion_tokens"], "msg": "Extra inputs"}]})))  # fmt: skip
    model = make(server)
    model._manners.limit = "max_completion_tokens"
    answer(model, ask(max_tokens=7))
    assert server.bodies[-1]["max_tokens"] == 7


def test_a_server_that_takes_neither_limit_is_refused(server: Server) -> None:
    server.will(strict(*((k, lambda b, k=k: k in b, 400, openai_style(k, f"Unsupported parameter: '{k}' is not supported."))
                         for k in ("max_tokens", "max_completion_tokens"))))  # fmt: skip
    with pytest.raises(ModelUnavailable, match="not supported"):
        answer(make(server), ask())
    assert len(server.bodies) == 2


@pytest.mark.parametrize(
    ("sampling", "left"),
    [
        ({"temperature": 0.2, "top_p": 1.0}, "temperature"),
        ({"temperature": 1.0, "top_p": 0.9}, "top_p"),
        ({"temperature": 0.2, "top_p": 0.9}, "temperature"),
    ],
)
@pytest.mark.parametrize("quote", ["`", "'", ""])
def test_of_temperature_and_top_p_the_one_that_matters_stays(
    server: Server, sampling: dict[str, Any], left: str, quote: str
) -> None:
    said = f"{quote}temperature{quote} and {quote}top_p{quote} cannot both be specified for this model. Please use only one."
    both = ("x", lambda b: {"temperature", "top_p"} <= set(b), 400, {"type": "error", "error": {
        "type": "invalid_request_error", "message": said}})  # fmt: skip
    server.will(strict(both))
    answer(make(server), ask(**sampling))
    assert {"temperature", "top_p"} & set(server.bodies[-1]) == {left}


@pytest.mark.parametrize(
    "said",
    [
        openai_style(
            "max_tokens",
            "max_tokens is too large: 9999. This model supports at most 4096 completion tokens.",
            "invalid",
        ),
        openai_style(
            "temperature", "Invalid 'temperature': expected a value less than or equal to 2.", "decimal_above_max_value"
        ),
        {"message": "temperature: range: 0..1"},
        openai_style("messages", "Invalid value for 'content': expected a string, got null.", "invalid_value"),
        {"message": "The model `tiny` does not support Chat Completions API"},
        {"error": "Unsupported country, region, or territory"},
        "<html>Bad Request</html>",
        {
            "detail": [
                {
                    "type": "missing",
                    "loc": ["body", "prompt"],
                    "msg": "Field required",
                    "input": {"temperature": 1, "n": 2},
                }
            ]
        },
        "No. You are not allowed to stop here; seed money is not supported.",
    ],
)
def test_what_is_no_refusal_of_a_field_is_told_as_it_is(server: Server, said: Any) -> None:
    body = said if isinstance(said, str) else json.dumps(said)
    server.will(lambda _: web.Response(status=400, text=body))
    model = make(server)
    with pytest.raises(ModelUnavailable) as caught:
        answer(model, ask(temperature=0.5))
    assert caught.value.kind == "bad-request" and len(server.bodies) == 1 and model.notices == []


def test_an_option_of_the_users_own_is_never_dropped(server: Server) -> None:
    server.will(
        strict(
            ("top_k", lambda b: "top_k" in b, 400, openai_style("", "Unrecognized request argument supplied: top_k"))
        )
    )
    with pytest.raises(InputError, match="'top_k', which is among the options"):
        answer(make(server, options={"top_k": 5}), ask())


def test_what_the_user_omits_is_never_sent(server: Server) -> None:
    model = make(server, omit=["seed", "n", "temperature", "system"])
    (reply,) = answer(model, ask(n=2))
    assert len(reply.choices) == 2 and len(server.bodies) == 2 and model.notices == []
    assert (
        not {"seed", "n", "temperature"} & set(server.bodies[0]) and server.bodies[0]["messages"][0]["role"] == "user"
    )
    assert model.fingerprint != make(server).fingerprint
    with pytest.raises(UnknownName, match="Did you mean temperature"):
        make(server, omit=["temprature"])
    with pytest.raises(InputError, match="list"):
        make(server, omit="seed")
    with pytest.raises(UnknownName):  # the budget counts on it
        make(server, omit=["max_tokens"])
    assert "seed" in OMITTED


def test_secrets_in_a_refusal_are_not_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sesame-opens-0042")
    server.will(
        strict(
            ("seed", lambda b: "seed" in b, 400, openai_style("seed", "'seed' is not supported for sesame-opens-0042"))
        )
    )
    model = make(server, api_key_env="MY_KEY")
    answer(model, ask())
    assert model.notices is not None and "[secret]" in model.notices[0] and "sesame" not in model.notices[0]


def test_the_field_is_found_in_the_body_alone() -> None:
    said = server_error(json.dumps(openai_style("", "Unsupported parameter: 'logit_bias' is not supported")).encode())
    assert refused(said, {"model": "m", "messages": [], "seed": 1}) == ()
