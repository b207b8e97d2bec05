"""A chat-completions server on a loopback port that keeps its own books, and misbehaves as a test says.

What it bills is what a provider would: every request whose answer was made, whether or not the answer arrives.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

PRICE = (10.0, 30.0)  # dollars per million tokens of prompt and answer

# What may happen to one request. "cut" and everything below it bills.
HARMLESS = ("ok", "429", "400", "413", "422")
BILLED = (
    "cut", "half", "500", "503", "html", "error-200", "no-choices", "no-message", "not-json",
    "one-choice", "more-choices", "no-usage",
    "usage-1e30", "usage-negative", "usage-text", "usage-nan", "broken-gzip", "empty", "refused",
)  # fmt: skip
_USAGE = {
    "usage-1e30": 10**30, "usage-negative": -5, "usage-text": "many", "usage-nan": float("nan"),
}  # fmt: skip

Plan = Callable[[int, dict[str, Any]], str]


class Billing:
    """plan: what happens to request number i (from 0) with this body. calls, prompt, completion: what was billed."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.answer: Callable[[dict[str, Any]], str] = lambda body: "fine"
        self.completion = 3  # tokens that one choice bills
        self.latency = 0.0
        self.retry_after = "0"
        self.received = self.calls = self.prompt = self.tokens = 0
        self.arrived: list[float] = []
        self.url = ""

    @property
    def money(self) -> float:
        return (self.prompt * PRICE[0] + (self.tokens - self.prompt) * PRICE[1]) / 1e6

    def bill(self, body: dict[str, Any], choices: int) -> tuple[int, int]:
        prompt = sum(len(message["content"].split()) + 4 for message in body["messages"])
        completion = choices * min(self.completion, body.get("max_tokens", 16))
        self.calls += 1
        self.prompt += prompt
        self.tokens += prompt + completion
        return prompt, completion

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        what = self.plan(self.received, body)
        self.received += 1
        self.arrived.append(asyncio.get_running_loop().time())
        if self.latency:
            await asyncio.sleep(self.latency)
        if what == "429":
            return web.json_response(
                {"error": {"message": "slow down"}}, status=429, headers={"Retry-After": self.retry_after}
            )
        if what in ("400", "402", "413", "422"):
            return web.json_response({"error": {"message": "this prompt cannot be read"}}, status=int(what))
        n = {"one-choice": 1, "more-choices": body.get("n", 1) + 2}.get(what, body.get("n", 1))
        prompt, completion = self.bill(body, n)
        if what == "cut":
            assert request.transport is not None
            request.transport.close()
            raise web.HTTPException  # nothing of it arrives
        if what in ("500", "503"):
            return web.json_response({"error": {"message": "the answer was made and lost"}}, status=int(what))
        if what == "html":
            return web.Response(text="<html><title>Bad gateway</title></html>", content_type="text/html")
        if what == "error-200":
            return web.json_response({"error": {"message": "internal error"}})
        if what == "not-json":
            return web.Response(text='{"choices": [{"mess', content_type="application/json")
        usage: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": completion}
        if what in _USAGE:
            usage = {"prompt_tokens": prompt, "completion_tokens": _USAGE[what]}
        message: dict[str, Any] = {"role": "assistant", "content": "" if what == "empty" else self.answer(body)}
        if what == "refused":
            message = {"role": "assistant", "content": None, "refusal": "I will not."}
        choice = {"message": message, "finish_reason": "stop"}
        choices = [] if what == "no-choices" else [{"index": 0}] if what == "no-message" else [choice] * n
        made = {"choices": choices} | ({} if what == "no-usage" else {"usage": usage})
        raw = json.dumps(made).encode()
        if what == "broken-gzip":
            return web.Response(
                body=gzip.compress(raw)[:-12], headers={"Content-Encoding": "gzip"}, content_type="application/json"
            )
        if what == "half":
            response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(raw))})
            await response.prepare(request)
            await response.write(raw[: len(raw) // 2])
            assert request.transport is not None
            request.transport.close()
            return response
        return web.Response(body=raw, content_type="application/json")


@contextmanager
def billing(plan: Plan) -> Iterator[Billing]:
    """The server in a thread with its own event loop."""
    server, ready, stop = Billing(plan), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def main() -> None:
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/v1/chat/completions", server.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        ready.set()
        await stop.wait()
        await runner.cleanup()
        hanging = asyncio.all_tasks() - {asyncio.current_task()}
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    assert ready.wait(10), "the billing server did not start"
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
