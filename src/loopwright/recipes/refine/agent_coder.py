"""AgentCoder: a programmer writes code, a test designer who has not seen it writes tests, and what fails goes back to the first.

Huang et al., arXiv:2312.13010. Three roles: the programmer thinks the task through and writes the program; the test designer
writes basic, edge and large cases from the task alone, so that its tests share no mistake with the code; the test executor is
no model: it runs each test on the program, in the sandbox, and tells the programmer what failed, for so many rounds.

For tasks whose answer is a Python program, with a model that writes tests that are mostly right: a wrong test sends the
programmer astray. Where the task has tests of its own, let critics run those (kind ``tests``) and use ``reflexion`` or ``iad``.
Its claim is of the lab model, which was taught both roles: whether it beats a vote of seven programs is not settled there,
as a fifth of the asserts are false. With Qwen2.5-Coder-0.5B on the world ``functions`` it was far below the plain answer.

How this differs: the roles' prompts are short and bring no worked example. The paper ends when all tests pass or after five
rounds and so do we; as designed tests may be wrong, the version that passed most is kept, the latest of equals. (The authors'
code writes programs and tests anew in each round, and is content with three tests passed.) Without a usable test the executor
runs the program alone. The test designer is the run's judge, which is the same model unless another was named.

``tests``: how many are used, the first ones. ``programmer`` and ``designer``: the roles' instructions, {question} being the
task's input. Limits of a run are the sandbox's own.
"""

from loopwright.blocks.programs import asserts_in, program_of
from loopwright.blocks.rewriting import latest, rewritten
from loopwright.core.context import Context
from loopwright.core.feedback import Rater, Verdict
from loopwright.core.registry import solver
from loopwright.core.templates import filled
from loopwright.core.types import Example, Rollout

PROGRAMMER = (
    "You are the programmer. Make sure what is asked, choose a method, sketch it in pseudocode, and then write the whole program "
    "in one ```python block. It must define what the task names and run nothing else."
)
DESIGNER = (
    "You are the test designer. Somebody else will program this task:\n{question}\nWrite tests for it in one ```python block, "
    "one line each, such as: assert name(1, 2) == 3\nCover plain cases, edge cases and large inputs. Work out every expected "
    "value with care, and do not write the program."
)
REVISE = "The program was run:\n{feedback}\nPut right what is wrong with it and write all of it again, in one ```python block."


@solver(paper="arXiv:2312.13010", needs=("model", "sandbox"), learns_from=("verdict",))
async def agent_coder(
    example: Example,
    ctx: Context,
    *,
    rounds: int = 5,
    tests: int = 10,
    programmer: str = PROGRAMMER,
    designer: str = DESIGNER,
    revise: str = REVISE,
    temperature: float = 0.7,
) -> Rollout:
    by = Rater(kind="code", name="designed tests")
    failed: dict[str, int] = {}

    first = await ctx.answer(example, programmer or None, temperature=temperature)
    reply = await ctx.ask(filled(designer, {"question": example.question}), temperature=temperature)
    designed = asserts_in(reply)[:tests]

    async def execute(attempt: Rollout) -> Verdict:
        async def failure(test: str, ctx: Context) -> str:
            outcome = await ctx.run(f"{program_of(attempt.output)}\n\n{test}\n")
            lines = str(outcome["stderr"]).strip().splitlines() or [""]
            return "" if outcome["status"] == "ok" else f"{test or 'the program'}: {lines[-1] or outcome['status']}"

        failures = list(filter(None, await ctx.map(failure, designed or [""])))
        failed[attempt.id] = len(failures)
        return Verdict(passed=not failures, message="\n".join(failures), by=by)

    async def rewrite(attempt: Rollout, said: Verdict) -> Rollout:
        message = filled(revise, {"feedback": said.text})
        return await ctx.answer(example, message, after=latest(attempt, 1), temperature=temperature)

    attempts = await rewritten(first, rounds, execute, rewrite)
    if len(attempts) > 1 and attempts[-1].id not in failed:
        await execute(attempts[-1])
    return min(reversed(attempts), key=lambda a: failed.get(a.id, 0))
