"""A server that answers every POST a while after it came.

By hand, as a server of a framework takes as long for a call as its client does, and what is measured would be the server.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import Callable
from typing import Any

Answer = Callable[[bytes], bytes]  # of a request's body the answer's


def completion(model: str, text: str, prompt_tokens: int, completion_tokens: int) -> dict[str, Any]:
    """The body of a chat completion."""
    return {
        "id": "x", "object": "chat.completion", "created": 1, "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        },
    }  # fmt: skip


class Tally:
    """What a server has seen."""

    def __init__(self) -> None:
        self.calls = 0
        self.in_flight = 0


class _Connection(asyncio.Protocol):
    def __init__(self, answer: Answer, told: Callable[[], bytes], latency: float, tally: Tally) -> None:
        self._answer, self._told, self._latency, self._tally = answer, told, latency, tally
        self._read = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            head = self._read[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._read) < end + 4 + length:
                return
            body, self._read = self._read[end + 4 : end + 4 + length], self._read[end + 4 + length :]
            if head.startswith(b"get"):
                self._send(self._told())
                continue
            self._tally.calls += 1
            self._tally.in_flight += 1
            loop = asyncio.get_running_loop()
            came = loop.time()
            answer = self._answer(body)
            loop.call_at(came + self._latency, self._end, answer)

    def _end(self, answer: bytes) -> None:
        self._tally.in_flight -= 1
        self._send(answer)

    def _send(self, body: bytes) -> None:
        if not self._transport.is_closing():
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self._transport.write(head.encode() + body)


def serve(answer: Answer, latency: float, tally: Tally | None = None, told: Callable[[], Any] = dict) -> None:
    """Prints its port; answers until its standard input closes. latency: seconds. told: what a GET is answered, as JSON."""
    seen = tally or Tally()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: _Connection(answer, lambda: json.dumps(told()).encode(), latency, seen), "127.0.0.1", 0, backlog=1024
        )
        print(server.sockets[0].getsockname()[1], flush=True)
        await loop.run_in_executor(None, sys.stdin.read)
        server.close()

    asyncio.run(main())
