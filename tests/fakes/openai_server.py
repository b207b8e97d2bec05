"""A chat-completions server on a loopback port that does what a test tells it, one step per call."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

Step = Callable[[dict[str, Any]], web.Response] | web.Response | float


def completion(body: dict[str, Any], texts: list[str] | None = None, **more: Any) -> web.Response:
    """A good answer. ``more`` is merged into each choice, ``top`` into the whole; ``usage=None`` leaves the usage out."""
    top = more.pop("top", {})
    usage = more.pop("usage", {"prompt_tokens": 7, "completion_tokens": 3})
    texts = [f"answer {body.get('seed')}.{i}" for i in range(body.get("n", 1))] if texts is None else texts
    choices = [
        {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", **more}
        for i, text in enumerate(texts)
    ]
    return web.json_response({"choices": choices} | ({"usage": usage} if usage else {}) | top)


def fails(status: int, message: str = "no", code: str = "", **headers: str) -> Step:
    return lambda body: web.json_response(
        {"error": {"message": message, "code": code}},
        status=status,
        headers={k.replace("_", "-"): v for k, v in headers.items()},
    )


class Server:
    """``steps`` are used up one per call; the last one stays. A number is seconds to hang before a good answer."""

    def __init__(self) -> None:
        self.steps: list[Step] = [completion]
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""

    def will(self, *steps: Step) -> None:
        self.steps = list(steps)

    async def handle(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, float):
            await asyncio.sleep(step)
            return completion(body)
        assert callable(step)
        return step(body)


@contextmanager
def serving() -> Iterator[Server]:
    """The server in a thread with its own event loop, so that a test may run its own."""
    server, ready, stop = Server(), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def main() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", server.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
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
    assert ready.wait(10), "the fake server did not start"
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
