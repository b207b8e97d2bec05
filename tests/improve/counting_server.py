"""A chat-completions server in a process of its own: it counts what it is asked, whoever is killed meanwhile.

Answers are a function of the question, the instruction and the seed alone. ``GET /stats`` tells what was received;
``POST /mode`` sets how the next calls go: {"fail": status, "times": n or null, "latency": seconds}. Arguments: port (0 for any).
The port is printed on the first line.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import sys
from typing import Any

from aiohttp import web

state: dict[str, Any] = {"received": 0, "answered": 0, "fail": None, "times": None, "latency": 0.01}


def draw(*words: object) -> float:
    return int(hashlib.sha256("\0".join(map(str, words)).encode()).hexdigest()[:8], 16) / 2**32


def answer(text: str, seed: object, index: int) -> str:
    """Right nearly always when told to give the answer only, and seldom otherwise; worked examples confuse it."""
    asked = re.findall(r"(\d+) \+ (\d+)", text)[-1]
    right = str(sum(map(int, asked)))
    chance = 0.95 if "Reply with the answer only." in text else 0.35
    return right if draw(asked, seed, index, chance) < chance else f"It is {right}, I think."


async def complete(request: web.Request) -> web.Response:
    body = await request.json()
    state["received"] += 1
    if state["fail"] is not None:
        status, left = state["fail"], state["times"]
        if left is not None:
            state["times"] = left - 1
            if left <= 1:
                state["fail"] = None
        headers = {"Retry-After": "0.05"} if status == 429 else {}
        return web.json_response({"error": {"message": f"told to fail with {status}"}}, status=status, headers=headers)
    text = "\n".join(message["content"] for message in body["messages"])
    await asyncio.sleep(state["latency"] * (0.5 + draw(text, body.get("seed"))))
    choices = [
        {"index": i, "message": {"role": "assistant", "content": answer(text, body.get("seed"), i)}, "finish_reason": "stop"}
        for i in range(body.get("n", 1))
    ]
    state["answered"] += 1
    return web.json_response({"choices": choices, "usage": {"prompt_tokens": 20, "completion_tokens": 4 * len(choices)}})


async def stats(request: web.Request) -> web.Response:
    return web.json_response(state)


async def mode(request: web.Request) -> web.Response:
    state.update(await request.json())
    return web.json_response(state)


async def main(port: int) -> None:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", complete)
    app.router.add_get("/stats", stats)
    app.router.add_post("/mode", mode)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
