"""So much work at a time, without a pause in between."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from loopwright.models.lanes import Lanes


def run(job: Any) -> Any:
    return asyncio.run(asyncio.wait_for(job, 10))


def test_never_more_than_so_many_and_in_order() -> None:
    busy, most, begun = 0, 0, []

    async def work(i: int) -> int:
        nonlocal busy, most
        begun.append(i)
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0.001 * (i % 3))
        busy -= 1
        return i * i

    async def main() -> list[int]:
        lanes = Lanes(4)
        return await asyncio.gather(*(lanes.run(lambda i=i: work(i)) for i in range(40)))

    assert run(main()) == [i * i for i in range(40)]
    assert (begun, most) == (list(range(40)), 4)


def test_the_next_begins_in_the_same_turn() -> None:
    told = []

    async def main() -> None:
        lanes, loop = Lanes(1), asyncio.get_running_loop()
        gate = loop.create_future()

        async def first() -> None:
            await gate
            told.append("first ends")
            loop.call_soon(told.append, "another turn")

        async def second() -> None:
            told.append("second begins")

        waiting = asyncio.gather(lanes.run(first), lanes.run(second))
        await asyncio.sleep(0.001)
        gate.set_result(None)
        await waiting

    run(main())
    assert told == ["first ends", "second begins", "another turn"]


def test_what_work_raises_reaches_who_asked_and_nobody_else() -> None:
    async def work(i: int) -> int:
        await asyncio.sleep(0)
        if i == 1:
            raise ValueError("one")
        return i

    async def main() -> list[Any]:
        lanes = Lanes(1)
        return await asyncio.gather(*(lanes.run(lambda i=i: work(i)) for i in range(3)), return_exceptions=True)

    zero, one, two = run(main())
    assert (zero, two) == (0, 2)
    assert isinstance(one, ValueError)


@pytest.mark.parametrize("when", ["waiting", "working"])
def test_whoever_is_cancelled_stops_their_own_work(when: str) -> None:
    seen = []

    async def work(name: str) -> str:
        seen.append(f"{name} begins")
        try:
            await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            seen.append(f"{name} stopped")
            raise
        return name

    async def main() -> list[Any]:
        lanes = Lanes(1)
        tasks = [asyncio.create_task(lanes.run(lambda n=n: work(n))) for n in "abc"]
        await asyncio.sleep(0.005)
        tasks[0 if when == "working" else 1].cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert await lanes.run(lambda: work("d")) == "d", "the lane still works"
        return done

    done = run(main())
    if when == "working":
        assert seen[:3] == ["a begins", "a stopped", "b begins"]
        assert isinstance(done[0], asyncio.CancelledError) and done[1:] == ["b", "c"]
    else:
        assert "b begins" not in seen
        assert isinstance(done[1], asyncio.CancelledError) and done[::2] == ["a", "c"]


def test_a_worker_that_is_cancelled_from_outside_is_replaced() -> None:
    async def main() -> list[Any]:
        lanes = Lanes(1)

        async def work(name: str) -> str:
            await asyncio.sleep(0.01)
            return name

        tasks = [asyncio.create_task(lanes.run(lambda n=n: work(n))) for n in "abc"]
        await asyncio.sleep(0.002)
        (worker,) = asyncio.all_tasks() - {asyncio.current_task(), *tasks}
        worker.cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    async def bare() -> Any:  # without wait_for, whose own task would be counted
        return await main()

    first, *others = asyncio.run(bare())
    assert isinstance(first, asyncio.CancelledError)
    assert others == ["b", "c"]


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("fails", [False, True])
def test_work_that_is_asked_for_in_the_turn_in_which_the_last_ends_is_not_left_waiting(count: int, fails: bool) -> None:
    async def work() -> str:
        if fails:
            raise ValueError("no")
        return "done"

    async def main() -> list[str]:
        lanes = Lanes(count)

        async def one_after_another() -> str:
            for _ in range(20):
                try:
                    await lanes.run(work)
                except ValueError:
                    continue
            return "done"

        return await asyncio.gather(*(one_after_another() for _ in range(count)))

    assert run(main()) == ["done"] * count
