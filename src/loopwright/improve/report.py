"""A run read from the store as a Report, finished or not."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from loopwright.blocks.monitors import MONITORS
from loopwright.core.answers import why_nothing
from loopwright.core.errors import BadOutput
from loopwright.core.feedback import Cost
from loopwright.core.gate import Decision, Gate, Interval, as_verdicts, summarise
from loopwright.core.groups import compare_units, unit_scores, units
from loopwright.core.identity import recorded
from loopwright.core.origins import Origins
from loopwright.core.policy import Prompt
from loopwright.core.statistics import mean_interval
from loopwright.core.store import CandidateRow, EventRow, Store, refuse_pruned, shown_status, told_rollouts
from loopwright.core.types import Candidate, Rollout, input_text
from loopwright.improve.caps import EVENT as CAPS
from loopwright.improve.changed import about
from loopwright.improve.report_data import (
    Answers,
    Difference,
    Doubt,
    Failure,
    Look,
    Offer,
    Replies,
    Report,
    Round,
    Screened,
    ShotLineage,
    Spending,
    Stop,
    Training,
    Version,
)
from loopwright.models.names import shown_model

_SHOWN = 4  # examples of each kind in the report
_LONG = 1200  # characters of an output in the report


def build_report(store: Store, run_id: str) -> Report:
    """Everything known of a run, finished or not. Raises UnknownName, and InputError for one that was pruned."""
    row = store.run(run_id)
    refuse_pruned(row)
    events: dict[str, list[EventRow]] = {}
    for event in store.events(row.id):
        events.setdefault(event.type, []).append(event)
    started = _last(events, "run")
    looks = tuple(_look(event.payload) for event in events.get("look", []))
    status, reason = shown_status(row, store.driven())
    ended = status == "done"  # before that, whoever sees figures of the gate could choose by them
    final = _last(events, "final")
    base = base_hash(row.spec, looks)
    best = next((look.candidate for look in reversed(looks) if look.accepted), base)
    tested = _tested(store, row.id)
    return Report(
        run=row.id,
        task=str(started.get("task") or _task_name(row.spec)),
        model=str(started.get("model") or shown_model(row.spec.get("model"))),
        change=tuple(started.get("change") or row.spec.get("change") or ()),
        methods=tuple(started.get("methods") or ()),
        status=status,
        reason=reason or str(final.get("reason", "")),
        learned=any(look.accepted for look in looks),
        seed=row.seed,
        code_version=row.code_version,
        created=row.created,
        seconds=row.seconds,
        budget={**(started.get("budget") or row.budget), **(_last(events, CAPS).get("caps") or {})},
        test_used_before=int(final.get("test_used_before") or 0),
        fork=about(parent) if (parent := row.spec.get("parent")) else "",
        splits=started.get("splits") or {},
        counts=started.get("counts") or "examples",
        alpha=(started.get("gate") or {}).get("alpha", 0.05),
        min_effect=(started.get("gate") or {}).get("min_effect", 0.01),
        gate_baseline=_interval(_gate_baseline(events)) if ended else None,
        baseline=_interval(final.get("baseline")),
        final=_interval(final),
        gain=compare_answers(tested.get(base, {}), tested.get(best, {})) if best != base else None,
        offers=tuple(_pick(Offer, look.model_dump()) for look in looks),
        looks=looks if ended else (),
        screened=tuple(_pick(Screened, event.payload) for event in events.get("screen", [])),
        repeated_offers=len(events.get("again", [])),
        notice=str(_last(events, "notice").get("message", "")),
        earlier_runs=len(started.get("earlier") or ()),
        made_by=str(started.get("made_by") or ""),
        unproven=str(_last(events, "unproven").get("message", "")),
        versions=_versions(store.candidates(row.id), looks if ended else [_untold(look) for look in looks], base, row.spec),
        rounds=_rounds(events),
        doubts=tuple(_pick(Doubt, event.payload) for event in events.get("doubt", [])),
        failures=tuple(_pick(Failure, event.payload) for event in events.get("failure", [])),
        server_notices=tuple(str(event.payload["message"]) for event in events.get("server-notice", [])),
        server_changes=tuple(str(event.payload["message"]) for event in events.get("server-changed", [])),
        stops=tuple(_pick(Stop, event.payload) for event in events.get("stop", [])),
        trainings=tuple(_training(i, event.payload) for i, event in enumerate(events.get("fit", []), 1)),
        **_costs(store, row.id, looks, base),
        **_before_after(tested.get(base, {}), tested.get(best, {})),
        **_missing(store, row.id),
        warnings=tuple(str(event.payload.get("message", "")) for event in events.get("warning", [])),
        stopped_early=str(_last(events, "budget").get("reason", "")),
    )


def compare_answers(first: dict[str, Rollout], second: dict[str, Rollout]) -> Difference | None:
    """What the second is better by, over the examples that both were asked; None without any. See ``compare_units``."""
    examples = [rollout.example for rollout in first.values()]
    found = compare_units(examples, _scores(first), _scores(second))
    if not found.differences:
        return None
    low, high = mean_interval(found.differences, low=-1.0, high=1.0)
    return Difference(
        effect=math.fsum(found.differences) / len(found.differences), low=low, high=high, n=len(found.differences),
        missing=found.missing,
    )  # fmt: skip


def difference_between(first: dict[str, Rollout], second: dict[str, Rollout]) -> Difference | None:
    """What the second is better by where neither is the incumbent: what is missing counts 0 for both.

    The interval reaches from where it speaks against the second to where it speaks against the first, as it may be either.

    Args:
        first: answers by example.
        second: of another version, on the same examples.

    Returns:
        The difference over the examples that both were asked; None without any.
    """
    there, back = compare_answers(first, second), compare_answers(second, first)
    if there is None or back is None or not there.missing:
        return there
    shared = [rollout.example for key, rollout in first.items() if key in second]
    one, other = (
        summarise(unit_scores(units(shared), [known[e.id].score for e in shared], "candidate"), side="candidate")
        for known in (first, second)
    )
    return there.model_copy(update={"effect": other.score - one.score, "high": -back.low})


def shown_better(first: dict[str, Rollout], second: dict[str, Rollout], *, graded: bool = True) -> Decision:
    """Whether the second is better, by the test of the gate at 1/40: asked both ways, one is wrongly called better 1 time in 20.

    Args:
        first: answers by example.
        second: of other versions, on the same examples.
        graded: whether scores may lie between 0 and 1; False takes the sign test, of grades as ``as_verdicts`` has them.

    Returns:
        The decision, over the examples that both were asked.

    Raises:
        InputError: there are none.
    """
    shared = [rollout.example for key, rollout in first.items() if key in second]
    made_of = units(shared)
    gate = Gate(planned=1, min_effect=0.0, graded=graded or any(example.group for example in shared))
    before = unit_scores(made_of, [first[e.id].score for e in shared], "incumbent")
    after = unit_scores(made_of, [second[e.id].score for e in shared], "candidate")
    if not gate.graded:
        before, after = as_verdicts(before, "incumbent"), as_verdicts(after, "candidate")
    return gate.look(before, after, keys=[unit.key for unit in made_of])


def gave_verdicts(store: Store, run_id: str) -> bool:
    """Whether the gate of a run was told that every score is 0 or 1."""
    events = store.events(store.run(run_id).id)
    said = [event.payload["graded"] for event in events if event.type == "notice" and "graded" in event.payload]
    return bool(said) and not any(said)


def _untold(look: Look) -> Look:
    """Without why: "worse" says more than that it was not accepted."""
    return look.model_copy(update={"reason": ""})


def _gate_baseline(events: dict[str, list[EventRow]]) -> dict[str, Any]:
    return next((e.payload for e in events.get("baseline", []) if e.payload.get("split", "gate") == "gate"), {})


def _last(events: dict[str, list[EventRow]], type: str) -> dict[str, Any]:
    return events[type][-1].payload if type in events else {}


def _task_name(spec: dict[str, Any]) -> str:
    task = spec.get("task")
    return str(task.get("name", "")) if isinstance(task, dict) else str(task or "")


def _pick(kind: type[Any], payload: dict[str, Any]) -> Any:
    """The fields that the class knows: an event of a newer version may tell more."""
    return kind.model_validate({k: v for k, v in payload.items() if k in kind.model_fields})


def _look(payload: dict[str, Any]) -> Look:
    look: Look = _pick(Look, payload)
    return look


def _interval(payload: Any) -> Interval | None:
    return _pick(Interval, payload) if payload else None


def _rounds(events: dict[str, list[EventRow]]) -> tuple[Round, ...]:
    """What was seen of every round's attempts, and on its last ones of the fits that followed in it."""
    nothing = {"score": None, "low": None, "high": None}  # runs of older versions told 0 of a round that nobody scored
    told = [event.payload for event in events.get("round", [])]
    rounds: list[Round] = [_pick(Round, t if t.get("n") else {**t, **nothing}) for t in told]
    last = {(one.by, one.round): at for at, one in enumerate(rounds)}
    for event in events.get("fit", []):
        at = last.get((event.payload.get("by", ""), event.payload.get("round", 0)))
        if at is not None:
            fitted = {k: v for k, v in event.payload.items() if k in MONITORS}
            rounds[at] = rounds[at].model_copy(update={"monitors": {**rounds[at].monitors, **fitted}})
    return tuple(rounds)


def _training(number: int, payload: dict[str, Any]) -> Training:
    stats = {k: float(v) for k, v in payload.items() if k != "round" and isinstance(v, int | float)}
    return Training(
        number=number, loss_name=str(payload.get("loss_name", "")), round=int(payload.get("round", 0)), stats=stats
    )


# ---- what it cost -----------------------------------------------------------------------------------------------------

_METHOD = re.compile(r"^\d+\.(.+)$")


@dataclass
class _Taken:
    """What effects took together: added up in place, as there may be a million."""

    calls: int = 0
    tokens: int = 0
    seconds: float = 0.0
    money: float = 0.0

    def add(self, cost: Cost) -> None:
        self.calls += cost.calls
        self.tokens += cost.prompt_tokens + cost.completion_tokens
        self.seconds += cost.seconds
        self.money += cost.money

    def of(self, part: str) -> Spending:
        return Spending(part=part, **vars(self))


def _costs(store: Store, run: str, looks: Sequence[Look], base: str) -> dict[str, Any]:
    """Totals and parts, in the order in which the parts began. An effect's scope says whose it was."""
    parts: dict[str, _Taken] = {}
    total = _Taken()
    repeated = presumed = unusable = 0
    origins = Origins(run)
    for effect in store.effects(run):
        parts.setdefault(_part(effect.scope, base), _Taken()).add(effect.cost)
        total.add(effect.cost)
        repeated += effect.attempt > 1
        presumed += effect.status == "open"
        if effect.kind == "generate" and effect.status == "done":
            origins.read(effect.result)
        unusable += effect.status == "failed" and issubclass(recorded(effect.error), BadOutput)
    spending = tuple(taken.of(part) for part, taken in parts.items() if taken != _Taken())
    return {
        "spent": total.of("all"), "spending": spending, "repeated": repeated, "presumed": presumed, "unusable": unusable,
        "replies": _replies(origins), "fresh": origins.fresh, "bound": origins.bound,
    }  # fmt: skip


def _replies(origins: Origins) -> tuple[Replies, ...]:
    told = origins.told()
    reused = (Replies(count=r["replies"], run=r["run"], date=r["date"]) for r in told["reused"])
    servers = (Replies(count=s.pop("replies"), **s) for s in told["servers"])
    return (*reused, *servers)


def _part(scope: str, base: str) -> str:
    name = scope.split("/")[1] if "/" in scope else scope
    if name.startswith("gate."):
        return "baseline" if base.startswith(name.removeprefix("gate.")) else "gate"
    if name.startswith("screen."):
        return "screening"
    if name.startswith("test."):
        return "final test"
    found = _METHOD.match(name)
    return found.group(1) if found else name


# ---- versions ---------------------------------------------------------------------------------------------------------


def task_parts(spec: dict[str, Any]) -> dict[str, Any]:
    """The parts that a run of this spec begins with."""
    task = spec.get("task")
    if not isinstance(task, dict) or task.get("prompt") is None:
        return {}
    prompt, solver = task["prompt"], task.get("solver")
    begun = {"prompt": Prompt.model_validate(prompt).model_dump(mode="json", exclude_defaults=True)}
    return {**begun, "solver": solver} if solver else begun


def base_hash(spec: dict[str, Any], looks: Sequence[Look]) -> str:
    """What the run began with. It is never offered, so the store has no row of it."""
    return looks[0].incumbent if looks else Candidate(parts=task_parts(spec)).hash


def _versions(rows: Iterable[CandidateRow], looks: Sequence[Look], base: str, spec: dict[str, Any]) -> tuple[Version, ...]:
    """The base first, then every candidate in the order of the looks."""
    data = {base: {"parts": task_parts(spec), "by": "task"}} | {row.hash: row.data for row in rows}
    by_look = {look.candidate: look for look in looks}
    order = [base, *(h for h in dict.fromkeys([*by_look, *data]) if h != base)]
    writers: dict[str, str] = {}
    versions = []
    for hash in order:
        row, look = data.get(hash, {}), by_look.get(hash)
        parents = tuple(row.get("parents") or ((look.incumbent,) if look else ()))
        versions.append(_version(hash, row, parents, data, look, writers))
    return tuple(versions)


def _version(
    hash: str,
    row: dict[str, Any],
    parents: tuple[str, ...],
    data: dict[str, dict[str, Any]],
    look: Look | None,
    writers: dict[str, str],
) -> Version:
    parts = row.get("parts") or {}
    parent = (data.get(parents[0], {}).get("parts") or {}) if parents else {}
    prompt, before = _prompt(parts), _prompt(parent)
    by = str(row.get("by") or (look.by if look else "task"))
    inherited = bool(parents) and prompt.instruction == before.instruction and parents[0] in writers
    writers[hash] = writers[parents[0]] if inherited else by
    old_shots = {(input_text(s.input), s.output) for s in before.shots}
    solver = parts.get("solver")
    return Version(
        hash=hash, parents=parents, by=by, note=str(row.get("note") or ""),
        look=look.look if look else None, accepted=look.accepted if look else None, reason=look.reason if look else "",
        changed=tuple(k for k in sorted({*parts, *parent}) if parts.get(k) != parent.get(k)) if parents else (),
        system=prompt.system, instruction=prompt.instruction, instruction_new=prompt.instruction != before.instruction,
        instruction_from=writers[hash] if prompt.instruction else "",
        shots=tuple(
            ShotLineage(example=s.example, input=text, output=s.output, new=(text, s.output) not in old_shots)
            for s in prompt.shots
            for text in (input_text(s.input),)
        ),
        solver=str(solver.get("recipe", "")) if isinstance(solver, dict) else "", adapter=str(parts.get("adapter") or ""),
        origins=row.get("origins") or {},
    )  # fmt: skip


def _prompt(parts: dict[str, Any]) -> Prompt:
    part = parts.get("prompt")
    return Prompt.model_validate(part) if isinstance(part, dict) else Prompt()


# ---- answers ----------------------------------------------------------------------------------------------------------


def final_answers(store: Store, run_id: str) -> dict[str, Rollout]:
    """Test rollouts of the version that a run ended with, by example."""
    row = store.run(run_id)
    looks = [_look(e.payload) for e in store.events(row.id) if e.type == "look"]
    best = next((look.candidate for look in reversed(looks) if look.accepted), base_hash(row.spec, looks))
    return _tested(store, row.id).get(best, {})


def _tested(store: Store, run: str) -> dict[str, dict[str, Rollout]]:
    """Test rollouts by candidate and example."""
    found: dict[str, dict[str, Rollout]] = {}
    for row in store.rollouts(run, "test"):
        if row.replicate == 0:
            found.setdefault(row.candidate, {})[row.example] = Rollout.model_validate_json(row.data)
    return found


def _scores(rollouts: dict[str, Rollout]) -> dict[str, float | None]:
    return {example: rollout.score for example, rollout in rollouts.items()}


def _before_after(before: dict[str, Rollout], after: dict[str, Rollout]) -> dict[str, Any]:
    outcomes: Counter[str] = Counter()
    kinds: dict[str, list[Answers]] = {"fixed": [], "broken": [], "wrong": [], "right": []}
    if before is after:
        return {}
    for example in (e for e in before if e in after):
        a, b = before[example], after[example]
        if a.score is None or b.score is None:
            outcomes["missing"] += 1
            continue
        kind = "fixed" if b.score > a.score else "broken" if b.score < a.score else "right" if b.score == 1.0 else "wrong"
        outcomes[kind] += 1
        if len(kinds[kind]) < _SHOWN:
            target = a.example.target
            kinds[kind].append(
                Answers(
                    example=example, question=_cut(a.example.question),
                    target="" if target is None else _cut(target if isinstance(target, str) else str(target)),
                    before=_cut(a.output), after=_cut(b.output), before_score=a.score, after_score=b.score,
                )
            )
    return {"outcomes": dict(outcomes), "answers": tuple(a for k in ("fixed", "broken", "wrong") for a in kinds[k])}


def _cut(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[:_LONG]} [... {len(text) - _LONG} characters more]"


def _missing(store: Store, run: str) -> dict[str, Any]:
    """What became of the attempts of each split, and why some have no score or no answer."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("judged", "unjudged", "missing", "cut", "unanswered")}
    why: dict[str, Counter[str]] = {"missing": Counter(), "unanswered": Counter()}
    for row in told_rollouts(store, run):
        rollout = Rollout.model_validate_json(row.data)
        counts["judged"][row.split] += 1
        counts["cut"][row.split] += rollout.cut
        if rollout.status == "ok" and not rollout.feedback:
            counts["unjudged"][row.split] += 1
        elif rollout.score is None:
            counts["missing"][row.split] += 1
            why["missing"][_cut(why_nothing(rollout))[:200]] += 1
        elif rollout.unanswered:
            counts["unanswered"][row.split] += 1
            why["unanswered"][_cut(why_nothing(rollout))[:200]] += 1
    most = {f"{name}_reasons": dict(found.most_common(10)) for name, found in why.items()}
    return {name: dict(+found) for name, found in counts.items()} | most
