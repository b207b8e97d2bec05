"""What servers say when they do not answer, in the words they use, and which error that is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loopwright.core.errors import BadOutput, ModelError, ModelUnavailable, PromptTooLong, QuotaExhausted, Refused
from loopwright.core.feedback import Cost
from loopwright.core.identity import LASTING, billed, describe, recorded, revive
from loopwright.models.failures import failure, meant_status, server_error


def error_of(status: int, said: Any) -> ModelError:
    raw = said.encode() if isinstance(said, str) else json.dumps(said).encode()
    return failure(status, raw, "tiny at http://127.0.0.1/v1", lambda text: text)


def openai(message: str, code: Any = None, type: Any = "invalid_request_error", param: Any = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": type, "param": param, "code": code}}


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, openai("Too long.", "context_length_exceeded")),
        (
            400,
            openai(
                "This model's maximum context length is 8192 tokens. However, your messages resulted in 8227 tokens."
            ),
        ),
        (
            400,
            {
                "object": "error",
                "message": "This model's maximum context length is 6048 tokens. However, you requested "
                "6616 tokens (568 in the messages, 6048 in the completion).",
                "type": "BadRequestError",
                "param": None,
                "code": 400,
            },
        ),
        (400, {"object": "error", "message": "max_tokens must be at least 1, got -186.", "code": 400}),
        (400, {"message": "The decoder prompt (length 20000) is longer than the maximum model length of 16384."}),
        (
            400,
            {
                "type": "error",
                "error": {
                    "type": "invalid_request_error",
                    "message": "prompt is too long: 213462 tokens > 200000 maximum",
                },
            },
        ),
        (
            400,
            {
                "error": {
                    "code": 400,
                    "type": "exceed_context_size_error",
                    "message": "the request exceeds the available context size",
                }
            },
        ),
        (
            400,
            [
                {
                    "error": {
                        "code": 400,
                        "message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
                        "status": "INVALID_ARGUMENT",
                    }
                }
            ],
        ),
        (
            400,
            {
                "object": "error",
                "message": "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum "
                "context length",
                "type": "invalid_request_error",
                "code": 3051,
            },
        ),
        (
            422,
            {
                "error": "Input validation error: `inputs` must have less than 1024 tokens. Given: 4000",
                "error_type": "validation",
            },
        ),
        (
            422,
            {
                "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 2000 `inputs` "
                "tokens and 100 `max_new_tokens`",
                "error_type": "validation",
            },
        ),
        (400, {"message": "Requested token count exceeds the model's maximum context length of 4096 tokens."}),
        (400, {"error": "This model's maximum prompt length is 131072 but the request contains 537812 tokens."}),
        (400, {"message": "Input is too long for requested model."}),
        (400, {"message": "too many tokens: total number of tokens in the prompt cannot exceed 4081"}),
        (500, openai("litellm.ContextWindowExceededError: AzureException", "500")),
        (413, "<html><head><title>413 Request Entity Too Large</title></head></html>"),
        (
            429,
            openai(
                "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 40000. The input or output "
                "tokens must be reduced in order to run successfully.",
                "rate_limit_exceeded",
                "tokens",
            ),
        ),
    ],
)
def test_a_prompt_that_does_not_fit(status: int, said: Any) -> None:
    error = error_of(status, said)
    assert type(error) is PromptTooLong and error.kind == "too-long"
    assert billed(error, Cost(calls=1, prompt_tokens=9)) == Cost()


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (
            400,
            openai(
                "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
                "content_filter",
                None,
                "prompt",
            ),
        ),
        (
            400,
            {
                "error": {
                    "message": "No.",
                    "type": None,
                    "code": "400",
                    "innererror": {
                        "code": "ResponsibleAIPolicyViolation",
                        "content_filter_result": {"hate": {"filtered": True}},
                    },
                }
            },
        ),
        (
            400,
            {
                "error": {
                    "message": "No.",
                    "code": "400",
                    "provider_specific_fields": {"innererror": {"code": "ResponsibleAIPolicyViolation"}},
                }
            },
        ),
        (400, openai("Your request was rejected.", "content_policy_violation")),
        (
            400,
            openai(
                "Invalid prompt: your prompt was flagged as potentially violating our usage policy.", "invalid_prompt"
            ),
        ),
        (
            400,
            {
                "type": "error",
                "error": {"type": "invalid_request_error", "message": "Output blocked by content filtering policy"},
            },
        ),
        (
            403,
            {
                "error": {
                    "code": 403,
                    "message": "The input was turned away",
                    "metadata": {"reasons": ["violence"], "flagged_input": "x"},
                }
            },
        ),
        (400, openai("Input data may contain inappropriate content.", "data_inspection_failed")),
        (400, openai("Content Exists Risk")),
        (400, openai("The request was rejected because it was considered high risk", None, "content_filter")),
        (403, {"code": "The caller does not have permission", "error": "Content violates usage guidelines."}),
        (400, openai("litellm.BadRequestError: litellm.ContentPolicyViolationError: AzureException", "400", None)),
    ],
)
def test_a_prompt_that_a_filter_stopped(status: int, said: Any) -> None:
    error = error_of(status, said)
    assert type(error) is Refused and error.kind == "refused" and not error.paid


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (429, {"message": "Too many tokens, please wait before trying again."}, "rate-limit"),
        (429, openai("Number of request tokens has exceeded your per-minute rate limit"), "rate-limit"),
        (
            400,
            openai("max_tokens is too large: 9999. This model supports at most 4096 completion tokens."),
            "bad-request",
        ),
        (403, openai("Your account was deactivated for violating our usage policies", "account_deactivated"), "auth"),
        (400, openai("Unsupported value: 'temperature' does not support 0.2 with this model."), "bad-request"),
        (401, openai("Incorrect API key provided"), "auth"),
        (502, "<!DOCTYPE html><html><head><title>Bad gateway</title></head><body>long ... </body></html>", "server"),
    ],
)
def test_what_is_not_the_prompts_fault(status: int, said: Any, kind: str) -> None:
    error = error_of(status, said)
    assert isinstance(error, ModelUnavailable) and error.kind == kind


def test_no_money_is_told_apart_from_no_room() -> None:
    assert type(error_of(400, openai("Monthly limit reached"))) is QuotaExhausted
    assert type(error_of(400, openai("Context limit reached"))) is PromptTooLong


def test_what_the_body_repeats_of_the_request_is_not_read() -> None:
    detail = [
        {
            "type": "extra_forbidden",
            "loc": ["body", "seed"],
            "msg": "Extra inputs are not permitted",
            "input": "content_filter flagged",
        }
    ]
    error = error_of(422, {"detail": detail})
    assert isinstance(error, ModelUnavailable) and "seed: Extra inputs" in str(error) and "flagged" not in str(error)
    assert server_error(json.dumps({"detail": detail}).encode()).fields == ("seed",)


def test_a_page_is_told_by_its_title() -> None:
    assert str(error_of(502, "<html><title>Bad  gateway</title><body><p>x</p></body></html>")).endswith(
        "502 a page of HTML (Bad gateway)"
    )
    assert (
        server_error(b"<!doctype html><body><style>p {}</style><p>down for <b>repair</b></p>").message
        == "a page of HTML (down for repair)"
    )


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"code": 429, "message": "slow down"}, 429),
        ({"code": "503", "message": "x"}, 503),
        ({"message": "Rate limit exceeded"}, 429),
        ({"message": "Provider returned error", "code": 502}, 502),
        ({"message": "overloaded"}, 502),
        ({"message": "Invalid API key"}, 401),
        ({"code": "context_length_exceeded", "message": "x"}, 400),
        ({"type": "invalid_request_error", "message": "n: unsupported"}, 400),
    ],
)
def test_the_status_that_an_error_in_a_200_means(error: dict[str, Any], status: int) -> None:
    assert meant_status(server_error(json.dumps({"error": error}).encode())) == status


@pytest.mark.parametrize(
    "error", [Refused("m: no: never"), PromptTooLong("m: 5 > 4"), BadOutput("nothing", kind="empty")]
)
def test_an_error_of_the_prompt_comes_back_from_the_record(error: BadOutput) -> None:
    text = describe(error)
    again = revive(text)
    assert type(again) is type(error) and str(again) == str(error) and again.kind == error.kind  # type: ignore[attr-defined]
    assert issubclass(recorded(text), LASTING)
    assert not issubclass(recorded(describe(ModelUnavailable("down"))), LASTING)
    assert not issubclass(recorded("Unheard:x:y"), LASTING)
