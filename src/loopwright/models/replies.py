"""Reading the answers of a chat-completions server, and keeping secrets out of what is told of it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any, Literal

from loopwright.core.errors import BadOutput, Refused
from loopwright.core.types import Turn

_KEYS = re.compile(r"\b(sk|pk|gsk|key|xai|hf)[-_][A-Za-z0-9_*.-]{6,}|(?i:bearer\s+)[^\s\"',}]+")
# Reasons to end by which servers and proxies say that a filter or the model itself refused.
_NO_ANSWER = re.compile(r"content_?filter|safety|prohibited|blocklist|recitation|refus|sensitive|spii|guardrail", re.I)


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
    if refusal or (isinstance(finish, str) and _NO_ANSWER.search(finish)):
        said = redact(str(refusal)[:300]) if refusal else f"stopped by the content filter ({finish})"
        raise Refused(f"{model} refused: {said}")
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
