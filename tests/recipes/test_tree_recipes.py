"""Search and panel recipes: what is asked of whom, in which order, and what becomes of the replies."""

from __future__ import annotations

import re
from typing import Any

import pytest
from refine_kit import solve
from world_kit import Say, judge, play

from loopwright.blocks.repository import Edit
from loopwright.blocks.tree import Grown, Tree
from loopwright.core.model import Request
from loopwright.core.types import Example, Turn
from loopwright.recipes.panel.mai_dxo import action_of
from loopwright.recipes.search.hypothesis_refinement import rule_of
from loopwright.recipes.search.swe_search import State, finals
from loopwright.recipes.search.tree_of_thoughts import last_of
from loopwright.sandbox import Sandbox
from loopwright.worlds.diagnosis import charged, diagnosis
from loopwright.worlds.repair.repository import PACKAGE
from loopwright.worlds.repair.world import repair
from loopwright.worlds.rules import all_steps, list_of, rules, run

# ---- Tree of Thoughts -----------------------------------------------------------------------------------------------------


def thinker(texts: list[str], i: int) -> str:
    """Writes a letter a step and calls a state sure as far as it spells "cab"."""
    last = texts[-1]
    if "Work so far:" in last:
        work = "".join(re.findall(r"(?m)^[abc]$", last))
        return "It is likely. No: sure" if "cab".startswith(work) else "impossible"
    if "Try 1:" in last:
        works = ["".join(re.findall(r"(?m)^[abc]$", part)) for part in last.split("Try ")[1:]]
        right = [n for n, work in enumerate(works, 1) if "cab".startswith(work)]
        return f"I choose {right[0]}" if right else "none of them"
    return "abc"[i % 3]


@pytest.mark.parametrize("options", [{"keep": 1}, {"keep": 2}, {"evaluate": "vote", "keep": 1}, {"search": "deep"}])
def test_thoughts_are_grown_from_the_states_that_are_valued_most(options: dict[str, object]) -> None:
    made, asked = solve(
        "tree-of-thoughts", lambda texts: "", sampled=lambda r, i: thinker([t.text for t in r.turns], i), thoughts=3, **options
    )
    assert [t.text for t in made.turns if t.role == "assistant"] == ["c", "a", "b"]
    grown = [texts for texts in asked if texts[-1].startswith(("Work on this", "Good."))]
    if options.get("keep") != 2:
        assert len(grown) == 3  # one state a depth; no dead end was grown


def test_a_judgement_is_its_last_word() -> None:
    words = ("impossible", "likely", "sure")
    assert last_of(Turn(role="assistant", text="Not impossible, so: Likely."), words) == "likely"
    assert last_of(Turn(role="assistant", text="unlikely, I am unsure"), words) == ""
    assert last_of(Turn(role="assistant", text="2 is better than 12"), ("1", "2")) == "2"


# ---- hypothesis refinement --------------------------------------------------------------------------------------------------


def inducer(rule: str, told: list[str]) -> Say:
    """Proposes what is wrong until it is shown what its rule does not explain; cannot apply a rule itself."""

    def say(texts: list[str], i: int) -> str:
        told.append(texts[-1])
        if texts[-1].startswith("Apply this rule"):
            return "[0]"
        if "does not explain" in texts[-1]:
            return f"I see.\n**Updated rule:** {rule}" if i == 2 else "Rule: no such step"
        return "Rule: repeat, repeat"

    return say


def test_rules_are_refined_by_what_they_do_not_explain_and_run_by_the_interpreter() -> None:
    world = rules(count=40, steps=1, seed=3)
    example = next(e for e in world.items if "-> []" not in e.input)
    hidden = next(r for r in all_steps() if fits(r, example.input))
    told: list[str] = []
    made = play(world, "hypothesis-refinement", inducer(hidden, told), example=example)
    assert made.score == 1.0 and made.output == example.target
    (refined,) = [t for t in set(told) if "does not explain" in t]
    assert "repeat, repeat" in refined and "but your rule gives" in refined
    gap = play(world, "hypothesis-refinement", inducer(hidden, []), example=example, apply="model")
    assert gap.score is not None and gap.score < made.score


def fits(rule: str, question: str) -> bool:
    cases = re.findall(r"(?m)^(\[.*\]) -> (\[.*\])$", question)
    return all(run(rule, list_of(a) or []) == list_of(b) for a, b in cases)


def test_the_last_rule_stated_counts() -> None:
    assert rule_of("Rule: sort\nNo.\n## New rule: `reverse`") == "reverse"
    assert rule_of("reverse") == "reverse" and rule_of("") == ""


# ---- MAI-DxO ----------------------------------------------------------------------------------------------------------------


def doctor(acts: list[str], told: list[str], after_price: str = "") -> Say:
    """Says in turn what is written down, the last for ever; and what it is asked as a role, it only notes."""
    left = list(acts)

    def say(texts: list[str], i: int) -> str:
        told.append(texts[-1])
        if texts[-1].startswith("You are Dr. "):
            return f"as {texts[-1].split(' on a panel')[0][8:]}"
        if "were spent" in texts[-1] and after_price:
            return after_price
        if "were spent" in texts[-1]:
            return "TEST: " + re.findall(r"TEST: (.*)", texts[-2])[-1]
        return left.pop(0) if len(left) > 1 else left[0]

    return say


CASES = diagnosis(faults=4, count=12)


def test_a_panel_is_told_what_it_asks_for_and_charged_for_it() -> None:
    example = CASES.items[0]
    told: list[str] = []
    acts = ["ASK: smell, dripping", "TEST: oil sample ($20), borescope, weather", f"I am sure.\nDIAGNOSIS: {example.target}"]
    made = play(CASES, "mai-dxo", doctor(acts, told), example=example)
    prices = prices_of(example)  # type: ignore[union-attr]
    assert made.score == 1.0 and charged(made) == 300 + prices["oil sample"] + prices["borescope"]
    roles = [t.split(" on a panel")[0] for t in told if t.startswith("You are")]
    assert roles[:5] == [f"You are Dr. {n}" for n in ("Hypothesis", "Test-Chooser", "Challenger", "Stewardship", "Checklist")]
    assert len(roles) == 15  # before each of the three acts
    shown = "\n".join(t.text for t in made.turns if t.role == "user")
    assert "weather: not to be had." in shown and "Dr. Hypothesis: as Dr. Hypothesis" in shown
    assert len(re.findall(r"(?m)^(?:smell|dripping|oil sample|borescope): (?:yes|no)\.$", shown)) == 4


def prices_of(example: Example) -> dict[str, int]:
    return {name: int(price) for name, price in re.findall(r"([a-z][\w -]*) \(\$(\d+)\)", example.question.split("ordered: ")[1])}


def test_an_order_may_be_taken_back_and_none_goes_beyond_the_budget() -> None:
    example = CASES.items[1]
    acts = ["TEST: full strip-down, borescope, oil sample", "DIAGNOSIS: nothing"]
    kept = play(CASES, "mai-dxo", doctor(acts, []), example=example, budget=10, roles=[])
    assert charged(kept) == 0 and "beyond the budget" in "".join(t.text for t in kept.turns)
    back = play(CASES, "mai-dxo", doctor(acts, [], "TEST: oil sample"), example=example, roles=[], budget=9999)
    assert charged(back) == prices_of(example)["oil sample"]
    assert "oil sample: " in "".join(t.text for t in back.turns if t.role == "user")


def test_variants_ask_as_much_as_they_may() -> None:
    example = CASES.items[2]
    acts = ["TEST: borescope", "ASK: smell", "no idea"]
    instant = play(CASES, "mai-dxo", doctor(acts, []), example=example, mode="instant")
    assert charged(instant) == 0 and len([t for t in instant.turns if t.role == "assistant"]) == 1
    asking = play(CASES, "mai-dxo", doctor(acts, []), example=example, mode="questions", rounds=3)
    assert charged(asking) == 300 and "No more can be asked" in asking.turns[-2].text
    several = play(CASES, "mai-dxo", doctor(["ASK: smell", "DIAGNOSIS: x"], []), example=example, panels=2, mode="free")
    assert "Panel 2 found" in several.turns[-2].text and charged(several) in (300, 600)


def test_an_action_is_the_last_line_of_its_form() -> None:
    assert action_of("ASK: a?\n- **TEST:** b ($20), c.", True) == ("order", ["b", "c"])
    assert action_of("TEST: b", False)[0] == "" and action_of("hello", True) == ("", [])
    assert action_of("Diagnosis: worn bearing", True) == ("diagnosis", ["worn bearing"])


# ---- SWE-Search -------------------------------------------------------------------------------------------------------------

REPAIRS = repair(count=6)
DEBATE = {"iterations": 6, "debate": 1, "agents": 2}


def mechanic(files: dict[str, str], told: list[str]) -> Say:
    """Views the broken file, spoils it where nobody has yet, repairs it where a reviewer said so, and hands it in."""
    path = next(p for p in PACKAGE if files[p] != PACKAGE[p])
    bad, good = next((b, g) for b, g in zip(files[path].split("\n"), PACKAGE[path].split("\n"), strict=True) if b != g)
    assert files[path].count(bad) == 1

    def say(texts: list[str], i: int) -> str:
        last = texts[-1]
        told.append(last)
        if last.startswith("Somebody works on"):
            passes = "0 failed" in last.split("How likely")[0]
            return f"Explanation: it {'passes' if passes else 'fails'}\nFeedback: put it right\nValue: {90 if passes else -60}"
        if last.startswith("Somebody worked on"):
            return "The second passes.\nID: 2"
        if "Work on this step by step" in last:
            return f"I look.\nVIEW {path}"
        if "passed" in last and "Other attempts" not in last:
            return "FINISH"
        new = good if "put it right" in last else f"{bad}  # looks right"
        return f"{path}\n<<<<<<< SEARCH\n{bad}\n=======\n{new}\n>>>>>>> REPLACE"

    return say


def test_a_second_attempt_hears_what_was_wrong_with_the_first_and_the_debate_decides() -> None:
    example = REPAIRS.items[0]
    told: list[str] = []
    files = dict(example.meta["files"])  # type: ignore[arg-type, call-overload]
    made = play(REPAIRS, "swe-search", mechanic(files, told), example=example, sandbox=Sandbox(), **DEBATE)
    assert any("Other attempts from this very state" in t and "put it right" in t for t in told)
    assert made.score == 1.0


def test_a_state_is_chosen_by_its_own_value_and_not_by_those_below_it() -> None:
    """The first state is valued 90, the one below it -100: the third action starts from the first state once more."""
    example = REPAIRS.items[0]
    acted: list[str] = []

    def say(texts: list[str], i: int) -> str:
        if texts[-1].startswith("Somebody works on"):
            return f"Explanation: so\nFeedback: other\nValue: {90 if len(acted) == 1 else -100}"
        acted.append(texts[-1])
        return f"VIEW {next(iter(PACKAGE))}"

    options: dict[str, Any] = {"iterations": 3, "explore": 0.0, "agents": 0}
    play(REPAIRS, "swe-search", say, example=example, sandbox=Sandbox(), **options)
    from_root = ["Work on this step by step" in message for message in acted]
    assert from_root == [True, False, False]  # by the mean of what is below, the root would be next
    assert "Other attempts from this very state" in acted[2]


def grown(values: list[float], **options: Any) -> list[int]:
    """From which state each action starts, 0 the first; ``values`` are what the critic says of what they lead to."""
    started: list[int] = []
    left = iter(values)

    def say(texts: list[str], i: int) -> str:
        if texts[-1].startswith("Somebody works on"):
            return f"Explanation: so\nFeedback: other\nValue: {next(left)}"
        started.append(int(found[1]) if (found := re.match(r"state(\d+): no such file", texts[-1])) else 0)
        return f"VIEW state{len(started)}"

    fixed: dict[str, Any] = {"iterations": len(values), "agents": 0, "explore": 0.0, "penalty": 0.0}
    play(REPAIRS, "swe-search", say, example=REPAIRS.items[0], sandbox=Sandbox(), **fixed | options)
    return started


@pytest.mark.parametrize(
    ("values", "options", "last"),
    [
        ([10, 0], {}, 1),  # 0.55 against the 0.5 of the first state, which nobody values
        ([-10, 0], {}, 0),
        ([10, 0], {"penalty": 0.1}, 0),
        ([30, 0], {"penalty": 0.1}, 1),
        ([30, 36, 0], {"penalty": 0.1}, 1),  # 0.65 - 0.1 against 0.68 - 0.1 * sqrt(2)
        ([30, 40, 0], {"penalty": 0.1}, 2),
        ([20, 20, 0], {}, 1),  # the older of equals
        ([20, 20, 0], {"explore": 1.0}, 2),  # visited once, the older one twice
        ([20, 20, 0], {"depth": 2}, 1),
        ([30, 40, 0], {"penalty": 0.1, "depth": 2}, 1),  # an end grows no further
        ([90, 0, 0, 0, 0], {"width": 3}, 0),  # has all its children
        ([90, -50, -50, -50, 0], {"width": 4}, 1),
    ],
)
def test_the_state_of_the_best_value_less_the_penalty_for_its_depth_is_grown(
    values: list[float], options: dict[str, Any], last: int
) -> None:
    assert grown(values, **options)[-1] == last


@pytest.mark.parametrize(("finalists", "shown"), [(5, ["b", "a", "c"]), (2, ["b", "a"])])
def test_final_states_are_debated_in_the_order_of_their_values(finalists: int, shown: list[str]) -> None:
    values, left, heat = {"a": 10, "b": 60, "c": -20}, iter("abc"), []

    def sampled(request: Request, i: int) -> str:
        last = request.turns[-1].text
        if last.startswith("Somebody works on"):
            answer = next(a for a in values if f"\n{a}\n" in last)
            return f"Explanation: so\nFeedback: other\nValue: {values[answer]}"
        if last.startswith("Somebody worked on"):
            heat.append((request.sampling.temperature, "Other reviewers said" in last))
            assert re.findall(r"Solution \d:\n(\w)\n", last) == shown
            return "ID: 2"
        return next(left)

    options = {"iterations": 3, "agents": 2, "debate": 3, "finalists": finalists, "temperature": 0.6}
    made, _ = solve("swe-search", str, sampled=sampled, **options)
    assert made.output == "a"
    assert heat == [(0.6, False)] * 2 + [(0.6, True)] * 4 + [(0.0, True)]


@pytest.mark.parametrize(("value", "first"), [(0.55, "A"), (0.7, "B")])
def test_final_states_are_ranked_by_the_mean_of_what_the_states_on_the_way_are_worth(value: float, first: str) -> None:
    """A is worth 0.5, after a state worth 1; B is one step away. With 0.55 for B, they come to 0.644 and 0.617."""
    which = iter([0, 1, 0])
    tree: Tree[State] = Tree(State(), width=2, order=lambda tree: tree.nodes[next(which)])
    (node,) = tree.tell(tree.ask(), Grown(State(edits=("on the way",)), 1.0))  # type: ignore[arg-type]
    assert tree.ask() is node
    tree.tell(node, Grown(State(files={"f": ""}, edits=("A",)), 0.5, terminal=True))
    tree.tell(tree.ask(), Grown(State(files={"f": ""}, edits=("B",)), value, terminal=True))  # type: ignore[arg-type]
    assert [state.edits for state in finals(tree)] == [(first,), ("B" if first == "A" else "A",)]


def test_without_search_attempts_start_over_and_nobody_is_told_of_the_others() -> None:
    example = REPAIRS.items[0]
    told: list[str] = []
    files = dict(example.meta["files"])  # type: ignore[arg-type, call-overload]
    made = play(
        REPAIRS, "swe-search", mechanic(files, told), example=example, sandbox=Sandbox(), iterations=6, search=False
    )  # fmt: skip
    assert made.score == 0.0
    assert sum("Work on this step by step" in t for t in told) == 2  # view, edit, finish; twice
    assert not any("Other attempts" in t or t.startswith("Somebody worked on") for t in told)


def test_only_a_true_repair_passes() -> None:
    world = repair(faults=2, count=3)
    example = world.items[0]
    files = dict(example.meta["files"])  # type: ignore[arg-type, call-overload]
    edits = [Edit(path, files[path].strip("\n"), text.strip("\n")) for path, text in PACKAGE.items() if files[path] != text]
    assert len(edits) == 2
    answers = ["\n\n".join(e.text for e in edits), edits[0].text, "(no edits)"]
    assert [judge(world, example, answer, Sandbox()) for answer in answers] == [1.0, 0.0, 0.0]
