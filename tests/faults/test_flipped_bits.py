"""One bit of a real store is flipped while its run is stopped; the run is gone on with, and its report is made."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sums_kit import Sums, answer, make_task

from loopwright.core.errors import LoopwrightError, StoreCorrupt, StoreError
from loopwright.store import SqliteStore
from loopwright.store.commits import commits_file

from openai_server import fails, serving  # isort: skip

FLIPS = 60
DOWN = fails(401, "this key is not valid any more")
OF_TIME = {"created", "updated", "seconds", "time", "spent", "spending"}


def told(sums: Sums) -> tuple[Any, ...]:
    """What the report says, the attempts with their scores and what the record has, without times."""
    report = {k: v for k, v in sums.report().model_dump(mode="json").items() if k not in OF_TIME}
    with SqliteStore(sums.store / "loopwright.db") as store:
        run = store.run("last")
        attempts = sorted((r.id, r.candidate, r.split, r.score, r.replicate) for r in store.rollouts(run.id))
        effects = sorted((e.key, e.status, e.content) for e in store.effects(run.id))
    return report, attempts, effects


@pytest.mark.fault(9, 62)
def test_a_resumed_run_names_the_damage_or_ends_as_if_there_were_none(tmp_path: Path, seen: Callable[[str], None]) -> None:
    with serving() as server:
        server.will(answer)
        sums = Sums(server, make_task(tmp_path / "task", n=60, checker="exact"), tmp_path)
        answered = 0

        def step(body: dict[str, Any]) -> Any:
            nonlocal answered
            answered += 1
            return DOWN(body) if answered > 50 else answer(body)

        server.will(step)
        with pytest.raises(LoopwrightError):
            sums.begin(cache=True)
        server.will(answer)
        stopped = tmp_path / "stopped"
        shutil.copytree(sums.store, stopped)
        sums.resume()
        whole = told(sums)
        raw = (stopped / "loopwright.db").read_bytes()
        used = [at for at, byte in enumerate(raw) if byte]  # most of a small store's pages is empty, where nothing is hit
        rng, count, paid = random.Random(11), Counter[str](), Counter[int]()
        for _ in range(FLIPS):
            at, bit = rng.choice(used), rng.randrange(8)
            shutil.rmtree(sums.store)
            shutil.copytree(stopped, sums.store)
            (sums.store / "loopwright.db").write_bytes(raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :])
            before, failure, found = sums.asked, None, None
            try:
                sums.resume()
                found = told(sums)
            except StoreError as error:
                failure = error
            if failure is None:
                assert found == whole, f"byte {at}, bit {bit} changed the result, and nobody said so"
                count["without effect"] += 1
                paid[sums.asked - before] += 1
                continue
            assert isinstance(failure, StoreCorrupt), f"byte {at}, bit {bit}: {failure!r}"
            count["named" if sums.asked == before else "named later"] += 1
        assert count["named"] > 25 and count["without effect"] > 0
        assert len(paid) == 1, f"calls made by resumes that found no damage: {paid}"
        seen(
            f"{FLIPS} bits flipped at random in what a stopped run had stored: {count['named']} named before a call was made, "
            f"{count['named later']} by the report, "
            f"{count['without effect']} without effect (result, attempts and {next(iter(paid))} calls as without the flip)"
        )


@pytest.mark.fault(9, 62)
@pytest.mark.parametrize("place", ["header", "list of tables", "list of free pages", "index"])
def test_what_no_checksum_of_a_row_covers_is_named(tmp_path: Path, place: str) -> None:
    import asyncio

    from loopwright.core.store import EventRow

    path = tmp_path / "a.db"
    with SqliteStore(path) as store:
        run = store.create_run({}, seed=0, budget={}, code_version="").id
        asyncio.run(store.write([EventRow(run, "x", {"text": f"{i}" * 400}, key=f"{i}") for i in range(200)]))
    whole = path.read_bytes()

    def opened(data: bytes) -> None:
        path.write_bytes(data)
        commits_file(path).unlink(missing_ok=True)
        with SqliteStore(path) as store:
            store.acquire(run).release()
            store.events(run)

    opened(whole)
    places = {
        "header": [(at, bit) for at in (18, 19, 21, 45, 59, 66, 68, 71, 75) for bit in range(0, 8, 3)],
        "list of tables": [(whole.index(b"CREATE TABLE effect") + at, 0) for at in range(0, 200, 17)],
        "list of free pages": [(at, bit) for at in range(33, 40) for bit in (0, 4)],
        "index": [(whole.index(b"event/1") if b"event/1" in whole else _in_index(whole), bit) for bit in range(8)],
    }[place]
    for at, bit in places:
        flipped = whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]
        with pytest.raises(StoreCorrupt):
            opened(flipped)


def _in_index(whole: bytes) -> int:
    """The place of the identity of the run in the index of runs: the second time that it stands there."""
    import re

    found = [m.start() for m in re.finditer(rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", whole)]
    return found[-1]
