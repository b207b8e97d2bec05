"""The catalogue's pages, made from cards and results: ``python -m loopwright.claims.catalogue docs/catalogue``.

One page for each recipe and an index by family. Nothing in them is written by hand, so they cannot say more than was run.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from loopwright.claims.by_hand import ByHand, Tried, read_by_hand
from loopwright.claims.costs import MethodCost, overview, read_costs, sentence
from loopwright.claims.reproduce import Result, read_result
from loopwright.claims.table import Claim, claim_of
from loopwright.core.errors import UnknownName
from loopwright.core.registry import Recipe, all_recipes

RESULTS = "docs/results"
MADE = "<!-- made by loopwright.claims.catalogue -->"


def write_catalogue(folder: Path | str, results: Path | str = RESULTS) -> list[Path]:
    """Write every page and return their paths; pages that this made of recipes that are gone are removed, and no other file."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    recipes = list(all_recipes().values())
    found = {r.slug: _result(results, r.slug) for r in recipes}
    costs = read_costs(results)
    pages = {f"{r.slug}.md": page(r, found[r.slug], read_by_hand(results, r.slug), costs.get(r.slug)) for r in recipes}
    pages["index.md"] = index(recipes, found)
    pages["costs.md"] = overview({r.slug: costs[r.slug] for r in recipes if r.slug in costs})
    for old in folder.glob("*.md"):
        if old.name not in pages and old.read_text(encoding="utf-8", errors="replace").rstrip().endswith(MADE):
            old.unlink()
    for name, text in pages.items():
        (folder / name).write_text(f"{text.rstrip()}\n\n{MADE}\n", encoding="utf-8")
    return [folder / name for name in pages]


def _result(folder: Path | str, slug: str) -> Result | None:
    try:
        return read_result(folder, slug)
    except UnknownName:
        return None


def page(recipe: Recipe, result: Result | None, by_hand: ByHand | None = None, cost: MethodCost | None = None) -> str:
    """The page of one recipe."""
    card = recipe.card
    facts = [
        ("Family", card.family),
        ("Shape", card.shape),
        ("Paper", _paper(card.paper) or "a reference method"),
        ("Improves", card.improves),
        ("Needs", ", ".join(card.needs)),
        ("Learns from", ", ".join(card.learns_from)),
        ("Imports torch", "yes" if card.torch else "no"),
        ("Conforms", _conforms(result)),
        ("Claim", result.claim if result else "not yet"),
    ]
    blocks = [
        f"# {card.slug}",
        _documentation(recipe),
        _table(("", ""), [(name, value) for name, value in facts if value]),
    ]
    rows = [(f"`{o.name}`", f"`{o.kind}`", f"`{_short(repr(o.default))}`") for o in recipe.options.values()]
    blocks += ["## Options", _table(("option", "type", "default"), rows) if rows else "None."]
    blocks += ["## Cost", f"{sentence(cost)} [All methods](costs.md)."] if cost is not None else []
    blocks += ["## Claim", *_claim(claim_of(card.slug), result)]
    if by_hand is not None:
        blocks += ["## By hand", *_by_hand(by_hand)]
    if result and result.failed_checks:
        blocks += ["## Checks that fail", _table(("check", "why"), list(result.failed_checks.items()))]
    return "\n\n".join(blocks) + "\n"


def index(recipes: Sequence[Recipe], results: dict[str, Result | None]) -> str:
    """All recipes by family."""
    about = "Made from the recipes' own cards and from the results that were run; see each page."
    blocks = ["# Catalogue", f"{about} [What each method takes](costs.md): calls, tokens, seconds."]
    families = groupby(sorted(recipes, key=lambda r: (r.card.family, r.slug)), key=lambda r: r.card.family)
    for family, members in families:
        rows = []
        for recipe in members:
            result = results.get(recipe.slug)
            link = f"[{recipe.slug}]({recipe.slug}.md)"
            rows.append((link, recipe.card.summary, recipe.card.shape, _conforms(result), result.claim if result else "not yet"))
        blocks += [f"## {family}", _table(("recipe", "idea", "shape", "conforms", "claim"), rows)]
    return "\n\n".join(blocks) + "\n"


def _claim(claim: Claim | None, result: Result | None) -> list[str]:
    if claim is None:
        return ["No claim has been written for this recipe yet."]
    sign = f" by more than {claim.margin:g}" if claim.margin else ""
    blocks = [
        f"{claim.direction.capitalize()} {claim.metric} than `{claim.baseline}` on `{claim.world}`{sign}. {claim.source}".strip(),
        f"Reproduce it: `loopwright reproduce {claim.recipe}` (about {claim.minutes:g} min).",
    ]
    if result is None or result.row is None or result.difference is None:
        return [*blocks, "It has not been run yet."]
    told = {"minutes", "source", "tried"}  # what is said of a row beside what it asks for, often once it was run
    if {k: v for k, v in result.row.items() if k not in told} != claim.model_dump(mode="json", exclude=told):
        blocks.append("**The claim was changed since it was run; the numbers below are of the earlier row.**")
    blocks.append(
        f"**{result.claim.capitalize()}**: better by {result.difference:.4g}, 95% interval "
        f"{_bound(result.low)} to {_bound(result.high)}, over {len(result.values)} seeds (version {result.version})."
    )
    blocks += [f"Note: {note}." for note in result.notes] + [f"Tried: {what}." for what in claim.tried]
    blocks.append(_table(("seed", claim.recipe, claim.baseline), [
        (str(v["seed"]), _bound(v["recipe"]), _bound(v["baseline"])) for v in result.values
    ]))  # fmt: skip
    names = sorted({name for cost in result.cost.values() for name, value in cost.items() if value})
    cost = [(name, *(f"{result.cost[arm].get(name, 0):g}" for arm in ("recipe", "baseline"))) for name in names]
    return [*blocks, "Cost of one run, mean over seeds:", _table(("", claim.recipe, claim.baseline), cost)]


def _by_hand(found: ByHand) -> list[str]:
    """A run with a model that is no part of the project: what it was, and a table of its arms."""
    row = found.row
    world = row.world + (":" if row.setting else "") + ",".join(f"{k}={v}" for k, v in row.setting.items())
    options = ", ".join(f"`{k}={_short(repr(v))}`" for k, v in row.options.items())
    blocks = [
        f"Run once with {found.model} on {found.items or row.items} questions of `{world}` (seed {found.seed}, version "
        f"{found.version}); nothing is claimed of one run. Options: {options or 'the defaults'}. Run it with a model of yours: "
        f"`python scripts/by_hand.py --model MODEL {found.slug}`."
    ]
    if found.difference is not None and found.low is not None and found.high is not None:
        side = "above" if found.difference > 0 else "below"
        said = f"{abs(found.difference):.2f} {side} the plain answer" if found.difference else "As good as the plain answer"
        blocks.append(
            f"**{said}**, question by question, 95% interval {found.low:.2f} to {found.high:.2f} (Gaffke's, which is "
            "conjectured to cover)."
        )
    blocks += [f"Note: {found.note}"] if found.note else []
    names = {"plain": "the plain answer", "method": found.slug}
    order = sorted(found.arms, key=lambda arm: (arm == "method", arm != "plain", arm))
    rows = [(names.get(arm, arm), *_tried(found.arms[arm])) for arm in order]
    heads = ("", "score", "95% interval", "calls", "tokens", "seconds", "learned from")
    return [*blocks, *([_table(heads, rows)] if rows else [])]


def _tried(tried: Tried) -> tuple[str, ...]:
    learning = tried.learning
    cost = f"{learning['calls']:g} calls, {learning['tokens']:g} tokens, {learning['seconds']:g} s" if learning else ""
    if tried.offered is not None:
        cost += f"; {tried.offered} offered"
    return (
        f"{tried.score:.2f}", f"{tried.low:.2f} to {tried.high:.2f}", str(tried.calls), str(tried.tokens),
        f"{tried.seconds:.0f}", cost,
    )  # fmt: skip


def _documentation(recipe: Recipe) -> str:
    return inspect.getdoc(importlib.import_module(recipe.module)) or recipe.card.summary


def _conforms(result: Result | None) -> str:
    if result is None or result.conforms is None:
        return "not yet checked"
    return "yes" if result.conforms else "no"


def _paper(paper: str) -> str:
    if paper.startswith("arXiv:"):
        return f"[{paper}](https://arxiv.org/abs/{paper.removeprefix('arXiv:')})"
    if paper.startswith("doi:"):
        return f"[{paper}](https://doi.org/{paper.removeprefix('doi:')})"
    return paper


def _short(text: str) -> str:
    return text if len(text) <= 120 else text[:117] + "..."


def _bound(value: float | None) -> str:
    return "unbounded" if value is None else f"{value:.4g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(c.replace("|", "\\|").replace("\n", " ") for c in cells) + " |"

    return "\n".join([line(head), line(["---"] * len(head)), *(line(row) for row in rows)])


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the catalogue's pages.")
    parser.add_argument("folder", help="where the pages go")
    parser.add_argument("--results", default=RESULTS, help="where the results of reproduce lie")
    given = parser.parse_args()
    pages = write_catalogue(given.folder, given.results)
    print(f"{len(pages)} pages in {given.folder}")


if __name__ == "__main__":
    main()
