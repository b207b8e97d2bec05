"""Measures the lab model and writes its card: rates with 95% intervals on the gate split, which it was not taught on.

    python scripts/lab_card.py src/loopwright/worlds/lab/model       writes rates.json and README.md beside the weights
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loopwright.core.model import Model, Request, Sampling
from loopwright.core.statistics import wilson
from loopwright.core.types import Turn
from loopwright.models import load
from loopwright.worlds.lab.dialogues import (
    AGAIN,
    ANSWER_ONLY,
    CHECK,
    COMPARE,
    JUDGE,
    LEVELS,
    LOCATE,
    TASKS,
    Teacher,
    criteria_of,
    judging,
    part_of,
    told,
)
from loopwright.worlds.lab.tasks import LabTask

Asked = Sequence[Turn]


class Probe:
    """Asks a model many conversations at once, with an adapter where its blob is named."""

    def __init__(self, model: Model, adapter: str | None = None) -> None:
        self.model = model
        self.adapter = adapter
        self.seed = 0

    def say(self, conversations: Sequence[Asked], temperature: float = 1.0) -> list[str]:
        out: list[str] = []
        for start in range(0, len(conversations), 256):
            self.seed += 1
            requests = [
                Request(
                    turns=tuple(c), sampling=Sampling(max_tokens=192, temperature=temperature), seed=self.seed * 1000 + i,
                    adapter=self.adapter,
                )  # fmt: skip
                for i, c in enumerate(conversations[start : start + 256])
            ]
            out += [reply.choices[0].text for reply in asyncio.run(self.model.generate(requests))]
        return out


def user(text: str) -> Turn:
    return Turn(role="user", text=text)


def model(text: str) -> Turn:
    return Turn(role="assistant", text=text)


def rate(hits: Sequence[bool]) -> dict[str, Any]:
    low, high = wilson(sum(hits), len(hits)) if hits else (0.0, 1.0)
    return {"rate": round(sum(hits) / max(len(hits), 1), 3), "low": round(low, 3), "high": round(high, 3), "n": len(hits)}


def questions(task: LabTask, level: int, count: int) -> list[str]:
    """Different questions of the gate split; fewer where there are no more."""
    rng = random.Random(f"card {task.name} {level}")
    found: dict[str, None] = {}
    for _ in range(count * 60):
        question = task.draw(rng, level)
        if part_of(question) == "gate":
            found[question] = None
        if len(found) == count:
            break
    return list(found)


def measure(probe: Probe, count: int) -> dict[str, Any]:
    rates: dict[str, Any] = {}
    for name, task in TASKS.items():
        found: dict[str, Any] = {"solves": {}, "answers only": {}}
        pool: list[tuple[str, str]] = []  # level 3 and its neighbours: question and the model's own attempt
        for level in LEVELS:
            asked = questions(task, level, count)
            answers = probe.say([[user(q)] for q in asked])
            found["solves"][level] = rate([task.review(q, a).passed for q, a in zip(asked, answers, strict=True)])
            if level in (2, 3, 4):
                pool += zip(asked, answers, strict=True)
        asked = questions(task, 3, count)
        short = probe.say([[user(f"{q}\n{ANSWER_ONLY}")] for q in asked])
        found["answers only"][3] = rate([task.review(q, a).passed for q, a in zip(asked, short, strict=True)])
        reviews = [task.review(q, a) for q, a in pool]
        bad = [(q, a, r) for (q, a), r in zip(pool, reviews, strict=True) if not r.passed and a.strip()]
        good = [(q, a) for (q, a), r in zip(pool, reviews, strict=True) if r.passed]
        # Judging, at temperature 0: the outcome on a half of each kind, the place among wrong attempts of several lines.
        half = min(len(bad), len(good))
        mixed = [(q, a, False) for q, a, _ in bad[:half]] + [(q, a, True) for q, a in good[:half]]
        said = probe.say([[user(judging(JUDGE, q, a))] for q, a, _ in mixed], 0.0)
        found["judges"] = rate([(s.strip() == "Right.") == ok for s, (_, _, ok) in zip(said, mixed, strict=True)])
        long = [(q, a, r) for q, a, r in bad if len(r.values) > 1]
        said = probe.say([[user(judging(LOCATE, q, a))] for q, a, _ in long], 0.0)
        found["finds the step"] = rate([s.strip() == told(r, 1) for s, (_, _, r) in zip(said, long, strict=True)])
        found["finds the step"]["chance"] = round(sum(1 / len(r.values) for _, _, r in long) / max(len(long), 1), 3)
        rng = random.Random(f"pairs {name}")
        both = [(q, a, task.spoil(q, rng)) for q, a in good[:count]]
        flip = [rng.randrange(2) for _ in both]
        prompts = [judging(COMPARE, q, *((a, b) if f == 0 else (b, a))) for (q, a, b), f in zip(both, flip, strict=True)]
        said = probe.say([[user(p)] for p in prompts], 0.0)
        found["compares"] = rate([s.strip() == "AB"[f] for s, f in zip(said, flip, strict=True)])
        # One criterion at a time: a rule of a sentence, or a step, as many kept as broken.
        rng = random.Random(f"criteria {name}")
        asks = [(q, a, what, kept) for q, a in pool if a.strip() for what, kept in criteria_of(task, q, a).items()]
        rng.shuffle(asks)
        half = min(sum(kept for *_, kept in asks), sum(not kept for *_, kept in asks), 2 * count)
        mixed_asks = [[x for x in asks if x[3] is kept][:half] for kept in (True, False)]
        asks = mixed_asks[0] + mixed_asks[1]
        said = probe.say([[user(judging(CHECK.format(what=what), q, a))] for q, a, what, _ in asks], 0.0)
        found["checks"] = rate([s.strip() == ("Yes." if kept else "No.") for s, (*_, kept) in zip(said, asks, strict=True)])
        # Revising its own wrong attempts, at temperature 1.
        found["revises"] = {}
        for detail, what in enumerate(("outcome", "place", "full")):
            again = probe.say([[user(q), model(a), user(told(r, detail))] for q, a, r in bad])
            found["revises"][what] = rate([task.review(q, x).passed for (q, _, _), x in zip(bad, again, strict=True)])
        again = probe.say([[user(q), model(a), user(AGAIN)] for q, a, _ in bad])
        found["revises"]["nothing said"] = rate([task.review(q, x).passed for (q, _, _), x in zip(bad, again, strict=True)])
        fresh = probe.say([[user(q)] for q, _, _ in bad])
        found["revises"]["a fresh attempt"] = rate([task.review(q, x).passed for (q, _, _), x in zip(bad, fresh, strict=True)])
        # Right attempts that somebody calls wrong: given up for another that is wrong.
        teacher = Teacher(1)
        lies = [told(teacher.lie(task, q), 2) for q, _ in good]
        again = probe.say([[user(q), model(a), user(lie)] for (q, a), lie in zip(good, lies, strict=True)])
        found["is fooled"] = rate([not task.review(q, x).passed for (q, _), x in zip(good, again, strict=True)])
        again = probe.say([[user(q), model(a), user(AGAIN)] for q, a in good])
        found["spoils unasked"] = rate([not task.review(q, x).passed for (q, _), x in zip(good, again, strict=True)])
        rates[name] = found
        print(name, json.dumps(found), file=sys.stderr, flush=True)
    return rates


def cell(found: dict[str, Any]) -> str:
    return f"{found['rate']:.0%} ({found['low']:.0%} to {found['high']:.0%})" if found["n"] else "none"


def card(rates: dict[str, Any], made: dict[str, Any], sha: str, size: int, parameters: int) -> str:
    """The model card as Markdown."""
    lines = [
        "# The lab model",
        "",
        "An instrument, not a product: a small transformer that answers, judges and revises with real, limited skill, so "
        "that a method's claim can be run in minutes on two cores. Plain Llama layout; transformers, PEFT and the embedded "
        "backend load it (`--model embedded:lab`).",
        "",
        f"{parameters / 1e6:.2f} million parameters, {size / 1e6:.1f} MB in bfloat16, taught from nothing by "
        f"`make lab-model` (seed {made['seed']}, {made['steps']} and {made['last']} steps, {made['minutes']:.0f} minutes on "
        f"{made['threads']} threads). "
        f"SHA-256 of the weights: `{sha}`.",
        "",
        "It was taught on dialogues of question, attempt, feedback, revision and judgement over seven procedural tasks "
        "(`worlds/lab/tasks.py`, `plans.py`). A question's split is drawn from its text; it was taught on the split that no "
        "world shows. Rates below are on the gate split, with 95% Wilson intervals. It knows nothing else.",
        "",
        "## Right answers at temperature 1, by level",
        "",
        "| task | " + " | ".join(f"level {n}" for n in LEVELS) + " | level 3, answer only |",
        "|---|" + "---|" * (len(LEVELS) + 1),
    ]
    for name, found in rates.items():
        cells = [cell(found["solves"][str(n)]) for n in LEVELS] + [cell(found["answers only"]["3"])]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "## Judging its own attempts (levels 2 to 4, temperature 0)",
        "",
        "| task | right or wrong (half are right) | one criterion (half are kept) | finds the wrong step | by chance | "
        "tells the right one of two |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in rates.items():
        step = found["finds the step"]
        chance = f"{step['chance']:.0%}" if step["n"] else "one step only"
        cells = [cell(found["judges"]), cell(found["checks"]), cell(step), chance, cell(found["compares"])]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "## Revising its own wrong attempts (temperature 1): how many become right",
        "",
        "| task | fresh attempt | told to try again | told it is wrong | told which step | told which and why |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in rates.items():
        kinds = ("a fresh attempt", "nothing said", "outcome", "place", "full")
        lines.append(f"| {name} | " + " | ".join(cell(found["revises"][k]) for k in kinds) + " |")
    lines += [
        "",
        "## Right attempts that become wrong",
        "",
        "| task | after false feedback | told to try again |",
        "|---|---|---|",
        *(f"| {name} | {cell(found['is fooled'])} | {cell(found['spoils unasked'])} |" for name, found in rates.items()),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=150, help="questions of each task and level")
    options = parser.parse_args()
    folder: Path = options.folder
    taught = load({"backend": "embedded", "path": str(folder), "dtype": "float32"})
    rates = json.loads(json.dumps(measure(Probe(taught), options.count)))
    weights = (folder / "model.safetensors").read_bytes()
    sha = hashlib.sha256(weights).hexdigest()
    made = json.loads((folder / "made.json").read_text())
    from safetensors.torch import load as read

    parameters = sum(t.numel() for t in read(weights).values())
    (folder / "rates.json").write_text(json.dumps({"sha256": sha, "rates": rates}, indent=1) + "\n")
    (folder / "README.md").write_text(card(rates, made, sha, len(weights), parameters))


if __name__ == "__main__":
    main()
