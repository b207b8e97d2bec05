"""Any OpenAI-compatible chat-completions server, over our own small HTTP transport."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from loopwright.core.errors import (
    BadOutput,
    InputError,
    ModelError,
    ModelUnavailable,
    PromptTooLong,
    QuotaExhausted,
    Refused,
)
from loopwright.core.feedback import Cost
from loopwright.core.model import Reply, Request
from loopwright.core.types import Turn, digest
from loopwright.models.failures import failure, retry_after
from loopwright.models.lanes import Lanes
from loopwright.models.prices import Price, Prices, as_price, unknown_price
from loopwright.models.replies import Redactor, parse_choice, whole_number

if TYPE_CHECKING:
    import aiohttp

OPENAI = "https://api.openai.com/v1"
MESSAGE_TOKENS = 16  # role names and separators of one message
TEMPLATE_TOKENS = 256  # what a chat template adds on its own: a default system prompt, the date, the cue to answer
_OURS = ("model", "messages", "n", "stream", "seed", "stop", "temperature", "top_p", "max_tokens", "logprobs")
_RETRIED = ("connection", "timeout", "server", "rate-limit")
_log = logging.getLogger("loopwright.models")


class OpenAIModel:
    """A model behind ``POST {base_url}/chat/completions``.

    base_url: up to and including ``/v1``, or ``unix:/path/to/socket``. It may not hold a password.
    api_key_env: environment variable with the key, read at the first call; a server on this machine needs none.
    price: (prompt, completion) in dollars per million tokens, over what ``prices`` says.
    options: further fields of the body, such as {"top_k": 0}. They change answers, so they are in the fingerprint.
    headers: further headers. They may hold secrets, so they are in neither the fingerprint nor any message.
    concurrency: HTTP calls in flight at once, per event loop. Waiting between attempts does not count.
    timeout: seconds one attempt may take. deadline: seconds for all attempts of one call and the waits between them.
    attempts: tries of a call whose failure may pass (no connection, timeout, 408, 409, 429, 5xx).
    circuit: after this many calls in a row have failed for good, further calls fail at once; every ``cooldown`` seconds
        one is let through to see whether the server is back.
    jitter: seed of the random waits. sleep, clock (seconds, monotonic) and wall (seconds since 1970): for tests.

    priced: money is capped, so ``estimate`` raises UnknownPrice rather than count a model without a price as free.
    """

    batch_rows = 0

    def __init__(
        self,
        model: str,
        *,
        base_url: str = OPENAI,
        api_key_env: str = "OPENAI_API_KEY",
        price: tuple[float, float] | None = None,
        prices: Prices | None = None,
        priced: bool = False,
        options: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        concurrency: int = 64,
        timeout: float = 120.0,
        deadline: float = 600.0,
        attempts: int = 6,
        backoff: float = 0.5,
        longest_wait: float = 60.0,
        circuit: int = 20,
        cooldown: float = 30.0,
        jitter: int = 0,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        if not model:
            raise InputError("expected the name of a model, as in openai:gpt-4o-mini, got nothing")
        for name, value in (("concurrency", concurrency), ("attempts", attempts), ("circuit", circuit)):
            if value < 1:
                raise InputError(f"{name}: expected a number of at least 1, got {value!r}")
        if taken := [key for key in options or {} if key in _OURS]:
            raise InputError(f"options: {', '.join(taken)} belong to the request's sampling and cannot be set here")
        self.name = model
        self.base_url = _checked_url(base_url)
        # OpenAI's own newer models refuse max_tokens; most other servers know nothing else.
        official = urlsplit(self.base_url).hostname == "api.openai.com"
        self._limit = "max_completion_tokens" if official else "max_tokens"
        self._options = json.loads(json.dumps(dict(options or {}), allow_nan=False))
        self.fingerprint = digest(["openai", self.base_url, model, self._options])
        self.priced = priced
        own = Prices.load() if prices is None else prices
        self._price = as_price(price, "price") if price is not None else own.find(model, self.base_url)
        self._api_key_env = api_key_env
        self._headers = dict(headers or {})
        self.concurrency, self._timeout, self._deadline, self._attempts = concurrency, timeout, deadline, attempts
        self._backoff, self._longest_wait, self._cooldown = backoff, longest_wait, cooldown
        self._circuit = circuit
        self._failed = 0  # calls in a row
        self._tried = 0.0  # when the open circuit last let a call through
        self._reason: ModelError | None = None
        self._random = random.Random(jitter)
        self._sleep, self._clock, self._wall = sleep, clock, wall
        self._redact = Redactor(self._headers.values())
        self._channels: WeakKeyDictionary[asyncio.AbstractEventLoop, _Channel] = WeakKeyDictionary()
        self._told = False
        self._option_bytes = len(json.dumps(self._options)) if self._options else 0

    def __repr__(self) -> str:
        return f"OpenAIModel({self.name!r}, base_url={self.base_url!r})"

    def estimate(self, request: Request) -> Cost:
        """An upper bound. Raises UnknownPrice for a model without a price where ``priced`` was asked for.

        Every token of a byte-level BPE vocabulary stands for at least one byte of the text, so a text has at most as
        many tokens as UTF-8 bytes; the same holds for SentencePiece with byte fallback, but for its one leading space.
        The template's own tokens are added as constants. A server that ignores ``n`` is asked again for each missing
        sample, hence the prompt counts n times. Attempts that failed or timed out are not in it.
        """
        text = sum(len(turn.text.encode("utf-8", "surrogatepass")) for turn in request.turns)
        schema = request.sampling.schema_
        extra = self._option_bytes + (len(json.dumps(schema, ensure_ascii=False).encode()) if schema else 0)
        prompt = request.n * (text + extra + MESSAGE_TOKENS * len(request.turns) + TEMPLATE_TOKENS)
        completion = request.n * request.sampling.max_tokens
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
        for loop, channel in list(self._channels.items()):
            if loop is asyncio.get_running_loop():
                await channel.session.close()
                del self._channels[loop]
            elif loop.is_closed():
                channel.drop()
                del self._channels[loop]

    # ---- one call ---------------------------------------------------------------------------------------------------

    async def _answer(self, request: Request) -> Reply:
        if request.adapter is not None:
            message = f"{self.name} at {self.base_url} cannot sample with the adapter {request.adapter[:12]}"
            raise ModelUnavailable(message, kind="bad-request")
        started = self._clock()
        body = self._body(request)
        choices, prompt, completion = await self._once(request, {**body, "n": request.n} if request.n > 1 else body)
        choices = choices[: request.n]
        if missing := request.n - len(choices):
            first = request.n - missing
            # One seed drawn again would repeat the first sample, so each missing one has its own.
            bodies = [{**body, "seed": _seed(request.seed, first + i)} for i in range(missing)]
            more = await asyncio.gather(*(self._once(request, b) for b in bodies), return_exceptions=True)
            for one in more:
                if isinstance(one, BaseException):
                    raise one
                choices.append(one[0][0])
                prompt += one[1]
                completion += one[2]
        cost = Cost(
            calls=1,
            prompt_tokens=prompt,
            completion_tokens=completion,
            seconds=max(0.0, self._clock() - started),
            money=self._money(prompt, completion),
        )
        return Reply(choices=tuple(choices), cost=cost)

    def _body(self, request: Request) -> dict[str, Any]:
        sampling = request.sampling
        # temperature and top_p are always sent: some servers have other defaults than 1 for some models.
        body: dict[str, Any] = {
            "model": self.name,
            "messages": [
                {"role": "user" if turn.role == "tool" else turn.role, "content": turn.text} for turn in request.turns
            ],
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": _seed(request.seed, 0),
            self._limit: sampling.max_tokens,
        }
        if sampling.stop:
            body["stop"] = sampling.stop
        if sampling.logprobs:
            body["logprobs"] = True
        if sampling.schema_ is not None:
            schema = {"name": "answer", "schema": sampling.schema_, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if self._options:
            body.update(self._options)
        return body

    async def _once(self, request: Request, body: dict[str, Any]) -> tuple[list[Turn], int, int]:
        """The choices of one HTTP call that worked, with its prompt and completion tokens."""
        raw = await self._guarded(json.dumps(body, separators=(",", ":")).encode())
        try:
            data = json.loads(raw)
        except (ValueError, RecursionError):
            start = self._redact(raw[:200].decode("utf-8", "replace"))
            raise self._noted(BadOutput(f"{self.name}: the reply is not JSON: {start!r}", kind="malformed")) from None
        found = data.get("choices") if isinstance(data, dict) else None
        if not isinstance(found, list) or not found:
            said = self._redact(raw[:200].decode("utf-8", "replace"))
            raise self._noted(BadOutput(f"{self.name}: the reply has no choices: {said!r}", kind="malformed"))
        self._failed = 0
        prompt_ids = data.get("prompt_token_ids")
        wants = request.sampling.logprobs
        turns = [parse_choice(choice, prompt_ids, wants, self.name, self._redact) for choice in found]
        usage = data.get("usage") or {}
        prompt = whole_number(usage, "prompt_tokens")
        completion = whole_number(usage, "completion_tokens")
        if prompt is None or completion is None:  # not told, so the most it can have been
            most = self.estimate(request)
            prompt, completion = most.prompt_tokens // request.n, most.completion_tokens // request.n * len(turns)
        return turns, prompt, completion

    def _money(self, prompt: int, completion: int) -> float:
        if self._price is not None:
            return self._price.cost(prompt, completion)
        if not self._told:
            self._told = True
            _log.warning("no price is known for model %r: its calls are counted as 0 dollars", self.name)
        return 0.0

    # ---- transport --------------------------------------------------------------------------------------------------

    async def _guarded(self, payload: bytes) -> bytes:
        """The body of a 200 answer, after bounded retries and unless the circuit is open."""
        self._check_circuit()
        try:
            return await self._retried(payload)
        except (Refused, PromptTooLong):  # the server is well: it is this prompt that it turned away
            self._failed = 0
            raise
        except ModelError as error:
            raise self._noted(error) from None

    def _check_circuit(self) -> None:
        if self._failed < self._circuit:
            return
        now = self._clock()
        if now - self._tried >= self._cooldown:
            self._tried = now
            return
        reason = self._reason
        message = f"not asked: the last {self._failed} calls failed, most recently: {reason}"
        if isinstance(reason, QuotaExhausted):
            raise QuotaExhausted(message)
        raise ModelUnavailable(message, kind=getattr(reason, "kind", "bad-request"), attempts=0)

    def _noted(self, error: ModelError) -> ModelError:
        self._failed += 1
        self._reason = error
        if self._failed == self._circuit:
            self._tried = self._clock()
        return error

    async def _retried(self, payload: bytes) -> bytes:
        channel = self._channel()
        until = math.inf
        attempt = 0

        def post() -> Awaitable[bytes | tuple[ModelError, float | None]]:
            nonlocal until
            if attempt == 1:  # the deadline does not run while the call waits for its first turn
                until = self._clock() + self._deadline
            return self._post(channel, payload, min(self._timeout, until - self._clock()))

        while True:
            attempt += 1
            outcome = await channel.lanes.run(post)
            if isinstance(outcome, bytes):
                return outcome
            error, asked_wait = outcome
            if not isinstance(error, ModelUnavailable) or error.kind not in _RETRIED:
                raise error
            # Full jitter, on top of the server's own wish where it has one: the calls must not all return at once.
            wait = self._random.uniform(0.0, min(self._longest_wait, self._backoff * 2.0 ** min(attempt - 1, 60)))
            wait += asked_wait or 0.0
            late = self._clock() + wait >= until
            if attempt >= self._attempts or late:
                why = f"would pass the deadline of {self._deadline:g} s" if late else "failed too"
                note = f" (tried {attempt} times; another try {why})" if late else f" (tried {attempt} times)"
                raise ModelUnavailable(f"{error}{note}", kind=error.kind, attempts=attempt)
            await self._sleep(wait)

    async def _post(self, channel: _Channel, payload: bytes, seconds: float) -> bytes | tuple[ModelError, float | None]:
        """The body of a 200 answer, or what went wrong and how many seconds the server asks to wait."""
        from aiohttp import ClientError, ClientTimeout

        timeout = channel.timeout if seconds >= self._timeout else ClientTimeout(total=max(seconds, 0.001))
        where = f"{self.name} at {self.base_url}"
        try:
            # A redirect would turn the POST into a GET, or carry the key to another host.
            async with channel.session.post(
                channel.url, data=payload, timeout=timeout, allow_redirects=False
            ) as answer:
                raw = await answer.read()
                if answer.status == 200:
                    return raw
                wait = retry_after(answer.headers.get("Retry-After"), self._wall)
                return failure(answer.status, raw, where, self._redact), wait
        except TimeoutError:
            return ModelUnavailable(f"{where}: no answer within {seconds:g} s", kind="timeout"), None
        except (ClientError, OSError, ValueError) as error:
            said = self._redact(str(error) or type(error).__name__)
            return ModelUnavailable(f"{where}: {said}", kind="connection"), None

    def _channel(self) -> _Channel:
        """This event loop's session: aiohttp's belong to the loop they were made in."""
        loop = asyncio.get_running_loop()
        channel = self._channels.get(loop)
        if channel is None:
            for other in [other for other in self._channels if other.is_closed()]:
                self._channels.pop(other).drop()
            channel = _Channel(self.base_url, self._all_headers(), self.concurrency, self._timeout)
            self._channels[loop] = channel
        return channel

    def _all_headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json", **self._headers}
        key = os.environ.get(self._api_key_env, "").strip() if self._api_key_env else ""
        if key:
            if not key.isascii() or not key.isprintable():
                raise InputError(f"{self._api_key_env}: expected a key of printable ASCII characters")
            self._redact.add(key)
            headers.setdefault("Authorization", f"Bearer {key}")
        return headers


class _Channel:
    """What belongs to one event loop."""

    def __init__(self, base_url: str, headers: dict[str, str], concurrency: int, timeout: float) -> None:
        import aiohttp
        from yarl import URL

        self.connector: aiohttp.BaseConnector
        if base_url.startswith("unix:"):
            self.connector = aiohttp.UnixConnector(path=base_url.removeprefix("unix:"), limit=concurrency)
            base_url = "http://localhost/v1"
        else:
            self.connector = aiohttp.TCPConnector(limit=concurrency)
        self.url = URL(f"{base_url}/chat/completions")
        self.timeout = aiohttp.ClientTimeout(total=timeout)
        self.lanes = Lanes(concurrency)
        self.session: aiohttp.ClientSession = aiohttp.ClientSession(
            connector=self.connector, headers=headers, cookie_jar=aiohttp.DummyCookieJar(), timeout=self.timeout
        )

    def drop(self) -> None:
        """Let go of the session of a loop that is closed, on which nothing can be awaited any more."""
        self.session.detach()


def _checked_url(base_url: str) -> str:
    if base_url.startswith("unix:"):
        return base_url
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError("base_url: expected http://host:port/v1 or unix:/path, got something else")
    if parts.username or parts.password or parts.query:
        raise InputError(
            "base_url: user, password and query do not belong here; put the key in an environment variable"
        )
    return base_url.rstrip("/")


def _seed(seed: int, index: int) -> int:
    """Within 31 bits, which all servers take. The first sample's is the request's own where it fits."""
    if index == 0 and 0 <= seed < 2**31:
        return seed
    # A large odd multiplier spreads neighbours; plain arithmetic, as this is done for every sample of every call.
    return ((seed + 1) * 0x9E3779B97F4A7C15 + index * 0xBF58476D1CE4E5B9 >> 17) % 2**31


__all__ = ["OPENAI", "OpenAIModel", "Price"]
