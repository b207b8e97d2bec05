"""Commands that use what a run left: answer, compare, model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loopwright.cli.shared import JsonOption, StoreOption, console, emit, emit_text, existing_store, parse_budget, say
from loopwright.cli.working import JudgeOption, ProposerOption
from loopwright.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopwright.core.gate import Interval
    from loopwright.core.store import RunRow, Store
    from loopwright.improve.allowing import Use
    from loopwright.improve.report_data import Difference

model = typer.Typer(help="The embedded model: fetch it, list what is there, print where it is.", no_args_is_help=True)


def answer(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="The question; - reads it from standard input.")],
    artifact: Annotated[Path, typer.Option("--artifact", "-a", metavar="DIR", help="What improve left: out/TASK/artifact.")],
    model_: Annotated[
        str | None, typer.Option("--model", "-m", metavar="SPEC", help="Another model than the artifact's.")
    ] = None,
    unproven: Annotated[
        bool, typer.Option("--unproven", help="DIR is out/TASK/unproven: the best candidate that the gate refused.")
    ] = False,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Let DIR use the servers, keys, weights and Python code that it asks for, without asking."),
    ] = False,
    judge_model: JudgeOption = None,
    proposer_model: ProposerOption = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget", "-b", metavar="CAPS", help="What the answer may take, such as calls=50,money=0.1.",
            show_default="calls=1000,tokens=5000000",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Answer a question as the improved version does.

    DIR may come from anybody. What it asks for beyond its plain data is shown, and used only once you said so.
    """
    import asyncio
    import sys

    if question == "-":
        try:
            question = sys.stdin.read().strip()
        except UnicodeDecodeError as error:
            raise InputError(f"standard input: expected text in {error.encoding}, got other bytes: {error.reason}") from None
    if not question.strip():
        raise InputError("expected a question, got an empty one")
    if not artifact.is_dir():
        raise InputError(f"--artifact: {artifact} is not a folder; it is the folder 'artifact' in improve's --out")
    from loopwright.improve.answering import MOST, answer_with

    caps = parse_budget(budget) or MOST
    others = {role: name for role, name in (("judge", judge_model), ("proposer", proposer_model)) if name is not None}
    text = asyncio.run(
        answer_with(
            artifact, question, model=model_, others=others, trust=trust or _asked, budget=caps, unproven=unproven, tell=say
        )
    )
    if json:
        emit({"question": question, "answer": text, "artifact": str(artifact), **({"unproven": True} if unproven else {})})
    else:
        emit_text(text)


def _asked(uses: Sequence[Use]) -> bool:
    """Asks the person at the terminal; where there is none, nothing is allowed."""
    import sys

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    say("This artifact asks for what only you can allow:", style="bold yellow")
    for use in uses:
        say(f"  {use.kind:<6} {use.what}")
        for line in use.sends:
            say(f"         {line}")
    say("Use all of it? [y/N] ", style="bold")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def compare(
    ctx: typer.Context,
    first: Annotated[str, typer.Argument(metavar="A", help="A run (id, beginning of it, 'last') or an artifact's folder.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The other; B minus A is shown.")],
    exit_code: Annotated[
        bool,
        typer.Option("--exit-code", help="Exit with 0 only if B is better, with 10 if neither is shown to be, with 11 if A is."),
    ] = False,
    json: JsonOption = False,
    store: StoreOption = None,
) -> None:
    """Compare what two runs on one task ended with, on the test examples that both answered.

    Two one-sided tests at level 1/40 each, so that of two equally good ones one is called better at most 1 time in 20.
    """
    from loopwright.core.gate import summarise
    from loopwright.core.groups import unit_scores, units
    from loopwright.improve.report import difference_between, final_answers, gave_verdicts, shown_better
    from loopwright.improve.served import served_differently

    with existing_store(ctx, store) as opened:
        runs = [_run_of(opened, name) for name in (first, second)]
        tasks = [_examples(run) for run in runs]
        if None not in tasks and tasks[0] != tasks[1]:
            raise InputError(
                f"{first} and {second} were not measured on the same test examples: {_task(runs[0])} and {_task(runs[1])}"
            )
        _same_checker(first, second, [run.spec.get("task") for run in runs])
        answers = [final_answers(opened, run.id) for run in runs]
        caution = served_differently(opened, runs[0], runs[1])
        graded = not all(gave_verdicts(opened, run.id) for run in runs)
    for name, known in zip((first, second), answers, strict=True):
        if not known:
            raise InputError(f"{name} has no test scores: it did not finish; go on with 'loopwright resume {name}'")
    difference = difference_between(answers[0], answers[1])
    if difference is None:
        raise InputError(f"{first} and {second} have no scored test example in common")
    made_of = [units([rollout.example for rollout in known.values()]) for known in answers]
    scores = [[rollout.score for rollout in known.values()] for known in answers]
    sides = [
        summarise(unit_scores(own, found, "candidate"), side="candidate") for own, found in zip(made_of, scores, strict=True)
    ]
    asked = {"a": shown_better(answers[1], answers[0], graded=graded), "b": shown_better(answers[0], answers[1], graded=graded)}
    better = next((letter.upper() for letter, decision in asked.items() if decision.accepted), None)
    if json:
        emit(
            {
                "a": {"run": runs[0].id, **sides[0].model_dump()}, "b": {"run": runs[1].id, **sides[1].model_dump()},
                "difference": difference.model_dump(), "better": better, "test": asked["b"].test,
                "p_values": {letter: decision.p_value for letter, decision in asked.items()},
                "needed": asked["b"].needed, "by_hand": BY_HAND, "caution": caution,
            }
        )  # fmt: skip
    else:
        _show(runs, sides, difference, better, caution)
    if exit_code and better != "B":
        raise typer.Exit(11 if better == "A" else 10)


BY_HAND = (
    "once a version was chosen by these figures, the test examples are no longer unseen: only new examples can confirm the choice"
)


def _show(runs: Sequence[RunRow], sides: Sequence[Interval], difference: Difference, better: str | None, caution: str) -> None:
    from loopwright.cli.progress import percent, points

    out = console()
    for letter, run, side in zip("AB", runs, sides, strict=True):
        out.print(f"{letter}  {percent(side.score)} ({percent(side.low)} to {percent(side.high)})  {_task(run)}, run {run.id}",
                  markup=False)  # fmt: skip
    out.print(
        f"B - A  {points(difference.effect)} points, 95% interval {points(difference.low)} to {points(difference.high)}, "
        f"{difference.n} pairs" + (f", {difference.missing} not judged" if difference.missing else "")
    )
    out.print(f"{better} is better" if better else "not shown to differ", style="bold")
    if caution:
        out.print(caution, style="bold yellow", markup=False)
    out.print(BY_HAND, style="dim")


def _run_of(store: Store, name: str) -> RunRow:
    """The run itself, or the one that left an artifact."""
    folder = Path(name)
    for path in (folder / "artifact.json", folder / "artifact" / "artifact.json"):
        if path.is_file():
            from loopwright.improve.untrusted import read_manifest

            return store.run(str(read_manifest(path).get("run", "")))
    if (folder / "unproven.json").is_file():
        raise InputError(
            f"{name} holds a candidate that the gate refused, which was never measured on the test examples and so cannot be "
            "compared; give a run, or the folder 'artifact' beside it"
        )
    if folder.is_dir():
        raise InputError(f"{name} is a folder without artifact.json; expected a run or an artifact")
    return store.run(name)


def _same_checker(first: str, second: str, tasks: Sequence[object]) -> None:
    """Refuses scores of two checkers, which do not say the same thing."""
    checkers = [task.get("checker") if isinstance(task, dict) else None for task in tasks]
    a, b = ({k: c.get(k) for k in ("kind", "options")} if isinstance(c, dict) else None for c in checkers)
    if a is not None and b is not None and a != b:
        told = [f"{c['kind']} with {c['options']}" if c["options"] else str(c["kind"]) for c in (a, b)]
        raise InputError(
            f"{first} and {second} were scored by different checkers, so their scores cannot be compared: {told[0]} and {told[1]}"
        )


def _task(run: RunRow) -> str:
    task = run.spec.get("task")
    return str(task.get("name", "?")) if isinstance(task, dict) else str(task or "?")


def _examples(run: RunRow) -> Any:
    task = run.spec.get("task")
    parts = task.get("examples") if isinstance(task, dict) else None
    return parts.get("test") if isinstance(parts, dict) else None


@model.command("fetch")
def fetch(json: JsonOption = False) -> None:
    """Download the embedded model (93 MB) if it is not here yet."""
    from loopwright.models import smollm2

    path = smollm2.fetch(progress=say)
    if json:
        emit({"name": smollm2.NAME, "path": str(path)})
    else:
        emit_text(path)


@model.command("list")
def list_models(json: JsonOption = False) -> None:
    """List the models that can be fetched, and whether they are here."""
    row = _embedded()
    if json:
        emit([row])
    else:
        emit_text(f"{row['name']}  {row['path'] if row['here'] else 'not fetched; loopwright model fetch (93 MB)'}")


@model.command("path")
def path(json: JsonOption = False) -> None:
    """Print where the embedded model's weights are."""
    row = _embedded()
    if not row["here"]:
        raise InputError(f"{row['name']} is not here yet; get it with: loopwright model fetch")
    if json:
        emit({"name": row["name"], "path": row["path"]})
    else:
        emit_text(row["path"])


def _embedded() -> dict[str, Any]:
    from loopwright.models import smollm2

    place = smollm2.cache_root() / "gguf" / Path(smollm2.MEMBER).name
    return {"name": smollm2.NAME, "here": place.is_file(), "path": str(place)}
