"""Reading what a chat-completions server sends back: choices, errors and headers."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from loopwright.core.errors import BadOutput, ModelError, ModelNotFound, ModelUnavailable, QuotaExhausted
from loopwright.core.types import Turn

_KEYS = re.compile(r"\b(sk|pk|gsk|key|xai|hf)[-_][A-Za-z0-9_*.-]{6,}|(?i:bearer\s+)[^\s\"',}]+")
_MONEY = re.compile(r"insufficient.(quota|funds|balance|credit)|credit balance|billing|payment required", re.I)
_SPENT = re.compile(r"quota|(usage|spending|spend|credit|monthly) limit", re.I)
_REACHED = re.compile(r"limit (has been )?(reached|exceeded)", re.I)
_LENGTH = re.compile(r"context|token|length|size", re.I)


class Redactor:
    """Takes secrets out of text: servers like to repeat the key that they refuse."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """A header's value counts whole and by its words, so that ``Bearer x`` hides a bare ``x`` too."""
        self._secrets.update(word for word in (secret, *secret.split()) if len(word) >= 6)

    def __call__(self, text: str) -> str:
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "[secret]")
        return _KEYS.sub("[secret]", text)


def failure(status: int, raw: bytes, where: str, redact: Callable[[str], str]) -> ModelError:
    """The error for an answer other than 200. Of its kinds, timeout, server and rate-limit may pass by waiting."""
    message, code = _said(raw)
    said = redact(f"{where}: {status} {message[:500]}".rstrip())
    if status == 402 or (status in (400, 403, 429) and _out_of_money(status, message, code)):
        return QuotaExhausted(said)
    if status in (401, 403):
        return ModelUnavailable(said, kind="auth")
    if status == 404 and (code == "model_not_found" or "model" in message.lower()):
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


def _out_of_money(status: int, message: str, code: str) -> bool:
    if _MONEY.search(code) or _MONEY.search(message):
        return True
    if status == 429:  # "Rate limit reached" and "quota per minute" pass by waiting
        return False
    if _SPENT.search(message):
        return True
    return _REACHED.search(message) is not None and not _LENGTH.search(message)


def _said(raw: bytes) -> tuple[str, str]:
    """The server's message and its code or type, from the several shapes servers use."""
    text = raw[:4000].decode("utf-8", "replace").strip()
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        return text, ""
    error = data.get("error", data) if isinstance(data, dict) else data
    if not isinstance(error, dict):
        return str(error), ""
    message = error.get("message") or error.get("detail") or text
    return str(message), f"{error.get('code') or ''} {error.get('type') or ''}".strip().split(" ")[0]


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


def whole_number(usage: Any, field: str) -> int | None:
    value = usage.get(field) if isinstance(usage, dict) else None
    return value if type(value) is int and value >= 0 else None


def parse_choice(choice: Any, prompt_ids: Any, logprobs: bool, model: str, redact: Callable[[str], str]) -> Turn:
    """One choice as a turn. Raises BadOutput of kind malformed, refused or empty."""
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        raise BadOutput(f"{model}: a choice without a message", kind="malformed")
    finish = choice.get("finish_reason")
    refusal = message.get("refusal")
    if refusal or finish == "content_filter":
        said = redact(str(refusal)[:300]) if refusal else "stopped by the content filter"
        raise BadOutput(f"{model} refused: {said}", kind="refused")
    text = message.get("content")
    if text is not None and not isinstance(text, str):
        raise BadOutput(f"{model}: expected the content as text, got {type(text).__name__}", kind="malformed")
    if not text or text.isspace():
        hint = " (it reached max_tokens before it wrote anything; allow more)" if finish == "length" else ""
        raise BadOutput(f"{model} answered nothing{hint}", kind="empty")
    if not text.isascii():
        text = _whole(text)
    end: Literal["stop", "length"] = "length" if finish == "length" else "stop"
    token_ids = _ints(choice.get("token_ids"))
    if not logprobs and not token_ids:
        return Turn(role="assistant", text=text, finish=end)
    values = _logprobs(choice, model) if logprobs else ()
    if values and token_ids and len(values) != len(token_ids):
        token_ids = ()
    known = _ints(prompt_ids) if token_ids else ()
    return Turn(role="assistant", text=text, finish=end, logprobs=values, token_ids=token_ids, prompt_ids=known)


def _whole(text: str) -> str:
    """The text with U+FFFD for half a character, as JSON can hold where a token limit cut an emoji in two."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _ints(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, list) and all(type(v) is int for v in value) else ()


def _logprobs(choice: dict[str, Any], model: str) -> tuple[float, ...]:
    """Empty where the server does not give them."""
    content = (choice.get("logprobs") or {}).get("content")
    if not content:
        return ()
    try:
        values = tuple(float(token["logprob"]) for token in content)
    except (KeyError, TypeError, ValueError):
        raise BadOutput(f"{model}: log-probabilities of an unknown form", kind="malformed") from None
    if not all(map(math.isfinite, values)):
        raise BadOutput(f"{model}: log-probabilities that are not finite numbers", kind="malformed")
    return values
