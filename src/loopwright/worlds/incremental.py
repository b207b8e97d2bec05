"""Labelled examples that come in batches, task after task: what a learner still knows of each task can be asked at any step."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
from pydantic import JsonValue

from loopwright.blocks import mlp
from loopwright.core.errors import InputError
from loopwright.core.feedback import Demonstration, Feedback
from loopwright.core.types import Trial
from loopwright.core.world import Probe
from loopwright.worlds.bandit import stream

_SPLIT, _ORDER, _CLASSES, _COLUMNS = 0, 1, 2, 4


class Batch(NamedTuple):
    task: int
    context: dict[str, JsonValue]
    labels: list[int]


class Plan(NamedTuple):
    """One pass of a seed."""

    batches: list[Batch]
    ends: list[int]  # batches up to the end of each task
    probes: list[Probe]


class Incremental:
    """The classes are dealt out to ``tasks`` tasks; each task's train examples come once, in batches of ``batch``.

    The seed draws which share ``held_out`` of each class is never shown, and the order of the rest; with ``shuffled`` also
    which classes make a task. Past its end the stream begins again with the first task. One task is the usual case of
    learning from shuffled data. told: questions say of which task they are (task-incremental). permuted: instead every task
    has all classes, and its features in an order of its own (domain-incremental); the first task's is the usual one.

    encoder: a frozen network for learners that have a use for one, {"widths": [...], "weights": [...]} in the specification.

    regret: the share of a batch that was answered wrongly, before its labels were told.
    """

    def __init__(
        self, name: str, x: np.ndarray, labels: np.ndarray, *, tasks: int = 5, batch: int = 10, held_out: float = 0.3,
        told: bool = False, shuffled: bool = False, permuted: bool = False, encoder: JsonValue = None,
    ) -> None:  # fmt: skip
        self.name = name
        self.x, self.labels = np.asarray(x, dtype=float), np.asarray(labels, dtype=np.int64)
        self.classes = int(self.labels.max()) + 1
        if tasks < 1 or (tasks > self.classes and not permuted):
            raise InputError(f"{name} has {self.classes} classes, which make 1 to {self.classes} tasks; got tasks={tasks}")
        if batch < 1 or not 0.0 < held_out < 1.0:
            raise InputError(f"batch must be 1 or more and held_out between 0 and 1; got batch={batch}, held_out={held_out}")
        self.tasks, self.batch, self.held_out, self.told, self.shuffled = tasks, batch, held_out, told, shuffled
        self.permuted = permuted
        self.spec: Mapping[str, JsonValue] = {"classes": self.classes, "dimensions": self.x.shape[1]}
        if encoder is not None:
            self.spec = {**self.spec, "encoder": encoder}
        self._plan = lru_cache(maxsize=4)(self._draw)

    def _draw(self, seed: int) -> Plan:
        order = stream(seed, _CLASSES).permutation(self.classes) if self.shuffled else np.arange(self.classes)
        batches: list[Batch] = []
        ends: list[int] = []
        probes: list[Probe] = []
        for task, members in enumerate([order] * self.tasks if self.permuted else np.array_split(order, self.tasks)):
            x = self.x[:, stream(seed, _COLUMNS, task).permutation(self.x.shape[1])] if self.permuted and task else self.x
            train, test = self._split(seed, members)
            train = stream(seed, _ORDER, task).permutation(train)
            for at in range(0, len(train), self.batch):
                rows = train[at : at + self.batch]
                about: dict[str, Any] = {"task": task, "x": x[rows].tolist()}
                if self.told:
                    about["within"] = task
                batches.append(Batch(task, about, self.labels[rows].tolist()))
            ends.append(len(batches))
            asked: dict[str, Any] = {"x": x[test], **({"within": task} if self.told else {})}
            probes.append(Probe(task, asked, partial(_right, self.labels[test])))
        return Plan(batches, ends, probes)

    def _split(self, seed: int, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows to learn from and rows held out, of each class in the same share, at least one each."""
        train, test = [], []
        for c in members:
            rows = stream(seed, _SPLIT, int(c)).permutation(np.flatnonzero(self.labels == c))
            if len(rows) < 2:
                raise InputError(f"{self.name}: class {c} has {len(rows)} examples; at least 2 are needed, one to hold out")
            kept = min(max(round(self.held_out * len(rows)), 1), len(rows) - 1)
            test.append(rows[:kept])
            train.append(rows[kept:])
        return np.concatenate(train), np.concatenate(test)

    def ends(self, seed: int) -> list[int]:
        """[tasks] steps after which each task's first pass is over; the last is the length of a pass."""
        return list(self._plan(seed).ends)

    def probes(self, seed: int) -> Sequence[Probe]:
        """[tasks] the held-out questions of each."""
        return self._plan(seed).probes

    def _at(self, seed: int, t: int) -> Batch:
        batches = self._plan(seed).batches
        return batches[t % len(batches)]

    def context(self, seed: int, t: int) -> dict[str, JsonValue]:
        return self._at(seed, t).context

    def respond(self, seed: int, t: int, trial: Trial) -> Feedback:
        return Demonstration(output=json.dumps(self._at(seed, t).labels))

    def regret(self, seed: int, t: int, trial: Trial) -> float:
        return 1.0 - float(np.mean(_right(np.array(self._at(seed, t).labels), trial.proposal)))

    def blind(self, seed: int, t: int) -> float:
        """Of guessing any class with the same chance."""
        return 1.0 - 1.0 / self.classes


def _right(labels: np.ndarray, proposal: Any) -> list[float]:
    """1 or 0 for each; an answer of another form is wrong everywhere."""
    said = np.asarray(proposal)
    if said.shape != labels.shape:
        return [0.0] * len(labels)
    return [float(right) for right in said == labels]


def blobs(
    classes: int = 4, dimensions: int = 6, examples: int = 60, spread: float = 1.0, data: int = 0, *, tasks: int = 2,
    batch: int = 4, held_out: float = 0.3, told: bool = False, shuffled: bool = False, permuted: bool = False,
) -> Incremental:  # fmt: skip
    """A normal cloud for each class, its middle at a distance of 3 from the origin, and a random network as the encoder: for
    trying things out fast.
    """
    rng = stream(data, 3)
    middles = rng.standard_normal((classes, dimensions))
    middles *= 3.0 / np.linalg.norm(middles, axis=1, keepdims=True)
    labels = np.repeat(np.arange(classes), examples)
    x = middles[labels] + spread * rng.standard_normal((len(labels), dimensions))
    widths = [dimensions, 16, 8]
    weights = mlp.fresh([(dimensions, 16), (16, 8)], rng, gain=2.0)
    return Incremental(
        "blobs", x, labels, tasks=tasks, batch=batch, held_out=held_out, told=told, shuffled=shuffled, permuted=permuted,
        encoder={"widths": list(widths), "weights": weights.tolist()},
    )  # fmt: skip
