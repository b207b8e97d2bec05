"""Hypothesis refinement: propose rules for what was seen, keep the one that explains most, refine it by what it gets wrong.

Qiu et al., "Phenomenal Yet Puzzling", arXiv:2310.08559, and the authors' code: ``hypotheses`` rules a round at temperature 0.7
are applied to all that was seen, the best is shown its mistakes and refined, for up to ``rounds`` rounds or until it makes
none; then it is applied to what is asked.

A question shows cases as lines ``input -> output`` and asks for those of lines ``input -> ?``; the answer is one output a line.
``apply`` "interpreter" has rules applied by the world's tool of that name, which runs them exactly; "model" has the model
itself apply them, case by case. The two side by side are the paper's finding: models propose rules that they cannot follow.
A world without such a tool is answered by the model alone. Use it where rules can be run and a few cases tell them apart; it
costs ``hypotheses`` samples a round, with "model" also as many calls as there are cases to every rule, and it never asks
whether the rule is true of anything else. Its claim is of the lab model, taught to propose rules of one step and to apply them:
run by the interpreter its rules answer about twice as many cases. Refining them is worth no more there than proposing as many
anew (``refine`` the same as ``propose``), so whether rounds pay is for a look at your own model.

How this differs: the best rule of all rounds is kept (theirs is the best of the last, which may be worse); each round is told
the one before, not all of them, as the feedback names rule and mistakes; a case that the rule cannot be applied to is a mistake.
"""

import json
import re
from collections.abc import Sequence
from typing import Literal

from loopwright.core.context import Context
from loopwright.core.fences import without_thinking
from loopwright.core.registry import solver
from loopwright.core.templates import filled
from loopwright.core.types import Example, Rollout, Turn

PROPOSE = (
    "Find the rule that turns each input into its output. {language}Think briefly; end with one line that begins with "
    '"Rule:" and states the rule.'
)
REFINE = (
    "Your rule was: {rule}\nIt does not explain these cases:\n{mistakes}\nFind a rule that explains all cases. {language}End "
    'with one line that begins with "Rule:" and states it.'
)
MISTAKE = "{input} -> {output}, but your rule gives {given}"
APPLY = "Apply this rule and give only the output, with no words around it.\nRule: {rule}\nInput: {input}"
CASE = re.compile(r"(?m)^\s*(\S.*?)\s*->\s*(\S.*?)\s*$")
RULE = re.compile(r"(?im)^[\s*#>]*(?:new |updated |revised )?rule[\s*]*:[\s*]*(\S.*?)[\s*]*$")


@solver(paper="arXiv:2310.08559", needs=("model", "tools"))
async def hypothesis_refinement(
    example: Example,
    ctx: Context,
    *,
    hypotheses: int = 5,
    rounds: int = 3,
    temperature: float = 0.7,
    apply: Literal["interpreter", "model"] = "interpreter",
    tool: str = "interpreter",
    language: str = "",
    propose: str = PROPOSE,
    refine: str = REFINE,
    mistake: str = MISTAKE,
    follow: str = APPLY,
) -> Rollout:
    """language: what rules are written in, a sentence or two; by default what the question says of it is enough."""
    cases = CASE.findall(example.question)
    seen = [(given, output) for given, output in cases if output != "?"]
    asked = [given for given, output in cases if output == "?"] or [example.question]
    exact = apply == "interpreter" and tool in ctx.world.tools

    async def applied(rule: str, inputs: Sequence[str], ctx: Context) -> list[str]:
        if exact:
            return outputs_of(await ctx.tool(tool, json.dumps({"rule": rule, "inputs": list(inputs)})), len(inputs))

        async def one(given: str, ctx: Context) -> str:
            message = filled(follow, {"rule": rule, "input": given})
            return " ".join((await ctx.ask(message, role="policy", temperature=0.0)).split())

        return await ctx.map(one, inputs)

    async def tested(proposal: Rollout, ctx: Context) -> list[str]:
        return await applied(rule_of(proposal.output), [given for given, _ in seen], ctx)

    message = filled(propose, {"language": language})
    best: Rollout | None = None
    fewest = len(seen) + 1
    for _ in range(rounds):
        made = await ctx.samples(example, hypotheses, message, temperature=temperature)
        proposals = [r for r in made if r.status == "ok" and rule_of(r.output)]
        results = await ctx.map(tested, proposals)
        wrong = [mistakes(seen, given) for given in results]
        if not proposals:
            continue
        i = min(range(len(proposals)), key=lambda i: len(wrong[i]))
        if len(wrong[i]) < fewest:
            best, fewest = proposals[i], len(wrong[i])
        if not wrong[i]:
            break
        listed = [filled(mistake, {"input": a, "output": b, "given": c or "nothing"}) for a, b, c in wrong[i]]
        message = filled(refine, {"rule": rule_of(proposals[i].output), "mistakes": "\n".join(listed), "language": language})
    if best is None:
        return await ctx.answer(example, temperature=temperature)
    outputs = await applied(rule_of(best.output), asked, ctx)
    answer = "\n".join(output or "nothing" for output in outputs)
    return best.model_copy(update={"turns": (*best.turns, Turn(role="assistant", text=answer))})


def rule_of(text: str) -> str:
    """The last rule that a text states; where it marks none, its last line."""
    text = without_thinking(text)
    found: list[str] = RULE.findall(text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return found[-1].strip("`\"' ") if found else lines[-1] if lines else ""


def outputs_of(said: str, expected: int) -> list[str]:
    """What an interpreter gave, one text a case, empty where it could not apply the rule."""
    try:
        found = json.loads(said)
    except ValueError:
        found = None
    if not isinstance(found, list) or len(found) != expected:
        return [""] * expected
    return ["" if output is None else str(output) for output in found]


def mistakes(seen: Sequence[tuple[str, str]], given: Sequence[str]) -> list[tuple[str, str, str]]:
    """(input, output, what the rule gave) of the cases that a rule does not explain; white space does not count."""
    return [(a, b, c) for (a, b), c in zip(seen, given, strict=True) if "".join(b.split()) != "".join(c.split())]
