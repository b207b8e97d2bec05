"""From rollouts to what a trainer is given: sequences or pairs with the very tokens that were sampled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from loopwright.core.errors import InputError
from loopwright.core.model import Pair, Sample, Trainable
from loopwright.core.policy import Prompt
from loopwright.core.types import Rollout, Turn

Values = float | Sequence[float]  # of a sequence, or one per token that the policy wrote in it


def written(rollout: Rollout) -> list[Turn]:
    """The turns that the policy wrote and whose tokens are known."""
    return [t for t in rollout.turns if t.role == "assistant" and t.token_ids]


def sequences(
    data: Sequence[Rollout],
    weights: Sequence[float] | None = None,
    values: Mapping[str, Sequence[Values]] | None = None,
    prompts: Mapping[str, tuple[int, ...]] | None = None,
    *,
    last: bool = False,
) -> list[Sample]:
    """A Sample for each written turn of each rollout; with ``last``, for the last of them alone.

    weights [len(data)]; values: by name, [len(data)], each a number or one number per token of the turns that are used.
    prompts: by rollout id, the prompt to train under instead of the one it was sampled with.
    Raises InputError where a length does not fit.
    """
    values = values or {}
    for name, given in {"weights": weights or [0.0] * len(data), **values}.items():
        if len(given) != len(data):
            raise InputError(f"{name} has {len(given)} entries for {len(data)} rollouts")
    samples = []
    for i, rollout in enumerate(data):
        weight = 1.0 if weights is None else weights[i]
        turns = written(rollout)[-1:] if last else written(rollout)
        cut = {name: _along(name, given[i], rollout.id, turns) for name, given in values.items()} if turns else {}
        for turn in turns:
            own = {name: next(parts) for name, parts in cut.items()}
            samples.append(_sample(turn, weight, own, (prompts or {}).get(rollout.id)))
    if not samples:
        raise InputError("nothing to fit: none of these rollouts has tokens that the policy wrote")
    return samples


def pairs(
    data: Sequence[tuple[Rollout, Rollout]],
    weights: Sequence[float] | None = None,
    values: Mapping[str, Sequence[Values | tuple[Values, Values]]] | None = None,
    prompts: Mapping[str, tuple[int, ...]] | None = None,
) -> list[Pair]:
    """(better, worse) rollouts as pairs of what the policy wrote last in each, without those of which it wrote only one.

    Raises InputError as ``sequences`` does, and where no pair is left.

    values: an entry is a number of the pair, or a tuple of what belongs to its two sides.
    """
    values = values or {}
    for name, given in {"weights": weights or [0.0] * len(data), **values}.items():
        if len(given) != len(data):
            raise InputError(f"{name} has {len(given)} entries for {len(data)} pairs")
    found = []
    for i, both in enumerate(data):
        if not all(map(written, both)):  # an answer that was not given has no tokens to be pushed away from
            continue
        sides = []
        entries = {name: given[i] for name, given in values.items()}
        for side, rollout in enumerate(both):
            turns = written(rollout)
            of_side = {name: cast(Values, v[side]) for name, v in entries.items() if isinstance(v, tuple)}
            sides.append(_sample(turns[-1], 1.0, of_side, (prompts or {}).get(rollout.id)))
        own = {name: float(cast(float, v)) for name, v in entries.items() if not isinstance(v, tuple)}
        found.append(
            Pair(chosen=sides[0], rejected=sides[1], weight=1.0 if weights is None else weights[i], values=own)
        )
    if not found:
        none = "nothing to compare: of none of these pairs did the policy write both"
        raise InputError(none if data else "nothing to fit: no pair was given")
    return found


def rendered(model: Trainable, prompts: Sequence[Prompt], rollouts: Sequence[Rollout]) -> dict[str, tuple[int, ...]]:
    """By rollout id: the tokens of its prompt for its example. Raises InputError where the two are not as many."""
    if len(prompts) != len(rollouts):
        raise InputError(f"prompts has {len(prompts)} entries for {len(rollouts)} rollouts")
    both = zip(prompts, rollouts, strict=True)
    return {r.id: tuple(model.prompt_ids(prompt.render(r.example))) for prompt, r in both}


def _sample(turn: Turn, weight: float, values: Mapping[str, Values], prompt: tuple[int, ...] | None) -> Sample:
    plain = {name: float(v) if isinstance(v, int | float) else tuple(v) for name, v in values.items()}
    return Sample(
        prompt_ids=turn.prompt_ids if prompt is None else prompt,
        token_ids=turn.token_ids,
        logprobs=turn.logprobs,
        weight=weight,
        values=plain,
    )


def _along(name: str, value: Values, rollout: str, turns: Sequence[Turn]) -> Iterator[Values]:
    """What of a value belongs to each written turn."""
    if isinstance(value, int | float):
        return iter([float(value)] * len(turns))
    lengths = [len(t.token_ids) for t in turns]
    if len(value) != sum(lengths):
        raise InputError(
            f"{name} has {len(value)} numbers for rollout {rollout}, in which the policy wrote {sum(lengths)} tokens"
        )
    ends = [sum(lengths[: i + 1]) for i in range(len(lengths))]
    return iter([value[end - length : end] for end, length in zip(ends, lengths, strict=True)])
