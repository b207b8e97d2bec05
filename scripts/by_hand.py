"""Runs recipes beside the plain answer of an instruction model of yours, and writes what came of it.

    python scripts/by_hand.py --model embedded:/path/to/model.gguf --name "what it is called" [SLUG ...]
    python scripts/by_hand.py --model openai:NAME@http://localhost:8000/v1 self-refine reflexion

Each row is one seed, some twenty test questions of a world, the plain answer, and the recipe with options that a small model
and two cores can pay for; it is no claim. Results are ``docs/results/by-hand/<slug>.json``; ``make docs-pages`` puts them on the
catalogue's pages. Without slugs, those that are not there yet are run, cheap ones first.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from loopwright.claims.by_hand import FOLDER, Row, run_by_hand, write_by_hand
from loopwright.core.errors import LoopwrightError, UnknownName
from loopwright.worlds.spatial import KNOWLEDGE, OFFSETS

ROOT = Path(__file__).resolve().parent.parent
# The laboratory's sums, with an example of their form, which the lab model knows and others do not.
SUMS = {"shots": [{"input": "Compute 39+23-24.", "output": "39+23=62\n62-24=38\nAnswer: 38"}]}
FACTS = (
    "Do not answer that yet. Write it as facts, one a line, in one ``` block: is(a,left,b). says that A is to the left of B. "
    f"The relations are {', '.join(OFFSETS).replace('-', '_')}. The last fact is query(a,b). where A is what is looked for, "
    "seen from B. Write small letters, and nothing else."
)

ROWS = (
    Row(recipe="bootstrap-few-shot", world="sums", items=40, options={"sizes": [3], "sets": 4, "examples": 16}),
    Row(
        recipe="reflexion", world="words", items=40, sampling={"max_tokens": 48}, text_tokens=256, options={"trials": 4},
    ),
    Row(
        recipe="best-of-n", world="words", items=40, sampling={"max_tokens": 48}, options={"n": 8},
        compare={"recipe": "self-consistency", "options": {"n": 8}},
    ),
    Row(
        recipe="self-consistency", world="lab-sums", items=40, setting={"level": 3}, prompt=SUMS,
        options={"n": 8, "temperature": 0.7, "extract": "Answer: (.*)"}, sampling={"max_tokens": 96},
    ),
    Row(
        recipe="gepa", world="sums", items=40, options={"rounds": 6, "front": 12, "minibatch": 3, "merges": 1, "max_tokens": 400},
    ),
    Row(
        recipe="trace-opto", world="sums", items=40,
        options={"rounds": 6, "examples": 3, "held": 12, "max_tokens": 400},
    ),
    Row(
        recipe="refeed", world="city-archive", items=40, options={"answers": 3, "documents": 6},
        compare={"recipe": "retrieve-then-read", "options": {"documents": 6}},
    ),
    Row(recipe="fito", world="lab-sums", items=24, setting={"level": 3, "spans": True}, prompt=SUMS, options={"rounds": 3}),
    Row(recipe="self-refine", world="functions", items=20, options={"rounds": 2}),
    Row(recipe="hypothesis-refinement", world="rules", items=20, setting={"steps": 1}, options={"hypotheses": 4, "rounds": 2}),
    Row(
        recipe="llm-asp", world="spatial", items=20, setting={"hops": 2},
        options={"rounds": 1, "knowledge": KNOWLEDGE, "formalise": FACTS, "interpret": ""},
    ),
    Row(
        recipe="magicore", world="lab-sums", items=20, setting={"level": 3, "steps": True}, prompt=SUMS,
        options={"samples": 4, "rounds": 1, "extract": "Answer: (.*)"},
    ),
    Row(recipe="agent-coder", world="functions", items=20, options={"rounds": 2, "tests": 5}),
    Row(
        recipe="tree-of-thoughts", world="lab-sums", items=20, setting={"level": 3}, prompt=SUMS,
        options={"depth": 2, "thoughts": 3, "keep": 1, "votes": 1}, sampling={"max_tokens": 96},
    ),
    Row(
        recipe="draft", world="lab-manuals", items=20, setting={"tools": 3, "each": 30},
        options={"episodes": 2, "screen": 9, "max_tokens": 400},
    ),
    Row(
        recipe="mai-dxo", world="diagnosis", items=20, setting={"faults": 4}, sampling={"max_tokens": 80},
        options={"mode": "questions", "rounds": 2},
    ),
    Row(
        recipe="alpha-opt", world="modelling", items=20, setting={"kinds": "knapsack+production+transport"},
        sampling={"max_tokens": 200},
        options={"rounds": 2, "batch": 6, "explore": 2, "verify": 1, "variants": 2, "probes": 1, "screen": 6, "max_tokens": 300},
    ),
    Row(
        recipe="swe-search", world="repair", items=20, setting={"faults": 2, "count": 240}, sampling={"max_tokens": 200},
        options={"iterations": 3, "agents": 0},
    ),
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description="Run recipes by hand with a model of yours.")
    parser.add_argument("slugs", nargs="*", metavar="SLUG", help="which; without any, those without a result")
    parser.add_argument("--model", required=True, help="as 'loopwright run --model' takes it")
    parser.add_argument("--name", default="", help="what the model is called in the results; else its file's or server's name")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--items", type=int, help="so many questions instead of the row's number")
    parser.add_argument("--results", type=Path, default=ROOT / "docs" / "results")
    given = parser.parse_args()
    rows = {row.recipe: row for row in ROWS}
    for slug in given.slugs:
        if slug not in rows:
            raise UnknownName("row", slug, rows)
    there = {path.stem for path in (given.results / FOLDER).glob("*.json")}
    for slug in given.slugs or [slug for slug in rows if slug not in there]:
        row = rows[slug] if given.items is None else rows[slug].model_copy(update={"items": given.items})
        result = run_by_hand(row, given.model, name=given.name, seed=given.seed)
        path = write_by_hand(result, given.results)
        shown = ", ".join(f"{arm} {tried.score:.2f} ({tried.tokens} tokens)" for arm, tried in result.arms.items())
        print(f"{slug}: {shown}; {path}", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LoopwrightError as error:
        sys.exit(f"by_hand: {error}")
