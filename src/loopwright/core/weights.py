"""Weights: training them, and reading what they say of texts that exist."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from loopwright.core import fitting
from loopwright.core.errors import InputError
from loopwright.core.feedback import Cost, Demonstration
from loopwright.core.fitting import Values
from loopwright.core.model import FitJob, FitOptions, Fitted, Reading, Trainable
from loopwright.core.policy import Prompt, prompt_of
from loopwright.core.scope import Scope
from loopwright.core.seen import Judgement
from loopwright.core.types import Candidate, Example, Rollout, Turn, digest
from loopwright.core.world import demonstration


class Weights(Scope):
    """The part of a context that works on a model's weights."""

    async def fit(
        self,
        base: Candidate,
        data: Sequence[Rollout] | Sequence[tuple[Rollout, Rollout]],
        options: FitOptions | None = None,
        *,
        loss: str = "sft",
        references: Mapping[str, Candidate] | None = None,
        weights: Sequence[float] | None = None,
        values: Mapping[str, Sequence[Values | tuple[Values, Values]]] | None = None,
        own_prompt: bool = False,
        last_turn: bool = False,
        prompts: Sequence[Prompt] | None = None,
        **more: Any,
    ) -> Candidate:
        """Train on these rollouts, or on (better, worse) pairs of them, starting from ``base``'s weights.

        Each turn that the policy wrote is one training sequence, with the very tokens that were sampled; of a pair, the
        last such turn of each side. ``options`` are FitOptions; further keyword arguments are fields of FitJob, and go before.
        references: by the name the loss reads, the candidate whose weights to compare with; ``base`` where it is left out.
        weights: one a rollout (or pair). values: by name, what the loss reads beside; one entry a rollout (or pair), a
        number or one number per written token; of a pair a number, or a tuple of what belongs to its two sides.
        own_prompt: train as if the answers had been given under ``base``'s own prompt, whatever helped to sample them
        (worked examples, hints, feedback); of a rollout of several turns, the last one is trained on.
        prompts: as own_prompt, with a prompt for each rollout (of pairs: for both sides, pair by pair).
        last_turn: train on the last turn alone, under the conversation before it.
        keep_state=True: the optimiser goes on from where the fit that made ``base``'s weights left it.
        """
        model = self._trainable()
        sides = [r for item in data for r in (item if isinstance(item, tuple) else (item,))]
        if own_prompt and prompts is None:
            prompts = [prompt_of(base)] * len(sides)
        shown = fitting.rendered(model, prompts, sides) if prompts is not None else None
        paired = bool(data) and isinstance(data[0], tuple)
        make: Any = fitting.pairs if paired else partial(fitting.sequences, last=prompts is not None or last_turn)
        start = base.parts.get("adapter")
        given = {**(options.model_dump() if options else {}), **more}
        job = FitJob.model_validate(
            {
                "data": make(data, weights, values, shown), "loss": loss, "adapter": start,
                "seed": int(digest([self.engine.seed, self.scope, "fit"])[:8], 16),
                "references": {name: str(c.parts.get("adapter") or "base") for name, c in (references or {}).items()},
                "state": self.engine.optimisers.get(str(start)) if given.get("keep_state") else None, **given,
            }
        )  # fmt: skip

        async def perform() -> tuple[bytes, Cost]:
            fitted = await model.fit(job)
            return fitted.model_dump_json().encode(), fitted.cost

        what = f"{loss} on {len(job.data)} {'pairs' if paired else 'sequences'}"
        raw = await self.engine.effect(self.scope, "fit", digest(job.model_dump(mode="json")), perform, summary=what)
        fitted = Fitted.model_validate_json(raw)
        if fitted.state is not None:
            self.engine.optimisers[fitted.adapter] = fitted.state
        if self.round:
            self.engine.watched[f"{self.scope}/fit/{fitted.adapter}"] = fitted.stats
        told = {**fitted.stats, "loss_name": loss, "by": self._by, "round": self.round}
        await self.engine.event("fit", f"{self.scope}/{fitted.adapter}", **told)
        return base.child(adapter=fitted.adapter, by=self._by)

    async def forward(self, candidate: Candidate, rollouts: Sequence[Rollout], what: Reading) -> list[list[float]]:
        """What a candidate's weights say of rollouts that exist already; see ``core.model.Trainable.forward``.

        One list a rollout: a number for every token the policy wrote in it; for ``features``, the last hidden state.
        """
        model = self._trainable()
        adapter = candidate.parts.get("adapter")
        hash = str(adapter) if adapter is not None else None
        samples = fitting.sequences(rollouts)

        async def perform() -> tuple[bytes, Cost]:
            read = await model.forward(samples, what, hash)
            return json.dumps([list(r) for r in read]).encode(), Cost()

        asked = digest([what, hash, [s.model_dump(mode="json", exclude={"values", "weight"}) for s in samples]])
        raw = await self.engine.effect(self.scope, "forward", asked, perform, summary=f"{what} of {len(samples)} sequences")
        parts = iter(json.loads(raw))
        groups = [[next(parts) for _ in fitting.written(r)] for r in rollouts]
        return [g[-1] if what == "features" else [x for part in g for x in part] for g in groups]

    def under(self, rollouts: Sequence[Rollout], prompts: Sequence[Prompt]) -> list[Rollout]:
        """The same answers as if each had been given to another prompt, to be fitted on or read by ``forward``.

        Only the turn that was written last is left, and an id of its own, as one answer may stand under several prompts.
        """
        model = self._trainable()
        out = []
        for rollout, prompt in zip(rollouts, prompts, strict=True):
            turns = prompt.render(rollout.example)
            last = fitting.written(rollout)[-1].model_copy(update={"prompt_ids": tuple(model.prompt_ids(turns))})
            id = digest([rollout.id, [t.text for t in turns]])[:16]
            out.append(rollout.model_copy(update={"id": id, "turns": (*turns, last)}))
        return out

    def demonstrations(self, examples: Sequence[Example]) -> list[Rollout]:
        """What there is to imitate: for each example its demonstration, as if the policy had written it.

        That is ``core.world.demonstration``. Raises InputError where an example has none.
        """
        model = self._trainable()
        out = []
        for example in examples:
            id = digest(["demonstration", example.id])[:16]
            shown = demonstration(self._world, example)
            if shown is None:
                why = "no target" if example.target in (None, "") else "a target that is no answer (a pattern, tests)"
                raise InputError(f"example {example.id!r} has {why}: nothing to imitate; give it the answer as its target")
            heard = Judgement(feedback=(Demonstration(output=shown, about=id),))
            if self._scramble is not None:
                heard = self._scramble(id, heard)
            turns = prompt_of(self.policy).render(example)
            said = Turn(
                role="assistant", text=heard.text, prompt_ids=tuple(model.prompt_ids(turns)),
                token_ids=tuple(model.answer_ids(heard.text)), finish="stop",
            )  # fmt: skip
            out.append(Rollout(id=id, example=example, turns=(*turns, said), feedback=heard.feedback))
        return out

    def text_ends(self, rollout: Rollout) -> list[int]:
        """Where in ``rollout.output`` each token of the policy's last turn ends, in characters; to put steps on tokens."""
        turns = fitting.written(rollout)
        return list(self._trainable().text_ends(turns[-1].token_ids)) if turns else []

    def _trainable(self) -> Trainable:
        self.need("fit")
        model = self.engine.model("policy")
        if not isinstance(model, Trainable):
            raise InputError(
                f"the weights of {model.name} cannot be changed from here; use --model embedded, or leave weights out of --change"
            )
        return model
