"""One server over HTTP: bounded retries with jitter, a deadline, and a circuit that opens when it is down."""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from loopwright.core import stopping
from loopwright.core.attempts import Attempt, attempt
from loopwright.core.errors import BadOutput, InputError, ModelError, ModelUnavailable, QuotaExhausted, Refused
from loopwright.core.feedback import Cost
from loopwright.core.secrets import mask
from loopwright.models.access import Access
from loopwright.models.bodies import ENCODINGS, TooLarge, read_body
from loopwright.models.failures import ServerError, failure, meant_status, retry_after, server_error
from loopwright.models.lanes import Lanes
from loopwright.models.pool import quiet
from loopwright.models.replies import no_answer, unechoed

if TYPE_CHECKING:
    import aiohttp

_RETRIED = ("connection", "cut", "timeout", "server", "rate-limit")
_BILLED = ("cut", "timeout", "server")  # of these, which may have been billed
_REFUSED = re.compile(r"support param|UnsupportedParam|only one completion choice", re.I)  # of LiteLLM and llama.cpp, in a 500


class Refusal(Exception):
    """A 4xx that may be about a field of the request, not about this prompt: with what the server said and the error it is."""

    def __init__(self, said: ServerError, error: ModelError) -> None:
        super().__init__(str(error))
        self.said = said
        self.error = error


Outcome = dict[str, Any] | tuple[ModelError, float | None, ServerError | None]
Most = Callable[[], Cost]  # the most that one request can take
Told = Callable[[dict[str, Any]], Cost | None]  # what a reply says that it took; None where it does not say


class Transport:
    """Posts JSON to ``{base_url}/chat/completions``; see ``models.openai.OpenAIModel`` for the options."""

    def __init__(
        self,
        name: str,
        access: Access,
        *,
        concurrency: int,
        timeout: float,
        deadline: float,
        attempts: int,
        backoff: float,
        longest_wait: float,
        circuit: int,
        cooldown: float,
        max_reply_mb: float,
        jitter: int,
        sleep: Callable[[float], Awaitable[object]],
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        for option, count in (("concurrency", concurrency), ("attempts", attempts), ("circuit", circuit)):
            if type(count) is not int or count < 1:
                raise InputError(f"{option}: expected a whole number of at least 1, got {count!r}")
        for option, seconds in (("timeout", timeout), ("deadline", deadline), ("max_reply_mb", max_reply_mb)):
            if not _amount(seconds) or not seconds > 0:
                unit = "MiB" if option == "max_reply_mb" else "seconds"
                raise InputError(f"{option}: expected a number of {unit} above 0, got {seconds!r}")
        for option, seconds in (("backoff", backoff), ("longest_wait", longest_wait), ("cooldown", cooldown)):
            if not _amount(seconds):
                raise InputError(f"{option}: expected a number of seconds of at least 0, got {seconds!r}")
        self._name = name
        self._access = access
        self._most_bytes = int(max_reply_mb * 2**20)
        self._redact = access.redact
        self._concurrency, self._timeout, self._deadline, self._attempts = concurrency, timeout, deadline, attempts
        self._backoff, self._longest_wait, self._cooldown = backoff, longest_wait, cooldown
        self._circuit = circuit
        self._failed = 0  # calls in a row
        self._tried = 0.0  # when the open circuit last let a call through
        self._reason: ModelError | None = None
        self._random = random.Random(jitter)
        self._sleep, self._clock, self._wall = sleep, clock, wall
        self._channels: WeakKeyDictionary[asyncio.AbstractEventLoop, _Channel] = WeakKeyDictionary()

    async def post(self, body: Mapping[str, Any], most: Most, told: Told) -> dict[str, Any]:
        """The JSON of a good answer, after bounded retries and unless the circuit is open.

        Args:
            body: the request.
            most: gives the most that one attempt can take; each is reserved and settled by it (``core.attempts``).
            told: gives what a reply says that it took.

        Raises:
            BudgetExhausted: the caps have no room for another attempt.
            Refusal: a 4xx that is not about the key, the account or this prompt.
            ModelError: any other failure.
        """
        self._check_circuit()
        try:
            data = await self._retried(json.dumps(body, separators=(",", ":")).encode(), most, told)
        except BadOutput:  # the server is well: it is this prompt that it turned away, or this answer that is broken
            self._failed = 0
            raise
        except Refusal:
            raise
        except ModelError as error:
            raise self.noted(error) from None
        self._failed = 0
        return data

    def noted(self, error: ModelError) -> ModelError:
        """Count a call that failed for good."""
        self._failed += 1
        self._reason = error
        if self._failed == self._circuit:
            self._tried = self._clock()
        return error

    async def close(self) -> None:
        """Close this loop's connections, and those of loops that are gone."""
        for loop, channel in list(self._channels.items()):
            if loop is asyncio.get_running_loop():
                await channel.session.close()
                del self._channels[loop]
            elif loop.is_closed():
                channel.drop()
                del self._channels[loop]

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

    async def _retried(self, payload: bytes, most: Most, told: Told) -> dict[str, Any]:
        channel, stop = self._channel(), stopping.current()
        until = math.inf
        tries = 0

        async def post(made: Attempt) -> Outcome | None:
            nonlocal until
            stop.check()  # what still waits for its turn is not sent any more
            if not made.covers(most()):
                return None  # what this server adds to every call was learned since it was reserved
            if tries == 1:  # the deadline does not run while the call waits for its first turn
                until = self._clock() + self._deadline
            return await self._post(channel, payload, min(self._timeout, until - self._clock()), made, told)

        while True:
            tries += 1
            async with attempt(most) as made:
                outcome = await self._in_turn(channel, made, partial(post, made))
                if outcome is None:
                    tries -= 1
                    continue
                if isinstance(outcome, dict):
                    made.took = told(outcome)
                    made.answered = tries >= self._attempts or not no_answer(outcome)
            last = None
            if isinstance(outcome, dict):
                if made.answered:
                    return outcome
                last, outcome = outcome, (BadOutput(f"{self._name}: no answer in the reply", kind="malformed"), None, None)
            error, asked_wait, said = outcome
            if said is not None:
                raise Refusal(said, error)
            broken = isinstance(error, BadOutput) and error.kind == "malformed"
            if not broken and not (isinstance(error, ModelUnavailable) and error.kind in _RETRIED):
                raise error
            # Full jitter, on top of the server's own wish where it has one: the calls must not all return at once.
            wait = self._random.uniform(0.0, min(self._longest_wait, self._backoff * 2.0 ** min(tries - 1, 60)))
            wait += asked_wait or 0.0
            late = self._clock() + wait >= until
            if late and last is not None:
                return last  # whoever reads it says what is missing, and what it took
            if tries >= self._attempts or late:
                why = f"would pass the deadline of {self._deadline:g} s" if late else "failed too"
                note = f" (tried {tries} times; another try {why})" if late else f" (tried {tries} times)"
                if isinstance(error, BadOutput):
                    raise BadOutput(f"{error}{note}", kind=error.kind)
                assert isinstance(error, ModelUnavailable)
                raise ModelUnavailable(f"{error}{note}", kind=error.kind, attempts=tries)
            await self._sleep(wait)

    async def _in_turn(
        self, channel: _Channel, made: Attempt, post: Callable[[], Awaitable[Outcome | None]]
    ) -> Outcome | None:
        """Where tokens or money are capped the first call goes alone: it shows what the server adds to every one, before many
        calls under way could pass the cap by as much each.
        """
        if made.capped and not channel.shown:
            async with channel.first:
                if not channel.shown:
                    try:
                        return await channel.lanes.run(post)
                    finally:
                        channel.shown = True
        return await channel.lanes.run(post)

    async def _post(self, channel: _Channel, payload: bytes, seconds: float, made: Attempt, told: Told) -> Outcome:
        """The JSON of a good answer; or what went wrong, how many seconds the server asks to wait, and what it refuses."""
        from aiohttp import ClientConnectorError, ClientError, ClientTimeout

        timeout = channel.timeout if seconds >= self._timeout else ClientTimeout(total=max(seconds, 0.001))
        where = f"{self._name} at {self._access.base_url}"
        made.sent = True
        try:
            # A redirect would turn the POST into a GET, or carry the key to another host.
            async with channel.session.post(
                channel.url, data=payload, timeout=timeout, allow_redirects=False
            ) as answer:
                status = 200 if 200 <= answer.status < 300 else answer.status  # a 201 or 206 may hold an answer, which was paid
                raw = await read_body(answer, self._most_bytes, whole=status == 200)
                wait = retry_after(answer.headers.get("Retry-After"), self._wall)
                outcome, made.took = self._read(status, raw, where, wait, told)
        except TimeoutError:
            return ModelUnavailable(f"{where}: no answer within {seconds:g} s", kind="timeout"), None, None
        except TooLarge as error:
            return BadOutput(f"{where}: {error}", kind="too-large"), None, None
        except (ClientError, OSError, ValueError) as error:
            made.sent = not isinstance(error, ClientConnectorError)
            said = self._redact(str(error) or type(error).__name__)
            return ModelUnavailable(f"{where}: {said}", kind="cut" if made.sent else "connection"), None, None
        if isinstance(outcome, tuple):
            failed, _, refusal = outcome
            billed = refusal is None and getattr(failed, "kind", "") in _BILLED
            # What a filter stopped after a 200 was begun may have been billed; so was what tells its tokens.
            stopped = isinstance(failed, Refused) and status == 200
            paid = failed.paid or stopped if isinstance(failed, BadOutput) else billed
            made.sent = paid or made.took is not None
        return outcome

    def _read(
        self, status: int, raw: bytes, where: str, wait: float | None, told: Told
    ) -> tuple[Outcome, Cost | None]:
        """An answer read, the keys of this process masked, and what it took where it is an error that says so: some servers put
        errors and pages of HTML into a 200.
        """
        came, raw = raw, mask(raw)
        took: Cost | None = None
        if status == 200:
            try:
                data = unechoed(json.loads(raw), raw is not came)
            except (ValueError, RecursionError):
                if raw.lstrip()[:1] == b"<":  # of a proxy or a login: as if it had said 502
                    return (failure(502, raw, where, self._redact), wait, None), None
                start = self._redact(raw[:200].decode("utf-8", "replace"))
                return (BadOutput(f"{where}: the reply is not JSON: {start!r}", kind="malformed"), wait, None), None
            if not isinstance(data, dict):
                data = {"": data}
            if data.get("choices") or not (data.get("error") or data.get("object") == "error"):
                return data, None
            took = told(data)
            status = meant_status(server_error(raw))
        said = server_error(raw)
        if status == 500 and 400 <= said.status < 500:  # a proxy wrapped the refusal of what is behind it
            status = said.status
        error = failure(status, raw, where, self._redact)
        refused = status == 403 or (status in (500, 501) and _REFUSED.search(said.message) is not None)
        about_fields = isinstance(error, ModelUnavailable) and (error.kind == "bad-request" or refused)
        return (error, wait, said if about_fields else None), took

    def _channel(self) -> _Channel:
        """This event loop's session: aiohttp's belong to the loop they were made in."""
        loop = asyncio.get_running_loop()
        channel = self._channels.get(loop)
        if channel is None:
            for other in [other for other in self._channels if other.is_closed()]:
                self._channels.pop(other).drop()
            channel = _Channel(self._access, self._concurrency, self._timeout)
            self._channels[loop] = channel
        return channel


def _amount(value: object) -> bool:
    """Whether it is a finite number of at least 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


class _Channel:
    """What belongs to one event loop."""

    def __init__(self, access: Access, concurrency: int, timeout: float) -> None:
        import aiohttp
        from yarl import URL

        self.connector: aiohttp.BaseConnector
        base_url, headers = access.base_url, {"Accept-Encoding": ENCODINGS, **access.headers()}
        if base_url.startswith("unix:"):
            self.connector = quiet(aiohttp.UnixConnector)(path=base_url.removeprefix("unix:"), limit=concurrency)
            base_url = "http://localhost/v1"
        else:
            self.connector = quiet(aiohttp.TCPConnector)(limit=concurrency)
        self.url = URL(f"{base_url}/chat/completions")
        self.timeout = aiohttp.ClientTimeout(total=timeout)
        self.lanes = Lanes(concurrency)
        self.first, self.shown = asyncio.Lock(), False
        self.session: aiohttp.ClientSession = aiohttp.ClientSession(
            connector=self.connector, headers=headers, cookie_jar=aiohttp.DummyCookieJar(), timeout=self.timeout,
            trust_env=access.trust_env, auto_decompress=False,
        )  # fmt: skip

    def drop(self) -> None:
        """Let go of the session of a loop that is closed, on which nothing can be awaited any more."""
        self.session.detach()
