"""The toy that recipes are checked on: sums, and a scripted model whose skill answers to what recipes can change.

The model is right with a probability that is known exactly and moves with

* the wording of its instructions, by an amount that differs from seed to seed and is zero on average over seeds,
* worked examples: right ones raise it, wrong ones lower it,
* the adapter: training on right answers raises it, on wrong ones lowers it, on its own unsorted answers does neither; where
  it was trained under several wordings, what it learned under each holds for that one,
* evidence about the very sum it is asked for, in any message after the question.

Asked to write an instruction, a prompt, documentation or parameters, it makes something up.

So a gain comes through the feedback or not at all, and feedback that was mixed up gives none on average.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from loopwright.core.context import Context
from loopwright.core.errors import BadOutput, HiddenFromRecipes
from loopwright.core.feedback import FREE, Cost, Feedback, Gradient, Missing, Verdict
from loopwright.core.model import Blobs, FitJob, Fitted, Pair, Reading, Reply, Request, Sample, Sampling
from loopwright.core.policy import Prompt
from loopwright.core.types import Example, Rollout, Turn, digest
from loopwright.core.world import Critic, Split, Tool

BASE = 0.4  # chance of a right answer before anything is improved
WORDING = 0.3  # a wording is this much better or worse
SHOT = 0.05  # for each worked example
EVIDENCE = 0.45
TRAINING = 0.5  # when all that was trained on is right
_ODDS = BASE / (1 - BASE)  # wrong answers weigh this much, so that unsorted ones cancel out

SUM = re.compile(r"What is (\d+) \+ (\d+)\?")
EQUATION = re.compile(r"(\d+) \+ (\d+) = (\d+)")
_EVIDENCE = re.compile(r"(\d+) \+ (\d+) is ")
INSTRUCTION = "Write the whole equation."
_WRITE = re.compile(r"(?i)\bwrite\b[^.\n]{0,60}\b(?:instruction|prompt|documentation|parameter)")


def share(*parts: Any) -> float:
    """A number in [0, 1) that only depends on the parts."""
    return int(digest(list(parts))[:13], 16) / 16**13


def is_right(text: str) -> bool:
    """Whether the last equation in the text is true."""
    found = EQUATION.findall(text)
    return bool(found) and int(found[-1][0]) + int(found[-1][1]) == int(found[-1][2])


def objection(text: str) -> str:
    """What a calculator says of the last equation in the text; nothing where it is true."""
    found = EQUATION.findall(text)
    if not found:
        return "There is no equation."
    a, b, c = map(int, found[-1])
    return "" if a + b == c else f"{a} + {b} is {'more' if a + b > c else 'less'} than {c}."


# ---- the model --------------------------------------------------------------------------------------------------------


class ToyModel:
    """Implements core.model.Model and Trainable. ``calls`` and ``sequences`` count what this object was asked for."""

    def __init__(
        self, seed: int, blobs: Blobs, *, batch_rows: int = 0, silent: float = 0.0, silence: str | None = "?"
    ) -> None:
        self.name = "toy"
        self.seed = seed
        self.fingerprint = digest([type(self).__name__, seed, silent, silence])
        self.batch_rows = batch_rows
        self.silent = silent  # this share of what it would say is replaced by
        self.silence = silence  # these words; None: the reply is refused as empty, as servers' empty replies are
        self.blobs = blobs
        self.calls = 0
        self.sequences = 0
        self.fits = 0

    def chance(self, turns: Sequence[Turn], adapter: str | None = None) -> float:
        """That the answer to this conversation is right."""
        asked = [i for i, t in enumerate(turns) if t.role == "user" and SUM.search(t.text)]
        if not asked:
            return 0.0
        last = asked[-1]
        a, b = SUM.search(turns[last].text).groups()  # type: ignore[union-attr]
        system = " ".join(t.text for t in turns if t.role == "system")
        wording = f"{system}|{SUM.sub('', turns[last].text).strip()}"
        p = BASE
        if wording != f"|{INSTRUCTION}":
            p += WORDING if share("wording", self.seed, wording) < 0.5 else -WORDING
        for turn in turns[:last]:
            if turn.role == "assistant":
                p += SHOT if is_right(turn.text) else -SHOT * _ODDS
        later = " ".join(t.text for t in turns[last + 1 :] if t.role != "assistant")
        if (a, b) in _EVIDENCE.findall(later):
            p += EVIDENCE
        if adapter is not None:
            p += self._skill(adapter, _wording("\n".join(t.text for t in turns)))
        return min(max(p, 0.02), 0.98)

    def _skill(self, adapter: str | None, wording: str = "") -> float:
        if adapter is None:
            return 0.0
        fitted = json.loads(self.blobs.get(adapter))
        return float(fitted["under"].get(wording, fitted["skill"]))

    async def generate(self, requests: Sequence[Request]) -> Sequence[Reply]:
        self.calls += len(requests)
        self.sequences += sum(request.n for request in requests)
        if self.silent and self.silence is None:
            raise BadOutput("toy answered nothing", kind="empty")
        return [self._reply(request) for request in requests]

    def _reply(self, request: Request) -> Reply:
        p = self.chance(request.turns, request.adapter)
        said = [[t.role, t.text] for t in request.turns]
        prompt = self.prompt_ids(request.turns)
        same = request.sampling.temperature == 0
        choices = tuple(self._turn(request, said, prompt, p, 0 if same else i) for i in range(request.n))
        written = sum(len(c.token_ids) for c in choices)
        return Reply(choices=choices, cost=Cost(calls=1, prompt_tokens=len(prompt), completion_tokens=written))

    def _turn(self, request: Request, said: Any, prompt: tuple[int, ...], p: float, i: int) -> Turn:
        luck = share("luck", self.seed, said, request.adapter, request.seed, i)
        text, p = self._say(request, luck, p)
        if self.silence is not None and share("silent", luck) < self.silent:
            text = self.silence
        return written(text, prompt, p)

    def _say(self, request: Request, luck: float, p: float) -> tuple[str, float]:
        """What it says, and how likely it was to say that. ``luck`` is in [0, 1), ``p`` the chance of being right."""
        asked = [SUM.search(t.text) for t in request.turns if t.role == "user" and SUM.search(t.text)]
        if not asked or asked[-1] is None or _WRITE.search(request.turns[-1].text):
            return f"Be careful, variant {int(luck * 1e6)}.", 0.5
        a, b = map(int, asked[-1].groups())
        off = 0 if luck < p else miss(luck)
        return f"{a} + {b} = {max(a + b + off, 0)}", p if off == 0 else (1 - p) / 6

    def estimate(self, request: Request) -> Cost:
        prompt = sum(len(t.text) + 1 for t in request.turns)
        return Cost(calls=1, prompt_tokens=prompt, completion_tokens=request.n * request.sampling.max_tokens)

    def prompt_ids(self, turns: Sequence[Turn]) -> tuple[int, ...]:
        return _tokens("\n".join(t.text for t in turns))

    async def fit(self, job: FitJob) -> Fitted:
        """The adapter's skill goes up with the share of right answers, each weighted as the job says."""
        self.fits += 1
        lessons: dict[str, list[float]] = {}
        for item in job.data:
            prompt = item.chosen if isinstance(item, Pair) else item
            lessons.setdefault(_wording("".join(map(chr, prompt.prompt_ids))), []).append(_lesson(item))

        def learned(values: Sequence[float], wording: str = "") -> float:
            return min(max(self._skill(job.adapter, wording) + TRAINING * math.fsum(values) / len(values), -BASE), 1 - BASE)

        skill = learned([value for values in lessons.values() for value in values])
        under = {w: learned(values, w) for w, values in sorted(lessons.items())} if len(lessons) > 1 else {}
        # The seed is in the blob as the weights of a real adapter would differ with it.
        blob = json.dumps({"skill": skill, "under": under, "seed": job.seed, "loss": job.loss})
        return Fitted(adapter=self.blobs.put(blob.encode()), stats={"skill": skill}, cost=FREE)

    async def forward(self, samples: Sequence[Sample], what: Reading, adapter: str | None) -> list[list[float]]:
        """Plausible numbers that depend on the text and the adapter; scores lean towards what the toy was fitted on."""
        skill = self._skill(adapter)
        out = []
        for sample in samples:
            text = "".join(map(chr, sample.token_ids))
            size = 8 if what == "features" else len(sample.token_ids)
            noise = [share(what, text, i) for i in range(size)]
            if what == "scores":
                noise = [x + 4 * skill * _right(sample) for x in noise]
            out.append([-x for x in noise] if what == "logprobs" else noise)
        return out

    def answer_ids(self, text: str) -> tuple[int, ...]:
        return _tokens(text)

    def text_ends(self, token_ids: Sequence[int]) -> list[int]:
        return list(range(1, len(token_ids) + 1))

    async def close(self) -> None:
        return None


def _wording(conversation: str) -> str:
    """What is left of a conversation without its sums."""
    return " ".join(EQUATION.sub("", SUM.sub("", conversation)).split())


def _lesson(item: Sample | Pair) -> float:
    """How much right answers, rather than wrong ones, are what this item teaches."""
    if isinstance(item, Pair):
        return item.weight * (_right(item.chosen) - _right(item.rejected))
    label = item.values.get("label")
    if isinstance(label, float):  # 1 is to be learned, 0 to be unlearned
        return item.weight * (2 * label - 1) * _right(item)
    worth = item.values.get("advantage", item.values.get("reward", 1.0))
    # An advantage per token says of this toy what its mean does.
    return item.weight * (worth if isinstance(worth, float) else float(np.mean(worth))) * _right(item)


def _right(sample: Sample) -> float:
    return 1.0 if is_right("".join(map(chr, sample.token_ids))) else -_ODDS


def miss(luck: float) -> int:
    """By how much a wrong answer is off."""
    return (-3, -2, -1, 1, 2, 3)[int(share("off", luck) * 6)]


def written(text: str, prompt: tuple[int, ...], p: float) -> Turn:
    """A turn of the toy, with its tokens; p: how likely it was."""
    ids = _tokens(text)
    return Turn(
        role="assistant", text=text, prompt_ids=prompt, token_ids=ids, finish="stop",
        logprobs=(math.log(p) / len(ids),) * len(ids) if ids else (),
    )  # fmt: skip


def _tokens(text: str) -> tuple[int, ...]:
    return tuple(map(ord, text))


@dataclass(frozen=True)
class ToyOutcome:
    """What the toy sandbox returns: nothing is executed."""

    status: str = "ok"
    exit_code: int | None = 0
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0
    truncated: bool = False


class ToySandbox:
    """Stands in for running a program by looking for the last equation in it, or in its files.

    A true one prints what it comes to; a false one is an error with the calculator's words.
    """

    async def run(self, code: str, *, files: Mapping[str, str] = MappingProxyType({}), **options: Any) -> ToyOutcome:
        program = "\n".join([code, *files.values()])
        wrong = objection(program)
        if wrong:
            return ToyOutcome(status="error", exit_code=1, stderr=wrong)
        a, b, c = EQUATION.findall(program)[-1]
        return ToyOutcome(stdout=f"{a} + {b} is {c}.\n")


# ---- the world --------------------------------------------------------------------------------------------------------


@dataclass
class ToyWorld:
    """Implements core.world.World. ``watching`` is called with the capability whenever a critic or tool is used.

    judgements: ``true`` as they are; ``missing``: every third fails; ``none``: all fail; ``gradient``: a kind that becomes
        no other.
    hear: gets (scope, tool, what the tool said) and gives what is heard.
    """

    judgements: str = "true"
    watching: Callable[[str], None] = lambda capability: None
    hear: Callable[[str, str, str], str] = lambda scope, tool, said: said
    name: str = "toy"
    prompt: Prompt = Prompt(instruction=INSTRUCTION)
    sampling: Sampling = Sampling(max_tokens=32)
    checker: Critic = field(init=False)
    critics: Sequence[Critic] = field(init=False)
    tools: Mapping[str, Tool] = field(init=False)
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        self.checker = self._check
        self.critics = (self.checker,)
        self.tools = {"calculator": self._calculator, "search": self._search}
        self.fingerprint = digest(["toy", self.judgements])
        self._held: dict[str, Sequence[Example]] = {s: _split(s, n) for s, n in (("train", 24), ("gate", 24), ("test", 40))}

    def examples(self, split: Split) -> Sequence[Example]:
        return self._held[split]

    async def _check(self, rollout: Rollout, ctx: Context) -> Feedback:
        """The objective; the sum can be read off the question, so it is also the critic."""
        self.watching("critic")
        if self.judgements == "gradient":
            return Gradient(vector=(1.0,))
        if share("missing", rollout.id) < {"missing": 1 / 3, "none": 1.0}.get(self.judgements, 0.0):
            return Missing(expected="verdict", message="the checker was not there")
        asked = SUM.search(rollout.example.question)
        answered = EQUATION.findall(rollout.output)
        if asked is None or not answered or answered[-1][:2] != asked.groups():
            return Verdict(passed=False, message="That is not an equation of this sum.")
        wrong = objection(rollout.output)
        return Verdict(passed=not wrong, message=wrong)

    def demonstrate(self, example: Example) -> str:
        """The equation that answers a question."""
        found = SUM.search(example.question)
        assert found is not None
        return f"{found[1]} + {found[2]} = {example.target}"

    async def _calculator(self, text: str, ctx: Context) -> str:
        self.watching("tools")
        return self.hear(ctx.scope, "calculator", objection(text))

    async def _search(self, text: str, ctx: Context) -> str:
        self.watching("tools")
        found = re.findall(r"(\d+) \+ (\d+)", text)
        said = " ".join(f"{a} + {b} is {int(a) + int(b)}." for a, b in found) or "Nothing was found."
        return self.hear(ctx.scope, "search", said)


_LOOKING: ContextVar[bool] = ContextVar("looking", default=False)


@contextmanager
def looking() -> Iterator[None]:
    """What is read of held-out examples in here is read by a check, not by a recipe. Nothing may be awaited in here."""
    token = _LOOKING.set(True)
    try:
        yield
    finally:
        _LOOKING.reset(token)


class Trapped(Sequence[Example]):
    """Examples that are made when a check looks at them. Whoever else does is noted, and gets nothing."""

    def __init__(self, split: str, size: int, noted: list[str]) -> None:
        self._split, self._size, self._noted = split, size, noted

    def _made(self) -> tuple[Example, ...]:
        if not _LOOKING.get():
            self._noted.append(f"the {self._split} examples")
            raise HiddenFromRecipes(f"the {self._split} examples are shown to no recipe")
        return _split(self._split, self._size)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Example]:
        return iter(self._made())

    def __getitem__(self, at: Any) -> Any:
        return self._made()[at]


@dataclass
class GuardedWorld(ToyWorld):
    """The toy with held-out examples that note who looks at them. ``noted``: what was looked at by no check."""

    noted: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        for split in ("gate", "test"):
            self._held[split] = Trapped(split, len(self._held[split]), self.noted)

    def examples(self, split: Split) -> Sequence[Example]:
        """Those of a check are as they are; whoever else asks for held-out ones is noted."""
        found = super().examples(split)
        return tuple(found) if isinstance(found, Trapped) else found


def _split(split: str, n: int) -> tuple[Example, ...]:
    shift = {"train": 11, "gate": 41, "test": 71}[split]
    return tuple(
        # The target is a number, so that recipes that show targets as worked examples have to earn theirs.
        Example(id=f"{split}-{i}", input=f"What is {shift + i} + {2 * i + 5}?", target=shift + 3 * i + 5)
        for i in range(n)
    )
