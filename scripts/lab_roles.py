"""Teaches the lab model a role with a small adapter, measures what came of it, and writes it down. `make lab-roles` runs it.

Lessons are drawn without end from ``worlds/lab/roles`` and never twice; now and then the model answers questions itself, and its
own wrong attempts are put right beside made-up ones. Seeded. The result is a LoRA adapter as
PEFT writes it, with new embeddings of the tokens that the role needs and the model was never taught.

    python scripts/lab_roles.py formaliser                                        the committed adapter, and its rates
    python scripts/lab_roles.py formaliser --out /tmp/role --lessons 64 --smoke   a smoke version, as the tests make it
    python scripts/lab_roles.py --card                                            the part of the model card that tells of roles
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import math
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lab_card import Asked, Probe, cell, rate

from loopwright.core.model import FitJob, Sample
from loopwright.core.types import Turn
from loopwright.models import load
from loopwright.models.embedded import Embedded
from loopwright.models.loading import ROLES_FOLDER
from loopwright.training import lora
from loopwright.worlds.lab.dialogues import Said
from loopwright.worlds.lab.roles.coder import Coder
from loopwright.worlds.lab.roles.formaliser import Formaliser
from loopwright.worlds.lab.roles.proposer import Proposer
from loopwright.worlds.lab.roles.role import Role, Task, lesson, marks

ROLES: dict[str, Role] = {role.name: role for role in (Formaliser(), Proposer(), Coder())}
TITLES = {
    "formaliser": "Stories of the world `spatial` as facts for clingo (1 to 5 hops)",
    "coder": "Functions of the world `number-programs` (one to three steps), and tests of them",
    "proposer": "Rules of the world `rules`, from three cases (add, times, append, repeat; one number or two)",
}
LESSONS, RATES = {"proposer": 8_000, "coder": 10_000}, {"proposer": 3e-3}  # where a role takes others than the usual
CHUNK = 1000  # lessons of one fit
EASY, OWN = 6, 4  # fits with easier lessons; between gathering own mistakes
FALL = (0.8, 0.6, 0.2)  # what is left of the learning rate in the last fits
SPREAD = 0.2  # standard deviation of new embeddings: that of tokens the model knows


class Kept:
    """The last few blobs, in memory: each fit makes an adapter and an optimiser's state."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        while len(self.held) > 4:
            del self.held[next(iter(self.held))]
        name = hashlib.sha256(data).hexdigest()
        self.held[name] = data
        return name

    def get(self, hash: str) -> bytes:
        return self.held[hash]


class Pupil:
    """The lab model, the adapter that it has so far, and what its dialogues are as tokens."""

    def __init__(self, role: Role, seed: int, rank: int, dtype: str = "float32") -> None:
        self.role, self.seed, self.rank, self.blobs = role, seed, rank, Kept()
        self.model = Embedded(self.blobs, "lab", dtype=dtype, checkpoint_every=math.inf)
        loaded = self.model.load()
        self.tokenizer = loaded.tokenizer.backend_tokenizer
        self.end = loaded.tokenizer.eos_token_id
        self.adapter: str = self.blobs.put(lora.to_bytes(self._new(loaded)))
        self.state: str | None = None
        self.fits = 0

    def _new(self, loaded: Any) -> lora.Adapter:
        """An adapter that changes nothing but the embeddings of tokens that the model was never taught: they all lie in one
        direction, so they are drawn anew."""
        rng = random.Random(f"{self.seed} words")
        said = [turn.text for _ in range(500) for turn in lesson(self.role, rng, {})]
        used = sorted({i for piece in self.tokenizer.encode_batch(said) for i in piece.ids} | set(range(5)))
        embed = loaded.network.embed.float()
        rows = embed[used].clone()
        unknown = torch.nn.functional.cosine_similarity(rows, embed.mean(0, keepdim=True)) > 0.75
        drawn = torch.randn(rows.shape, generator=torch.Generator().manual_seed(self.seed)) * SPREAD
        rows[unknown] = drawn[unknown]
        print(f"{len(used)} tokens, {int(unknown.sum())} of them new", file=sys.stderr)
        adapter = lora.create(
            loaded.network.sizes, rank=self.rank, alpha=2.0 * self.rank, targets=FitJob.model_fields["targets"].default,
            seed=self.seed, base="lab",
        )  # fmt: skip
        return replace(adapter, tokens=tuple(used), rows=rows)

    def sample(self, dialogue: Sequence[Said]) -> Sample:
        """The last turn is what is trained on; the ids are those of the chat template."""
        pieces = self.tokenizer.encode_batch([said.text for said in dialogue])
        ids: list[int] = []
        for said, piece in zip(dialogue[:-1], pieces, strict=False):
            ids += [self._mark(said.role), *piece.ids, self.end]
        return Sample(prompt_ids=(*ids, self._mark("assistant")), token_ids=(*pieces[-1].ids, self.end))

    def _mark(self, role: str) -> int:
        return int(self.tokenizer.token_to_id(f"<|{role}|>"))

    def learn(self, lessons: Sequence[Sequence[Said]], learning_rate: float) -> dict[str, float]:
        job = FitJob(
            data=tuple(map(self.sample, lessons)), batch=16, learning_rate=learning_rate, schedule="constant",
            warmup=0.0 if self.fits else 0.5, keep_state=True, rank=self.rank, adapter=self.adapter, state=self.state,
            seed=self.seed + self.fits,
        )  # fmt: skip
        fitted = asyncio.run(self.model.fit(job))
        self.adapter, self.state, self.fits = fitted.adapter, fitted.state, self.fits + 1
        return dict(fitted.stats)

    def answers(self, asked: Sequence[Sequence[Said]], temperature: float, seed: int = 0) -> list[str]:
        probe = Probe(self.model, adapter=self.adapter)
        probe.seed = seed
        return probe.say([turns(a) for a in asked], temperature)


def turns(dialogue: Sequence[Said]) -> Asked:
    return [Turn(role=said.role, text=said.text) for said in dialogue]  # type: ignore[arg-type]


def teach(pupil: Pupil, chunks: int, rate: float, size: int, questions: int) -> None:
    """So many chunks of ``size`` lessons at a constant rate, which falls in the last few."""
    role, rng = pupil.role, random.Random(pupil.seed)
    own: dict[Task, list[str]] = {}
    began = time.monotonic()
    for chunk in range(chunks):
        left = chunks - chunk
        if chunk and chunk % OWN == 0:
            asked = [role.draw(rng) for _ in range(questions)]
            said = pupil.answers([role.ask(t) for t in asked], 1.0, seed=chunk)
            wrong = {t: [a] for t, a in zip(asked, said, strict=True) if role.again(t, a) is not None}
            own.update(wrong)
            print(f"{len(wrong)} of {questions} first attempts were found wrong", file=sys.stderr)
        drawn = [lesson(role, rng, own, min(1.0, chunk / EASY)) for _ in range(size)]
        stats = pupil.learn(drawn, rate * (FALL[-left] if left <= len(FALL) else 1.0))
        spent = time.monotonic() - began
        print(f"{chunk + 1}/{chunk + left}  loss {stats['loss']:.3f}  {spent:.0f} s", file=sys.stderr, flush=True)


def measure(probe: Probe, role: Role, count: int) -> dict[str, Any]:
    """Rates on questions that no lesson was drawn from, at temperature 0; what it does again, at 1."""
    rng = random.Random(f"card {role.name}")
    tasks = [role.draw(rng, taught=False) for _ in range(count)]
    first = probe.say([turns(role.ask(t)) for t in tasks], 0.0)
    found = {"first try": rate([role.right(t, a) for t, a in zip(tasks, first, strict=True)])}
    sampled = probe.say([turns(role.ask(t)) for t in tasks], 1.0)
    found["first try, temperature 1"] = rate([role.right(t, a) for t, a in zip(tasks, sampled, strict=True)])
    noticed = [(t, again) for t, a in zip(tasks, sampled, strict=True) if (again := role.again(t, a)) is not None]
    right = zip(tasks, sampled, strict=True)
    found["wrong ones that feedback finds"] = rate([role.again(t, a) is not None for t, a in right if not role.right(t, a)])
    repaired = probe.say([turns(again) for _, again in noticed])
    found["after feedback"] = rate([role.right(t, a) for (t, _), a in zip(noticed, repaired, strict=True)])
    fresh = probe.say([turns(role.ask(t)) for t, _ in noticed])
    found["a fresh try"] = rate([role.right(t, a) for (t, _), a in zip(noticed, fresh, strict=True)])
    others = [role.other(rng, taught=False) for _ in range(count)]
    answers = probe.say([turns(asked) for _, asked, _ in others], 0.0)
    marked = [marks(role, asked, right, a) for a, (_, asked, right) in zip(answers, others, strict=True)]
    found[others[0][0]] = rate([right for part in marked for right in part])
    return found


def card() -> str:
    """What the model card says of the roles, from their rates."""
    lines = [
        "## Roles",
        "",
        "What the model was never taught it was taught later, one small adapter for each role (`make lab-roles`, "
        "`--model embedded:lab+ROLE`). Rates are on questions that no lesson was drawn from, greedy unless a temperature is "
        "given, with 95% Wilson intervals. After feedback and a fresh try are of the same questions, at temperature 1: those "
        "whose attempt, at temperature 1, clingo or the interpreter found wrong.",
        "",
    ]
    for name in ROLES:
        folder = ROLES_FOLDER / name
        if not (folder / "rates.json").exists():
            continue
        made = json.loads((folder / "rates.json").read_text())
        lines += [
            f"### `{name}`",
            "",
            f"{TITLES[name]}. {made['lessons']} lessons, seed {made['seed']}, {made['minutes']:.0f} minutes on "
            f"{made['threads']} thread, rank {made['rank']}, {made['bytes'] / 1e3:.0f} kB. SHA-256 of the adapter: "
            f"`{made['sha256']}`.",
            "",
            "| | rate | of |",
            "|---|---|---|",
            *(f"| {what} | {cell(found)} | {found['n']} |" for what, found in made["rates"].items()),
            "",
        ]
    return "\n".join(lines)


def write(pupil: Pupil, out: Path, made: dict[str, Any], count: int) -> None:
    """The adapter in bfloat16, and the rates of what was written."""
    file = lora.export_adapter(pupil.blobs.get(pupil.adapter), out, dtype=torch.bfloat16) / lora.ADAPTER_FILE
    rates = measure(Probe(load(f"embedded:lab+{out}")), pupil.role, count)
    known = {"sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "bytes": file.stat().st_size}
    (out / "rates.json").write_text(json.dumps({**made, **known, "rates": rates}, indent=1) + "\n")
    print(json.dumps(rates), file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("role", nargs="?", choices=sorted(ROLES))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--lessons", type=int, help="usually 11000")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, help="of learning, usually 0.005")
    parser.add_argument("--rank", type=int, default=12)
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"), help="of the weights that stay")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--count", type=int, default=400, help="questions to measure with")
    parser.add_argument("--card", action="store_true", help="write the card's part on roles and nothing else")
    parser.add_argument("--smoke", action="store_true", help="a tiny adapter, to see that the script runs")
    options = parser.parse_args()
    if options.card or options.role is None:
        (ROLES_FOLDER / "README.md").write_text(card())
        return
    options.lessons = options.lessons or LESSONS.get(options.role, 11_000)
    options.rate = options.rate or RATES.get(options.role, 5e-3)
    torch.set_num_threads(options.threads)
    rank, questions, count = (2, 4, 8) if options.smoke else (options.rank, 400, options.count)
    began = time.monotonic()
    pupil = Pupil(ROLES[options.role], options.seed, rank, options.dtype)
    size = min(CHUNK, options.lessons)
    teach(pupil, options.lessons // size, options.rate, size, questions)
    made = {
        "lessons": options.lessons, "seed": options.seed, "rate": options.rate, "rank": rank, "dtype": options.dtype,
        "threads": options.threads,
        "minutes": round((time.monotonic() - began) / 60, 1),
    }  # fmt: skip
    write(pupil, options.out or ROLES_FOLDER / options.role, made, count)


if __name__ == "__main__":
    main()
