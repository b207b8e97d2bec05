"""Reading the answers of a chat-completions server, and keeping secrets out of what is told of it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any, Literal

from loopwright.core.errors import BadOutput, Refused
from loopwright.core.secrets import MASK, mask
from loopwright.core.types import Turn

_KEYS = re.compile(r"\b(sk|pk|gsk|key|xai|hf)[-_][A-Za-z0-9_*.-]{6,}|(?i:bearer\s+)[^\s\"',}]+")
# Reasons to end by which servers and proxies say that a filter or the model itself refused.
_NO_ANSWER = re.compile(r"content_?filter|safety|prohibited|blocklist|recitation|refus|sensitive|spii|guardrail", re.I)


class Redactor:
    """Takes secrets out of text, as servers like to repeat the key that they refuse, and halves of characters."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """A header's value counts whole and by its words, so that ``Bearer x`` hides a bare ``x`` too."""
        self._secrets.update(word for word in (secret, *secret.split()) if len(word) >= 6)

    def __call__(self, text: str) -> str:
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return whole(_KEYS.sub(MASK, mask(text)))


def unechoed(data: Any, echoed: bool) -> Any:
    """The JSON of a reply with the keys of this process masked, however it was escaped.

    echoed: whether some were masked in its bytes already. Token ids, which would spell a key, go with it.
    """
    masked = mask(data)
    if masked is data and not echoed:
        return data
    choices = masked.get("choices") if isinstance(masked, dict) else None
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            choice.pop("token_ids", None)
    return masked


def whole_number(usage: Any, field: str) -> int | None:
    """The field as a whole number of at least 0, also where it is written as 7.0; None where it is none."""
    value = usage.get(field) if isinstance(usage, dict) else None
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and value >= 0 else None


def no_answer(data: dict[str, Any]) -> bool:
    """Whether a 200 holds no answer of the model, nor a refusal: no choices, or one without a message."""
    found = data.get("choices")
    if not isinstance(found, list) or not found:
        return not (data.get("prompt_feedback") or data.get("promptFeedback"))  # of Gemini, where the prompt is turned away
    return any(not isinstance(c, dict) or not (isinstance(c.get("message"), dict) or _filtered(c)) for c in found)


def answers(data: dict[str, Any]) -> bool:
    """Whether a choice holds something that the model wrote, so that its reply took tokens."""
    found = data.get("choices")
    messages = [c.get("message") for c in found if isinstance(c, dict)] if isinstance(found, list) else []
    return any(isinstance(m, dict) and (m.get("content") or m.get("reasoning_content") or m.get("reasoning")) for m in messages)


def _filtered(choice: dict[str, Any]) -> bool:
    finish = choice.get("finish_reason")
    return isinstance(finish, str) and _NO_ANSWER.search(finish) is not None


def parse_choice(choice: Any, prompt_ids: Any, logprobs: bool, model: str, redact: Callable[[str], str]) -> Turn:
    """One choice as a turn, its reasoning apart. Raises BadOutput of kind malformed or empty, and Refused."""
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        if not isinstance(choice, dict) or not _filtered(choice):
            raise BadOutput(f"{model}: a choice without a message", kind="malformed")
        message = {}
    finish = choice.get("finish_reason")
    refusal = message.get("refusal")
    if refusal or _filtered(choice):
        said = redact(str(refusal)[:300]) if refusal else f"stopped by the content filter ({finish})"
        raise Refused(f"{model} refused: {said}")
    text, thought = _content(message, model, redact)
    text, thought = mask(text), mask(thought)  # once more: parts that were put together
    if not text or text.isspace():
        raise BadOutput(f"{model} answered nothing{_why_nothing(message, finish, thought)}", kind="empty")
    if not text.isascii():
        text = whole(text)
    end: Literal["stop", "length"] = "length" if finish == "length" else "stop"
    token_ids = _ints(choice.get("token_ids"))
    if not logprobs and not token_ids:
        return Turn(role="assistant", text=text, finish=end, reasoning=thought)
    values = _logprobs(choice, model) if logprobs else ()
    if values and token_ids and len(values) != len(token_ids):
        token_ids = ()
    known = _ints(prompt_ids) if token_ids else ()
    return Turn(
        role="assistant", text=text, finish=end, logprobs=values, token_ids=token_ids, prompt_ids=known, reasoning=thought
    )


def _content(message: dict[str, Any], model: str, redact: Callable[[str], str]) -> tuple[str, str]:
    """The text of an answer and, apart from it, what the server shows of the thinking; "" for what is not there."""
    thoughts = [message.get(key) for key in ("reasoning_content", "reasoning", "thinking")]
    thought = next((whole(t) for t in thoughts if isinstance(t, str) and t), "")
    content = message.get("content")
    if content is None:
        return "", thought
    if isinstance(content, str):
        return content, thought
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        raise BadOutput(f"{model}: expected the content as text, got {type(content).__name__}", kind="malformed")
    texts: list[str] = []
    for part in content:
        kind = part.get("type", "text") if isinstance(part, dict) else "text"
        said = part if isinstance(part, str) else _text_of(part) if isinstance(part, dict) else None
        if kind == "refusal" and isinstance(part, dict):
            why = redact(str(part.get("refusal") or said)[:300])
            raise Refused(f"{model} refused: {why}")
        if kind in ("thinking", "reasoning", "redacted_thinking"):
            thought = thought or whole(said or "")
        elif said is None or kind not in ("text", "output_text"):
            raise BadOutput(f"{model}: a part of the content is no text: {kind}", kind="malformed")
        else:
            texts.append(said)
    return "".join(texts), thought


def _text_of(part: dict[str, Any]) -> str | None:
    """The text of a part of the content; Mistral nests that of a thought."""
    for key in ("text", "thinking", "reasoning", "content"):
        value = part.get(key)
        if isinstance(value, list):
            value = "".join(_text_of(inner) or "" for inner in value if isinstance(inner, dict))
        if isinstance(value, str):
            return value
        if isinstance(value, dict) and isinstance(value.get("value"), str):
            return str(value["value"])
    return None


def _why_nothing(message: dict[str, Any], finish: Any, thought: str) -> str:
    if finish == "length":
        what = "wrote anything but its reasoning" if thought else "wrote anything"
        return f" (it reached max_tokens before it {what}; allow more)"
    if calls := message.get("tool_calls") or message.get("function_call"):
        called = [c.get("function", c) for c in (calls if isinstance(calls, list) else [calls]) if isinstance(c, dict)]
        names = [str(c["name"])[:60] for c in called if isinstance(c, dict) and "name" in c]
        return f" (it called {', '.join(names) or 'a tool'} instead, though it was offered no tools)"
    return " (only its reasoning)" if thought else ""


def whole(text: str) -> str:
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
    given = choice.get("logprobs")
    content = given.get("content") if isinstance(given, dict) else None
    if not content:
        return ()
    try:
        values = tuple(float(token["logprob"]) for token in content)
    except (KeyError, TypeError, ValueError):
        raise BadOutput(f"{model}: log-probabilities of an unknown form", kind="malformed") from None
    if not all(map(math.isfinite, values)):
        raise BadOutput(f"{model}: log-probabilities that are not finite numbers", kind="malformed")
    return values
