"""Putting the parts together: store, model, sandbox and engine of one run, and its orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from loopwright.blocks.convert import convert
from loopwright.blocks.monitors import first_broken, parse_rule, watch
from loopwright.blocks.trust import doubts
from loopwright.core.budget import Ledger
from loopwright.core.engine import Engine
from loopwright.core.errors import LoopwrightError, Paused, QuotaExhausted, StoreUnwritable
from loopwright.core.feedback import Cost
from loopwright.core.model import Model
from loopwright.core.outfolder import OutFolder, reserve
from loopwright.core.stopping import current
from loopwright.core.store import RunRow, Store
from loopwright.core.types import Budget
from loopwright.store.faults import disk_fault

Progress = Callable[[str, dict[str, Any]], None]


def quiet(type: str, payload: dict[str, Any]) -> None:
    pass


def money(cost: Cost) -> dict[str, float | int]:
    """What was spent, as the reports name it."""
    return {"calls": cost.calls, "tokens": cost.tokens, "money": round(cost.money, 6)}


_calm = 0  # runs of this process in ``rarely_collected``
_usual = gc.get_threshold()


@contextlib.contextmanager
def rarely_collected() -> Iterator[None]:
    """Spares the garbage collector what is there for long: modules, and the thousands of objects of a run under way.

    A call makes some hundred objects; every 700 the collector would look at all that may be garbage, which took a quarter of
    a run's CPU. Reference counts free nearly all of it anyway. A setting of the process, put back when the last run ends.
    """
    global _calm, _usual
    _calm += 1
    if _calm == 1:
        _usual = gc.get_threshold()
        gc.freeze()
        gc.set_threshold(max(_usual[0], 100_000) if _usual[0] else 0, *_usual[1:])
    try:
        yield
    finally:
        _calm -= 1
        if not _calm:
            gc.set_threshold(*_usual)
            gc.unfreeze()


@asynccontextmanager
async def driving(
    store: Store, run: RunRow, model: Model | None, *, cache: bool, progress: Progress, budget: Budget | None = None,
    others: Mapping[str, Model] | None = None, again: bool = False,
) -> AsyncIterator[Engine]:  # fmt: skip
    """An engine that holds the run's lease; on the way out the run's status says how it ended. A Learner needs no model.

    others: models of roles that ``model`` is not to play, such as the judge's.
    again: ask again what failed and nothing was built on.

    Inside ``core.stopping.stoppable`` the run may be asked to stop: nothing new starts, what is in flight is finished and
    recorded, Paused is raised. A task that is cancelled leaves its run paused too, but without what was in flight. Signals
    belong to the host program: none is handled here.
    """
    lease = store.acquire(run.id)
    run = store.run(run.id)  # only now is it certain that no other process adds to it
    sandbox = None
    ticker: asyncio.Task[None] | None = None
    engine: Engine | None = None
    try:
        ledger = Ledger(budget or Budget.model_validate(run.budget), seconds=run.seconds)
        sandbox = _LazySandbox()
        engine = Engine(
            store=store, run=run, ledger=ledger, models={"policy": model, **(others or {})} if model else {}, sandbox=sandbox,
            convert=convert, cache=cache, again=again, notify=progress, watch=watch, doubts=doubts,
            halt=partial(first_broken, [parse_rule(rule) for rule in run.spec.get("stop") or ()]),
        )  # fmt: skip
        store.set_run(run.id, status="running")
        ticker = asyncio.create_task(_tick(engine, progress))
        with current().listening(engine.stop), rarely_collected():
            yield engine
        if store.run(run.id).status == "running":
            store.set_run(run.id, status="done", seconds=ledger.seconds)
    except (Paused, QuotaExhausted, StoreUnwritable) as error:
        _end(store, engine, run, "paused", str(error), progress)
        raise
    except Exception as error:
        if isinstance(error, OSError) and (fault := disk_fault(error, error.filename or "the result")) is not None:
            _end(store, engine, run, "paused", str(fault), progress)
            raise fault from error
        _end(store, engine, run, "failed", f"{type(error).__name__}: {error}", progress)
        raise
    except BaseException:  # cancelled, or the host program is on its way out
        _end(store, engine, run, "paused", current().reason or "cancelled", progress)
        raise
    finally:
        if ticker is not None:
            ticker.cancel()
        if sandbox is not None:
            sandbox.close()
        lease.release()


def folder_of(run: RunRow, progress: Progress) -> OutFolder:
    """The folder of a run that is gone on with, reserved again; beside it, where it belongs to another run by now."""
    first = Path(str(run.spec.get("out") or "out"))
    out = reserve(first, run=run.id, numbered=True)
    if out.path != first:
        progress("warning", {"message": f"{first} belongs to another run by now, so the results go to {out.path}"})
    return out


def _end(store: Store, engine: Engine | None, run: RunRow, status: Any, reason: str, progress: Progress) -> None:
    progress("end", {"status": status, "reason": reason, "run": run.id})
    # A full disk cannot take the status either; the run is then shown as killed, and resume accepts it.
    with contextlib.suppress(LoopwrightError):
        store.set_run(run.id, status=status, reason=reason, seconds=engine.ledger.seconds if engine else None)


async def _tick(engine: Engine, progress: Progress) -> None:
    while True:
        tell_spent(engine, progress)
        await asyncio.sleep(1.0)
        with contextlib.suppress(LoopwrightError):
            engine.store.set_run(engine.run.id, status="running", seconds=engine.ledger.seconds)


def tell_spent(engine: Engine, progress: Progress) -> None:
    ledger = engine.ledger
    progress(
        "spent",
        {
            **money(ledger.spent), "seconds": ledger.seconds, "bound": engine.origins.bound,
            "caps": ledger.budget.model_dump(exclude_none=True),
        },
    )


class _LazySandbox:
    """The sandbox, started when the first code is run: most jobs run none."""

    def __init__(self) -> None:
        self._sandbox: Any = None

    def _open(self) -> Any:
        if self._sandbox is None:
            from loopwright.sandbox import Sandbox

            self._sandbox = Sandbox()
        return self._sandbox

    def __getattr__(self, name: str) -> Any:
        return getattr(self._open(), name)

    def close(self) -> None:
        if self._sandbox is not None:
            self._sandbox.close()
