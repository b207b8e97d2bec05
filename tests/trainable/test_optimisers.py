"""What improvers do with programs and prompts, with models whose replies are written down."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from loopwright.blocks.convert import convert
from loopwright.blocks.parameters import parameters_of
from loopwright.core import loop
from loopwright.core.budget import Ledger
from loopwright.core.context import Context
from loopwright.core.engine import Engine
from loopwright.core.errors import InputError, UnknownName
from loopwright.core.feedback import Feedback, Score, Verdict
from loopwright.core.model import Request, Sampling
from loopwright.core.policy import Prompt
from loopwright.core.registry import get_recipe
from loopwright.core.types import Budget, Candidate, Example, Rollout
from loopwright.core.world import start
from loopwright.models.scripted import ScriptedModel
from loopwright.sandbox import Sandbox
from loopwright.store import MemoryStore
from loopwright.worlds.small import Small


async def exact(rollout: Rollout, ctx: Any) -> Feedback:
    right = rollout.output.strip() == str(rollout.example.target)
    return Verdict(passed=right, message="" if right else f"expected {rollout.example.target}, got {rollout.output}")


async def near(rollout: Rollout, ctx: Any) -> Feedback:
    off = float(str(rollout.example.target)) - float(rollout.output)
    return Score(value=1 / (1 + abs(off)), message=f"off by {off:g}" if off else "")


class Improved:
    """One run of an improver: what it offered, and what its model was asked."""

    def __init__(
        self, slug: str, say: Callable[[str], str], inputs: Sequence[Any], targets: Sequence[Any], *,
        program: str = "", prompt: Prompt | None = None, checker: Any = exact, sandbox: Any = None,
        answer: Callable[[str], str] = str, tools: Any = None, tools_to_learn: tuple[str, ...] = (), **options: Any,
    ) -> None:  # fmt: skip
        if tools_to_learn:  # the recipe's option is called as the world's tools are
            options["tools"] = tools_to_learn
        self.asked: list[str] = []
        self.offered: list[Candidate] = []

        def speak(request: Request, index: int) -> str:
            last = request.turns[-1].text
            if request.sampling.max_tokens != 8:  # answers of the policy are cut at 8
                self.asked.append(last)
                return say(last)
            return answer("\n".join(t.text for t in request.turns))

        store = MemoryStore()
        row = store.create_run({"x": slug}, seed=1, budget={}, code_version="test")
        examples = [Example(id=f"e{i}", input=x, target=t) for i, (x, t) in enumerate(zip(inputs, targets, strict=True))]
        world = Small(
            "w", examples, checker, prompt or Prompt(instruction="Answer."), Sampling(temperature=0.0, max_tokens=8),
            tools=tools or {}, part=lambda question: "train",
            solver={"recipe": f"programs:{program}", "options": {}} if program else None,
        )  # fmt: skip
        engine = Engine(
            store=store, run=row, ledger=Ledger(Budget()), models={"policy": ScriptedModel(speak)}, sandbox=sandbox,
            convert=convert,
        )  # fmt: skip
        recipe = get_recipe(slug)
        self.base = start(world)
        ctx = Context(engine, "run", world=world, policy=self.base, recipe=recipe)

        async def offer(candidate: Candidate) -> bool:
            self.offered.append(candidate)
            return True

        asyncio.run(loop.improve(recipe, self.base, ctx, offer, options))
        engine.past.finish()

    @property
    def values(self) -> dict[str, Any]:
        return {n: p.value for n, p in parameters_of(self.offered[-1] if self.offered else self.base).items()}


def suggestion(**values: Any) -> str:
    return "I think so.\n```json\n" + json.dumps({"reasoning": "r", "suggestion": values}) + "\n```"


# ---- trace-opto: numbers, code, prompts and hyper-parameters ------------------------------------------------------------


def test_trace_opto_solves_numbers() -> None:
    def say(asked: str) -> str:
        assert "unused" not in asked  # feedback does not reach what the output does not depend on
        a, b = (float(v) for v in re.findall(r"^[ab] \(number\) =\n(\S+)", asked, re.MULTILINE))
        runs = re.findall(r"question = (\S+)\n.*?off by (\S+)", asked, re.DOTALL)
        (x, off), (y, other) = [(float(p), float(q)) for p, q in runs][:2]
        slope = (off - other) / (x - y)
        return suggestion(a=a + slope, b=b + off - slope * x, unused="no", question=3)

    done = Improved("trace-opto", say, range(8), [3 * x - 2 for x in range(8)], program="line", checker=near, examples=3, held=4)
    assert done.values == {"a": 3.0, "b": -2.0, "unused": "x"} and len(done.asked) == 1
    assert "multiply_1 = multiply(x=a, y=question) -> " in done.asked[0]


def test_trace_opto_mends_code_by_its_stack_trace() -> None:
    def say(asked: str) -> str:
        assert "parse(code=parse, text=tidy_1; reads equal_1) raised CodeFailed: parse: ValueError: invalid literal" in asked
        assert "must be Python that defines parse(text)" in asked
        return suggestion(parse="def parse(text):\n    return {'one': 1, 'two': 2}[text]\n")

    with_sandbox = Sandbox()
    try:
        done = Improved(
            "trace-opto", say, ["one", "two"], [3, 5], program="numbers", sandbox=with_sandbox, examples=2, held=2, rounds=3,
            answer=lambda turns: turns.rsplit("\n", 1)[-1] + ".",
        )  # fmt: skip
    finally:
        with_sandbox.close()
    assert "'one': 1" in done.values["parse"] and len(done.asked) == 1


def test_trace_opto_refuses_what_a_parameter_may_not_be_and_says_so() -> None:
    replies = iter([suggestion(times=12, style="shout"), suggestion(times=3, style="loud")])
    with_sandbox = Sandbox()
    try:
        done = Improved(
            "trace-opto", lambda asked: next(replies), ["4"], [13], program="numbers", sandbox=with_sandbox, rounds=2, examples=1,
            held=1, answer=lambda turns: "4.", frozen=("instruction", "parse"),
        )  # fmt: skip
    finally:
        with_sandbox.close()
    assert done.values["times"] == 3 and "instruction (text" not in done.asked[0]
    assert "times: expected a whole number and at least 0 and at most 9, got 12" in done.asked[1]
    assert "style: expected one of 'plain', 'loud', got 'shout'" in done.asked[1]


def loud(turns: str) -> str:
    """A policy that writes capitals only where it is told to."""
    question = re.search(r"say (\w+)", turns)
    assert question is not None
    return question[1].upper() if "capitals" in turns else question[1]


WORDS = [f"say {w}" for w in "red green blue black white brown grey pink".split()]
CAPITALS = [w[4:].upper() for w in WORDS]


def test_trace_opto_rewrites_a_plain_prompt() -> None:
    done = Improved("trace-opto", lambda asked: "```\nUse capitals.\n```", WORDS, CAPITALS, answer=loud, held=4)
    assert done.values == {"instruction": "Use capitals."} and len(done.asked) == 1
    assert "conversation = prompt(instruction=instruction, question=question)" in done.asked[0]
    assert "answer = model(conversation=conversation) -> " in done.asked[0]
    assert re.search(r"Feedback: 0 of 1\. expected [A-Z]+, got [a-z]+", done.asked[0])
    changed = suggestion(instruction="x")
    hidden = Improved("trace-opto", lambda asked: changed, WORDS, CAPITALS, answer=loud, trace=False, rounds=1)
    assert "model(" not in hidden.asked[0] and "output = " in hidden.asked[0]


def test_trace_opto_shows_what_was_tried() -> None:
    done = Improved(
        "trace-opto", lambda asked: suggestion(instruction=f"try {len(asked)}"), WORDS, CAPITALS, answer=loud, rounds=3, memory=1
    )
    assert not done.offered and "instruction = Answer." in done.asked[1] and "instruction = Answer." not in done.asked[2]


@pytest.mark.parametrize("slug", ["trace-opto", "gepa"])
def test_answers_are_not_copied_into_prompts(slug: str) -> None:
    replies = iter(["```\nUse capitals: say red is RED, say blue is BLUE.\n```"] * 2 + ["```\nUse capitals.\n```"] * 20)
    done = Improved(slug, lambda asked: next(replies), WORDS, CAPITALS, answer=loud, rounds=4)
    assert done.values == {"instruction": "Use capitals."}
    told = "gave away the answers" if slug == "trace-opto" else "held answers of these examples"
    assert told in done.asked[1] and told not in done.asked[0]


@pytest.mark.parametrize("slug", ["trace-opto", "gepa"])
def test_what_is_frozen_stays(slug: str) -> None:
    with pytest.raises(InputError, match="every"):
        Improved(slug, str, WORDS, CAPITALS, answer=loud, frozen=("instruction",))
    with pytest.raises(UnknownName, match="instruction"):
        Improved(slug, str, WORDS, CAPITALS, answer=loud, frozen=("instructions",))


# ---- GEPA ---------------------------------------------------------------------------------------------------------------

TWO = Prompt(system="Be kind.", instruction="Answer.")


def both(turns: str) -> str:
    """A policy whose answers take capitals from the system message and a mark from the instruction."""
    question = re.search(r"say (\w+)", turns)
    assert question is not None
    system, _, rest = turns.partition("\n")
    said = question[1].upper() if "capitals" in system else question[1]
    return said + ("!" if "mark" in rest else "")


async def half(rollout: Rollout, ctx: Any) -> Feedback:
    """Some examples ask for capitals, the others for the mark."""
    wanted = rollout.output.isupper() if int(rollout.example.id[1:]) % 2 else rollout.output.endswith("!")
    return Verdict(passed=wanted, message="" if wanted else "wrong form")


def test_gepa_merges_what_two_versions_changed() -> None:
    def say(asked: str) -> str:
        return "```\nUse capitals.\n```" if "called system" in asked else "```\nEnd with a mark.\n```"

    done = Improved("gepa", say, WORDS, CAPITALS, answer=both, prompt=TWO, checker=half, minibatch=3, rounds=30, front=8)
    last = done.offered[-1]
    assert done.values == {"instruction": "End with a mark.", "system": "Use capitals."}
    first = done.offered[0]
    assert first.parents == (done.base.hash,) and len(first.origins) == 2
    pieces: Any = last.origins
    assert {p["by"] for text in pieces.values() for p in text} == {"reflection"}
    assert all(p["examples"] and p["version"] for text in pieces.values() for p in text)


def test_gepa_keeps_sentences_with_where_they_came_from() -> None:
    done = Improved("gepa", lambda asked: "```\nAnswer. Use capitals.\n```", WORDS, CAPITALS, answer=loud, rounds=3)
    pieces: Any = done.offered[-1].origins["instruction"]
    assert [(p["text"], p["by"]) for p in pieces] == [("Answer.", "task"), ("Use capitals.", "reflection")]
    assert "say " in done.asked[0] and "Feedback: expected" in done.asked[0] and "Score: 0 of 1" in done.asked[0]


def test_gepa_offers_nothing_that_does_not_pass_its_minibatch() -> None:
    done = Improved("gepa", lambda asked: f"```\nTry {len(asked)}.\n```", WORDS, CAPITALS, answer=loud, rounds=4)
    assert not done.offered and len(done.asked) == 4
    assert not Improved("gepa", lambda asked: "", WORDS, CAPITALS, answer=loud, rounds=2).offered


def test_gepa_rewrites_the_texts_of_a_program() -> None:
    with_sandbox = Sandbox()
    try:
        done = Improved(
            "gepa", lambda asked: "Reply in digits." if "called instruction" in asked else "no code", ["one"], [3],
            program="numbers", sandbox=with_sandbox, minibatch=1, rounds=3,
            answer=lambda turns: "1." if "digits" in turns else "one.",
        )  # fmt: skip
    finally:
        with_sandbox.close()
    assert done.values["instruction"] == "Reply in digits." and done.values["times"] == 2
    assert "It failed:\n" in done.asked[0] and "raised CodeFailed" in done.asked[0]


def test_gepa_takes_tokens_as_an_objective() -> None:
    done = Improved(
        "gepa", lambda asked: "```\nUse capitals.\n```", WORDS, CAPITALS, answer=loud, rounds=2, objectives=("score", "cost")
    )
    assert done.values == {"instruction": "Use capitals."}


# ---- DRAFT --------------------------------------------------------------------------------------------------------------


def test_draft_explores_learns_rewrites_and_stops() -> None:
    calls: list[str] = []

    async def add(text: str, ctx: Any) -> str:
        calls.append(text)
        given = json.loads(text)
        return "error: there is no parameter x" if "x" in given else "3"

    replies = {"explored": 0, "rewritten": 0}

    def say(asked: str) -> str:
        if "Make up something" in asked:
            replies["explored"] += 1
            if replies["explored"] == 2:  # too close to the first: it is asked again
                assert "These were tried before" in asked and "It was thought worth exploring: numbers" in asked
                return json.dumps({"need": "sum of one and two", "arguments": {"x": 9}})
            assert replies["explored"] != 3 or ("too close" in asked and "These were tried before" in asked)
            return json.dumps({"need": ["sum of one and two", "", "total of my bills"][replies["explored"] - 1], "arguments":
                               {"x": 1} if replies["explored"] == 1 else {"a": 1, "b": 2}})  # fmt: skip
        if "Say in a few sentences" in asked:
            return "The parameters are a and b."
        replies["rewritten"] += 1
        assert "The parameters are a and b." in asked
        return json.dumps({"documentation": "Adds the numbers a and b.", "next": "numbers"})

    def answer(turns: str) -> str:
        return "right" if "Adds the numbers a and b." in turns else "wrong"

    done = Improved(
        "draft", say, ["q1", "q2"], ["right", "right"], prompt=Prompt(tools={"add": "Adds x."}), tools={"add": add}, answer=answer
    )
    assert calls == ['{"x": 1}', '{"a": 1, "b": 2}'] and replies == {"explored": 3, "rewritten": 2}  # two alike: it stops
    (offered,) = done.offered
    assert offered.parts["prompt"]["tools"] == {"add": "Adds the numbers a and b."}  # type: ignore[index,call-overload]
    assert offered.parents == (done.base.hash,) and "documentation of add" in offered.note


def test_draft_takes_back_what_makes_answers_worse() -> None:
    async def tool(text: str, ctx: Any) -> str:
        return "ok"

    options: dict[str, Any] = {"prompt": Prompt(tools={"t": "Good."}), "tools": {"t": tool}, "episodes": 1}
    say = "no json at all".replace
    spoilt = Improved("draft", lambda a: say("all", "x"), ["q"], ["y"], answer=lambda t: "y" if "Good." in t else "n", **options)
    assert not spoilt.offered
    unseen = Improved("draft", lambda a: "Bad.", ["q"], ["y"], answer=lambda t: "y" if "Good." in t else "n", screen=0, **options)
    assert unseen.offered[0].parts["prompt"]["tools"] == {"t": "Bad."}  # type: ignore[index,call-overload]
    with pytest.raises(UnknownName, match="tool 'u'"):
        Improved("draft", str, ["q"], ["y"], tools_to_learn=("u",), **options)


@pytest.mark.parametrize(("above", "episodes"), [(-0.01, 1), (0.01, 3)])
def test_draft_ends_where_two_versions_in_a_row_are_nearly_the_same_by_words_and_their_order(
    above: float, episodes: int
) -> None:
    async def tool(text: str, ctx: Any) -> str:
        return "x" * 2048 + "never shown"

    before, after = "Adds the numbers a and b .", "Adds the numbers b and a ."
    # Of 7 words 7 match, of 6 pairs 2, of 5 triples 1 and of 4 quadruples none, which counts as a half.
    likeness = (1.0 + (7 / 7 * 2 / 6 * 1 / 5 * 0.5 / 4) ** 0.25) / 2
    turn = {before: after, after: before}

    def say(asked: str) -> str:
        if "Make up something" in asked:
            return json.dumps({"need": str(len(asked)), "arguments": {}})
        if "Say in a few sentences" in asked:
            assert "xx" in asked and "never" not in asked
            return "Other."
        return json.dumps({"documentation": turn[asked.split("<documentation>\n")[1].split("\n<")[0]], "next": ""})

    done = Improved(
        "draft",
        say,
        ["q"],
        ["y"],
        prompt=Prompt(tools={"t": before}),
        tools={"t": tool},
        settled=likeness + above,
        episodes=3,
    )
    assert sum("Write the documentation anew" in asked for asked in done.asked) == episodes
    assert sum("Earlier versions" in asked for asked in done.asked) == 2 * (episodes - 1)  # the reader and the writer see them
    (offered,) = done.offered  # what changes no answer stays
    assert offered.parts["prompt"]["tools"] == {"t": after}  # type: ignore[index,call-overload]
