"""LLM+ASP: the model writes the question as an answer-set program, clingo solves it, and every kind of failure is told back.

Wang, Sun and Kuhn, "Dspy-based Neural-Symbolic Pipeline to Enhance Spatial Reasoning in LLMs", arXiv:2411.18564. The model reads,
the solver reasons. A program that does not parse, cannot be grounded, has no answer set or several, or shows nothing is sent
back with what clingo said of it, for so many rounds; then the model reads the answer off the answer set.

For questions whose difficulty is in many exact steps (where is A, seen from B?) and not in reading. It needs clingo
(``pip install 'loopwright[asp]'``) and the sandbox, in which it runs, as a program of a model may go on for ever or include
files. Without a solved program in the end the model answers by itself, so it can cost as much as it says and gain nothing.
Its claim is of the lab model, which was taught to write such facts. A model that cannot write them gains nothing: SmolLM2-135M,
shown a worked example, was right in 0.0 of one look at the world ``spatial``, against 0.33 of self-consistency.

How this differs: facts, rules and query are one reply, where the authors generate them in stages with DSPy, which also tunes
their prompts. The question must be answered by atoms that the program shows. ``knowledge`` is a program put before each
one, such as what the directions mean, so that the model need only write facts (as Yang, Ishay and Lee do, arXiv:2307.07696).

``formalise``, ``repair`` and ``interpret`` are the prompts. ``interpret`` "" asks no more: the arguments of the shown atoms are
the answer, which a model that cannot be trusted to copy needs. Limits of a run are the sandbox's own.
"""

from loopwright.blocks.programs import program_of
from loopwright.blocks.rewriting import rewritten
from loopwright.core.context import Context
from loopwright.core.feedback import Verdict
from loopwright.core.registry import solver
from loopwright.core.templates import filled
from loopwright.core.types import Example, Rollout, Turn
from loopwright.critics.asp import HARNESS, PROGRAM, Solved, read_outcome

FORMALISE = (
    "Do not answer that yet. Write it as an answer-set program for clingo: the facts that are told, the rules that hold, and a "
    "predicate answer/1 that is true of the answer, with #show answer/1. at the end. Reply with the program in one ``` block."
)
REPAIR = "clingo was given your program.\n{feedback}\nWrite the whole program again with this put right, in one ``` block."
INTERPRET = "clingo solved your program. It shows: {atoms}\nNow answer the question that was asked first, in the form asked for."
DIRECT = "Leave the program. Answer the question that was asked first, in the form asked for."


@solver(paper="arXiv:2411.18564", needs=("model", "sandbox"), learns_from=("verdict",), packages=("clingo",))
async def llm_asp(
    example: Example,
    ctx: Context,
    *,
    rounds: int = 3,
    knowledge: str = "",
    formalise: str = FORMALISE,
    repair: str = REPAIR,
    interpret: str = INTERPRET,
    direct: str = DIRECT,
    temperature: float = 0.0,
) -> Rollout:
    solved: dict[str, Solved] = {}

    async def solve(attempt: Rollout) -> Verdict:
        program = f"{knowledge}\n{program_of(attempt.output)}\n"
        solved[attempt.id] = read_outcome(await ctx.run(HARNESS, files={PROGRAM: program}))
        return solved[attempt.id].verdict

    async def rewrite(attempt: Rollout, said: Verdict) -> Rollout:
        message = filled(repair, {"feedback": said.text})
        return await ctx.answer(example, message, after=attempt, temperature=temperature)

    first = await ctx.answer(example, formalise, temperature=temperature)
    last = (await rewritten(first, rounds, solve, rewrite))[-1]
    if last.status != "ok":
        return await ctx.answer(example, temperature=temperature)
    if last.id not in solved:
        await solve(last)
    if not solved[last.id].verdict.passed:
        return await ctx.answer(example, direct, after=last, temperature=temperature)
    atoms = solved[last.id].sets[0]
    if interpret:
        message = filled(interpret, {"atoms": " ".join(atoms)})
        return await ctx.answer(example, message, after=last, temperature=temperature)
    inside = ", ".join(atom[atom.find("(") + 1 : -1] if atom.endswith(")") else atom for atom in atoms)
    told = (Turn(role="tool", text=" ".join(atoms)), Turn(role="assistant", text=inside))
    return last.model_copy(update={"turns": (*last.turns, *told)})
