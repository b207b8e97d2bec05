"""The test split of a real run: out of the process while methods run, and out of reach of what they try."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sums_kit import Sums, answer, make_task

from loopwright.core.errors import HiddenFromRecipes
from loopwright.core.types import Example
from loopwright.worlds.files import load_task
from loopwright.worlds.held_out import HeldOut

from openai_server import serving  # isort: skip

# What a method may try in one line, by public attributes and methods alone; each gives examples or raises.
ATTEMPTS = (
    'ctx.world.examples("test")',
    'ctx.world.examples("gate")',
    'ctx.world.examples("screen")',
    'ctx.at("y", recipe=None).world.examples("test")',
    'ctx.at("y", split="test").world.examples("test")',
    'ctx.engine.store.rollouts(ctx.engine.run.id, "gate")',
    'ctx.engine.store.rollouts(ctx.engine.run.id, "test")',
    "ctx.engine.run.spec",
    "ctx._world.splits",
    "ctx.world._world.splits",
    "vars(ctx)",
    "ctx.answer.__self__.engine",
    "ctx.world.critics.__self__",
    "ctx.world.pool",
    "ctx.world.task.splits",
    "(await ctx.map(same, [0]))[0].engine",
    "ctx.batches(4, rounds=1).ag_frame.f_locals['rows']",
    "ctx.rollout.__self__.incumbent",
)
SPY = '''"""Tries to see what it must not, and looks through all that the process holds."""
import gc, json, pathlib
from loopwright import improver

HERE = pathlib.Path(__file__).parent
ATTEMPTS = json.loads((HERE / "attempts.json").read_text())

async def same(item, ctx):
    return ctx

@improver(improves="prompt", needs=("model", "critic"), baseline=True)
async def spy(base, ctx):
    """Tries to see what it must not."""
    from loopwright.core.types import Example
    wanted = json.loads((HERE / "wanted.json").read_text())
    came = {}
    for attempt in ATTEMPTS:
        scope = {"ctx": ctx, "same": same}
        try:
            exec(f"async def attempt(ctx, same):\\n    return {attempt}", scope)
            came[attempt] = repr(await scope["attempt"](ctx, same))
        except Exception as error:
            came[attempt] = f"{type(error).__name__}"
    ids, texts = set(wanted["ids"]), set(wanted["inputs"])
    del wanted
    gc.unfreeze()
    gc.collect()
    things = gc.get_objects()
    examples = [e for e in things if type(e) is Example]
    held = [e.id for e in examples if e.id in ids]
    lines = sum(
        1 for box in things if type(box) in (dict, list, tuple)
        for one in (box.values() if type(box) is dict else box) if type(one) is str and one in texts
    )
    (HERE / "found.json").write_text(json.dumps({"came": came, "held": held, "lines": lines, "others": len(examples)}))
    yield base.child(by="spy", prompt={"instruction": "carefully"})
'''


@pytest.fixture
def generator() -> bool:
    return False


@pytest.fixture
def sums(tmp_path: Path, generator: bool) -> Iterator[Sums]:
    with serving() as server:
        server.will(answer)
        start = 71_000 + 1000 * generator  # what other tests left in this process is not what is looked for
        task = make_task(tmp_path / "task", checker="exact", generator=generator, start=start, spying=SPY)
        yield Sums(server, task, tmp_path)


REFUSED = ("HiddenFromRecipes", "AttributeError", "TypeError", "KeyError")


def wanted(folder: Path) -> int:
    """Write down what the spy is to look for, and keep none of it. Returns how many test examples there are."""
    test = load_task(folder).divided(weights=False).examples("test")
    (folder / "wanted.json").write_text(json.dumps({"ids": [e.id for e in test], "inputs": [e.input for e in test]}))
    return len(test)


@pytest.mark.fault(56)
@pytest.mark.parametrize("generator", [False, True], ids=["file", "generator"])
def test_the_test_examples_are_not_in_the_process_while_a_method_runs(sums: Sums, seen: Callable[[str], None]) -> None:
    size = wanted(sums.folder)
    (sums.folder / "attempts.json").write_text(json.dumps(ATTEMPTS))
    result = sums.begin("spying:spy")
    found = json.loads((sums.folder / "found.json").read_text())
    refused = [name for name, came in found["came"].items() if came in REFUSED]
    assert set(refused) == set(ATTEMPTS), {k: v for k, v in found["came"].items() if k not in refused}
    assert found["held"] == [] and found["lines"] == 0 and found["others"] > 60, found
    assert result["final"]["n"] == size and len(result["accepted"]) == 1, "and at the end it is proved on all of them"
    seen(f"{len(refused)} of {len(ATTEMPTS)} attempts refused; of {size} test examples 0 in the process while methods ran")


def test_what_is_put_away_is_counted_and_comes_back_as_it_was() -> None:
    examples = [Example(id=f"a{i}", input={"n": [i, 1.5]}, target=None, meta={"group": "g"}) for i in range(5)]
    held = HeldOut(examples)
    assert list(held) == examples and not held.away
    for _ in range(2):
        held.put_away()
        held.put_away()
        assert len(held) == 5 and held.away and "put away" in repr(held)
        for look in (lambda: list(held), lambda: held[0], lambda: held[1:]):
            with pytest.raises(HiddenFromRecipes, match="until every method has ended"):
                look()
        held.bring_back()
        held.bring_back()
        assert list(held) == examples and held[-1] == examples[-1] and held[1:3] == tuple(examples[1:3])


def test_what_changes_in_the_folder_meanwhile_does_not_change_what_is_proved(sums: Sums) -> None:
    whole = sums.begin()
    text = (sums.folder / "method.py").read_text()
    vandal = text.replace(
        "    yield", "    import pathlib; pathlib.Path(__file__).with_name('examples.jsonl').write_text('')\n    yield"
    )
    (sums.folder / "method.py").write_text(vandal)
    again = sums.begin(out="again")
    assert (sums.folder / "examples.jsonl").read_text() == ""
    assert again["final"] == whole["final"] and again["baseline"] == whole["baseline"]
