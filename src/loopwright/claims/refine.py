"""Claims of methods that improve one answer."""

from pydantic import JsonValue

from loopwright.claims.table import Claim
from loopwright.worlds.lab.dialogues import EXPLAIN
from loopwright.worlds.lab.roles import coder, formaliser
from loopwright.worlds.spatial import KNOWLEDGE

LAB_ANSWER = r"Answer: (.*)"
FORMALISER: dict[str, JsonValue] = {"backend": "embedded", "path": "lab", "adapter": "formaliser", "dtype": "float32"}
CODER: dict[str, JsonValue] = {"backend": "embedded", "path": "lab", "adapter": "coder", "dtype": "float32"}

TAUGHT = (
    "the lab model was taught this role, answers without a program included (a quarter of its lessons): 76% of its programs give "
    "the right answer at once, of its own answers 14% are right, hardly more than chance. So the row says what the pipeline "
    "makes of a model that reads well and cannot reason; nothing was tuned",
    "what the row does not show is repair: of wrong programs that clingo finds fault with, 23% (13 to 37) are right after its "
    "words, and 34% (22 to 49) written anew, at temperature 1",
)

CODED = (
    "the lab model was taught both roles: of its programs (one to three steps) 75% are right at temperature 1, of the asserts "
    "that it designs 86% are true, at temperature 0; of wrong programs that true tests find fault with, 67% (57 to 76) are "
    "right after the executor's words, 56% (45 to 66) written anew. Tests and programs are of one model, so they may share a "
    "misreading",
    "on the gate split, seeds 0 to 2, 40 questions, temperature 0.3: 0.88 to 0.85 for a vote of seven, 0.83 for one greedy "
    "answer, 0.84 for the method without tests (tests=0); 152 answers and designs to 280. One seed at 0.5: 0.88 to 0.83. Four "
    "steps, which it was never taught: 0 for all",
    "two adapters before this one, with fewer lessons in designing tests: 26% and 79% of the asserts true; with the second, at "
    "0.7, 0.72 to 0.69 (seeds 0 and 1), where some programs on both sides ran out of time on a busy machine",
    "first judged on seeds 200 to 204, with the same options: level, 0.000, interval -0.058 to 0.058; too few to tell, so the "
    "row is of eight other seeds",
    "why so little, looked at afterwards on 284 questions of the gate split: 0.89 to 0.85 for the vote. The tests found 41 of 43 "
    "wrong programs, of which 20 became right; as 20% of the asserts were false they also blamed 86 of 241 right ones, of which "
    "9 became wrong. Of the 23 that stayed wrong 17 had a false test, so a designer who errs less should gain more",
)

CLAIMS = (
    Claim(
        recipe="self-refine",
        baseline="self-consistency",
        world="lab-modular",
        metric="score",
        direction="higher",
        seeds=6,
        first_seed=200,
        setting={"examples": 100, "world": {"level": 3}},
        options={"rounds": 2, "critique": EXPLAIN, "revise": "{feedback}", "satisfied": "Right.", "temperature": 0.3},
        baseline_options={"n": 4, "temperature": 0.7, "extract": LAB_ANSWER},
        budget={"sequences": 500},
        source="Madaan et al., table 1: refined by its own feedback a model beats its first answer; here a vote may ask as often",
        tried=(
            "on the gate split, seeds 0 to 3, 80 questions: against its first answer 0.50 to 0.38 (modular 3), 0.79 to 0.72 "
            "(modular 2), 0.51 to 0.37 (sentences 3), so the paper's direction shows where nothing else may be asked; against a "
            "vote of three level: 0.50 to 0.51, 0.79 to 0.80, 0.51 to 0.52; sort 5: 0.77 to 0.89",
            "temperature 0.7 and 1 were below 0.3 on modular 3 (0.43 and 0.42), a vote over the revisions as well (0.44)",
        ),
    ),
    Claim(
        recipe="reflexion",
        baseline="best-of-n",
        world="lab-modular",
        metric="score",
        direction="higher",
        seeds=6,
        first_seed=200,
        setting={"examples": 100, "world": {"level": 2, "detail": "outcome"}},
        options={"trials": 3, "memory": 1, "last_attempt": True, "reflect": EXPLAIN, "remember": "{memory}", "temperature": 0.3},
        baseline_options={"n": 2},
        budget={"sequences": 500},
        source="Shinn et al., section 4: told only that it failed, a model that reflects beats one that merely tries as often",
        tried=(
            "on the gate split, seeds 0 to 3, 80 questions: modular 2, 0.82 to 0.81 for the best of two fresh attempts, with 128 "
            "against 160 answers and notes; modular 3, 0.55 to 0.66 for the best of three (212 and 240); sums 4, temperature 1, "
            "0.70 to 0.88 for the best of five (198 and 400)",
            "the same loop without a reflection, told that it is wrong, does as well (modular 3, 0.55): the lab model names the "
            "wrong step half of the time, and a fresh attempt is as good as a revision by a note that may be wrong",
        ),
    ),
    Claim(
        recipe="magicore",
        baseline="best-of-n",
        world="lab-modular",
        metric="score",
        direction="higher",
        seeds=6,
        first_seed=200,
        setting={"examples": 100, "world": {"level": 3, "steps": True}},
        options={"samples": 3, "rounds": 2, "review": EXPLAIN, "refine": "{feedback}", "extract": LAB_ANSWER},
        baseline_options={"n": 7, "temperature": 0.8},
        budget={"sequences": 1500},
        source="Chen et al., table 1: above best-of-k and self-consistency of as many samples or more, with the same rewards",
        tried=(
            "on the gate split, seeds 0 to 3, 60 questions: modular 3, 0.75 with 426 answers and reviews to 0.74 for the best of "
            "six (360) and 0.51 for a vote of seven; four samples and one round 0.72; modular 4, 0.63 to 0.68; sums 4, 0.88 to "
            "0.88 for the best of five; sums 5, 0.39 to 0.48 for the best of seven. Its rewards here are exact, so that the best "
            "of many, which the same rewards choose, is hard to beat",
        ),
    ),
    Claim(
        recipe="fito",
        baseline="fito",
        world="lab-modular",
        metric="score",
        direction="higher",
        seeds=6,
        first_seed=200,
        setting={"examples": 60, "world": {"level": 3, "spans": True}},
        options={"rounds": 4, "error": "{text}", "revise": "{errors}"},
        baseline_options={"rounds": 4, "error": "Wrong.", "revise": "{errors}"},  # the same search, told only that it is wrong
        budget={"sequences": 300},
        source="Xu et al., sections 4 and 5: errors pinpointed by place and kind beat feedback that says only good or bad",
        tried=("on the gate split, seeds 0 and 1, 80 questions: modular 3, 0.98 to 0.66; sums 4, 0.96 to 0.78",),
    ),
    Claim(
        recipe="critic-tools",
        baseline="self-consistency",
        world="equations",
        metric="score",
        direction="higher",
        seeds=4,
        first_seed=200,
        setting={"examples": 48},
        options={"rounds": 2},
        baseline_options={"n": 3, "temperature": 0.5, "extract": r"\d+ \* \d+ = \d+"},
        budget={"sequences": 144},
        source="Gou et al., table 2: evidence from tools corrects answers that sampling more does not",
        tried=(
            "first run with the recipe at temperature 0.5 instead of the paper's 0: higher by 0.078, interval -0.031 to 0.188, "
            "4 seeds, so neither shown nor refuted; why was not looked into",
            "this row on the same four seeds: higher by 0.125, interval 0.053 to 0.197; the result here is of seeds that nothing "
            "was chosen on",
        ),
    ),
    Claim(
        recipe="llm-asp",
        baseline="self-consistency",  # of answers without a program, as many as the pipeline asks for at most
        world="spatial",
        metric="score",
        direction="higher",
        seeds=5,
        first_seed=200,
        setting={"model": FORMALISER, "examples": 32, "world": {"hops": 4, "unseen": True, "instruction": ""}},
        options={
            "knowledge": KNOWLEDGE, "formalise": formaliser.PROGRAM, "repair": "{feedback}", "interpret": "",
            "direct": formaliser.ANSWER,
        },
        baseline_options={"n": 5, "temperature": 0.7},
        budget={"sequences": 160},
        source="Wang et al., abstract: on StepGame 40 to 50 points above prompting the same model for the answer, which here may "
        "vote as well",
        tried=TAUGHT,
    ),
    Claim(
        recipe="agent-coder",
        baseline="self-consistency",  # of programs as text, as many as the method asks for at most
        world="number-programs",
        metric="score",
        direction="higher",
        seeds=8,
        first_seed=300,
        setting={"model": CODER, "examples": 48, "world": {"steps": 3, "count": 1200, "unseen": True, "instruction": ""}},
        options={
            "tests": coder.TESTS, "programmer": "", "designer": coder.DESIGN + "\n{question}", "revise": "{feedback}",
            "temperature": 0.3,
        },
        baseline_options={"n": 7, "temperature": 0.3},
        budget={"sequences": 336},
        source="Huang et al., table 1: above the same model without designed tests, one answer or refined, which here may vote",
        tried=CODED,
    ),
)
