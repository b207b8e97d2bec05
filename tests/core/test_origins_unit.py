"""Which replies may stand for which."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from loopwright.core.model import Reply
from loopwright.core.origins import Origin, Origins, from_one_server
from loopwright.core.store import CacheRow

SERVER: Any = SimpleNamespace(name="tiny", fingerprint="s", identified=False)
OURS: Any = SimpleNamespace(name="small", fingerprint="w")


def reply(fingerprint: str = "", model: str = "m", **more: Any) -> Reply:
    return Reply(choices=(), model=model, system_fingerprint=fingerprint, **more)


def row(run: str, fingerprint: str = "", model: str = "m") -> CacheRow:
    return CacheRow("k", b"{}", run, model, fingerprint, 1.0)


@pytest.mark.parametrize("compared", [True, False])
def test_a_model_known_by_its_weights_may_be_quoted_anywhere(compared: bool) -> None:
    assert Origins("r").usable(OURS, row("other"), compared=compared)


@pytest.mark.parametrize(
    ("run", "fingerprint", "compared", "usable"),
    [
        ("r", "fp", True, True),  # this run's own
        ("r", "old", True, False),
        ("other", "fp", True, False),
        ("", "fp", True, False),  # a store of before
        ("other", "fp", False, True),
        ("other", "old", False, False),
        ("", "", False, False),
    ],
)
def test_a_servers_reply_may_be_quoted(run: str, fingerprint: str, compared: bool, usable: bool) -> None:
    origins = Origins("r")
    assert not origins.usable(SERVER, row(run, fingerprint), compared=compared)  # nothing is known of the server yet
    origins.note(SERVER, "improve/a/b", reply("fp"))
    assert origins.usable(SERVER, row(run, fingerprint), compared=compared) == usable
    assert not origins.usable(SERVER, row(run, fingerprint, model="another"), compared=compared)


def test_a_change_is_told_once_and_a_quoted_reply_tells_nothing_of_the_server() -> None:
    origins = Origins("r")
    assert origins.note(SERVER, "i/a", reply("1")) is None
    assert origins.note(SERVER, "i/a", reply("0", run="old", time=5.0)) is None
    assert origins.note(SERVER, "i/a", reply("2")) == (Origin("m", "1"), Origin("m", "2"))
    assert origins.note(SERVER, "i/a", reply("1")) is origins.note(SERVER, "i/a", reply("2")) is None
    told = origins.told()
    assert told["reused"] == [{"run": "old", "replies": 1, "date": "1970-01-01 00:00 UTC"}] and told["fresh"] == 4
    assert {s["system_fingerprint"]: s["replies"] for s in told["servers"]} == {"1": 2, "2": 2}


def test_a_server_that_was_replaced_is_told_from_one_of_several_names() -> None:
    swapped, several = Origins("r"), Origins("r")
    for i in range(600):
        # At the change some that were asked before still come.
        swapped.note(SERVER, f"i/{'a' if i < 300 else 'b'}", reply("old" if i < 300 or (i < 360 and i % 2) else "new"))
        several.note(SERVER, f"i/{'a' if i < 300 else 'b'}", reply("1" if i < 300 or i % 3 else "2"))
    assert swapped.differ("i/a", "i/b") and several.differ("i/a", "i/b")
    assert swapped.replaced(["s"]) and not several.replaced(["s"])


def test_only_what_both_sides_asked_is_compared() -> None:
    origins = Origins("r")
    origins.note(SERVER, "i/a/x", reply("1"))
    origins.note(SimpleNamespace(name="judge", fingerprint="j", identified=False), "i/b/y", reply("2"))  # type: ignore[arg-type]
    origins.note(OURS, "i/b/y", reply("2"))
    assert not origins.differ("i/a", "i/b") and not origins.differ("i/a", "i/nothing")
    origins.note(SERVER, "i/b/z", reply("2"))
    assert origins.differ("i/a", "i/b")


@pytest.mark.parametrize(
    ("changes_at", "asked", "warned"),
    [
        ([], "ab", False),
        ([1], "aba", False),  # between the two: the first again
        ([0.5], "aba", False),  # in the middle of the first
        ([1.5], "abab", False),  # in the middle of the second: both again
        ([1, 2], "abab", False),  # and again, after the first was measured anew
        ([0.5, 1.5, 2.5, 3.5], "abab", True),  # it never stops
    ],
)
def test_both_sides_come_from_one_server_or_a_warning_says_not(changes_at: list[float], asked: str, warned: bool) -> None:
    origins, order = Origins("r"), []
    times = {"a": 0, "b": 0}

    async def measure(side: str, anew: bool) -> tuple[str, str]:
        assert anew == (times[side] > 0)
        times[side] += 1
        place = f"i/{side}{times[side]}"
        for half in (0, 0.5):
            origins.note(SERVER, place, reply(str(sum(at <= len(order) + half for at in changes_at))))
        order.append(side)
        return place, place

    engine = FakeEngine(origins)

    async def main() -> tuple[str, str]:
        return await from_one_server(engine, "i", lambda anew: measure("a", anew), lambda anew: measure("b", anew))  # type: ignore[arg-type]

    a, b = asyncio.run(main())
    assert "".join(order) == asked and bool(engine.told) == warned
    assert (a, b) == (f"i/a{times['a']}", f"i/b{times['b']}")
    if warned:
        assert "against" in engine.told[0] and not origins.replaced(["s"])  # from now on it counts as one server


class FakeEngine:
    """What ``from_one_server`` needs of an engine; what is recorded is answered from ``record``."""

    def __init__(self, origins: Origins, record: dict[str, bytes] | None = None) -> None:
        self.origins = origins
        self.record = {} if record is None else record
        self.told: list[str] = []

    async def event(self, type: str, key: str, *, message: str) -> None:
        self.told.append(message)

    async def effect(self, scope: str, kind: str, content: Any, perform: Any, *, summary: str) -> bytes:
        key = repr((scope, kind, content))
        if key not in self.record:
            self.record[key], _ = await perform()
        return self.record[key]


def test_what_was_measured_again_is_so_at_a_resume_whichever_reply_comes_first() -> None:
    def run(record: dict[str, bytes], late: int) -> list[str]:
        """``late`` replies under the old name come long after the first under the new one."""
        origins, order = Origins("r"), []
        engine = FakeEngine(origins, record)

        async def measure(side: str, anew: bool) -> tuple[str, None]:
            order.append(side)
            place = f"i/{side}{order.count(side)}"
            names = {"a": ["old"] * 400, "b": ["new"] * 300 + ["old"] * late}[side] if not anew else ["new"] * 10
            for name in names:
                origins.note(SERVER, place, reply(name))
            return place, None

        async def main() -> None:
            await from_one_server(engine, "i", lambda anew: measure("a", anew), lambda anew: measure("b", anew))  # type: ignore[arg-type]

        asyncio.run(main())
        return order

    record: dict[str, bytes] = {}
    first = run(record, late=0)
    assert first == ["a", "b", "a"] and len(record) == 1
    assert run(record, late=5)[:3] == first
    assert run({}, late=5) == ["a", "b"]  # alone, it would have taken it for one of several names
