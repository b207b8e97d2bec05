"""The end of a job: baseline and winner on the test examples, and what is left of the run in its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from loopwright.core.budget import Reserve
from loopwright.core.context import Context
from loopwright.core.engine import Engine
from loopwright.core.errors import BudgetExhausted
from loopwright.core.gate import Interval
from loopwright.core.groups import compare_units
from loopwright.core.loop import Incumbent
from loopwright.core.origins import from_one_server
from loopwright.core.outfolder import OutFolder
from loopwright.core.raised import told
from loopwright.core.statistics import mean_interval
from loopwright.core.types import Candidate, Example, Rollout
from loopwright.improve import faults
from loopwright.improve.artifact import build_artifact
from loopwright.improve.gating import ROUNDED, about_unproven, best_refused, needed
from loopwright.improve.session import Progress, money, tell_spent
from loopwright.improve.unused import unused_text
from loopwright.improve.uses import note_use
from loopwright.worlds.files import Task
from loopwright.worlds.held_out import HeldOut
from loopwright.worlds.named import NamedWorld
from loopwright.worlds.task import TEXT_TOKENS


class Proving:
    """The part of a job that proves what was accepted. The rest of the job sets these fields."""

    engine: Engine
    task: Task | NamedWorld
    spec: Mapping[str, Any]
    progress: Progress
    out: OutFolder
    base: Candidate
    ctx: Context
    reserve: Reserve
    incumbent: Incumbent
    stopped: str
    tried: list[str]
    failures: list[dict[str, Any]]
    held_out: list[HeldOut]
    sketch: list[str]
    used_before: int

    async def _prove(self) -> dict[str, Any]:
        """The one look at the test split, by the report alone."""
        self.reserve.release()
        if self.incumbent.rounded:
            await self.engine.event("warning", "grades", message=ROUNDED)
        winner = self.incumbent.candidate
        for split in self.held_out:
            split.bring_back()
        note_use(self.engine.store, self.engine.run.id, self.sketch)
        examples = self.task.examples("test")
        before, after, cut = await self._tested(self.base, winner, examples)
        if cut:
            self.stopped += f"; the budget ended before {cut} of the final test's answers were made, which count as missing"
        ids = [example.id for example in examples]
        first = dict(zip(ids, before, strict=True))
        last = first if winner.hash == self.base.hash else dict(zip(ids, after, strict=True))
        baseline, final, gain, _ = compare_units(examples, first, last)
        self.engine.past.finish()
        if errors := self.engine.failures.message():
            told = f"{errors}; their last attempt was not answered or not judged, which counts against a candidate"
            await self.engine.event("warning", "errors", message=told, loud=True)
        artifact, manifest = self._artifact("artifact", winner)
        unproven = await self._write_unproven()
        packed: dict[str, Any] = {name: manifest[name] for name in ("taken", "left_out") if name in manifest}
        result = {**await self._result(baseline, final, gain, artifact), "unproven": unproven} | packed
        self.out.write("result.json", json.dumps(result, indent=2) + "\n")
        self.engine.store.set_run(
            self.engine.run.id, status="done", reason=result["reason"], seconds=self.engine.ledger.seconds
        )
        try:
            self._report()
        except Exception as error:  # the result stands without its picture: say so, and how to draw it again
            self.progress(
                "warning",
                {"message": f"the report could not be drawn ({error!r}); try: loopwright report {self.engine.run.id}"},
            )
        tell_spent(self.engine, self.progress)
        self.progress("end", {"status": "done", "reason": result["reason"], "run": self.engine.run.id})
        return result

    async def _write_unproven(self) -> dict[str, Any]:
        """The best candidate that the gate refused, beside the artifact and never taken for it; {} where none had a gain."""
        best = best_refused(self.incumbent.decisions)
        if best is None:
            return {}
        candidate, decision = best
        told = {
            "candidate": candidate.hash, "by": candidate.by, "note": candidate.note, "effect": decision.effect,
            "look": decision.look, "needs": needed(decision),
            "message": about_unproven(candidate, decision, self.incumbent.gate.counts),
        }  # fmt: skip
        folder, _ = self._artifact("unproven", candidate, unproven=told)
        await self.engine.event("unproven", "best", **told)
        return {**told, "folder": str(folder)}

    def _artifact(
        self, name: str, candidate: Candidate, *, unproven: Mapping[str, Any] | None = None
    ) -> tuple[Path, dict[str, Any]]:
        """Where it lies, and its manifest."""
        place = self.out.place(name)
        with self.out.folder(name) as building:
            manifest = build_artifact(
                building, candidate, blobs=self.engine.store.blobs, sampling=self.task.sampling,
                model=self.spec["model"], policy=self.engine.model("policy"), task=self.task.name, run=self.engine.run.id,
                place={k: self.spec[k] for k in ("folder", "world") if k in self.spec}, others=self.spec.get("others"),
                unproven=unproven, text_tokens=self.task.text_tokens or TEXT_TOKENS, carries=getattr(self.task, "carries", ()),
            )  # fmt: skip
        return place, manifest

    async def _tested(
        self, base: Candidate, winner: Candidate, examples: Sequence[Example]
    ) -> tuple[list[float | None], list[float | None], int]:
        """Scores of both, from one server as far as it says, and how many answers the budget had no room for."""
        cut: dict[str, int] = {}
        found: dict[str, tuple[str, list[float | None]]] = {}

        async def measured(candidate: Candidate, anew: bool) -> tuple[str, list[float | None]]:
            place = f"test.{candidate.hash[:16]}{'~2' if anew else ''}"
            known, beyond = await self._test(candidate, examples, place)
            if not anew or not beyond:  # half a measurement does not replace a whole one
                found[candidate.hash], cut[candidate.hash] = (f"{self.ctx.scope}/{place}", known), beyond
            return found[candidate.hash]

        if winner.hash == base.hash:
            _, scores = await measured(base, False)
            return scores, scores, cut[base.hash]
        before, after = await from_one_server(
            self.engine, self.ctx.scope, lambda anew: measured(base, anew), lambda anew: measured(winner, anew)
        )
        return before, after, sum(cut.values())

    async def _test(
        self, candidate: Candidate, examples: Sequence[Example], place: str
    ) -> tuple[list[float | None], int]:
        """Scores, and how many examples the budget had no room for: what was set aside is an estimate."""
        beyond = 0
        broken: list[str] = []
        rollouts: list[Rollout] = []

        async def one(example: Example, ctx: Context) -> float | None:
            nonlocal beyond
            try:
                (rollout,) = await ctx.evaluate(candidate, [example])
            except BudgetExhausted:
                beyond += 1
                return None
            except Exception as error:
                if faults.ends_the_run(error):
                    raise
                broken.append(f"{example.id}: {told(error)}")
                return None
            rollouts.append(rollout)
            return rollout.score

        branch = self.ctx.at(place, split="test")
        scores = await branch.map(one, examples)
        await branch.tell_unusual(rollouts, told=await branch.tell_raised(rollouts))
        if broken:
            many = f"{len(broken)} of {len(examples)} test examples could not be answered, which counts as missing"
            await self.engine.event("warning", branch.scope, message=f"{many}: {broken[0]}")
        return scores, beyond

    async def _result(self, baseline: Interval, final: Interval, gain: list[float], artifact: Path) -> dict[str, Any]:
        looks = [
            {"candidate": c.hash, "by": c.by, "note": c.note, **d.model_dump()} for c, d in self.incumbent.decisions
        ]
        accepted = [look for look in looks if look["accepted"]]
        screened = [
            {"candidate": c.hash, "by": c.by, "note": c.note, **s.model_dump()} for c, s in self.incumbent.screened
        ]
        if self.failures:
            ended = ", ".join(f["method"] for f in self.failures)
            self.stopped = f"{self.stopped}; {len(self.failures)} of {len(self.tried)} ended by an error: {ended}"
        cut = self.incumbent.undecided
        if cut is not None:
            name = f"{cut.by} ({cut.note})" if cut.note else cut.by
            self.stopped = f"{name} was still being compared when this ended it: {self.stopped}"
        if accepted:
            reason = self.stopped
        elif cut is not None and not looks:
            reason = f"learned nothing: {self.stopped}"
        elif looks:
            asked = len({look["candidate"] for look in looks})
            which = f"all {asked} candidates that were" if asked > 1 else "the one candidate that was"
            weak = sum(not s["promising"] for s in screened)
            more = f", and {weak} more showed too little on the screen examples to be put to it" if weak else ""
            reason = f"learned nothing: the gate refused {which} put to it{more} ({self.stopped})"
        elif screened:
            few = "the one candidate" if len(screened) == 1 else f"each of {len(screened)} candidates"
            reason = f"learned nothing: {few} showed too little on the screen examples to ask the gate ({self.stopped})"
        else:
            reason = f"learned nothing: no method had anything to offer ({self.stopped})"
        if not accepted:
            reason += unused_text(self.engine.unused)
        low, high = mean_interval(gain, low=-1.0, high=1.0)
        effect = sum(gain) / len(gain) if gain else 0.0
        await self.engine.event(
            "final", "test", **final.model_dump(), baseline=baseline.model_dump(), effect=effect, effect_low=low,
            effect_high=high, reason=reason, test_used_before=self.used_before,
        )  # fmt: skip
        ledger = self.engine.ledger
        return {
            "baseline": baseline.model_dump(),
            "final": final.model_dump(),
            "gain": {"effect": effect, "low": low, "high": high},
            "accepted": accepted,
            "rejected": [look for look in looks if not look["accepted"]],
            "screened": screened,
            "counts": self.incumbent.gate.counts,
            "test_used_before": self.used_before,
            "seconds": round(ledger.seconds, 2),
            **money(ledger.spent),
            "artifact": str(artifact),
            "report": str(self.out.place("report.html")),
            "run": self.engine.run.id,
            "status": "done",
            "reason": reason,
            "tried": self.tried,
            "failures": self.failures,
            "errors": self.engine.failures.told(),
            "presumed_spent": self.engine.past.presumed,
            "replies": self.engine.origins.told(),
            **({"parent": {**parent, "taken": self.engine.inherited.taken}} if (parent := self.spec.get("parent")) else {}),
            "doubts": [
                {"judge": name, "doubt": doubt, "message": words}
                for name, heard in self.engine.heard.items()
                for doubt, words in self.engine.doubts(heard).items()
            ],
        }

    def _report(self) -> None:
        from loopwright.improve.html import render_html
        from loopwright.improve.pictures import save_figures
        from loopwright.improve.report import build_report

        report = build_report(self.engine.store, self.engine.run.id)
        figures = save_figures(self.engine.store, report, self.task, self.out)
        self.out.write("report.html", render_html(report, figures))
