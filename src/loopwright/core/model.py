"""What a language model backend is. Backends live in ``loopwright.models``; recipes reach them through the context only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from pydantic import Field, JsonValue

from loopwright.core.errors import BadOutput
from loopwright.core.feedback import FREE, Cost, Frozen
from loopwright.core.types import Options, Turn


class Sampling(Frozen):
    """How to sample. ``temperature`` 0 is greedy. ``stop`` strings end the text and are not part of it."""

    max_tokens: int = Field(default=256, gt=0)
    temperature: float = Field(default=1.0, ge=0.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    stop: tuple[str, ...] = ()
    logprobs: bool = False
    schema_: dict[str, JsonValue] | None = Field(default=None, alias="schema")  # JSON schema of the answer

    model_config = {"frozen": True, "extra": "forbid", "populate_by_name": True}


class Request(Frozen):
    """One call: ``n`` samples after one conversation.

    seed: seed of the whole group; sample i is drawn from (seed, i), so it does not depend on what else is in the batch.
    adapter: hash of a LoRA blob to sample with, for backends whose weights can change.
    """

    turns: tuple[Turn, ...]
    sampling: Sampling = Sampling()
    n: int = Field(default=1, gt=0)
    seed: int = 0
    adapter: str | None = None


class Reply(Frozen):
    """``choices`` has n assistant turns. Token ids and log-probabilities are there where the backend has them.

    model, system_fingerprint: what a server says of itself; "" where it says nothing.
    bound: the tokens of ``cost`` are an upper bound, as the server does not say how many they were.
    run, time: of a reply that an earlier run had recorded, that run and when it came (UTC seconds); the engine says so.
    """

    choices: tuple[Turn, ...]
    cost: Cost = FREE
    model: str = ""
    system_fingerprint: str = ""
    bound: bool = False
    run: str = ""
    time: float = 0.0


@runtime_checkable
class Model(Protocol):
    """A language model.

    fingerprint: hash of all that decides what it answers (weights, quantisation, server and model name, dtype).
    batch_rows: how many sequences the backend wants in one ``generate`` call. 0 means every request is sent alone and
        at once (a server batches by itself); otherwise the engine composes waves of at most this many sequences, always
        the same ones in the same order, so that floating-point results do not depend on timing.

    A model that is asked for every request alone may have ``concurrency``, how many it answers at a time (64 without it).
    One whose fingerprint does not cover its weights, as a server's cannot, has ``identified`` = False: what it said in an
    earlier run is then never compared with what it says in this one.
    """

    name: str
    fingerprint: str
    batch_rows: int

    async def generate(self, requests: Sequence[Request]) -> Sequence[Reply]:
        """Answers in the order of the requests. Raises a ModelError."""
        ...

    def estimate(self, request: Request) -> Cost:
        """An upper bound of what the call can cost, before it is made. Raises UnknownPrice where money cannot be told."""
        ...

    async def close(self) -> None: ...


@runtime_checkable
class Limited(Protocol):
    """A model that can tell, without being asked to answer, which requests it cannot read: above all, those that do not fit
    its context.
    """

    def too_long(self, request: Request) -> BadOutput | None:
        """The error that the request would end with (PromptTooLong, or of another kind where a token has no embedding); None
        where it can be read, or where this cannot be told.
        """
        ...


class Exported(NamedTuple):
    """Weights to give away: what is added to a base model that others can load."""

    blob: bytes | None  # None where it is the base model as it is
    base: str  # a folder or name from which transformers loads the base model


@runtime_checkable
class Exportable(Protocol):
    """A model whose weights others can use without Loopwright."""

    def export_weights(self, adapter: str | None) -> Exported:
        """All that was added to the base model, as one blob.

        Args:
            adapter: hash of the blob that is to be given away; None for the model as it was named.

        Returns: the blob, in which an adapter that belongs to the model's name is included, and the base model.
        """
        ...


class Sample(Frozen):
    """One training sequence exactly as it was sampled: ``prompt_ids`` then ``token_ids``; only the latter are trained on.

    values: what a loss reads beside the log-probabilities, by name: a number for the whole sequence (``advantage``,
        ``reward``) or one per written token ([len(token_ids)]: advantages of steps, returns).
    """

    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...] = Field(min_length=1)
    logprobs: tuple[float, ...] = ()  # of the sampler, [len(token_ids)], where the loss needs them
    weight: float = 1.0
    values: dict[str, float | tuple[float, ...]] = Field(default_factory=dict)


class Pair(Frozen):
    """Two sequences and which is better. ``values`` belong to the pair, such as ``margin`` or ``win_rate``."""

    chosen: Sample
    rejected: Sample
    weight: float = 1.0
    values: dict[str, float] = Field(default_factory=dict)


Aggregation = Literal["token", "sequence", "constant"]
Reading = Literal["logprobs", "entropy", "scores", "state_values", "features"]


class FitOptions(Options):
    """How weights are fitted: what every method that trains has in common, and a user may change in any of them.

    epochs: over the data of one fit. batch: sequences (or pairs) per optimiser step; 0 takes all of them in one.
    schedule: of the learning rate after the warm-up, which is that share of the steps. max_grad_norm: global norm that
        gradients are clipped to.
    keep_state: the optimiser's moments go on from the fit that made the weights one starts with, as in one long training.
    tuning: train a LoRA adapter, or all weights (a blob as large as the model: for small ones). rank, alpha, dropout,
        targets: of the adapter; alpha is twice the rank where it is not given.
    """

    epochs: int = Field(default=1, gt=0)
    batch: int = Field(default=32, ge=0)
    learning_rate: float = Field(default=5e-4, gt=0)
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warmup: float = Field(default=0.05, ge=0.0, le=1.0)
    weight_decay: float = Field(default=0.0, ge=0.0)
    max_grad_norm: float = Field(default=1.0, gt=0.0)
    keep_state: bool = False
    tuning: Literal["lora", "full"] = "lora"
    rank: int = Field(default=16, gt=0)
    alpha: float | None = Field(default=None, gt=0)
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

    @property
    def scale(self) -> float:
        """LoRA's alpha."""
        return 2.0 * self.rank if self.alpha is None else self.alpha

    @classmethod
    def online(cls, **options: Any) -> FitOptions:
        """For methods that fit a little in each of many rounds: one training, cut in pieces, at a constant rate."""
        return cls(**{"schedule": "constant", "warmup": 0.0, "keep_state": True, **options})


class FitJob(FitOptions):
    """All that decides the outcome of one fine-tuning, as plain data: the options, and what a method says of its own.

    data: sequences, or pairs where the loss compares.
    loss: name of a row of ``loopwright.losses``; ``loss_options`` are its keyword arguments.
    aggregation: how the loss of tokens becomes that of an optimiser step: the mean over all its tokens, the mean over
        sequences of each one's mean, or the sum divided by sequences times ``constant`` (tokens). Losses of whole
        sequences and of pairs are averaged over these.
    adapter: hash of the blob to start from; None starts new on the base weights.
    head: train a scalar head (reward or value model) beside the weights; it travels in the same blob. A number above 1 is
        the width of one that says a vector.
    references: by the name a loss asks for, whose log-probabilities to bring: the hash of a blob, "start" (what this job
        starts from) or "base". A name that is left out means "start".
    temperature: the log-probabilities are of logits divided by it; what the data was sampled at, for losses of ratios.
    state: hash of the optimiser's state to go on with, from ``Fitted.state``; kept where ``keep_state`` is true.
    """

    data: tuple[Sample, ...] | tuple[Pair, ...] = Field(min_length=1)
    loss: str = "sft"
    loss_options: dict[str, JsonValue] = Field(default_factory=dict)
    aggregation: Aggregation = "token"
    constant: int = Field(default=256, gt=0)
    adapter: str | None = None
    head: int = Field(default=0, ge=0)
    references: dict[str, str] = Field(default_factory=dict)
    temperature: float = Field(default=1.0, gt=0.0)
    state: str | None = None
    seed: int = 0


class Fitted(Frozen):
    """``adapter`` is the hash of the new blob; ``stats`` are loss, steps, tokens and the like; ``state`` the optimiser's."""

    adapter: str
    state: str | None = None
    stats: dict[str, float] = Field(default_factory=dict)
    cost: Cost = FREE


class Blobs(Protocol):
    """Content-addressed bytes."""

    def put(self, data: bytes) -> str: ...

    def get(self, hash: str) -> bytes: ...


@runtime_checkable
class Trainable(Protocol):
    """A model whose weights can be fitted; the sampled model is the trained model."""

    async def fit(self, job: FitJob) -> Fitted: ...

    async def forward(self, samples: Sequence[Sample], what: Reading, adapter: str | None) -> Sequence[Sequence[float]]:
        """What the weights with this blob say of sequences that are already written, one list a sequence.

        logprobs: natural log-probability of each written token [T]. entropy: of the distribution it was drawn from, in
        nats [T]. scores: the scalar head's value after each written token [T] (of a wide head [T * width], token by token).
        state_values: the same before each written token, which is the value of the state it was chosen in [T].
        features: the last hidden state, after the last written token [hidden].
        """
        ...

    def prompt_ids(self, turns: Sequence[Turn]) -> Sequence[int]:
        """Token ids of what the model is given before it answers these turns."""
        ...

    def answer_ids(self, text: str) -> Sequence[int]:
        """Token ids by which the model would write this answer, the token that ends it included."""
        ...

    def text_ends(self, token_ids: Sequence[int]) -> Sequence[int]:
        """Where in the text that these tokens make each of them ends, in characters [T]."""
        ...
