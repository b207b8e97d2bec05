"""Commands that drive a run: improve, run, resume."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loopwright.cli.shared import (
    JsonOption,
    StoreOption,
    console,
    emit,
    existing_store,
    new_store_path,
    parse_budget,
    parse_settings,
    say,
    split_words,
    store_path,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", metavar="SPEC",
        help="The model: embedded; openai:NAME, OpenAI's own; openai:NAME@URL, any server's (append ,api_key_env=VAR "
        "where it wants a key). Without it the task's, else embedded.",
    ),
]  # fmt: skip
JudgeOption = Annotated[
    str | None, typer.Option("--judge-model", metavar="SPEC", help="Who judges, where that is not the model itself.")
]
ProposerOption = Annotated[
    str | None,
    typer.Option("--proposer-model", metavar="SPEC", help="Who writes new prompts, where that is not the model itself."),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device", metavar="NAME", help="Where the embedded model computes: auto (CUDA where there is one), cpu, cuda, cuda:1."
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of all random choices.")]
BudgetOption = Annotated[
    str | None,
    typer.Option(
        "--budget", "-b", metavar="CAPS", help="Caps, such as calls=1000,money=2 (US dollars); also seconds and tokens."
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", metavar="DIR", help="Where artifact, result and report go; a folder of another run is refused.",
        show_default="out/TASK, or the first of out/TASK-2, ... that is free",
    ),
]  # fmt: skip
ForceOption = Annotated[
    bool, typer.Option("--force", help="Remove what an earlier run, and nobody else, wrote into --out, and write there.")
]
StopOption = Annotated[
    list[str] | None,
    typer.Option(
        "--stop", metavar="RULE",
        help="End a recipe's rounds by a monitor of its last one, like 'entropy<0.1' or 'silent>0.9'; may be repeated.",
    ),
]  # fmt: skip
FreshGateOption = Annotated[
    bool,
    typer.Option(
        "--fresh-gate",
        help="Draw train and gate anew, never test, as earlier runs asked the gate that there was; not from what they made.",
    ),
]
FailOption = Annotated[
    str | None,
    typer.Option(
        "--fail-on-error", metavar="HOW MANY",
        help="End once more than this share (0.2) or number (5) of examples has an error; true: at the first, false: never.",
        show_default="the task's, else 0.5",
    ),
]  # fmt: skip
RetryOption = Annotated[
    int | None,
    typer.Option(
        "--retry-on-error", metavar="N", help="Try an example that has an error so many times more.",
        show_default="the task's, else 0",
    ),
]  # fmt: skip
CacheOption = Annotated[
    bool,
    typer.Option(
        "--cache/--no-cache", help="Use replies of earlier runs again; those of a server never where answers are compared."
    ),
]


def improve(
    ctx: typer.Context,
    task: Annotated[Path, typer.Argument(metavar="TASK", help="A task folder, with a task.toml.")],
    change: Annotated[
        str,
        typer.Option(
            "--change", metavar="KINDS", help="What may change, such as prompt,answers; of prompt, answers, weights.",
            show_default="all three",
        ),
    ] = "prompt,answers,weights",
    model: ModelOption = None,
    judge_model: JudgeOption = None,
    proposer_model: ProposerOption = None,
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    budget: BudgetOption = None,
    out: OutOption = None,
    force: ForceOption = False,
    method: Annotated[
        list[str] | None, typer.Option("--method", metavar="SLUG", help="Try only this recipe; may be repeated.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="SLUG.OPTION=VALUE", help="An option of a recipe; may be repeated.")
    ] = None,
    stop: StopOption = None,
    cache: CacheOption = True,
    fresh_gate: FreshGateOption = False,
    fail_on_error: FailOption = None,
    retry_on_error: RetryOption = None,
    json: JsonOption = False,
    store: StoreOption = None,
) -> None:
    """Improve what a task folder describes, and prove it on examples that nothing has seen."""
    _beside(task)
    caps, options = parse_budget(budget), parse_settings(settings or ())
    place = new_store_path(ctx, store)
    from loopwright.improve.job import run_improve

    with _Shown(json) as shown:
        shown.finish(
            run_improve(
                task, change=split_words(change), model=model, seed=seed, budget=caps, out=out or _out(task),
                numbered=out is None, force=force, store_path=place, methods=options, only=tuple(method or ()), cache=cache,
                stop=tuple(stop or ()), others=_others(judge_model, proposer_model), device=device, fresh_gate=fresh_gate,
                fail_on_error=fail_on_error, retry_on_error=retry_on_error, progress=shown.tell,
            )  # fmt: skip
        )


def run(
    ctx: typer.Context,
    slug: Annotated[str, typer.Argument(metavar="SLUG", help="A recipe; see 'loopwright list'.")],
    task: Annotated[
        Path | None, typer.Option("--task", "-t", metavar="FOLDER", help="A task folder, with a task.toml.")
    ] = None,
    world: Annotated[
        str | None,
        typer.Option(
            "--world", "-w", metavar="NAME", help="Instead of a folder a world by name, such as sums or lab-sums:level=2."
        ),
    ] = None,
    on: Annotated[str | None, typer.Option("--on", metavar="RUN", help="For a measure: the run to look at.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="OPTION=VALUE", help="An option of the recipe; may be repeated.")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps", metavar="N", help="For a learner: how many steps of the world.",
            show_default="1000, or one pass of a stream of tasks",
        ),
    ] = None,
    model: ModelOption = None,
    judge_model: JudgeOption = None,
    proposer_model: ProposerOption = None,
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    budget: BudgetOption = None,
    out: OutOption = None,
    force: ForceOption = False,
    stop: StopOption = None,
    cache: CacheOption = True,
    fresh_gate: FreshGateOption = False,
    fail_on_error: FailOption = None,
    retry_on_error: RetryOption = None,
    json: JsonOption = False,
    store: StoreOption = None,
) -> None:
    """Run one recipe alone: on a task or world, with the same gate and report; a learner on a world that is a stream; or a
    measure on what a run recorded.
    """
    _beside(task)
    caps, options = parse_budget(budget), parse_settings(settings or (), slug=slug)
    if on is not None:
        _measured(ctx, slug, on, options.get(slug, {}), json, store)
        return
    if (task is None) == (world is None):
        from loopwright.core.errors import InputError

        many = "say only one thing" if task else "say what"
        raise InputError(f"{many} to run {slug} on: --task FOLDER, --world NAME, or --on RUN for a measure")
    place = new_store_path(ctx, store)
    numbered = out is None
    out = out or (_out(task) if task is not None else Path("out", str(world).partition(":")[0]))
    if _drives(slug, task, steps):
        from loopwright.improve.stream import run_stream

        rules = {"fresh-gate": fresh_gate, "fail-on-error": fail_on_error, "retry-on-error": retry_on_error}
        _refuse(slug, model=model, budget=budget, stop=stop, **rules)
        with _Shown(json) as shown:
            shown.finish(
                run_stream(
                    slug, world or "", options=options.get(slug, {}), steps=steps, seed=seed, out=out, numbered=numbered,
                    force=force, store_path=place, progress=shown.tell,
                )  # fmt: skip
            )
        return
    from loopwright.improve.job import run_recipe

    with _Shown(json) as shown:
        shown.finish(
            run_recipe(
                slug, task_folder=task, world=world or "", options=options.get(slug, {}), model=model, seed=seed, budget=caps,
                out=out, numbered=numbered, force=force, store_path=place, cache=cache, stop=tuple(stop or ()),
                others=_others(judge_model, proposer_model), device=device, fresh_gate=fresh_gate,
                fail_on_error=fail_on_error, retry_on_error=retry_on_error, progress=shown.tell,
            )  # fmt: skip
        )


def _drives(slug: str, task: Path | None, steps: int | None) -> bool:
    """Whether a stream drives this recipe: it is a learner."""
    from loopwright.core.errors import InputError
    from loopwright.core.registry import get_recipe

    learner = get_recipe(slug).card.shape == "learner"
    if learner and task is not None:
        raise InputError(f"{slug} is a learner, which a stream drives, not a task of examples; give --world, such as bandit")
    if steps is not None and not learner:
        raise InputError(f"--steps is for learners; {slug} is {get_recipe(slug).card.shape}, see: loopwright show {slug}")
    return learner


def _refuse(slug: str, **given: Any) -> None:
    from loopwright.core.errors import InputError

    for name, value in given.items():
        if value:
            raise InputError(f"--{name} does not go with {slug}: a learner calls no model and costs nothing but its own time")


def _measured(ctx: typer.Context, slug: str, run: str, options: dict[str, Any], json: bool, store: str | None) -> None:
    """A Measure's table, printed."""
    from loopwright.core.measure import measure
    from loopwright.core.registry import get_recipe

    with existing_store(ctx, store) as opened:
        table = measure(get_recipe(slug), opened, run, options)
    if json:
        emit(table.model_dump(mode="json"))
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    shown = Table(*table.columns, box=SIMPLE_HEAD, pad_edge=False)
    for row in table.rows:
        shown.add_row(*(f"{v:.3f}" if isinstance(v, float) else str(v) for v in row))
    console(wraps=True).print_table(shown)


def resume(
    ctx: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="Its id, the beginning of it, or 'last'.")] = "last",
    budget: BudgetOption = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="SPEC", help="The same model reached in another way, such as with another key."),
    ] = None,
    judge_model: JudgeOption = None,
    proposer_model: ProposerOption = None,
    fork: Annotated[
        bool,
        typer.Option(
            "--fork",
            help="Go on although task or code changed: in a new run that takes over what was recorded and is still valid.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Of a fork: where its results go.", show_default="beside the parent's"),
    ] = None,
    keep_failures: Annotated[
        bool,
        typer.Option("--keep-failures", help="Leave examples that had an error as they are, instead of asking them again."),
    ] = False,
    fail_on_error: Annotated[
        str | None,
        typer.Option(
            "--fail-on-error", metavar="HOW MANY",
            help="This time end once more than this share or number of examples has an error; false: never.",
            show_default="the run's own",
        ),
    ] = None,  # fmt: skip
    json: JsonOption = False,
    store: StoreOption = None,
) -> None:
    """Go on with a run that was stopped. Nothing that was recorded is done or paid again, but for what had an error.

    Where the task or code that it depends on changed meanwhile, that is told before anything is paid; --fork goes on knowingly.
    A cap of --budget takes the place of the one of that name and holds for the whole run; others stay.
    """
    caps, place = parse_budget(budget), store_path(ctx, store)
    if not place.is_file():
        from loopwright.core.errors import InputError

        raise InputError(f"no runs here: {place} does not exist; say where they are with --store")
    from loopwright.improve.job import resume_improve

    with _Shown(json) as shown:
        shown.finish(
            resume_improve(
                run, store_path=place, budget=caps, progress=shown.tell, model=model, fork=fork, out=out,
                keep_failures=keep_failures, fail_on_error=fail_on_error,
                others=_others(judge_model, proposer_model),
            )  # fmt: skip
        )


def _others(judge: str | None, proposer: str | None) -> dict[str, str]:
    return {role: name for role, name in (("judge", judge), ("proposer", proposer)) if name is not None}


def _beside(task: Path | None) -> None:
    """A recipe or program may be named that lies in the task's folder."""
    from loopwright.core.beside import use_folder

    use_folder(task if task is None or task.is_dir() else task.parent)


def _out(task: Path) -> Path:
    folder = task if task.is_dir() else task.parent
    return Path("out") / (folder.resolve().name or "task")


class _Shown:
    """One job: its progress while it runs, its result at the end, or what to type when it was stopped."""

    def __init__(self, json: bool) -> None:
        from loopwright.cli.progress import Watcher

        self.json = json
        self.watcher = Watcher()
        self.tell = self.watcher.tell

    def __enter__(self) -> _Shown:
        self.watcher.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.watcher.stop()

    def finish(self, job: Coroutine[Any, Any, dict[str, Any]]) -> None:
        import asyncio

        from loopwright.cli.interrupts import run_job
        from loopwright.core.errors import BudgetExhausted, LoopwrightError, Paused

        try:
            result = run_job(job)
        except (LoopwrightError, KeyboardInterrupt, asyncio.CancelledError) as error:
            self.watcher.stop()
            again = getattr(error, "exit_code", 130) != 2
            if self.watcher.run and again:
                larger = ""
                if isinstance(error, BudgetExhausted) and error.resource:
                    larger = f" --budget {error.resource}=N, with N larger than {error.cap:g}"
                say(f"resume with: loopwright resume {self.watcher.run}{larger}")
            if not isinstance(error, LoopwrightError):
                raise Paused("interrupted") from None
            raise
        self.watcher.stop()
        if self.json:
            emit(result)
        else:
            from loopwright.cli.summary import print_stream, print_summary

            (print_summary if "baseline" in result else print_stream)(result)
        failed = {failure["method"] for failure in result.get("failures", ())}
        if failed and failed == set(result["tried"]) and not result["accepted"]:
            raise typer.Exit(1)
