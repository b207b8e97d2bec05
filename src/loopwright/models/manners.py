"""What a server takes of a request: learned from what it refuses, said once, and kept to for the rest of the run.

Servers of one interface differ in the fields they know. A field whose loss leaves the meaning as it is (a seed), or whose work
can be done here (several samples, a stop string, a system message), is left out or done here; one whose loss changes what is
answered (temperature, a schema) is left out too, as nothing could be asked at all otherwise, and what that means is said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from loopwright.core.errors import InputError, UnknownName
from loopwright.core.model import Request
from loopwright.core.types import Turn
from loopwright.models.failures import ServerError

SCHEMA = "response_format"
SYSTEM = "system"  # the role, which some models do not know
# What is said when a field is left out.
_LOST = {
    "seed": "answers cannot be drawn again from the same seed",
    "temperature": "answers are drawn at the server's own temperature, whatever the task says",
    "top_p": "answers are drawn at the server's own top_p, whatever the task says",
    "stop": "answers are cut at the stop strings here, after they were paid for whole",
    "logprobs": "there are no log-probabilities",
    SCHEMA: "answers are not held to the JSON schema",
    "n": "several samples are asked for one by one",
    SYSTEM: "the system message stands before the first question instead",
}
OMITTED = tuple(_LOST)  # what a user may leave out from the start
_LIMITS = ("max_tokens", "max_completion_tokens")
_REFUSES = re.compile(
    r"unsupported|unavailable|not one of|un-?recogni[sz]ed|unknown|unexpected|extra_forbidden|extra (inputs|fields)"
    r"|(not|n't) (be )?(support(ed)?|permitted|allowed|accepted|available|enabled|implemented|recogni[sz]ed|compatible|valid)"
    r"|cannot (both )?be|only (the default|one of|1\b|n ?=)"
    r"|must be (1\b|one\b|equal to 1|set to 1|omitted|unset|none)|cannot find field|deprecated|multiple (choices|completions)"
    r"|one completion choice|isn't|should not|at most 1\b|less than or equal to 1\b|no longer",
    re.I,
)
# Words that are fields only where they stand as one.
_BARE = r"(?:param\w*|argument\w*|field\w*|supplied|name)\W{{1,3}}{0}\b|\b{0} (?:param|argument|field|is not|isn't|is un|not)"
_SEVERAL = re.compile(
    r"\bn ?(>|=|must|is|should|cannot|\b.{0,20}(greater|more) than)|multiple (choices|completions)|one completion choice"
    r"|parameter n\b",
    re.I,
)
_INSTEAD = re.compile(r"max_(completion_)?tokens", re.I)


class Manners:
    """Which fields one server is sent.

    omit: fields never to send, out of OMITTED.
    limit: the name under which the server takes the most tokens of an answer.
    tell: is told once of each thing that is learned.

    Raises UnknownName for a field that cannot be left out.
    """

    def __init__(self, omit: Sequence[str], limit: str, tell: Callable[[str], None]) -> None:
        if isinstance(omit, str):
            raise InputError(f'omit: expected a list of fields, got {omit!r}; write omit = ["{omit}"]')
        for name in omit:
            if name not in _LOST:
                raise UnknownName("field to omit", str(name), OMITTED)
        self.omitted = set(omit)
        self.limit = limit
        self._limits_refused: set[str] = set()
        self._tell = tell

    def body(self, name: str, request: Request, seed: int) -> dict[str, Any]:
        """The request as this server takes it, for one sample."""
        sampling = request.sampling
        # temperature and top_p are always sent: some servers have other defaults than 1 for some models.
        body: dict[str, Any] = {
            "model": name,
            "messages": self._messages(request.turns),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": seed,
            self.limit: sampling.max_tokens,
        }
        if sampling.stop:
            body["stop"] = sampling.stop
        if sampling.logprobs:
            body["logprobs"] = True
        if sampling.schema_ is not None:
            schema = {"name": "answer", "schema": sampling.schema_, "strict": True}
            body[SCHEMA] = {"type": "json_schema", "json_schema": schema}
        if self.omitted:
            body = {k: v for k, v in body.items() if k not in self.omitted}
        return body

    def _messages(self, turns: Sequence[Turn]) -> list[dict[str, str]]:
        said = [("user" if turn.role == "tool" else turn.role, turn.text) for turn in turns]
        if SYSTEM in self.omitted and said and said[0][0] == "system":
            told = said.pop(0)[1]
            at = next((i for i, (role, _) in enumerate(said) if role == "user"), None)
            if at is None:
                said.insert(0, ("user", told))
            else:
                said[at] = ("user", f"{told}\n\n{said[at][1]}")
        return [{"role": role, "content": text} for role, text in said]

    def cut(self, turn: Turn, stop: Sequence[str]) -> Turn:
        """An answer ended at its first stop string, where the server cannot do that."""
        if "stop" not in self.omitted or not stop:
            return turn
        at = min((i for s in stop if (i := turn.text.find(s)) >= 0), default=-1)
        if at < 0:
            return turn
        return Turn(role=turn.role, text=turn.text[:at], finish="stop", reasoning=turn.reasoning)

    def learn(self, error: ServerError, body: Mapping[str, Any], options: Mapping[str, Any]) -> bool:
        """What a refusal says of the server.

        Args:
            error: what the server said.
            body: what it was sent.
            options: the fields of the body that the user added; these are never left out for them.

        Returns:
            Whether anything was learned, so that asking again is worth while.

        Raises:
            InputError: the server refuses one of the user's own options.
        """
        found = refused(error, body)
        for field in found:
            if field in options:
                raise InputError(
                    f"the server refuses {field!r}, which is among the options of the model: take it out ({error.message[:200]})"
                )
        if not found:
            return False
        if set(found) >= {"temperature", "top_p"} and re.search(r"both|only one|together|not compatible", error.message, re.I):
            found = ("temperature",) if body.get("temperature") == 1.0 and body.get("top_p") != 1.0 else ("top_p",)
        changed = [self._adapt(field, error, body) for field in found]
        return any(changed)

    def _adapt(self, field: str, error: ServerError, body: Mapping[str, Any]) -> bool:
        said = " ".join(error.message.split())[:200]
        if field in _LIMITS:
            self._limits_refused.add(field)
            other = _LIMITS[field == _LIMITS[0]]
            if other in self._limits_refused:
                return False
            if self.limit == field:
                self.limit = other
                self._tell(f"the server refuses {field} ({said}); it is sent {other} from now on")
            return True
        if field in self.omitted:
            return field in body or field == SYSTEM  # another call learned it while this one was under way
        self.omitted.add(field)
        self._tell(f"the server refuses {_NAMES.get(field, field)} ({said}); it is left out from now on: {_LOST[field]}")
        return True


_NAMES = {SYSTEM: "a system message", "n": "n above 1"}


def refused(error: ServerError, body: Mapping[str, Any]) -> tuple[str, ...]:
    """Fields of a request that a server says it does not take; empty where it objects to something else.

    Args:
        error: what the server said.
        body: what it was sent.

    Returns:
        Names out of the body, or "system" for the role of a message.
    """
    about = f"{error.code} {error.message}"
    if not _REFUSES.search(about):
        return ()
    if _about_system(error, about, body):
        return (SYSTEM,)
    named = [_field(error.param), *map(_field, error.fields)]
    found = [name for name in named if name in body]
    if not found:
        # The field that is refused is named before the one to use instead.
        quoted = [_field(name) for name in re.findall(r"[`'\"\[(]{1,2}([A-Za-z_][\w.\[\]]*)[`'\"\])]", error.message)]
        found = [name for name in quoted if name in body]
    if not found:
        words = set(re.findall(r"[a-z_]{2,}", error.message.lower()))
        found = [name for name in body if name in words and name not in ("model", "messages", "stop", "seed")]
        found += [name for name in ("stop", "seed") if name in body and re.search(_BARE.format(name), error.message)]
        if "n" in body and _SEVERAL.search(error.message):
            found.append("n")
        if SCHEMA in body and re.search(r"json_?schema|structured output|guided|grammar|response.format", error.message, re.I):
            found.append(SCHEMA)
    if _INSTEAD.search(error.message) and (limit := next((name for name in found if name in _LIMITS), "")):
        if re.search(r"too (large|high|big)|at most \d\d|maximum", error.message, re.I):
            return ()  # the number is wrong, not the name
        return (limit,)
    taken = dict.fromkeys(name for name in found if name in _LOST or name not in ("model", "messages"))
    return tuple(name for name in taken if _refuses_field(name, error, body))


def _refuses_field(name: str, error: ServerError, body: Mapping[str, Any]) -> bool:
    """A limit on a value that was passed, such as "temperature must be at most 1" for 1.5, is no refusal of the field."""
    if name in ("temperature", "top_p") and re.search(r"less|greater|at most|at least|between|range|<=|>=", error.message, re.I):
        return re.search(r"unsupported|not support|n't support|only the default", error.message, re.I) is not None
    return True


def _about_system(error: ServerError, about: str, body: Mapping[str, Any]) -> bool:
    messages = body.get("messages") or [{}]
    if messages[0].get("role") != "system":
        return False
    if re.search(r"messages\W*\d*\W*role", error.param) and "system" in about:
        return True
    spoken = r"system.{0,3} (role|message|prompt|instruction)s?|developer instruction|role.{0,30}\bsystem\b"
    return re.search(spoken, about, re.I) is not None


def _field(name: str) -> str:
    """The top field of a path: ``response_format.json_schema`` is about response_format."""
    top = re.split(r"[.\[]", name.strip("`'\" "), maxsplit=1)[0]
    return {"json_schema": SCHEMA, "top_logprobs": "logprobs", "generationConfig": ""}.get(top, top)


__all__ = ["OMITTED", "Manners", "refused"]
