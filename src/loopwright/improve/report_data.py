"""What is told of a run, as plain data: the JSON of ``loopwright report --json``."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from loopwright.blocks.lineage import Piece
from loopwright.core.feedback import Frozen
from loopwright.core.gate import Decision, Interval

GATE_TEST = (
    "a paired test on held-out examples, valid at any number of them (an exact sign test for verdicts, a betting test for graded "
    "scores), at levels that allow for every look"
)


class Difference(Frozen):
    """Mean paired difference of scores, second minus first, with its 95% interval. ``missing``: without one of them."""

    effect: float
    low: float
    high: float
    n: int
    missing: int = 0


class Look(Decision):
    """One decision of the gate, as it was recorded."""

    by: str
    note: str = ""
    candidate: str
    incumbent: str


class Offer(Frozen):
    """That the gate was asked, and whether it accepted: what is told of it while the run goes on."""

    look: int
    accepted: bool
    by: str
    note: str = ""
    candidate: str


class Screened(Frozen):
    """A comparison on the screen examples, which decided whether the gate was asked."""

    by: str
    note: str = ""
    candidate: str
    promising: bool
    n: int
    wins: int
    losses: int
    effect: float
    missing: int = 0  # of the losses, those without a judgement on one side or the other


class Spending(Frozen):
    """What one part of the run took: the baseline, a method, the gate's measurements, the final test."""

    part: str
    calls: int = 0
    tokens: int = 0
    seconds: float = 0.0
    money: float = 0.0


class Round(Frozen):
    """One round of a method's own attempts on train examples: their mean score with its interval, None where none was scored.

    n: attempts with a score. cut, unanswered: as ``core.answers.tally`` counts them.
    """

    by: str
    round: int
    score: float | None
    low: float | None
    high: float | None
    n: int
    attempts: int = 0
    cut: int = 0
    unanswered: int = 0
    monitors: dict[str, float] = Field(default_factory=dict)  # by the names of blocks.monitors.MONITORS


class Stop(Frozen):
    """A method that a stop rule ended after this round."""

    by: str
    round: int
    reason: str


class Failure(Frozen):
    """A method that ended by an error; what it had offered before stands."""

    slug: str
    number: int
    error: str


class Doubt(Frozen):
    """Why a model that judged in this run should not be trusted; ``asked`` judgements had been heard when it was told."""

    judge: str
    doubt: str
    message: str
    asked: int = 0


class Training(Frozen):
    """One fine-tuning: its figures as the trainer gave them."""

    number: int
    loss_name: str
    round: int
    stats: dict[str, float]


class ShotLineage(Frozen):
    """A worked example of the prompt and the train example it came from."""

    example: str
    input: str
    output: str
    new: bool


class Replies(Frozen):
    """Model calls of one origin: of this run by a server that says it is ``model`` with this ``system_fingerprint``, or taken
    from an earlier run (``run``, with the date of its newest).
    """

    count: int
    run: str = ""
    date: str = ""
    model: str = ""
    system_fingerprint: str = ""


class Version(Frozen):
    """One candidate. ``look`` is None for the base, which was not offered; lists tell what it changed in its parent.

    origins: of each text whose method kept account of it, by the text's name, its sentences with where each came from.
    """

    hash: str
    parents: tuple[str, ...] = ()
    by: str
    note: str = ""
    look: int | None = None
    accepted: bool | None = None
    reason: str = ""
    changed: tuple[str, ...] = ()
    system: str = ""
    instruction: str = ""
    instruction_new: bool = False
    instruction_from: str = ""  # who wrote the instruction that this version has
    shots: tuple[ShotLineage, ...] = ()
    solver: str = ""
    adapter: str = ""
    origins: dict[str, tuple[Piece, ...]] = Field(default_factory=dict)


class Answers(Frozen):
    """The same question before and after."""

    example: str
    question: str
    target: str
    before: str
    after: str
    before_score: float | None
    after_score: float | None


class Report(Frozen):
    """All that is told of a run. Scores are in [0, 1]; times are UTC seconds."""

    run: str
    task: str
    model: str
    change: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    status: str
    reason: str
    learned: bool
    seed: int
    code_version: str
    created: float
    seconds: float
    budget: dict[str, Any] = Field(default_factory=dict)
    splits: dict[str, int] = Field(default_factory=dict)
    counts: str = "examples"  # what every n of a score is a number of; or "groups"
    alpha: float
    min_effect: float
    gate_test: str = GATE_TEST
    gate_baseline: Interval | None = None
    baseline: Interval | None = None
    final: Interval | None = None
    gain: Difference | None = None
    offers: tuple[Offer, ...] = ()
    looks: tuple[Look, ...] = ()  # with their figures; none before the run is done, as whoever saw them could choose by them
    screened: tuple[Screened, ...] = ()
    repeated_offers: int = 0
    notice: str = ""  # what gain the gate could notice, as said beforehand
    earlier_runs: int = 0  # that asked the gate of the same questions before
    test_used_before: int = 0  # runs that used the same test examples before
    fork: str = ""  # of a run that goes on from another: which, what had changed and what was taken over
    made_by: str = ""  # the earlier run on the same questions that made what this one started from
    unproven: str = ""  # of the best refused candidate, what was left of it
    versions: tuple[Version, ...] = ()
    rounds: tuple[Round, ...] = ()
    stops: tuple[Stop, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    failures: tuple[Failure, ...] = ()
    replies: tuple[Replies, ...] = ()
    fresh: int = 0  # replies that this run asked for
    bound: int = 0  # of these, those whose server does not say how many tokens they took: the most was counted
    server_notices: tuple[str, ...] = ()  # what a server refuses of a request, and what that means
    server_changes: tuple[str, ...] = ()  # what a server said that it was and is
    trainings: tuple[Training, ...] = ()
    spent: Spending
    spending: tuple[Spending, ...] = ()
    outcomes: dict[str, int] = Field(default_factory=dict)  # fixed, broken, right, wrong, missing on the test split
    answers: tuple[Answers, ...] = ()
    judged: dict[str, int] = Field(default_factory=dict)  # rollouts by split
    unjudged: dict[str, int] = Field(default_factory=dict)  # of these, that nobody was asked to score
    missing: dict[str, int] = Field(default_factory=dict)  # of these, without a score though it was asked for
    missing_reasons: dict[str, int] = Field(default_factory=dict)
    cut: dict[str, int] = Field(default_factory=dict)  # by split: answers that were ended by their limit of tokens
    unanswered: dict[str, int] = Field(default_factory=dict)  # by split: attempts in which the policy gave no answer
    unanswered_reasons: dict[str, int] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    repeated: int = 0
    presumed: int = 0
    unusable: int = 0
    stopped_early: str = ""
