"""Reading what a chat-completions server says when it does not answer, and which error that is."""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from loopwright.core.errors import ModelError, ModelNotFound, ModelUnavailable, PromptTooLong, QuotaExhausted, Refused

_MONEY = re.compile(r"insufficient.(quota|funds|balance|credit)|credit balance|billing|payment required", re.I)
_SPENT = re.compile(r"quota|(usage|spending|spend|credit|monthly) limit", re.I)
_REACHED = re.compile(r"limit (has been )?(reached|exceeded)", re.I)
_LENGTH = re.compile(r"context|token|length|size", re.I)
# What is said of a prompt that does not fit: by OpenAI and those who repeat its words, Anthropic, Gemini, Mistral, xAI,
# Bedrock, Cohere, vLLM, SGLang, TGI, llama.cpp, LM Studio, LiteLLM.
_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|ContextWindowExceeded|string_above_max_length"
    r"|maximum (context|prompt|model|sequence) length|context (length|size|window|limit)"
    r"|\b(prompt|input|inputs?`?( length)?|messages?|request|requested tokens?) (is |are |was )?too (long|large)"
    r"|prompt contains \d+ tokens|too many (input |total |prompt )?tokens|reduce the length of the (messages|prompt|input)"
    r"|input token count .{0,40}exceeds|`?inputs`?( tokens)? (must have less than|\+ `?max_new_tokens)"
    r"|max_(completion_)?tokens must be at least 1, got -",
    re.I | re.S,
)
# Of a prompt or an answer that a filter stopped: by OpenAI, Azure, Anthropic, OpenRouter, Gemini, DashScope, DeepSeek, xAI,
# LiteLLM.
_FILTERED = re.compile(
    r"content[_ -]?filter|content[_ ]policy|content management policy|content filtering policy|ContentPolicyViolation"
    r"|ResponsibleAIPolicy|usage (policy|policies|guidelines)|safety (system|reasons|check|filter)|SAFETY_CHECK"
    r"|prohibited[_ ]content|blocked by .{0,40}(policy|filter|safety|guardrail)|\bflagged\b|flagged_input"
    r"|data_?inspection_?failed|inappropriate content|content exists risk|considered high risk|moderation|guardrail",
    re.I,
)
_ABOUT_THE_USER = re.compile(r"\baccount|organi[sz]ation|api.?key|access (was|has been) (terminated|revoked)|deactivated", re.I)
_LARGER_THAN_A_MINUTE = re.compile(r"request too large|must be reduced in order to run", re.I)  # waiting never helps
_OF_PROMPT = (400, 413, 422, 500)  # 500: proxies wrap the refusals of the servers behind them


class ServerError(NamedTuple):
    """What an error body says, whichever of the usual forms it has.

    message: for a person. code: all that the server names the error by, in one text. param: the field it objects to, or "".
    status: of HTTP where the body names one, else 0. fields: fields of the request that are named in a list of mistakes.
    """

    message: str
    code: str = ""
    param: str = ""
    status: int = 0
    fields: tuple[str, ...] = ()


def server_error(raw: bytes) -> ServerError:
    """Read an error body: JSON of the form of OpenAI, Azure, FastAPI, Mistral, Gemini or a bare text or page.

    Args:
        raw: the body.

    Returns:
        What it says; a page of HTML by its title.
    """
    text = raw[:4000].decode("utf-8", "replace").strip()
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        return ServerError(_page(text))
    if isinstance(data, list) and data and isinstance(data[0], dict):  # Gemini
        data = data[0]
    error = data.get("error") or data if isinstance(data, dict) else data
    if not isinstance(error, dict):
        about = data if isinstance(data, dict) else {}
        return ServerError(str(error), str(about.get("error_type") or ""), status=_status(about))
    said = error.get("message") or error.get("detail") or error.get("msg")
    mistakes = _mistakes(error.get("detail")) or _mistakes(said) or _mistakes(data.get("detail"))
    if mistakes:
        said = "; ".join(f"{'.'.join(where)}: {what}" if where else what for where, what in mistakes)
    inner = error.get("innererror") or (error.get("provider_specific_fields") or {})
    inner = inner.get("innererror", inner) if isinstance(inner, dict) else {}
    named = [error.get("code"), error.get("type"), error.get("status"), inner.get("code") if isinstance(inner, dict) else ""]
    if isinstance(error.get("metadata"), dict) and "flagged_input" in error["metadata"]:
        named.append("flagged_input")
    return ServerError(
        message=str(said or text),
        code=" ".join(str(name) for name in named if name not in (None, "")),
        param=str(error.get("param") or ""),
        status=_status(error),
        fields=tuple(where[0] for where, _ in mistakes if where),
    )


def failure(status: int, raw: bytes, where: str, redact: Callable[[str], str]) -> ModelError:
    """The error for a reply that is none. Of its kinds, timeout, server and rate-limit may pass by waiting.

    Args:
        status: of HTTP; where a 200 holds an ``error``, the status that this one means.
        raw: the body.
        where: model and address, which the message begins with.
        redact: takes secrets out of what the server said.

    Returns:
        PromptTooLong or Refused where it is this prompt that the server objects to, QuotaExhausted, ModelNotFound, else
        ModelUnavailable.
    """
    error = server_error(raw)
    message, code = error.message, error.code
    said = redact(f"{where}: {status} {message[:500]}".rstrip())
    about = f"{code} {message}"
    if status == 413 or ((_LARGER_THAN_A_MINUTE if status == 429 else _TOO_LONG).search(about) and status in (*_OF_PROMPT, 429)):
        return PromptTooLong(said)
    if status in (*_OF_PROMPT, 403) and _FILTERED.search(about) and not _ABOUT_THE_USER.search(about):
        return Refused(said, paid=False)
    if status == 402 or (status in (400, 403, 429) and _out_of_money(status, message, code)):
        return QuotaExhausted(said)
    if status in (401, 403):
        return ModelUnavailable(said, kind="auth")
    if status == 404 and ("model_not_found" in code or "model" in message.lower()):
        return ModelNotFound(said)
    if status == 404:
        return ModelUnavailable(f"{said} (does base_url end in /v1?)", kind="bad-request")
    if status == 429:
        return ModelUnavailable(said, kind="rate-limit")
    if status == 408:
        return ModelUnavailable(said, kind="timeout")
    if status == 409 or status >= 500:
        return ModelUnavailable(said, kind="server")
    return ModelUnavailable(said, kind="bad-request")


def meant_status(error: ServerError) -> int:
    """The HTTP status that an ``error`` inside a 200 stands for: the one it names, else by its words, else 502."""
    if error.status:
        return error.status
    about = f"{error.code} {error.message}"
    if re.search(r"rate.?limit|too many requests|resource.?exhausted|throttl", about, re.I):
        return 429
    if re.search(r"invalid.?api.?key|unauthori[sz]ed|authentication|permission", about, re.I):
        return 401
    if re.search(r"not.?found", about, re.I):
        return 404
    if _TOO_LONG.search(about) or _FILTERED.search(about) or _MONEY.search(about):
        return 400
    if re.search(r"invalid.?(request|argument)|bad.?request|unsupported|validation", about, re.I):
        return 400
    return 502  # the server behind this one failed, which may pass


def retry_after(value: str | None, wall: Callable[[], float]) -> float | None:
    """Seconds to wait from a Retry-After header, which holds seconds or an HTTP date. None where it says neither."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - wall()
        except (ValueError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _out_of_money(status: int, message: str, code: str) -> bool:
    if _MONEY.search(code) or _MONEY.search(message):
        return True
    if status == 429:  # "Rate limit reached" and "quota per minute" pass by waiting
        return False
    if _SPENT.search(message):
        return True
    return _REACHED.search(message) is not None and not _LENGTH.search(message)


def _page(text: str) -> str:
    """A page of HTML by its title or first words; other text as it is."""
    if not re.match(r"\s*(<!doctype|<html|<head|<body|<\?xml)", text, re.I):
        return text
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.I | re.S)
    words = " ".join((title[1] if title else re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", text, flags=re.I | re.S)).split())
    return f"a page of HTML ({words[:200]})" if words else "a page of HTML"


def _status(error: dict[str, Any]) -> int:
    for field in ("status", "code", "status_code", "http_status"):
        value = error.get(field)
        if isinstance(value, str) and value.isdigit():
            value = int(value)
        if type(value) is int and 400 <= value <= 599:
            return value
    return 0


def _mistakes(value: Any) -> list[tuple[tuple[str, ...], str]]:
    """(place, message) of each item of a list of validation errors, as FastAPI and pydantic write them; else empty.

    Only these two are read: an item may repeat the whole request.
    """
    if isinstance(value, str) and value.lstrip().startswith("[{"):  # pydantic's list as text, as older vLLM sends it
        try:
            value = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return []
    if not isinstance(value, list):
        return []
    found = []
    for item in value:
        if isinstance(item, dict) and isinstance(item.get("loc"), list | tuple):
            place = tuple(str(part) for part in item["loc"] if part not in ("body", "query"))
            found.append((place, str(item.get("msg") or item.get("type") or "")))
    return found
