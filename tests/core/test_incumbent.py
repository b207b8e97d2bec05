"""What a job asks of the gate: the screen first, a third of it, repeated pairs for nothing, groups as one, looks in full."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from core_kit import BASE, Counting, ToyWorld, engine_for, new_run

from loopwright.core.budget import Ledger, Reserve
from loopwright.core.context import Context
from loopwright.core.errors import BudgetExhausted
from loopwright.core.feedback import FREE, Cost, Feedback, Missing, Score, Verdict
from loopwright.core.gate import Gate
from loopwright.core.groups import unit_scores, units
from loopwright.core.loop import Incumbent
from loopwright.core.types import Budget, Candidate, Example, Rollout
from loopwright.store import MemoryStore

Worth = Callable[[str, int], float | None]  # by the candidate's instruction and the example's number


class Ruled(ToyWorld):
    """Answers do not matter: what a candidate scores at an example is given by a rule."""

    def __init__(self, worth: Worth, *, sizes: Mapping[str, int], group: int = 0, verdicts: bool = True) -> None:
        super().__init__(sizes=dict(sizes))
        self.group = group

        async def check(rollout: Rollout, ctx: Context) -> Feedback:
            value = worth(rollout.turns[0].text.rsplit("\n", 1)[-1], int(rollout.example.id.split(" ")[1]))
            if value is None:
                return Missing(expected="score", message="hung")
            return Verdict(passed=bool(value)) if verdicts else Score(value=value)

        self.checker = check

    def examples(self, split: str) -> list[Example]:
        def meta(i: int) -> dict[str, Any]:
            return {"group": i // self.group} if self.group else {}

        return [Example(id=f"{split} {i}", input=f"{split} {i}", meta=meta(i)) for i in range(self.sizes.get(split, 0))]


def candidate(name: str) -> Candidate:
    return BASE.child(by="method", note=name, prompt={"instruction": name})


class Kit:
    """An incumbent under an engine, with what was told and how many answers were made."""

    def __init__(self, world: Ruled, *, budget: Budget | None = None, **gate: Any) -> None:
        self.store = MemoryStore()
        self.run = new_run(self.store)
        self.model = Counting()
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.engine = engine_for(
            self.store, self.run, self.model, budget=budget, notify=lambda t, p: self.told.append((t, p)), cache=False
        )
        self.ctx = Context(self.engine, "improve", world=world, policy=BASE)
        self.incumbent = Incumbent(self.ctx, BASE, Gate(**gate))

    def offer(self, name: str) -> bool:
        return asyncio.run(self.incumbent.offer(candidate(name)))

    @property
    def answers(self) -> int:
        return len(self.model.asked)


def by_name(**worth: Callable[[int], float | None]) -> Worth:
    return lambda name, i: worth.get(name, lambda i: 0.0)(i)


SIZES = {"train": 8, "screen": 30, "gate": 60, "test": 4}


def test_what_shows_no_gain_on_the_screen_asks_nothing_of_the_gate() -> None:
    kit = Kit(Ruled(by_name(good=lambda i: float(i % 3 > 0), bad=lambda i: 0.0), sizes=SIZES))
    assert not kit.offer("bad")
    assert kit.incumbent.gate.looks == 0 and kit.incumbent.gate.budget == kit.incumbent.gate.alpha
    assert [s.promising for _, s in kit.incumbent.screened] == [False]
    assert kit.answers == 2 * SIZES["screen"], "only the screen was measured, both sides of it"
    assert kit.offer("good") and kit.incumbent.gate.looks == 1


@pytest.mark.parametrize(
    ("wins", "losses", "asked"), [(1, 0, False), (2, 0, True), (3, 1, False), (4, 1, True), (9, 9, False)]
)
def test_the_screen_passes_at_a_quarter_of_the_sign_test(wins: int, losses: int, asked: bool) -> None:
    kit = Kit(Ruled(lambda n, i: float(i < wins if n == "new" else wins <= i < wins + losses), sizes=SIZES))
    kit.offer("new")
    assert (kit.incumbent.gate.looks == 1) is asked


def test_a_graded_gain_on_the_screen_must_be_a_gain_in_the_mean_as_well() -> None:
    often_a_little_seldom_much = by_name(new=lambda i: 0.51 if i < 20 else 0.0)
    world = Ruled(lambda n, i: 0.5 if n != "new" else often_a_little_seldom_much(n, i), sizes=SIZES, verdicts=False)
    kit = Kit(world, graded=True)
    assert not kit.offer("new") and kit.incumbent.gate.looks == 0
    assert kit.incumbent.screened[0][1].p_value < 0.25 and kit.incumbent.screened[0][1].effect < 0


def test_without_a_screen_every_candidate_is_looked_at() -> None:
    kit = Kit(Ruled(by_name(), sizes={**SIZES, "screen": 0}))
    assert not kit.offer("new") and kit.incumbent.gate.looks == 1


def test_the_same_refused_candidate_offered_again_costs_no_look_and_no_answer() -> None:
    kit = Kit(Ruled(by_name(new=lambda i: float(i < 5)), sizes={**SIZES, "screen": 0, "gate": 12}))
    assert not kit.offer("new")
    level, answers = kit.incumbent.gate.level(), kit.answers
    for _ in range(3):
        assert not kit.offer("new")
    assert (kit.incumbent.gate.looks, kit.incumbent.gate.level(), kit.answers) == (1, level, answers)
    assert [t for t, _ in kit.told].count("again") == 3 and len(kit.incumbent.decisions) == 1


def test_a_repeated_offer_that_the_screen_refused_is_free_as_well() -> None:
    kit = Kit(Ruled(by_name(), sizes=SIZES))
    kit.offer("new")
    answers = kit.answers
    assert not kit.offer("new") and kit.answers == answers and len(kit.incumbent.screened) == 1


def test_after_an_acceptance_the_same_candidate_is_compared_with_the_new_incumbent() -> None:
    kit = Kit(Ruled(by_name(low=lambda i: float(i < 30), high=lambda i: 1.0), sizes={**SIZES, "screen": 0}))
    assert kit.offer("high") and not kit.offer("low")
    assert [d.accepted for _, d in kit.incumbent.decisions] == [True, False]


def test_a_look_without_a_gain_in_its_first_third_measures_no_more_and_spends_its_share() -> None:
    kit = Kit(Ruled(by_name(), sizes={**SIZES, "screen": 0}))
    gate = kit.incumbent.gate
    share = gate.level()
    assert not kit.offer("new")
    ((_, decision),) = kit.incumbent.decisions
    assert decision.early and decision.n == 20 and gate.budget == pytest.approx(gate.alpha - share) and gate.looks == 1
    assert kit.answers == 60 + 20


def test_the_first_third_is_chosen_by_the_gate_and_a_gain_there_has_the_rest_measured() -> None:
    sizes = {**SIZES, "screen": 0}
    world = Ruled(by_name(), sizes=sizes)
    third = set(Gate().first_third([e.id for e in world.examples("gate")]))
    assert third != set(range(20))
    kit = Kit(Ruled(by_name(new=lambda i: float(i in third)), sizes=sizes))
    assert kit.offer("new") and kit.answers == 2 * 60
    kit = Kit(Ruled(by_name(new=lambda i: float(i not in third)), sizes=sizes))
    assert not kit.offer("new") and kit.answers == 60 + 20


def test_small_gates_are_measured_whole() -> None:
    kit = Kit(Ruled(by_name(), sizes={**SIZES, "screen": 0, "gate": 19}))
    assert not kit.offer("new")
    assert kit.answers == 2 * 19 and not kit.incumbent.decisions[0][1].early


def test_while_the_run_goes_on_only_accepted_or_not_is_told() -> None:
    kit = Kit(Ruled(by_name(new=lambda i: 1.0), sizes={**SIZES, "screen": 0}))
    kit.offer("new")
    ((_, told),) = [(t, p) for t, p in kit.told if t == "look"]
    assert set(told) == {"candidate", "incumbent", "by", "note", "look", "accepted"}
    (recorded,) = [e.payload for e in kit.store.events(kit.run.id) if e.type == "look"]
    assert recorded["wins"] == 60 and recorded["effect"] == 1.0 and {**recorded, **told} == recorded


def test_groups_count_as_one() -> None:
    """Sixty examples in six groups: what would be plain of sixty is not shown by six."""
    world = Ruled(by_name(new=lambda i: float(i < 30)), sizes={**SIZES, "screen": 0}, group=10)
    kit = Kit(world, graded=True, planned=1)
    assert not kit.offer("new")
    ((_, decision),) = kit.incumbent.decisions
    assert decision.n == 6 and decision.effect == pytest.approx(0.5)
    assert Kit(Ruled(by_name(new=lambda i: float(i < 30)), sizes={**SIZES, "screen": 0})).offer("new")


def test_means_of_groups_count_what_is_missing_against_the_change() -> None:
    examples = [Example(id=str(i), input="q", meta={"group": "g"} if i < 3 else {}) for i in range(5)]
    made_of = units(examples)
    assert [u.key for u in made_of] == ["group g", "3", "4"]
    scores = [1.0, None, 0.0, None, 1.0]
    assert unit_scores(made_of, scores, "candidate") == [pytest.approx(1 / 3), None, 1.0]
    assert unit_scores(made_of, scores, "incumbent") == [pytest.approx(2 / 3), None, 1.0]
    assert unit_scores(made_of[:1], [None] * 3, "candidate") == [None]


def test_a_group_named_as_an_example_is_not_taken_for_it() -> None:
    examples = [Example(id="a", input="q"), Example(id="b", input="r", meta={"group": "a"})]
    assert [u.members for u in units(examples)] == [(0,), (1,)]


def test_grades_before_a_gate_that_was_told_of_verdicts_can_only_refuse() -> None:
    sizes = {**SIZES, "screen": 0}
    kit = Kit(Ruled(lambda n, i: 0.4 if n != "new" else 0.9, sizes=sizes, verdicts=False))
    assert not kit.offer("new") and kit.incumbent.rounded
    kit = Kit(Ruled(lambda n, i: 0.0 if n != "new" else 1.0, sizes=sizes, verdicts=False))
    assert kit.offer("new")


def test_a_candidate_that_fails_to_be_judged_cannot_win_by_it() -> None:
    kit = Kit(
        Ruled(lambda n, i: float(i < 20) if n != "new" else (1.0 if i < 40 else None), sizes={**SIZES, "screen": 0})
    )
    kit.offer("new")
    ((_, decision),) = kit.incumbent.decisions
    assert decision.candidate_score <= 40 / 60 and decision.n in (20, 60)


# ---- what looks are paid from ---------------------------------------------------------------------------------------------


def ledger(calls: int = 100) -> Ledger:
    return Ledger(Budget(calls=calls))


def test_methods_do_not_see_what_is_kept_for_the_gate() -> None:
    kept = ledger()
    reserve = Reserve(kept, test=Cost(calls=10), look=Cost(calls=12), screen=Cost(calls=6), looks=2)
    assert kept.left("calls") == 100 - 10 - 2 * 18
    reserve.screening()
    reserve.looking()
    assert kept.left("calls") == 100 - 10 - 18
    for _ in range(5):  # more looks than were planned are paid from what is left
        reserve.looking()
        reserve.screening()
    assert kept.left("calls") == 90
    reserve.release()
    assert kept.left("calls") == 100


@pytest.mark.parametrize("size", [60, 86, 139])  # of 86 and 139, a third's share is no whole number in floating point
def test_a_look_that_was_ended_early_is_charged_in_full(size: int) -> None:
    def left(worth: Worth) -> float:
        kit = Kit(Ruled(worth, sizes={**SIZES, "screen": 0, "gate": size}), budget=Budget(calls=1000))
        asyncio.run(kit.incumbent.scores(BASE))
        kit.incumbent.reserve = Reserve(kit.engine.ledger, test=FREE, look=Cost(calls=size), looks=1)
        kit.offer("new")
        return kit.engine.ledger.left("calls")

    early, whole = left(by_name()), left(by_name(new=lambda i: float(i % 2)))
    assert early == whole == 1000 - 2 * size


def test_a_comparison_that_ends_by_an_error_is_not_one_that_the_budget_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its method is told to have ended by an error; the gate was not asked, and may be."""
    kit = Kit(Ruled(by_name(good=lambda i: 1.0), sizes={**SIZES, "screen": 0}))
    look = kit.incumbent._look

    async def broken(candidate: Candidate) -> Any:
        raise RuntimeError("the solver broke")

    monkeypatch.setattr(kit.incumbent, "_look", broken)
    with pytest.raises(RuntimeError):
        kit.offer("good")
    assert kit.incumbent.undecided is None and kit.incumbent.decisions == [] and kit.incumbent.gate.looks == 0
    monkeypatch.setattr(kit.incumbent, "_look", look)
    assert kit.offer("good")


def test_what_an_early_end_saved_is_kept_in_wall_time_and_not_in_the_time_of_calls_that_overlap() -> None:
    ledger = Ledger(Budget(seconds=1000), clock=lambda: 0.0)
    reserve = Reserve(ledger, test=FREE, look=Cost(calls=60, seconds=6.0), looks=1)
    reserve.looking()
    reserve.saved(Cost(calls=20, seconds=100.0), measured=20, of=60)
    assert ledger.left("seconds") == 1000 - 4 and ledger.aside.calls == 40


def test_costs_are_multiplied_in_whole_calls() -> None:
    cost = Cost(calls=3, prompt_tokens=10, completion_tokens=1, seconds=0.5, money=0.5).times(1.5)
    assert cost == Cost(calls=5, prompt_tokens=15, completion_tokens=2, seconds=0.75, money=0.75)


def test_not_worse_is_measured_against_what_the_run_began_with_and_never_against_the_last_step() -> None:
    """Each step loses 3 of 100 examples more. Against the step before, all would pass."""
    steps = {f"step{k}": (lambda i, k=k: float(i >= 3 * k)) for k in range(1, 7)}
    world = Ruled(lambda n, i: steps[n](i) if n in steps else 1.0, sizes={**SIZES, "screen": 0, "gate": 400})
    kit = Kit(world, margin=0.05)
    accepted = [kit.offer(name) for name in steps]
    assert accepted[0]
    assert not accepted[-1], "18 of 400 lost: too near to the margin of 5%"
    assert {d.margin for _, d in kit.incumbent.decisions} == {0.05}
    assert [round(400 * d.effect) for _, d in kit.incumbent.decisions] == [-3, -6, -9, -12, -15, -18]
    told = [p for t, p in kit.told if t == "look"]
    assert {p["incumbent"] for p in told} == {BASE.hash}


def test_a_version_that_was_accepted_and_replaced_since_is_not_told_to_be_the_incumbent() -> None:
    """With a margin both are compared with what the run began with, so the pair of the first one is known."""
    kit = Kit(Ruled(lambda n, i: 1.0, sizes={**SIZES, "screen": 0, "gate": 400}), margin=0.05)
    assert kit.offer("one") and kit.offer("two")
    looks = kit.incumbent.gate.looks
    for name in ("one", "two", "one"):
        assert not kit.offer(name)
    assert kit.incumbent.candidate.note == "two" and kit.incumbent.gate.looks == looks


def test_with_a_margin_the_screen_asks_for_no_gain() -> None:
    kit = Kit(Ruled(lambda n, i: float(n != "bad" or i % 2), sizes=SIZES), margin=0.05)
    kit.offer("same")
    kit.offer("bad")
    assert [s.promising for _, s in kit.incumbent.screened] == [False]
    assert kit.incumbent.gate.looks == 1


@pytest.mark.parametrize(("verdicts", "grades"), [(True, False), (False, True), (None, None)])
def test_what_the_checker_gives_is_known_from_the_screen(verdicts: bool | None, grades: bool | None) -> None:
    kit = Kit(Ruled(lambda n, i: None if verdicts is None else 0.0, sizes=SIZES, verdicts=bool(verdicts)))
    asyncio.run(kit.incumbent.scores(BASE, "gate"))
    assert kit.incumbent.grades is None, "the gate must not choose its own test"
    asyncio.run(kit.incumbent.scores(BASE, "screen"))
    assert kit.incumbent.grades is grades and not kit.incumbent.rounded


@pytest.mark.parametrize(("calls", "where"), [(70, "gate"), (40, "screen")])
def test_a_comparison_that_the_budget_cuts_short_is_known_as_undecided(calls: int, where: str) -> None:
    kit = Kit(Ruled(by_name(good=lambda i: 1.0), sizes=SIZES), budget=Budget(calls=calls))
    with pytest.raises(BudgetExhausted):
        kit.offer("good")
    assert kit.incumbent.undecided is not None and kit.incumbent.undecided.note == "good", where
    assert kit.incumbent.screened == kit.incumbent.decisions == []
    whole = Kit(Ruled(by_name(good=lambda i: 1.0), sizes=SIZES))
    assert whole.offer("good") and not whole.offer("bad") and whole.incumbent.undecided is None


def test_what_was_not_judged_on_the_screen_is_counted_apart() -> None:
    def worth(name: str, i: int) -> float | None:
        if i < 10 or (name == "new" and i in (27, 29)):  # at 27 the incumbent has 0, so that nothing is lost there
            return None
        return float(i < 14 if name == "new" else i >= 28)

    kit = Kit(Ruled(worth, sizes=SIZES))
    assert not kit.offer("new")
    ((_, screening),) = kit.incumbent.screened
    assert (screening.wins, screening.losses, screening.missing) == (4, 12, 11)
