"""Prompt optimisation beside GEPA's and DSPy's own: python benchmarks/prompt_search.py [--json] [--peers PYTHON]

A server on loopback answers after 50 ms and plays a model that knows nothing but what its prompt says. Each question names
the items of a parcel, of 24 kinds; the answer is the depot of each, which nobody can know without a rule such as "tea goes
to depot 7" in the prompt. Feedback names the right depots of what was wrong. Asked to rewrite a prompt, the server adds a
rule for most of what the feedback names, one in twenty of them wrong, and forgets some that were there; asked to join several,
it takes of each rule what most of them say. So this is a task whose rules add up. All optimisers talk to the same server
and may have the same number of attempts judged; ours counts its calls for rewriting among them, the others do not.

* wall over ideal: ideal is calls x latency / workers. Ours makes workers / 3 proposals together, three rounds under way at
  once; GEPA runs as it comes, and with workers / 4 proposals at once (``IndependentSampling``).
* beyond: calls made over the budget. repaid: with ``kill -9`` halfway and a second start, calls that were answered
  and are in no result, beside those that were in flight when it died.
* score: of the best prompt on 400 parcels that nobody was shown, worked out from its rules, over several seeds.

The package ``gepa`` and ``dspy`` may live in an environment of their own: --peers /path/to/bin/python. What is not there is
left out and named.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from _serving import Tally, completion, serve

LATENCY = 0.05  # seconds, unless told otherwise
MODEL = "bench"
ITEMS = (
    "tea glass paint rope salt lamps books bolts wool seeds tiles honey cable boots clocks flour candles maps drums "
    "pipes silk nails cheese tents"
).split()
DEPOTS = 9
SHOWN, FRONT, HELD = 60, 24, 400  # parcels to learn from, to choose by, to judge the result by
SEED_PROMPT = "Say for each item of the parcel to which depot it goes."
KEPT, LEARNT, MISREAD = 0.97, 0.7, 0.05  # chances that a rewrite keeps a rule, takes one from the feedback, and gets that wrong

RULE = re.compile(r"\b([a-z]+) goes to depot (\d)")
TOLD = re.compile(r"\b([a-z]+) belongs to depot (\d)")
PARCEL = re.compile(r"Parcel (\d+): ([a-z, ]+)")


# ---- the task -----------------------------------------------------------------------------------------------------------


def parcels(seed: int) -> tuple[dict[str, int], list[list[str]]]:
    """The depot of each kind, and the items of every parcel: to learn from, to choose by, held out."""
    rng = random.Random(seed)
    truth = {item: rng.randint(1, DEPOTS) for item in ITEMS}
    return truth, [rng.sample(ITEMS, 3) for _ in range(SHOWN + FRONT + HELD)]


def question(number: int, items: list[str]) -> str:
    return f"Parcel {100 + number}: {', '.join(items)}"  # no number is a depot too


def answered(prompt: str, items: list[str]) -> str:
    rules = dict(RULE.findall(prompt))
    return ", ".join(f"{item} {rules.get(item, '?')}" for item in items)


def judged(truth: dict[str, int], items: list[str], answer: str) -> tuple[float, str]:
    """Share of the items with the right depot, and what to say of the others."""
    said = dict(re.findall(r"([a-z]+) (\d)", answer))
    wrong = [item for item in items if said.get(item) != str(truth[item])]
    return 1 - len(wrong) / len(items), " ".join(f"{item} belongs to depot {truth[item]}." for item in wrong) or "All right."


def held_out(seed: int, prompt: str) -> float:
    truth, every = parcels(seed)
    return statistics.fmean(judged(truth, items, answered(prompt, items))[0] for items in every[SHOWN + FRONT :])


# ---- the model ----------------------------------------------------------------------------------------------------------


def rewritten(conversation: str) -> str:
    """A new prompt, drawn by the hash of what was asked: the same question has the same answer."""
    rng = random.Random(hashlib.sha256(conversation.encode()).digest())
    said: dict[str, list[str]] = {}
    for item, depot in RULE.findall(conversation):
        said.setdefault(item, []).append(depot)
    rules = {item: max(depots, key=depots.count) for item, depots in said.items() if rng.random() < KEPT}
    for item, depot in dict(TOLD.findall(conversation)).items():
        if rng.random() < LEARNT:
            rules[item] = str(rng.randint(1, DEPOTS)) if rng.random() < MISREAD else depot
    return "\n".join([SEED_PROMPT, *(f"{item} goes to depot {depot}." for item, depot in rules.items())])


def played(body: dict[str, Any]) -> tuple[str, bool]:
    """The reply, and whether it was an attempt at a parcel."""
    conversation = "\n".join(str(message["content"]) for message in body["messages"])
    if TOLD.search(conversation) or not PARCEL.search(conversation):
        text = rewritten(conversation + str(body.get("seed", "")))
        return json.dumps({"new_instruction": text}) if "new_instruction" in conversation else f"```\n{text}\n```", False
    found = PARCEL.findall(conversation)
    text = answered(conversation, [item.strip() for item in found[-1][1].split(",")])
    return f"[[ ## answer ## ]]\n{text}\n\n[[ ## completed ## ]]" if "[[ ## answer ## ]]" in conversation else text, True


def serve_parcels(latency: float) -> None:
    """Prints its port; answers until its standard input closes. GET tells what it has seen."""
    tally, attempts = Tally(), 0

    def answer(body: bytes) -> bytes:
        nonlocal attempts
        text, attempt = played(json.loads(body))
        attempts += attempt
        return json.dumps(completion(MODEL, text, 200, 20)).encode()

    serve(answer, latency, tally, lambda: {"calls": tally.calls, "attempts": attempts, "in_flight": tally.in_flight})


# ---- the optimisers, each in a process of its own: (prompt, attempts or calls that its result stands on) ----------------


async def ours(url: str, budget: int, workers: int, seed: int, folder: Path) -> tuple[str, int]:
    from loopwright.blocks.convert import convert
    from loopwright.core import loop
    from loopwright.core.budget import Ledger
    from loopwright.core.context import Context
    from loopwright.core.engine import Engine
    from loopwright.core.errors import BudgetExhausted
    from loopwright.core.policy import prompt_of
    from loopwright.core.registry import get_recipe
    from loopwright.core.types import Budget, Candidate
    from loopwright.core.world import start
    from loopwright.improve.session import rarely_collected
    from loopwright.models.openai import OpenAIModel
    from loopwright.store import SqliteStore

    world = _world(seed)
    store = SqliteStore(folder / "loopwright.db")
    known = store.runs()
    run = known[-1] if known else store.create_run({}, seed=seed, budget={"calls": budget}, code_version="")
    model = OpenAIModel(MODEL, base_url=url, concurrency=workers)
    ledger = Ledger(Budget(calls=budget))
    engine = Engine(store=store, run=run, ledger=ledger, models={"policy": model}, convert=convert, cache=False)
    recipe = get_recipe("gepa")
    best = start(world)
    ctx = Context(engine, "gepa", world=world, policy=best, recipe=recipe)

    async def offer(candidate: Candidate) -> bool:
        nonlocal best
        best = candidate
        return True

    options = {"rounds": budget, "front": FRONT, "together": max(1, workers // 3), "ahead": 3}
    with contextlib.suppress(BudgetExhausted), rarely_collected():  # as ``loopwright run`` does
        await loop.improve(recipe, best, ctx, offer, options)
    await model.close()
    done = sum(e.kind == "generate" and e.status == "done" for e in store.effects(run.id))
    store.close()
    return prompt_of(best).instruction, done


def _world(seed: int) -> Any:
    from loopwright.core.feedback import Score
    from loopwright.core.model import Sampling
    from loopwright.core.policy import Prompt
    from loopwright.core.types import Example, Rollout

    truth, every = parcels(seed)
    examples = [
        Example(id=f"p{i}", input=question(i, items), target={item: truth[item] for item in items})
        for i, items in enumerate(every[: SHOWN + FRONT])
    ]

    class World:
        name = "parcels"
        fingerprint = f"parcels {seed}"
        prompt = Prompt(instruction=SEED_PROMPT)
        sampling = Sampling(max_tokens=256)
        critics = ()
        tools: dict[str, Any] = {}

        def examples(self, split: str) -> list[Example]:
            return examples

        async def checker(self, rollout: Rollout, ctx: Any) -> Score:
            value, said = judged(truth, list(rollout.example.target or {}), rollout.output)
            return Score(value=value, message=said)

    return World()


def gepa(url: str, budget: int, workers: int, seed: int, folder: Path, at_once: int = 1) -> tuple[str, int]:
    from gepa import optimize
    from gepa.adapters.default_adapter.default_adapter import DefaultAdapter, EvaluationResult

    truth, every = parcels(seed)
    data = [
        {"input": question(i, items), "additional_context": {}, "answer": " ".join(items)} for i, items in enumerate(every)
    ]

    def evaluate(row: Any, response: str) -> EvaluationResult:
        return EvaluationResult(*judged(truth, row["answer"].split(), response))

    more = {}
    if at_once > 1:
        from gepa.strategies.proposal_sampling import IndependentSampling

        more["sampling_strategy"] = IndependentSampling(at_once)
    lm = {"api_base": url, "api_key": "none"}
    adapter = DefaultAdapter(f"openai/{MODEL}", evaluate, max_litellm_workers=workers, litellm_batch_completion_kwargs=lm)
    found = optimize(
        {"instruction": SEED_PROMPT}, trainset=data[:SHOWN], valset=data[SHOWN : SHOWN + FRONT], adapter=adapter,
        reflection_lm=f"openai/{MODEL}", reflection_lm_kwargs=lm, max_metric_calls=budget, run_dir=str(folder), seed=seed,
        logger=_Silent(), **more,
    )  # fmt: skip
    return found.best_candidate["instruction"], int(found.total_metric_calls or 0)


class _Silent:
    def log(self, message: str) -> None:
        pass


def dspy_gepa(url: str, budget: int, workers: int, seed: int, folder: Path) -> tuple[str, int]:
    import dspy

    truth, every = parcels(seed)
    lm = dspy.LM(f"openai/{MODEL}", api_base=url, api_key="none", cache=False, temperature=1.0, max_tokens=256)
    dspy.configure(lm=lm)
    data = [
        dspy.Example(question=question(i, items), items=tuple(items)).with_inputs("question") for i, items in enumerate(every)
    ]

    def metric(gold: Any, pred: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None) -> Any:
        score, said = judged(truth, list(gold["items"]), pred.answer or "")
        return dspy.Prediction(score=score, feedback=said)

    program = dspy.Predict(dspy.Signature("question -> answer", SEED_PROMPT))
    optimiser = dspy.GEPA(
        metric, max_metric_calls=budget, reflection_lm=lm, num_threads=workers, log_dir=str(folder), seed=seed, track_stats=True
    )
    found = optimiser.compile(program, trainset=data[:SHOWN], valset=data[SHOWN : SHOWN + FRONT])
    return found.signature.instructions, int(found.detailed_results.total_metric_calls or 0)


# name, the package it needs, whether rewriting counts towards the budget
SYSTEMS = {"loopwright": ("", True), "gepa": ("gepa", False), "gepa-at-once": ("gepa", False), "dspy": ("dspy", False)}


def play(system: str, url: str, budget: int, workers: int, seed: int, folder: Path) -> None:
    """In the child: one optimisation, timed, without the imports."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or litellm fetches a file from the network
    if system == "loopwright":
        import aiohttp  # noqa: F401

        import loopwright.improve.session
        import loopwright.models.openai
        import loopwright.store  # noqa: F401
        from loopwright.core.registry import get_recipe

        get_recipe("gepa")
        began = time.perf_counter()
        prompt, standing = asyncio.run(ours(url, budget, workers, seed, folder))
    elif system == "dspy":
        import dspy  # noqa: F401

        began = time.perf_counter()
        prompt, standing = dspy_gepa(url, budget, workers, seed, folder)
    else:
        import litellm  # noqa: F401

        began = time.perf_counter()
        prompt, standing = gepa(url, budget, workers, seed, folder, max(1, workers // 4) if system == "gepa-at-once" else 1)
    print("RESULT " + json.dumps({"wall": time.perf_counter() - began, "prompt": prompt, "standing": standing}))


# ---- measuring ----------------------------------------------------------------------------------------------------------


class Server:
    def __init__(self, latency: float = LATENCY) -> None:
        self.latency = latency

    def __enter__(self) -> Server:
        command = [sys.executable, __file__, "--serve", "--latency", str(self.latency)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = f"http://127.0.0.1:{int(self.process.stdout.readline())}"
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)

    def seen(self) -> dict[str, int]:
        with urllib.request.urlopen(self.address) as answer:
            found: dict[str, int] = json.loads(answer.read())
        return found


def child(python: str, system: str, server: Server, options: list[str]) -> subprocess.Popen[str]:
    command = [python, __file__, "--play", system, "--url", f"{server.address}/v1", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=600)
    line = next((line for line in out.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise RuntimeError(err[-2000:])
    found: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    return found


def timed(python: str, system: str, budget: int, workers: int, seed: int, latency: float) -> dict[str, float]:
    with Server(latency) as server, tempfile.TemporaryDirectory() as folder:
        options = ["--budget", str(budget), "--workers", str(workers), "--seed", str(seed), "--folder", folder]
        result = finished(child(python, system, server, options))
        seen = server.seen()
    ideal = seen["calls"] * latency / workers
    counted = seen["calls"] if SYSTEMS[system][1] else seen["attempts"]
    return {
        "wall": result["wall"], "ratio": result["wall"] / ideal, "calls": seen["calls"], "beyond": max(0, counted - budget),
        "score": held_out(seed, result["prompt"]),
    }  # fmt: skip


def killed(python: str, system: str, budget: int, workers: int, seed: int) -> dict[str, int]:
    """Calls repaid by a run that was killed halfway and started again."""
    kind = "calls" if SYSTEMS[system][1] else "attempts"
    with Server() as server, tempfile.TemporaryDirectory() as folder:
        options = ["--budget", str(budget), "--workers", str(workers), "--seed", str(seed), "--folder", folder]
        first = child(python, system, server, options)
        while server.seen()[kind] < budget // 2:
            if first.poll() is not None:
                raise RuntimeError(f"it ended before it could be killed: {first.communicate()[1][-2000:]}")
            time.sleep(0.005)
        in_flight = server.seen()["in_flight"]
        first.send_signal(signal.SIGKILL)
        first.communicate()
        before = server.seen()[kind]
        result = finished(child(python, system, server, options))
        return {"done": before, "in_flight": in_flight, "repaid": max(0, server.seen()[kind] - int(result["standing"]))}


def there(python: str, package: str) -> bool:
    look = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({package!r}) is None)"
    return not package or subprocess.run([python, "-c", look], check=False).returncode == 0


def interval(values: list[float]) -> tuple[float, float]:
    """Mean and half the width of its 95% interval, by Student's t with these few values."""
    t = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 8: 2.36, 10: 2.26, 16: 2.13}.get(len(values), 2.0)
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return statistics.fmean(values), t * spread / len(values) ** 0.5


def measure(
    python: str, budget: int, workers: list[int], seeds: int, only: list[str], kill: bool, latency: float
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    skipped: dict[str, str] = {}
    for system, (package, _) in SYSTEMS.items():
        used = python if package else sys.executable
        if only and system not in only:
            continue
        if not there(used, package):
            skipped[system] = f"{package} is not installed; --peers names a Python that has it"
            continue
        found[system] = {}
    runs: dict[tuple[str, int], list[dict[str, float]]] = {(s, w): [] for s in found for w in workers}
    for seed in range(seeds):  # side by side, so that a noisy machine hurts all alike
        for count in workers:
            for system in found:
                used = python if SYSTEMS[system][0] else sys.executable
                runs[system, count].append(timed(used, system, budget, count, seed, latency))
    for (system, count), rows in runs.items():
        score, half = interval([r["score"] for r in rows])
        found[system][str(count)] = {
            "wall_seconds": round(statistics.median(r["wall"] for r in rows), 3),
            "wall_over_ideal": round(statistics.median(r["ratio"] for r in rows), 2),
            "calls": statistics.median(r["calls"] for r in rows),
            "beyond": max(r["beyond"] for r in rows),
            "score": round(score, 3), "score_half_interval": round(half, 3),
        }  # fmt: skip
        ours = runs.get(("loopwright", count))
        if ours and system != "loopwright":
            ahead, half = interval([a["score"] - b["score"] for a, b in zip(ours, rows, strict=True)])
            found[system][str(count)] |= {"ours_minus_theirs": round(ahead, 3), "half_interval": round(half, 3)}
    if kill:
        for system in found:
            used = python if SYSTEMS[system][0] else sys.executable
            found[system]["killed"] = killed(used, system, budget, workers[0], seed=0)
    return {"systems": found, "skipped": skipped}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--budget", type=int, default=600, help="attempts that may be judged")
    parser.add_argument("--workers", type=int, nargs="*", default=[16, 64])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--peers", default=sys.executable, help="a Python that has gepa and dspy")
    parser.add_argument("--only", nargs="*", default=[], help=f"of {', '.join(SYSTEMS)}")
    parser.add_argument("--latency", type=float, default=LATENCY, help="seconds in which the server answers")
    parser.add_argument("--no-kill", action="store_true")
    for hidden in ("--serve", "--play", "--url", "--seed", "--folder"):
        how: dict[str, Any] = {"action": "store_true"} if hidden == "--serve" else {"default": "0"}
        parser.add_argument(hidden, help=argparse.SUPPRESS, **how)
    options = parser.parse_args()
    if options.serve:
        serve_parcels(options.latency)
        return
    if options.play != "0":
        play(options.play, options.url, options.budget, options.workers[0], int(options.seed), Path(options.folder))
        return
    found = measure(
        options.peers, options.budget, options.workers, options.seeds, options.only, not options.no_kill, options.latency
    )
    ours = found["systems"].get("loopwright", {})
    result = {
        "benchmark": "prompt_search", "cpus": os.cpu_count(), "budget": options.budget, "latency_ms": 1000 * options.latency,
        "seeds": options.seeds, "wall_over_ideal": {k: v["wall_over_ideal"] for k, v in ours.items() if k != "killed"}, **found,
    }  # fmt: skip
    if options.json:
        print(json.dumps(result))
        return
    print(f"{'system':14} {'workers':>7} {'wall s':>8} {'/ideal':>7} {'calls':>6} {'beyond':>6}  held-out score")
    for system, row in found["systems"].items():
        for count in options.workers:
            r = row[str(count)]
            told = f"  ours {r['ours_minus_theirs']:+.3f} ± {r['half_interval']:.3f}" if "ours_minus_theirs" in r else ""
            print(f"{system:14} {count:7} {r['wall_seconds']:8} {r['wall_over_ideal']:7} {r['calls']:6.0f} {r['beyond']:6.0f}  "
                  f"{r['score']:.3f} ± {r['score_half_interval']:.3f}{told}")  # fmt: skip
        if "killed" in row:
            k = row["killed"]
            print(f"{system:14} killed after {k['done']} calls, {k['in_flight']} of them in flight: {k['repaid']} repaid")
    for system, reason in found["skipped"].items():
        print(f"{system:14} skipped: {reason}")


if __name__ == "__main__":
    main()
