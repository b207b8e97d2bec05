"""A rewrite that was cut off, or in which the text cannot be told from the rest, is refused by name."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from loopwright.blocks.convert import convert
from loopwright.blocks.copies import Answers
from loopwright.blocks.replies import read_rewrite
from loopwright.blocks.versions import Family, written
from loopwright.core import loop
from loopwright.core.budget import Ledger
from loopwright.core.context import Context
from loopwright.core.engine import Engine
from loopwright.core.errors import BadOutput, ModelError, NoReply
from loopwright.core.feedback import Feedback, Verdict
from loopwright.core.model import Request, Sampling
from loopwright.core.policy import Prompt
from loopwright.core.registry import get_recipe
from loopwright.core.types import Budget, Candidate, Example, Rollout, Turn
from loopwright.models.scripted import ScriptedModel
from loopwright.store import MemoryStore
from loopwright.trainable.selfedit import EditOptions, edited
from loopwright.worlds.small import Small

WHOLE = "```\nAnswer in capitals.\n```"
LONG = "```\nAnswer in capitals." + " Be kind to all who ask." * 9 + "\n```"
BASE = Candidate(parts={"prompt": {"instruction": "Answer."}})


async def capitals(rollout: Rollout, ctx: Any) -> Feedback:
    return Verdict(passed=rollout.output.isupper(), message="" if rollout.output.isupper() else "write it in capitals")


def context(say: Any, recipe: str = "") -> Context:
    store = MemoryStore()
    row = store.create_run({"x": 1}, seed=1, budget={}, code_version="test")
    examples = [Example(id=f"e{i}", input=f"q{i}", target=f"Q{i}") for i in range(4)]
    world = Small("w", examples, capitals, Prompt(instruction="Answer."), Sampling(temperature=0.0), part=lambda _: "train")
    models = {"policy": ScriptedModel(say)}
    engine = Engine(store=store, run=row, ledger=Ledger(Budget()), models=models, sandbox=None, convert=convert)
    return Context(engine, "run", world=world, policy=BASE, recipe=get_recipe(recipe) if recipe else None)


def attempt() -> Rollout:
    turns = (Turn(role="user", text="q"), Turn(role="assistant", text="a"))
    return Rollout(id="r", example=Example(id="e", input="q"), turns=turns, feedback=(Verdict(passed=False, message="no"),))


def offers(recipe: str, reply: str, **options: Any) -> list[Candidate]:
    """What a method offers whose every rewrite is this reply."""
    found: list[Candidate] = []

    def say(request: Request, index: int) -> str:
        shown = "\n".join(turn.text for turn in request.turns)
        rewriting = "marks" in request.turns[-1].text or "Reply\n" in request.turns[-1].text
        return reply if rewriting else "A" if "capitals" in shown else "a"

    async def offer(candidate: Candidate) -> bool:
        found.append(candidate)
        return True

    ctx = context(say, recipe)
    asyncio.run(loop.improve(get_recipe(recipe), BASE, ctx, offer, {"rounds": 2, **options}))
    return found


@pytest.mark.parametrize("recipe", ["gepa", "trace-opto"])
def test_no_method_offers_a_cut_rewrite(recipe: str) -> None:
    (taken,) = offers(recipe, WHOLE)
    assert taken.parts["prompt"] == {"instruction": "Answer in capitals."}
    assert offers(recipe, LONG, max_tokens=8) == []


def test_gepa_says_why_rewrites_were_refused() -> None:
    async def run(reply: str, **sampling: Any) -> tuple[str, list[str]]:
        version = Family(BASE).best
        options = {"answers": Answers([Example(id="e", input="q", target="Q")]), "temperature": 0.0, "max_tokens": 64, **sampling}
        return await written(context(lambda request, index: reply), "{text}", " again", version, "instruction", {}, **options)

    assert asyncio.run(run(WHOLE)) == ("Answer in capitals.", [])
    text, (why,) = asyncio.run(run(LONG, max_tokens=8))
    assert text == "" and "cut off" in why and "max_tokens" in why
    text, (why,) = asyncio.run(run("```\na\n```\n\n```\nb\n```"))
    assert text == "" and "2 fenced texts" in why


def test_a_self_edit_that_was_cut_off_is_none() -> None:
    def edit(reply: str, **options: Any) -> tuple[Candidate | None, str]:
        ctx = context(lambda request, index: reply)
        return asyncio.run(edited(ctx, BASE, [attempt()], EditOptions(diagnose="", **options), by="test"))

    made, why = edit(WHOLE)
    assert made is not None and made.parts["prompt"] == {"instruction": "Answer in capitals."} and why == ""
    made, why = edit(LONG, max_tokens=8)
    assert made is None and "cut off" in why and "max_tokens" in why
    half = "instruction.txt\n<<<<<<< SEARCH\nAnswer.\n=======\nAnswer in capitals.\n>>>>>>> REPLACE\n" + "More. " * 40
    assert edit(half)[0] is not None
    made, why = edit(half, max_tokens=24)
    assert made is None and "cut off" in why  # of edits that belong together some would be missing


def test_code_is_read_as_code() -> None:
    reply = Turn(role="assistant", text="```python\ndef f():\n    return 1\n```\nTry\n```python\nf()\n```")
    assert read_rewrite(reply, "code") == "def f():\n    return 1"
    with pytest.raises(BadOutput) as cut:
        read_rewrite(reply.model_copy(update={"finish": "length"}), "code")
    assert cut.value.kind == "cut"
    with pytest.raises(BadOutput) as unclear:
        read_rewrite(Turn(role="assistant", text="<think>```\na\n```"))
    assert unclear.value.kind == "malformed"


@pytest.mark.parametrize(("reply", "said"), [("<think>a</think>\n\nb", "b"), ("a\n</think>b", "b"), ("<think>a", ""), ("b", "b")])
def test_what_a_model_says_to_a_recipe_is_without_its_thinking(reply: str, said: str) -> None:
    assert asyncio.run(context(lambda request, index: reply).ask("q", role="policy")) == said


@pytest.mark.parametrize("error", [NoReply("gone"), BadOutput("refused", kind="refused")])
@pytest.mark.parametrize("recipe", ["gepa", "trace-opto"])
def test_a_rewrite_that_never_came_ends_no_method(recipe: str, error: ModelError, monkeypatch: pytest.MonkeyPatch) -> None:
    async def generate(self: Context, *prompt: Any, **options: Any) -> list[Turn]:
        raise error

    monkeypatch.setattr(Context, "generate", generate)
    assert offers(recipe, WHOLE) == []
