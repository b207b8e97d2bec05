"""Commands about the methods: list, show, check, reproduce."""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from loopwright.cli.shared import ForceOption, JsonOption, console, emit, plain
from loopwright.core.errors import InputError, LoopwrightError, UnknownName

CLAIMS = {"holds": "holds", "does not hold": "does not hold"}


def list_recipes(
    family: Annotated[str | None, typer.Option("--family", help="Only this family, such as prompt.")] = None,
    shape: Annotated[
        str | None, typer.Option("--shape", help="Only this shape: solver, critic, improver, learner, measure.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the recipes, with what was found when they were checked."""
    from loopwright.core.registry import all_recipes

    cards = [recipe.card for recipe in all_recipes().values()]
    for what, wanted, known in (
        ("family", family, {c.family for c in cards}),
        ("shape", shape, {"solver", "critic", "improver", "learner", "measure"}),
    ):
        if wanted is not None and wanted not in known:
            raise UnknownName(what, wanted, known)
    results = read_results()
    rows = [
        {
            "slug": c.slug, "family": c.family, "shape": c.shape, "paper": c.paper, "needs": list(c.needs),
            "learns_from": list(c.learns_from), **_status(results.get(c.slug, {})),
        }
        for c in cards
        if family in (None, c.family) and shape in (None, c.shape)
    ]  # fmt: skip
    if json:
        emit(rows)
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("recipe", "family", "shape", "paper", "conforms", "claim"):
        table.add_column(name)
    words = {True: Text("yes", "green"), False: Text("no", "red"), None: Text("not yet", "dim")}
    for row in rows:
        claim = row["claim"] if row["claim"] != "not yet" else Text("not yet", "dim")
        table.add_row(row["slug"], row["family"], row["shape"], row["paper"], words[row["conforms"]], claim)
    console(wraps=True).print_table(table)
    noun = "recipe" if len(rows) == 1 else "recipes"
    console().print(f"{len(rows)} {noun}. One of them in full: loopwright show SLUG", markup=False)


def show(
    slug: Annotated[str, typer.Argument(metavar="SLUG", help="A recipe, or module:name of your own.")],
    json: JsonOption = False,
) -> None:
    """Show a recipe: its idea, options with their defaults, and the result of its claim."""
    import inspect
    import sys

    from loopwright.core.registry import get_recipe

    recipe = get_recipe(slug)
    card = recipe.card
    documentation = inspect.getdoc(sys.modules[recipe.module]) or inspect.getdoc(recipe.function) or ""
    result = read_results().get(card.slug, {})
    options = [{"name": o.name, "type": o.kind, "default": plain(o.default)} for o in recipe.options.values()]
    if json:
        emit(
            {**card.model_dump(mode="json"), "module": recipe.module, "options": options,
             "documentation": documentation, **_status(result), "result": result}
        )  # fmt: skip
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    out = console()
    out.print(f"{card.slug}  ({card.shape}, {card.family})", style="bold", markup=False)
    out.print(documentation, markup=False)
    out.print()
    status = _status(result)
    conforms = {True: "yes", False: "no", None: "not yet checked"}[status["conforms"]]
    facts = {
        "paper": card.paper, "improves": card.improves, "needs": ", ".join(card.needs),
        "learns from": ", ".join(card.learns_from), "conforms": conforms, "claim": status["claim"],
    }  # fmt: skip
    for name, value in facts.items():
        if value:
            out.print(f"{name:<12} {value}", markup=False)
    if options:
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for name in ("option", "type", "default"):
            table.add_column(name)
        for option in options:
            default = json_module.dumps(option["default"], ensure_ascii=False)
            table.add_row(option["name"], option["type"], default if len(default) <= 200 else default[:197] + "...")
        console(wraps=True).print_table(table)
    if card.shape in ("solver", "improver"):
        out.print(f"\ntry it: loopwright run {card.slug} --task FOLDER", markup=False)


def check(
    slugs: Annotated[list[str] | None, typer.Argument(metavar="[SLUG]...", help="Recipes; without any, all.")] = None,
    json: JsonOption = False,
) -> None:
    """Run the conformance suite on recipes, yours included (module:name)."""
    run_checks = _function("checks", "run_checks")
    out = console(stderr=True)
    seen: list[dict[str, Any]] = []

    def on_result(result: Any) -> None:
        row = _data(result)
        seen.append(row)
        passed = row.get("passed")
        word, style = ("ok", "green") if passed else ("skipped", "dim") if passed is None else ("FAILED", "bold red")
        message = f": {row['message']}" if row.get("message") else ""
        out.print(f"{word:<8} {row.get('recipe', '')} {row.get('check', '')}{message}", style=style, markup=False)

    run_checks(list(slugs or ()), on_result)
    failed = [row for row in seen if row.get("passed") is False]
    if json:
        emit(seen)
    else:
        console().print(f"{len(seen) - len(failed)} of {len(seen)} checks passed", markup=False)
    if failed:
        raise typer.Exit(1)


def reproduce(
    slugs: Annotated[list[str] | None, typer.Argument(metavar="[SLUG]...", help="Recipes; without any, all.")] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, help="Fewer than the claim's: a first look, without a verdict.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where SLUG.json is written.")] = Path("docs/results"),
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Run the claim of a recipe: the direction of its paper's main result, with an interval."""
    from loopwright.claims import reproduce as run_claim
    from loopwright.claims.reproduce import is_result
    from loopwright.core.outputs import check_file, check_folder
    from loopwright.core.registry import all_recipes, get_recipe

    check_folder(out, "--out")
    asked = [get_recipe(slug).slug for slug in slugs or all_recipes()]
    for slug in asked:
        check_file(out / f"{slug}.json", "--out", force=force, ours=is_result)
    shown = console(stderr=True)

    def tell(what: str, data: dict[str, Any]) -> None:
        if what == "seed":
            shown.print(f"  seed {data['seed']}: {data['recipe']:g} against {data['baseline']:g}", style="dim", markup=False)

    rows = []
    for slug in asked:
        result = run_claim(slug, seeds=seeds, out=out, on_progress=tell)
        rows.append(_data(result))
        shown.print(_told(rows[-1]), markup=False)
        shown.print(f"  written to {out / (slug + '.json')}", style="dim", markup=False)
    if json:
        emit(rows[0] if slugs and len(slugs) == 1 else rows)


def _told(result: dict[str, Any]) -> str:
    """A claim's outcome in a line or two."""
    row, first = result["row"], f"{result['slug']}: {result['claim']}"
    if row is not None and result["difference"] is not None:
        first += (
            f"; {row['metric']} better than {row['baseline']} by {result['difference']:.3g} "
            f"(95% interval {result['low']:.3g} to {result['high']:.3g}, {len(result['values'])} seeds, "
            f"{result['seconds']:.0f} s)"
        )
    failed = [f"  failed check {name}: {why}" for name, why in result["failed_checks"].items()]
    return "\n".join([first, *failed, *(f"  {note}" for note in result["notes"])])


def _function(module: str, name: str) -> Any:
    import importlib

    found = getattr(importlib.import_module(f"loopwright.{module}"), name, None)
    if found is None:
        raise LoopwrightError(f"this installation has no loopwright.{module}.{name}")
    return found


def _data(value: Any) -> dict[str, Any]:
    from dataclasses import asdict, is_dataclass

    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    elif is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if not isinstance(value, dict):
        raise LoopwrightError(f"expected a result with fields, got {type(value).__name__}")
    data: dict[str, Any] = plain(value)
    return data


def _status(result: dict[str, Any]) -> dict[str, Any]:
    """What is known of a recipe: nothing that was not run counts as a result."""
    conforms = result.get("conforms")
    return {
        "conforms": conforms if isinstance(conforms, bool) else None,
        "claim": CLAIMS.get(str(result.get("claim")), "not yet"),
    }


def result_folders() -> Sequence[Path]:
    """Where results may lie: in the installed package, or in docs/ of the checkout it is run from."""
    package = Path(__file__).parents[1]
    return package / "results", package.parents[1] / "docs" / "results"


def read_results() -> dict[str, dict[str, Any]]:
    """Results by slug: every file holds one row or a list of rows with ``slug``, ``conforms`` and ``claim``."""
    found: dict[str, dict[str, Any]] = {}
    for folder in result_folders():
        for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
            try:
                data = json_module.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise InputError(f"{path}: not JSON: {error}") from None
            for row in data if isinstance(data, list) else [data]:
                if isinstance(row, dict) and isinstance(row.get("slug"), str):
                    found.setdefault(row["slug"], {}).update(row)
    return found
