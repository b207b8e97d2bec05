"""Replies that are too large, given by a real server to a real client in a process of its own, whose memory is measured."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from aiohttp import web

sys.path.insert(0, str(Path(__file__).parents[1]))
from fakes.openai_server import Server, completion, serving

_CHILD = """
import asyncio, json, re, sys
from loopwright.core.errors import ModelError
from loopwright.core.model import Request, Sampling
from loopwright.core.types import Turn
from loopwright.models.openai import OpenAIModel

def highest():  # not getrusage: its peak is inherited from the parent
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024

async def main():
    model = OpenAIModel("toy", base_url=sys.argv[1], api_key_env="", attempts=2, backoff=0.001, **json.loads(sys.argv[2]))
    said = []
    for i in range(3):
        request = Request(turns=(Turn(role="user", text=f"q{i}"),), sampling=Sampling(max_tokens=8))
        if i == 1:
            before = highest()
        try:
            (reply,) = await model.generate([request])
            said.append(["ok", reply.choices[0].text[:40]])
        except ModelError as error:
            said.append([type(error).__name__, getattr(error, "kind", ""), str(error)[:300]])
    await model.close()
    print(json.dumps({"said": said, "grown_mb": highest() - before}))

asyncio.run(main())
"""
_HEAD = b'{"choices": [{"message": {"role": "assistant", "content": "'
_TAIL = b'"}, "finish_reason": "stop"}]}'


@cache
def bomb(megabytes: int, kind: str = "gzip") -> bytes:
    """A good answer of so many megabytes, packed to about a thousandth."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31 if kind == "gzip" else 15)
    part = b"a" * 2**20
    made = [
        packer.compress(_HEAD),
        *(packer.compress(part) for _ in range(megabytes)),
        packer.compress(_TAIL),
        packer.flush(),
    ]
    return b"".join(made)


def packed(body: bytes, encoding: str, status: int = 200) -> web.Response:
    headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
    return web.Response(body=body, headers=headers, status=status)


def ask(server: Server, **options: float) -> dict[str, object]:
    """What three questions give, of which the second gets the large reply, and by how many MB the client grew."""
    made = subprocess.run(
        [sys.executable, "-c", _CHILD, server.url, json.dumps(options)], capture_output=True, text=True, timeout=120, check=False
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    found: dict[str, object] = json.loads(made.stdout)
    return found


REPLIES = {
    "1 GB packed as gzip": lambda body: packed(bomb(1024), "gzip"),
    "1 GB packed as deflate": lambda body: packed(bomb(1024, "zlib"), "deflate"),
    "two packed streams of 300 MB": lambda body: packed(bomb(300) * 2, "gzip"),
    "50 MB as it is": lambda body: web.Response(
        body=_HEAD + b"a" * 50_000_000 + _TAIL, content_type="application/json"
    ),
    "20 MB of empty lists": lambda body: web.Response(
        body=b"[" + b"[]," * 7_000_000 + b"[]]", content_type="application/json"
    ),
}


@pytest.mark.fault(75, 47)
@pytest.mark.parametrize("what", REPLIES)
def test_a_reply_too_large_is_refused_in_bounded_memory_and_others_go_on(
    what: str, seen: Callable[[str], None]
) -> None:
    with serving() as server:
        server.will(completion, REPLIES[what], completion)
        found = ask(server)
    first, second, third = found["said"]  # type: ignore[misc]
    assert first[0] == third[0] == "ok", "the reply of one example must not end the others"
    assert second[:2] == ["BadOutput", "too-large"]
    assert "max_reply_mb" in second[2] or "parts" in second[2]
    assert len(server.bodies) == 3, "it is not asked for again"
    assert float(found["grown_mb"]) < 200  # type: ignore[arg-type]
    seen(f"{what}: {second[2].split(': ', 1)[1][:90]}; the client grew by {found['grown_mb']:.0f} MB")


@pytest.mark.fault(75)
def test_the_body_of_an_error_is_read_no_further_than_its_message(seen: Callable[[str], None]) -> None:
    with serving() as server:
        server.will(completion, lambda body: packed(bomb(1024), "gzip", 400), completion)
        found = ask(server)
    first, second, third = found["said"]  # type: ignore[misc]
    assert first[0] == third[0] == "ok" and second[0] == "ModelUnavailable" and len(second[2]) <= 300
    assert float(found["grown_mb"]) < 100  # type: ignore[arg-type]
    seen(f"1 GB packed as the body of an error 400: the client grew by {found['grown_mb']:.0f} MB")


@pytest.mark.fault(75)
def test_the_limit_can_be_raised_and_lowered() -> None:
    with serving() as server:
        server.will(completion, lambda body: packed(bomb(40), "gzip"), completion)
        large = ask(server, max_reply_mb=64)
        assert [said[0] for said in large["said"]] == ["ok", "ok", "ok"]  # type: ignore[attr-defined]
        assert float(large["grown_mb"]) > 60, "a reply that was read must be seen in what is measured"  # type: ignore[arg-type]
        server.will(completion, lambda body: packed(bomb(2), "gzip"), completion)
        small = ask(server, max_reply_mb=1)
        assert [said[0] for said in small["said"]] == ["ok", "BadOutput", "ok"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(bomb(1)[:-40], "gzip"), (b"not packed at all", "gzip"), (_HEAD + _TAIL, "br"), (bomb(1), "zstd, gzip")],
)
def test_a_reply_that_cannot_be_unpacked_is_asked_for_again_and_named(body: bytes, encoding: str) -> None:
    with serving() as server:
        server.will(completion, lambda _: packed(body, encoding), lambda _: packed(body, encoding), completion)
        first, second, third = ask(server)["said"]  # type: ignore[misc]
    assert first[0] == third[0] == "ok"
    assert second[:2] == ["ModelUnavailable", "cut"] and "packed" in second[2]
