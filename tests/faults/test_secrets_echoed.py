"""A server that repeats the caller's keys wherever it can, and a search for them in every byte that a run leaves."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import random
import re
import sqlite3
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from loopwright.core.errors import ModelError, StoreCorrupt
from loopwright.core.model import Request, Sampling
from loopwright.core.store import EffectRow
from loopwright.core.types import Turn
from loopwright.models.openai import OpenAIModel
from loopwright.store import SqliteStore
from loopwright.store.codec import unpack
from loopwright.store.pieces import _places

Seen = Callable[[str], None]
CANARY, EXTRA = "canary/7Q4x+Zz9-main~key", "extra 5e8d canary-header-0042"


class Echo(BaseHTTPRequestHandler):
    """Every answer holds the keys that came, each time in another way."""

    turn = itertools.count()
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key, extra = self.headers["Authorization"].removeprefix("Bearer "), self.headers["X-Extra"]
        assert (key, extra) == (CANARY, EXTRA)
        turn = next(self.turn)
        asked = re.findall(r"(\d+) \+ (\d+)", body["messages"][-1]["content"])
        a, b = asked[-1] if asked else ("0", "0")
        text = str(int(a) + int(b)) if turn % 3 or len(asked) > 1 else "unsure"
        echoes = (key, f"Bearer {key}", extra, extra.split()[-1], base64.b64encode(key.encode()).decode())
        said = echoes[turn % len(echoes)]
        if turn % 5 == 1:
            return self.fail(503, {"error": {"message": f"no luck with {said}", "code": key, "param": extra}}, said)
        if turn % 11 == 7:
            return self.fail(500, f"<html><title>key {said}</title></html>", said)
        if turn % 13 == 9:
            return self.fail(200, {"error": {"message": f"{'x' * 480} {said} is not known here", "code": "server_error"}}, said)
        thought = f"I was called with {said}"
        message: dict[str, Any] = {"content": text if turn % 4 else f"{text} {said}", "reasoning_content": thought}
        if turn % 7 == 3:
            message["content"] = [{"type": "text", "text": f"{text} {key[:9]}"}, {"type": "text", "text": key[9:]}]
        data = {
            "id": said, "model": f"m-{key}", "system_fingerprint": f"fp-{extra}", "headers": dict(self.headers),
            "choices": [{"index": 0, "finish_reason": "stop", "message": message, "token_ids": list(key.encode())}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 3},
        }  # fmt: skip
        raw = json.dumps(data)
        if turn % 2:  # as some servers escape
            raw = raw.replace("/", "\\/").replace("c", "\\u0063")
        self.send(200, raw.encode(), said)
        return None

    def fail(self, status: int, what: dict[str, Any] | str, said: str) -> None:
        self.send(status, (what if isinstance(what, str) else json.dumps(what)).encode(), said)

    def send(self, status: int, raw: bytes, said: str) -> None:
        self.send_response(status, f"as you said {said}")
        self.send_header("X-Was", said)
        self.send_header("Set-Cookie", f"session={said}")
        self.send_header("Retry-After", said if status == 503 else "0")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


@pytest.fixture
def url() -> Iterator[str]:
    Echo.turn = itertools.count()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def bytes_of(path: Path) -> Iterator[tuple[str, bytes]]:
    """All that a file holds: its bytes, and for a database every value, unpacked."""
    yield str(path), path.read_bytes()
    if path.suffix == ".db":
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in connection.execute(f"SELECT * FROM {table}"):
                for value in row:
                    raw = value if isinstance(value, bytes) else str(value).encode()
                    yield f"{path} {table}", raw
                    with contextlib.suppress(StoreCorrupt):  # which is no packed value
                        yield f"{path} {table} unpacked", unpack(_places(raw)[1])
        connection.close()


@pytest.mark.parametrize("around", [0, 100, 1000])
def test_the_search_would_find_it(tmp_path: Path, around: int) -> None:
    with SqliteStore(tmp_path / "a.db") as store:
        run = store.create_run({}, seed=0, budget={}, code_version="").id
        words = json.dumps(["some words " * around + CANARY + " others " * around, "x"]).encode()
        asyncio.run(store.write([EffectRow(run, "k", "s", "generate", "c", 0, "done", "asks", words)]))
    where = {where for where, raw in bytes_of(tmp_path / "a.db") if CANARY.encode() in raw}
    assert any("unpacked" in place for place in where)


@pytest.mark.fault(29, 54)
def test_a_key_that_the_server_repeats_is_in_no_file_and_no_output(url: str, tmp_path: Path, seen: Seen) -> None:
    task = tmp_path / "task"
    task.mkdir()
    rng = random.Random(5)
    sums = rng.sample(list(itertools.product(range(10, 60), repeat=2)), 60)
    rows = [{"id": f"e{i}", "input": f"{a} + {b}", "target": str(a + b)} for i, (a, b) in enumerate(sums)]
    (task / "examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (task / "task.toml").write_text(
        'name = "sums"\ndescription = "Additions."\n[examples]\nfile = "examples.jsonl"\n[answer]\nmax_tokens = 32\n'
        f'[checker]\nkind = "exact"\n[model]\nname = "toy"\nbase_url = "{url}"\napi_key_env = "ECHO_KEY"\nconcurrency = 4\n'
        'backoff = 0.01\nattempts = 3\nheaders = {X-Extra = "env:ECHO_EXTRA"}\n[methods.few-shot]\nexamples = 6\n'
    )
    place = tmp_path / "left"
    place.mkdir()
    environment = {**os.environ, "ECHO_KEY": CANARY, "ECHO_EXTRA": EXTRA, "TMPDIR": str(place), "HOME": str(place)}
    said: list[tuple[str, bytes]] = []

    def run(*words: str) -> int:
        process = subprocess.run(
            [sys.executable, "-c", "from loopwright.cli import main; main()", "--store", "store", *words],
            cwd=place, env=environment, capture_output=True, timeout=200,
        )  # fmt: skip
        said.extend((f"{' '.join(words)} > {name}", raw) for name, raw in (("out", process.stdout), ("err", process.stderr)))
        return process.returncode

    code = run("improve", str(task), "--out", "out", "--change", "prompt", "--budget", "seconds=120")
    assert code in (0, 1, 3), said[-1]
    for words in (("runs",), ("runs", "--json"), ("report", "--out", "page.html"), ("report", "--json"), ("export",),
                  ("resume", "last", "--json"), ("answer", "3 + 4", "--artifact", "out/artifact"),
                  ("judge-report", "last"), ("export", "--format", "grpo", "--out", "data.jsonl")):  # fmt: skip
        run(*words)
    turns = next(Echo.turn)
    assert turns > 60
    said += [pair for path in place.rglob("*") if path.is_file() for pair in bytes_of(path)]
    assert any(b"[secret]" in raw for _, raw in said), "nothing was masked, so nothing was tried"
    parts = [CANARY, *EXTRA.split()[-1:], base64.b64encode(CANARY.encode()).decode().rstrip("="), EXTRA]
    ways = {way.encode() for p in parts for way in (p, p.replace("/", "\\/"), json.dumps(p)[1:-1], p.replace("c", "\\u0063"))}
    ways.add(json.dumps(list(CANARY.encode()), separators=(",", ":"))[1:-1].encode())
    found = [(where, raw[max(0, raw.find(way) - 60) :][:120]) for where, raw in said for way in ways if way in raw]
    leaks = sorted({f"{where}: {around!r}" for where, around in found})
    assert not leaks, "\n".join(leaks[:10])
    seen(f"{turns} replies that repeat the keys in bodies, errors and headers: in none of {len(said)} files, values and outputs")


BROKEN = (
    "HTTP/1.1 200 OK\r\nno colon {key}\r\n\r\n",
    "HTTP/1.1 2x0 {key}\r\nContent-Length: 2\r\n\r\n{{}}",
    "{key}\r\n\r\n",
    "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/{key}\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 401 {key}\r\nWWW-Authenticate: {key}\r\nContent-Length: 40\r\n\r\n{key}",
    "HTTP/1.1 200 OK\r\nContent-Encoding: {key}\r\nContent-Length: 40\r\n\r\n{key}",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{key}\r\n",
)


@pytest.mark.fault(54)
@pytest.mark.parametrize("answer", BROKEN)
def test_a_key_in_a_broken_answer_is_in_no_error_traceback_or_log(
    answer: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ECHO_KEY", CANARY)

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer.format(key=CANARY).encode())
        writer.close()

    async def ask() -> str:
        server = await asyncio.start_server(reply, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        model = OpenAIModel("toy", base_url=url, api_key_env="ECHO_KEY", attempts=1, backoff=0.0)
        try:
            await model.generate([Request(turns=(Turn(role="user", text="?"),), sampling=Sampling())])
        except ModelError as error:
            return "".join(traceback.format_exception(error)) + repr(error)
        finally:
            await model.close()
            server.close()
        raise AssertionError("a broken answer was taken for one")

    caplog.set_level("DEBUG")
    told = asyncio.run(ask())
    assert CANARY not in told
    assert CANARY not in caplog.text
