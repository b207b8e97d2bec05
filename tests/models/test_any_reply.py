"""Whatever a server sends, it is an answer or an error of ours; never a crash, and never text that nobody wrote."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from loopwright.core.errors import BadOutput, InputError, ModelError
from loopwright.core.model import Request, Sampling
from loopwright.core.types import Turn
from loopwright.models.failures import failure, meant_status, server_error
from loopwright.models.manners import Manners, refused
from loopwright.models.openai import OpenAIModel

leaf = st.none() | st.booleans() | st.integers(-5, 600) | st.floats(allow_nan=False) | st.text(max_size=8)
KEYS = (
    "error", "message", "code", "type", "param", "detail", "loc", "msg", "status", "innererror", "metadata", "choices", "content",
    "text", "thinking", "reasoning", "reasoning_content", "refusal", "tool_calls", "function_call", "function", "name",
    "finish_reason", "logprobs", "logprob", "token_ids", "prompt_token_ids", "usage", "prompt_tokens", "model",
    "system_fingerprint", "object", "value", "provider_specific_fields", "promptFeedback", "index", "role",
)  # fmt: skip
anything = st.recursive(
    leaf,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=25,
)
part = st.fixed_dictionaries({"type": st.sampled_from(["text", "thinking", "refusal", "image_url", 3])}, optional={
    "text": anything, "thinking": anything, "refusal": anything})  # fmt: skip
message = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("refusal", "reasoning_content", "tool_calls", "function_call"), anything)
    | {"content": anything | st.lists(part, max_size=3) | st.text(max_size=5)},
)  # fmt: skip
logprobs = st.fixed_dictionaries(
    {}, optional={"content": leaf | st.lists(st.fixed_dictionaries({"logprob": leaf}) | leaf, max_size=3)}
)
choice = st.fixed_dictionaries(
    {"message": message | st.just({"content": "fine"})},
    optional={
        "finish_reason": anything,
        "token_ids": leaf | st.lists(leaf, max_size=2),
        "logprobs": logprobs | leaf | st.lists(leaf),
    },
)
reply = st.fixed_dictionaries(
    {"choices": st.lists(choice | anything, max_size=3) | anything},
    optional=dict.fromkeys(
        ("usage", "model", "system_fingerprint", "error", "prompt_token_ids", "prompt_feedback"), anything
    ),
)


def keep(text: str) -> str:
    return text


@settings(max_examples=150, deadline=None)
@given(data=reply, logprobs=st.booleans(), stop=st.sampled_from([(), ("x",)]))
def test_a_200(data: dict[str, Any], logprobs: bool, stop: tuple[str, ...]) -> None:
    model = OpenAIModel("tiny", base_url="http://127.0.0.1:1/v1", omit=["stop"])
    request = Request(turns=(Turn(role="user", text="?"),), sampling=Sampling(logprobs=logprobs, stop=stop))
    read, _ = model._transport._read(200, json.dumps(data).encode(), "tiny", None, partial(model._took, request))
    if not isinstance(read, dict):
        assert isinstance(read[0], ModelError)
        return
    try:
        got = model._parsed(read, request)
    except BadOutput:
        return
    assert got.turns and got.prompt >= 0 and got.completion >= 0
    sent = json.dumps(data, ensure_ascii=False)
    for turn in got.turns:
        for word in turn.text.split():
            assert word.encode(errors="replace") and (
                json.dumps(word, ensure_ascii=False)[1:-1] in sent or "\ufffd" in word
            )


@settings(max_examples=150, deadline=None)
@given(data=anything | st.text(max_size=30), status=st.sampled_from([200, 400, 401, 403, 404, 413, 422, 429, 500, 503]))
def test_an_error(data: Any, status: int) -> None:
    raw = json.dumps(data).encode()
    said = server_error(raw)
    assert isinstance(failure(status, raw, "tiny", keep), ModelError) and 400 <= meant_status(said) < 600
    body = {"model": "tiny", "messages": [{"role": "system", "content": ""}], "temperature": 0.1, "seed": 1, "n": 2}
    assert set(refused(said, body)) <= {*body, "system"}
    told: list[str] = []
    manners = Manners((), "max_tokens", told.append)
    try:
        learned = manners.learn(said, body, {})
    except InputError:
        return
    assert learned or not told


@settings(max_examples=200, deadline=None)
@given(raw=st.binary(max_size=60), status=st.sampled_from([200, 400, 500]))
def test_bytes(raw: bytes, status: int) -> None:
    model = OpenAIModel("tiny", base_url="http://127.0.0.1:1/v1")
    request = Request(turns=(Turn(role="user", text="?"),))
    read, _ = model._transport._read(status, raw, "tiny", None, partial(model._took, request))
    assert isinstance(read, dict) or isinstance(read[0], ModelError)
