"""The command that watches a Learner on a stream of tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loopwright.cli.shared import ForceOption, JsonOption, console, emit, parse_settings, say


def watch(
    slug: Annotated[str, typer.Argument(metavar="SLUG", help="A recipe that is a learner, such as replay.")],
    world: Annotated[
        str, typer.Option("--world", "-w", metavar="NAME", help="A stream of tasks by name, such as digits or digits:tasks=2.")
    ] = "digits",
    every: Annotated[int, typer.Option("--every", metavar="STEPS", min=1, help="Steps between evaluations.")] = 1,
    steps: Annotated[int, typer.Option("--steps", min=0, help="Of the stream; 0 is one pass.")] = 0,
    seed: Annotated[int, typer.Option("--seed", help="Seed of all random choices.")] = 0,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="OPTION=VALUE", help="An option of the recipe; may be repeated.")
    ] = None,
    measure: Annotated[
        str | None,
        typer.Option(
            "--measure", metavar="SLUG",
            help="Whose figures, such as lifelong-metrics; learners of one task alone are taught beside.",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="A .png or .svg: curves here, a heat map beside it as NAME-heat."),
    ] = None,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Drive a learner through a stream of tasks and show what it still knows of each: accuracy, worst case, forgetting.

    Nothing is recorded; 'loopwright run' on the same stream shows the same in its report.
    """
    from loopwright.blocks.convert import converter
    from loopwright.blocks.watching import experts
    from loopwright.blocks.watching import watch as watched
    from loopwright.core.errors import InputError
    from loopwright.core.outputs import check_file, write_file
    from loopwright.core.registry import get_recipe
    from loopwright.improve.plots.files import is_figure
    from loopwright.improve.stream import knowledge
    from loopwright.worlds.named import named_stream

    form = plot.suffix.removeprefix(".").lower() if plot is not None else ""
    if plot is not None and form not in ("png", "svg"):
        raise InputError(f"--plot takes a file whose name ends in .png or .svg, got {plot}")
    if plot is not None:
        heat = plot.with_name(f"{plot.stem}-heat{plot.suffix}")
        for path in (plot, heat):
            check_file(path, "--plot", force=force, ours=is_figure)
    options = parse_settings(settings or (), slug=slug).get(slug, {})
    recipe = get_recipe(slug)
    if recipe.card.shape != "learner":
        raise InputError(
            f"only a learner learns from a stream; {slug} has the shape {recipe.card.shape}, see: loopwright list --shape learner"
        )

    if measure is not None and get_recipe(measure).card.shape != "measure":
        raise InputError(f"--measure: {measure} is no measure; see: loopwright list --shape measure")

    lawful = converter(recipe.card.learns_from)
    learner, stream = recipe(**options), named_stream(world)
    seen = watched(learner, stream, seed=seed, steps=steps, every=every, convert=lawful)
    beside = experts(learner, stream, seed=seed, every=every, convert=lawful) if measure is not None else []
    if plot is not None:
        from loopwright.improve.plots.continual import accuracy_curves, accuracy_heat

        title = f"{slug} on {world}"
        for path, drawn in ((plot, accuracy_curves), (heat, accuracy_heat)):
            write_file(path, [drawn(seen.matrix, seen.steps, seen.ends, title=title, form=form)])  # type: ignore[arg-type]
        if not json:
            say(f"wrote {plot} and {heat}")
    told = knowledge(seen, measure or "stability-gap", beside)
    if json:
        emit({"recipe": slug, "world": world, "seed": seed, **told})
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    shown = Table("figure", "value", "low", "high", box=SIMPLE_HEAD, pad_edge=False)
    for name, figure in told["figures"].items():
        shown.add_row(name, *(f"{v:.3f}" if isinstance(v, float) else "" for v in figure.values()))
    console(wraps=True).print_table(shown)
