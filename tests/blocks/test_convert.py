"""Conversions between kinds of feedback, and the JSON form of every kind, for random valid feedback."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.blocks.convert import RULES, Rules, convert, pairs, prefer, reachable
from loopwright.core import feedback as fb
from loopwright.core.errors import InputError, NoConversion
from loopwright.core.feedback import KINDS, Cost, Missing, Rater, Score, parse_feedback

finite = st.floats(allow_nan=False, allow_infinity=False)
moderate = st.floats(-1e6, 1e6)
unit = st.floats(0.0, 1.0)
# Lone surrogates have no UTF-8, so no JSON bytes either.
words = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)
costs = st.builds(Cost, calls=st.integers(0, 9), prompt_tokens=st.integers(0, 99), money=st.floats(0, 9))
raters = st.builds(Rater, kind=st.sampled_from(["human", "model", "code", "implicit"]), name=names, version=words)
said = {
    "by": raters, "about": words, "confidence": st.none() | unit, "cost": costs,
    "status": st.sampled_from(["ok", "censored"]),
}  # fmt: skip


@st.composite
def scores(draw: st.DrawFn) -> Score:
    low, value, high = sorted(draw(st.lists(moderate, min_size=3, max_size=3, unique=True)))
    value = draw(st.sampled_from([low, value, high]))
    more = {k: draw(v) for k, v in said.items()}
    return Score(value=value, low=low, high=high, aspect=draw(words), message=draw(words), **more)


@st.composite
def spans(draw: st.DrawFn) -> fb.Spans:
    length = draw(st.integers(0, 30))
    marks = []
    for _ in range(draw(st.integers(0, 3)) if length else 0):
        start = draw(st.integers(0, length - 1))
        mark = {"start": start, "end": draw(st.integers(start + 1, length)), "severity": draw(unit)}
        marks.append(fb.Span(label=draw(words), text=draw(words), **mark))
    return fb.Spans(spans=tuple(marks), length=length, **{k: draw(v) for k, v in said.items()})


@st.composite
def preferences(draw: st.DrawFn) -> fb.Preference:
    a, b = draw(st.lists(names, min_size=2, max_size=2, unique=True))
    shown = draw(st.sampled_from([None, (a, b), (b, a)]))
    strength = draw(st.floats(1e-6, 1e6))
    return fb.Preference(
        chosen=a, rejected=b, tie=draw(st.booleans()), strength=strength, shown=shown, **{k: draw(v) for k, v in said.items()}
    )


@st.composite
def rankings(draw: st.DrawFn) -> fb.Ranking:
    ids = draw(st.lists(names, min_size=2, max_size=6, unique=True))
    groups: list[tuple[str, ...]] = [(ids[0],)]
    for i in ids[1:]:
        if draw(st.booleans()):
            groups.append((i,))
        else:
            groups[-1] += (i,)
    return fb.Ranking(groups=tuple(groups), **{k: draw(v) for k, v in said.items()})


items = st.builds(
    fb.Item, question=words, answer=st.sampled_from([True, False, None]), weight=st.floats(1e-300, 1e300, exclude_min=True)
)
BY_KIND = {
    "score": scores(),
    "verdict": st.builds(fb.Verdict, passed=st.booleans(), message=words, **said),
    "critique": st.builds(fb.Critique, comment=words, direction=words, **said),
    "spans": spans(),
    "steps": st.builds(
        fb.Steps, values=st.lists(unit, min_size=1, max_size=5).map(tuple),
        unit=st.sampled_from(["step", "turn", "line"]), **said,
    ),
    "checklist": st.builds(fb.Checklist, items=st.lists(items, min_size=1, max_size=4).map(tuple), **said),
    "preference": preferences(),
    "ranking": rankings(),
    "demonstration": st.builds(fb.Demonstration, output=words, **said),
    "edit": st.builds(fb.Edit, before=words, after=words, **said),
    "signal": st.builds(
        fb.Signal, event=words, value=finite, propensity=st.none() | st.floats(0.0, 1.0, exclude_min=True), **said
    ),
    "measures": st.builds(fb.Measures, values=st.dictionaries(words, finite, min_size=1, max_size=3), **said),
    "gradient": st.builds(
        fb.Gradient, vector=st.lists(finite, min_size=1, max_size=3).map(tuple), value=st.none() | finite, **said
    ),
}  # fmt: skip
missing = st.builds(
    Missing, expected=st.sampled_from(KINDS), message=words, by=raters, about=words, cost=costs,
    status=st.sampled_from(["failed", "refused"]),
)  # fmt: skip
anything = st.one_of(*BY_KIND.values(), missing)


def test_every_kind_of_the_union_is_drawn() -> None:
    assert tuple(BY_KIND) == KINDS


@given(anything)
def test_json_gives_the_same_feedback_back(feedback: fb.Feedback) -> None:
    assert parse_feedback(feedback.model_dump_json()) == feedback
    assert parse_feedback(feedback.model_dump(mode="json")) == feedback


@given(anything, st.lists(st.sampled_from(KINDS), min_size=1, max_size=4, unique=True))
def test_the_laws(feedback: fb.Feedback, kinds: list[str]) -> None:
    try:
        became = convert(feedback, kinds)
    except NoConversion as error:
        refusal = str(error)
        became = None
    if became is None:
        assert feedback.kind not in kinds and feedback.kind in refusal and kinds[0] in refusal
        return
    assert became.kind in kinds or isinstance(became, Missing)
    if isinstance(feedback, Missing) or feedback.kind in kinds:
        assert became is feedback
        return
    assert (became.by, became.about, became.cost) == (feedback.by, feedback.about, feedback.cost)
    if isinstance(became, Missing):
        return
    assert (became.confidence, became.status) == (feedback.confidence, feedback.status)
    if feedback.satisfied and became.kind not in ("demonstration", "preference"):
        assert became.satisfied
    assert became == convert(feedback, kinds)


@given(st.one_of(BY_KIND["score"], BY_KIND["verdict"], BY_KIND["steps"], BY_KIND["critique"]))
def test_nothing_becomes_satisfied_on_the_way(feedback: fb.Feedback) -> None:
    for kind in ("score", "verdict", "critique"):
        if kind in reachable(feedback.kind):
            became = convert(feedback, [kind])
            # A critique without words is no objection, and a score may have failed without saying why.
            assert became.satisfied == feedback.satisfied or (kind == "critique" and not feedback.text.strip())


@given(BY_KIND["checklist"])
def test_a_checklist_is_the_share_of_its_answered_questions(feedback: fb.Checklist) -> None:
    score = convert(feedback, ["score"])
    answers = [item.answer for item in feedback.items if item.answer is not None]
    if not answers:
        assert isinstance(score, Missing) and isinstance(convert(feedback, ["verdict"]), Missing)
        return
    assert isinstance(score, Score)
    assert (score.value == 1.0) == all(answers)
    assert score.value == 0.0 or any(answers)
    half = fb.Checklist(items=tuple(i for i in feedback.items if i.answer is not None))
    assert convert(half, ["score"]).value == score.value


@given(BY_KIND["ranking"])
def test_pairs_keep_the_order_and_count_every_pair_once(ranking: fb.Ranking) -> None:
    found = pairs(ranking)
    n = sum(len(group) for group in ranking.groups)
    assert len({frozenset((p.chosen, p.rejected)) for p in found}) == len(found) == n * (n - 1) // 2
    place = {i: k for k, group in enumerate(ranking.groups) for i in group}
    assert all(place[p.chosen] <= place[p.rejected] and p.tie == (place[p.chosen] == place[p.rejected]) for p in found)
    assert sum(p.cost.calls for p in found) == ranking.cost.calls


@given(BY_KIND["preference"])
def test_a_preference_as_a_ranking_is_the_same_preference(preference: fb.Preference) -> None:
    ranking = convert(preference, ["ranking"])
    back = convert(ranking, ["preference"])
    assert (back.chosen, back.rejected, back.tie) == (preference.chosen, preference.rejected, preference.tie)


def test_every_rule_is_reachable_and_names_known_kinds() -> None:
    assert {kind for rule in RULES for kind in rule} <= set(KINDS)
    assert reachable("checklist") == ["score", "critique", "verdict"]
    assert reachable("gradient") == []


def test_rules_say_what_a_conversion_cannot_know() -> None:
    measures = fb.Measures(values={"speed": 3.0, "size": 9.0})
    with pytest.raises(NoConversion, match="aspect"):
        convert(measures, ["score"])
    speed = Rules(aspect="speed", high=10.0)
    assert convert(measures, ["score"], speed) == Score(value=3.0, high=10.0, aspect="speed")
    assert not convert(measures, ["verdict"], speed).passed
    assert convert(measures, ["verdict"], speed._replace(threshold=0.3)).passed
    with pytest.raises(InputError, match="size, speed"):
        convert(measures, ["score"], Rules(aspect="weight"))
    with pytest.raises(InputError, match="within"):
        convert(measures, ["score"], Rules(aspect="size"))
    steps = fb.Steps(values=(1.0, 0.5))
    assert convert(steps, ["score"]).value == 0.5
    assert convert(steps, ["score"], Rules(steps="mean")).value == 0.75


def test_marked_places_become_lines_where_the_text_is_known() -> None:
    marked = fb.Spans(spans=(fb.Span(start=3, end=4, severity=0.5), fb.Span(start=7, end=8)), length=8)
    with pytest.raises(NoConversion, match="output"):
        convert(marked, ["steps"])
    steps = convert(marked, ["steps"], Rules(output="ab\nde\ngh"))
    assert steps == fb.Steps(values=(1.0, 0.5, 0.0), unit="line")
    with pytest.raises(InputError, match="8 characters"):
        convert(marked, ["steps"], Rules(output="ab"))
    assert convert(marked, ["score"]).value == 0.0


def test_an_edit_prefers_and_shows_its_outcome() -> None:
    edit = fb.Edit(before="bad", after="good", about="r1")
    assert convert(edit, ["demonstration"]).output == "good"
    preference = convert(edit, ["preference"])
    assert preference.chosen != preference.rejected and preference.about == "r1"
    assert isinstance(convert(fb.Edit(before="same", after="same"), ["preference"]), Missing)


def test_two_scores_become_a_preference_where_they_can_be_compared() -> None:
    a, b = Score(value=0.9, about="a", confidence=0.8), Score(value=0.2, about="b")
    made = prefer(b, a)
    assert (made.chosen, made.rejected, made.tie, made.confidence) == ("a", "b", False, 0.8)
    assert prefer(a, a.model_copy(update={"about": "c"})).tie
    for other in (a, b.model_copy(update={"aspect": "style"}), b.model_copy(update={"status": "censored"})):
        with pytest.raises(NoConversion):
            prefer(a, other)


def test_a_refusal_names_both_kinds_and_what_could() -> None:
    with pytest.raises(NoConversion) as error:
        convert(fb.Gradient(vector=(1.0,)), ["score", "verdict"])
    assert "from gradient to score or verdict" in str(error.value) and "checklist" in str(error.value)
    with pytest.raises(NoConversion, match="pairs"):
        convert(fb.Ranking(groups=(("a",), ("b",), ("c",))), ["preference"])
