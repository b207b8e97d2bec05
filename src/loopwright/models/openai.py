"""Any OpenAI-compatible chat-completions server, over our own small HTTP transport."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from loopwright.core import stopping
from loopwright.core.errors import BadOutput, InputError, ModelUnavailable, Refused
from loopwright.core.feedback import Cost
from loopwright.core.model import Reply, Request
from loopwright.core.types import Turn, digest
from loopwright.models.access import OPENAI, Access
from loopwright.models.manners import Manners
from loopwright.models.prices import Price, Prices, as_price, unknown_price
from loopwright.models.replies import answers, parse_choice, whole, whole_number
from loopwright.models.transport import Refusal, Transport

MESSAGE_TOKENS = 16  # role names and separators of one message
TEMPLATE_TOKENS = 256  # what a chat template adds on its own: a default system prompt, the date, the cue to answer
_OURS = (
    "model", "messages", "n", "stream", "seed", "stop", "temperature", "top_p", "max_tokens", "max_completion_tokens", "logprobs",
    "response_format",
)  # fmt: skip
UNANSWERED = ("empty", "refused")  # kinds of BadOutput that say what the model did, not that the reply is broken
_NOTHING = Turn(role="assistant", text="", finish="stop")
_HIDDEN = 1_000_000  # tokens a sample that a server may count beyond what it was sent: its own prompt, hidden thinking
_ADAPTATIONS = 12  # of one call; more than there are fields to refuse
_log = logging.getLogger("loopwright.models")


@dataclass(slots=True)
class _Answers:
    """What one HTTP call gave."""

    turns: list[Turn]
    prompt: int
    completion: int
    model: str
    fingerprint: str
    bound: bool = False  # of tokens, as the server does not say how many


class OpenAIModel:
    """A model behind ``POST {base_url}/chat/completions``.

    base_url: up to and including ``/v1``, or ``unix:/path/to/socket``. It may not hold a password.
    api_key_env: environment variable with the key, read at the first call. Without it OPENAI_API_KEY goes to
        https://api.openai.com alone, a server on this machine gets a placeholder, and any other is refused; "" sends no key.
    price: (prompt, completion) in dollars per million tokens, over what ``prices`` says.
    options: further fields of the body, such as {"top_k": 0}. They change answers, so they are in the fingerprint.
    omit: fields that the server is not to be sent, such as ["seed"]. It learns by itself what a server refuses with a 400,
        says so once and keeps to it; this spares that.
    headers: further headers; a value "env:NAME" is read from the environment. They may hold secrets, so they are in neither
        the fingerprint nor any message.
    trust_env: go through the proxies that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name.
    concurrency: HTTP calls in flight at once, per event loop. Waiting between attempts does not count.
    timeout: seconds one attempt may take. deadline: seconds for all attempts of one call and the waits between them.
    max_reply_mb: the largest reply that is read, in MiB, as it comes and again as it is unpacked; a larger one is an error of its
        example.
    attempts: tries of a call whose failure may pass (no connection, timeout, 408, 409, 429, 5xx, a page or
        nothing instead of an answer).
    circuit: after this many calls in a row have failed for good, further calls fail at once; every ``cooldown`` seconds
        one is let through to see whether the server is back.
    jitter: seed of the random waits. sleep, clock (seconds, monotonic) and wall (seconds since 1970): for tests.

    priced: money is capped, so ``estimate`` raises UnknownPrice rather than count a model without a price as free.

    ``notices`` is a list that what is learned of the server is put into; while it is None, it is logged.
    """

    batch_rows = 0
    identified = False  # other weights may stand behind the same name and address tomorrow

    def __init__(
        self,
        model: str,
        *,
        base_url: str = OPENAI,
        api_key_env: str | None = None,
        price: tuple[float, float] | None = None,
        prices: Prices | None = None,
        priced: bool = False,
        options: Mapping[str, Any] | None = None,
        omit: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        trust_env: bool = False,
        concurrency: int = 64,
        timeout: float = 120.0,
        deadline: float = 600.0,
        attempts: int = 6,
        backoff: float = 0.5,
        longest_wait: float = 60.0,
        circuit: int = 20,
        cooldown: float = 30.0,
        max_reply_mb: float = 32.0,
        jitter: int = 0,
        sleep: Callable[[float], Awaitable[object]] = stopping.sleep,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        if not model:
            raise InputError("expected the name of a model, as in openai:gpt-4o-mini, got nothing")
        if taken := [key for key in options or {} if key in _OURS]:
            raise InputError(f"options: {', '.join(taken)} belong to the request's sampling and cannot be set here")
        self._access = Access(base_url, api_key_env=api_key_env, headers=headers, trust_env=trust_env)
        self._redact = self._access.redact
        self.name = model
        self.base_url = self._access.base_url
        # OpenAI's own newer models refuse max_tokens; most other servers know nothing else.
        limit = "max_completion_tokens" if self._access.official else "max_tokens"
        self._manners = Manners(omit, limit, self._notice)
        self._options = json.loads(json.dumps(dict(options or {}), allow_nan=False))
        left_out = [sorted(omit)] if omit else []
        self.fingerprint = digest(["openai", self.base_url, model, self._options, *left_out])
        self.priced = priced
        own = Prices.load() if prices is None else prices
        self._price = as_price(price, "price") if price is not None else own.find(model, self.base_url)
        self.concurrency = concurrency
        self._clock = clock
        self._transport = Transport(
            model, self._access, concurrency=concurrency, timeout=timeout, deadline=deadline, attempts=attempts,
            backoff=backoff, longest_wait=longest_wait, circuit=circuit, cooldown=cooldown,
            max_reply_mb=max_reply_mb, jitter=jitter, sleep=sleep, clock=clock, wall=wall,
        )  # fmt: skip
        self.notices: list[str] | None = None
        self._told = False
        self._beyond = [0, 0]  # tokens of prompt and answer that replies took beyond what was taken for the most
        self._odd: set[str] = set()  # what was said of the tokens that this server counts
        self._option_bytes = len(json.dumps(self._options)) if self._options else 0

    def __repr__(self) -> str:
        return f"OpenAIModel({self.name!r}, base_url={self.base_url!r})"

    def estimate(self, request: Request) -> Cost:
        """An upper bound. Raises UnknownPrice for a model without a price where ``priced`` was asked for.

        Every token of a byte-level BPE vocabulary stands for at least one byte of the text, so a text has at most as
        many tokens as UTF-8 bytes; the same holds for SentencePiece with byte fallback, but for its one leading space.
        The template's own tokens are added as constants, and what replies of this server took beyond that. A server may bill
        the prompt for each of n samples. It is the most of one attempt: each further one is reserved by itself.
        """
        text = sum(len(turn.text.encode("utf-8", "surrogatepass")) for turn in request.turns)
        schema = request.sampling.schema_
        extra = self._option_bytes + (len(json.dumps(schema, ensure_ascii=False).encode()) if schema else 0)
        prompt = request.n * (text + extra + MESSAGE_TOKENS * len(request.turns) + TEMPLATE_TOKENS + self._beyond[0])
        completion = request.n * (request.sampling.max_tokens + self._beyond[1])
        if self.priced and self._price is None:
            raise unknown_price(self.name)
        return Cost(calls=1, prompt_tokens=prompt, completion_tokens=completion, money=self._money(prompt, completion))

    async def generate(self, requests: Sequence[Request]) -> Sequence[Reply]:
        """Answers in the order of the requests, all sent at once. Raises the first ModelError, when all have ended.

        Turns of role ``tool`` are sent as ``user``: servers accept ``tool`` only after a tool call of their own making.
        """
        if len(requests) == 1:
            return [await self._answer(requests[0])]
        replies = await asyncio.gather(*(self._answer(request) for request in requests), return_exceptions=True)
        for reply in replies:
            if isinstance(reply, BaseException):
                raise reply
        return [reply for reply in replies if isinstance(reply, Reply)]

    async def close(self) -> None:
        """Close this loop's connections, and those of loops that are gone."""
        await self._transport.close()

    async def _answer(self, request: Request) -> Reply:
        if request.adapter is not None:
            message = f"{self.name} at {self.base_url} cannot sample with the adapter {request.adapter[:12]}"
            raise ModelUnavailable(message, kind="bad-request")
        started = self._clock()
        got = [await self._once(request, _seed(request.seed, 0), request.n)]
        have = min(len(got[0].turns), request.n)
        if have < request.n:
            # One seed drawn again would repeat the first sample, so each missing one has its own.
            seeds = [_seed(request.seed, have + i) for i in range(request.n - have)]
            more = await asyncio.gather(*(self._once(request, seed, 1) for seed in seeds), return_exceptions=True)
            for one in more:
                if isinstance(one, BadOutput) and one.kind in UNANSWERED:
                    took = one.cost or self.estimate(request.model_copy(update={"n": 1}))
                    one = _Answers(
                        [_NOTHING], took.prompt_tokens, took.completion_tokens, got[0].model, got[0].fingerprint, one.cost is None
                    )
                if isinstance(one, BaseException):
                    if isinstance(one, BadOutput):
                        one.cost = None  # what the other samples took is lost with it
                    raise one
                one.turns = one.turns[:1]
                got.append(one)
        prompt, completion = sum(one.prompt for one in got), sum(one.completion for one in got)
        cost = Cost(
            calls=len(got),
            prompt_tokens=prompt,
            completion_tokens=completion,
            seconds=max(0.0, self._clock() - started),
            money=self._money(prompt, completion),
        )
        return Reply(
            choices=tuple(turn for one in got for turn in one.turns)[: request.n], cost=cost,
            model=" + ".join(sorted({one.model for one in got})),
            system_fingerprint=" + ".join(sorted({one.fingerprint for one in got})),
            bound=any(one.bound for one in got),
        )  # fmt: skip

    async def _once(self, request: Request, seed: int, n: int) -> _Answers:
        """The choices of one HTTP call that worked. What the server refuses of the request it is not sent again."""
        for _ in range(_ADAPTATIONS):
            body = self._manners.body(self.name, request, seed)
            if n > 1 and "n" not in self._manners.omitted:
                body["n"] = n
            if self._options:
                body.update(self._options)
            sent = request.model_copy(update={"n": body.get("n", 1)})
            most = partial(self.estimate, sent)
            try:
                return self._parsed(await self._transport.post(body, most, partial(self._took, sent)), sent)
            except Refusal as refusal:
                said = refusal.said._replace(message=self._redact(refusal.said.message))
                if not self._manners.learn(said, body, self._options):
                    raise self._transport.noted(refusal.error) from None
        raise ModelUnavailable(f"{self.name} at {self.base_url} refuses one field after another", kind="bad-request")

    def _parsed(self, data: dict[str, Any], request: Request) -> _Answers:
        found = data.get("choices")
        if not isinstance(found, list) or not found:
            own = ("id", "created", "usage")  # of this reply alone: without them the same failure reads the same
            said = self._redact(json.dumps({k: v for k, v in data.items() if k not in own})[:200])
            if blocked := data.get("prompt_feedback") or data.get("promptFeedback"):  # Gemini
                raise Refused(f"{self.name} refused the prompt: {self._redact(json.dumps(blocked)[:200])}")
            broken = BadOutput(f"{self.name}: the reply has no choices: {said!r}", kind="malformed")
            raise self._transport.noted(self._with_cost(broken, data, request))
        prompt_ids = data.get("prompt_token_ids")
        sampling = request.sampling
        wants = sampling.logprobs and "logprobs" not in self._manners.omitted
        turns: list[Turn] = []
        unanswered: list[BadOutput] = []
        for choice in found:
            try:
                turns.append(self._manners.cut(parse_choice(choice, prompt_ids, wants, self.name, self._redact), sampling.stop))
            except BadOutput as error:
                unanswered.append(error)
                if len(unanswered) == len(found) or error.kind not in UNANSWERED:
                    raise self._with_cost(error, data, request) from None
                turns.append(_NOTHING)  # among several samples it is the answer "" of its own
        told = self._usage(data, request)
        if told is not None:
            self._learn_beyond(told, self.estimate(request), request.n)
        used = told or self._most(request, len(turns))
        name, fingerprint = (
            whole(value) if isinstance(value := data.get(key), str) else "" for key in ("model", "system_fingerprint")
        )
        return _Answers(turns, *used, name, fingerprint, told is None)

    def _learn_beyond(self, told: tuple[int, int], most: Cost, n: int) -> None:
        """What a server adds to every call, such as a system message of its own: from now on it is reserved too."""
        for i, beyond in enumerate((told[0] - most.prompt_tokens, told[1] - most.completion_tokens)):
            if beyond > 0:
                self._beyond[i] += -(-beyond // n)
                what = "prompt" if i == 0 else "answer"
                more = f"a call took {beyond:,} {what} tokens more than what was sent can take"
                self._odd_usage(what, f"{more}; later calls reserve them")

    def _with_cost(self, error: BadOutput, data: dict[str, Any], request: Request) -> BadOutput:
        """The error with what the reply says it took, where it says so."""
        if error.paid:
            error.cost = self._took(request, data)
        return error

    def _took(self, request: Request, data: dict[str, Any]) -> Cost | None:
        """What a reply took: as it says, else the most for each choice; None where it has none of either."""
        choices = data.get("choices")
        told = self._usage(data, request)
        if told is None and not (isinstance(choices, list) and choices):
            return None
        prompt, completion = told or self._most(request, len(data["choices"]))
        return Cost(calls=1, prompt_tokens=prompt, completion_tokens=completion, money=self._money(prompt, completion))

    def _most(self, request: Request, choices: int) -> tuple[int, int]:
        """The most tokens of prompt and answer that so many choices can have taken."""
        most = self.estimate(request)
        return most.prompt_tokens // request.n * choices, most.completion_tokens // request.n * choices

    def _usage(self, data: dict[str, Any], request: Request) -> tuple[int, int] | None:
        """The tokens of prompt and reply that a server says it used; None where it does not say both, or says what cannot be."""
        usage = data.get("usage")
        found: list[int] = []
        for field in ("prompt_tokens", "completion_tokens"):
            value = usage.get(field) if isinstance(usage, dict) else None
            if value is None:
                return None
            number = whole_number(usage, field)
            if number is None or number > getattr(self.estimate(request), field) + request.n * _HIDDEN:
                said = f"{float(min(value, 10**300)):.0e}" if isinstance(value, int) and value > 10**12 else repr(value)[:40]
                why = f"usage.{field} = {self._redact(said)} is refused, as no call can take it"
                self._odd_usage(field, f"{why}; the most it can take is counted instead")
                return None
            found.append(number)
        prompt, completion = found
        if not prompt or (not completion and answers(data)):
            return None  # some servers that do not count write 0
        # Some count the hidden thinking in the sum alone, and bill it.
        total = whole_number(usage, "total_tokens") or 0
        if prompt + completion < total <= prompt + self.estimate(request).completion_tokens + request.n * _HIDDEN:
            completion = total - prompt
        return prompt, completion

    def _odd_usage(self, key: str, message: str) -> None:
        if key not in self._odd:
            self._odd.add(key)
            self._notice(message)

    def _money(self, prompt: int, completion: int) -> float:
        if self._price is not None:
            return self._price.cost(prompt, completion)
        if not self._told:
            self._told = True
            _log.warning("no price is known for model %r: its calls are counted as 0 dollars", self.name)
        return 0.0

    def _notice(self, message: str) -> None:
        told = f"{self.name} at {self.base_url}: {message}"
        if self.notices is None:
            _log.warning("%s", told)
        else:
            self.notices.append(told)


def _seed(seed: int, index: int) -> int:
    """Within 31 bits, which all servers take. The first sample's is the request's own where it fits."""
    if index == 0 and 0 <= seed < 2**31:
        return seed
    # A large odd multiplier spreads neighbours; plain arithmetic, as this is done for every sample of every call.
    return ((seed + 1) * 0x9E3779B97F4A7C15 + index * 0xBF58476D1CE4E5B9 >> 17) % 2**31


__all__ = ["OPENAI", "OpenAIModel", "Price"]
