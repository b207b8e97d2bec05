"""A task of sums in a folder, on a server that answers right where care is asked for; for tests of whole runs."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

from loopwright.improve.job import resume_improve, run_improve
from loopwright.improve.report import build_report
from loopwright.store import open_store

sys.path.append(str(Path(__file__).parents[1] / "fakes"))
from openai_server import Server, completion

__all__ = ["Server", "Sums", "answer", "make_task"]

METHOD = '''"""Asks for care."""
from loopwright import improver

@improver(improves="prompt", needs=("model",), baseline=True)
async def careful(base, ctx):
    """Asks for care."""
    await ctx.rollout(base, ctx.world.examples("train")[:12])
    yield base.child(by="careful", prompt={"instruction": "carefully"})
'''
CHECK = "def check(output, example):\n    return output == example['target']\n"


def answer(body: dict[str, Any]) -> Any:
    """Right where care is asked for, else in a third of the questions."""
    text = "\n".join(m["content"] for m in body["messages"])
    found = re.search(r"(\d+) \+ (\d+)", text)
    if found is None:
        return completion(body, ["well"])
    a, b = int(found[1]), int(found[2])
    right = "carefully" in text or (a * 7 + b) % 3 == 0
    return completion(body, [str(a + b if right else a - b)])


def make_task(
    folder: Path, n: int = 120, checker: str = "python", generator: bool = False, start: int = 10, **files: str
) -> Path:
    """A task folder of n sums, from a file or a generator, with files of its own by name (``check`` is check.py).

    start: the smallest first number, so that a test can have questions and ids that no other has.
    """
    folder.mkdir(parents=True)
    pairs = [(start + i, 3 * i % 37) for i in range(n)]
    rows = [{"id": f"e{a - 10}", "input": f"{a} + {b}", "target": str(a + b)} for a, b in pairs]
    (folder / "examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    kinds = {"python": 'kind = "python"\nfunction = "check.py:check"', "exact": 'kind = "exact"'}
    source = f'generator = "make.py:make"\ncount = {n}' if generator else 'file = "examples.jsonl"'
    if generator:
        (folder / "make.py").write_text(
            "import json, pathlib\ndef make(count, seed):\n"
            "    lines = pathlib.Path(__file__).with_name('examples.jsonl').read_text().splitlines()\n"
            "    return [json.loads(line) for line in lines]\n"
        )
    (folder / "task.toml").write_text(
        f'name = "sums"\n[examples]\n{source}\n[answer]\nmax_tokens = 16\n[checker]\n{kinds[checker]}\n'
    )
    for name, text in {"check": CHECK, "method": METHOD, **files}.items():
        (folder / f"{name}.py").write_text(text)
    return folder


class Sums:
    """Runs on such a task, in this process."""

    def __init__(self, server: Server, folder: Path, place: Path) -> None:
        self.server, self.folder, self.place = server, folder, place
        self.store = place / "store"
        self.events: list[tuple[str, dict[str, Any]]] = []

    @property
    def asked(self) -> int:
        """Requests that the server was sent so far."""
        return len(self.server.bodies)

    def begin(self, *methods: str, out: str = "out", **more: Any) -> dict[str, Any]:
        model = {
            "backend": "openai", "model": "toy", "base_url": self.server.url, "concurrency": 4, "attempts": 2, "backoff": 0.01,
        }  # fmt: skip
        given = {"store_path": f"{self.store}/", "model": model, "cache": False, "out": self.place / out} | more
        return asyncio.run(run_improve(self.folder, only=methods or ["method:careful"], progress=self.tell, **given))

    def resume(self, run: str = "last", **more: Any) -> dict[str, Any]:
        return asyncio.run(resume_improve(run, store_path=f"{self.store}/", progress=self.tell, **more))

    def tell(self, type: str, payload: dict[str, Any]) -> None:
        self.events.append((type, payload))

    def told(self, type: str) -> list[dict[str, Any]]:
        return [payload for kind, payload in self.events if kind == type]

    def opened(self) -> Any:
        return open_store(f"{self.store}/")

    def report(self, run: str = "last") -> Any:
        store = self.opened()
        try:
            return build_report(store, run)
        finally:
            store.close()
