"""Claims of methods that improve one answer."""

from pydantic import JsonValue

from loopwright.claims.table import Claim
from loopwright.worlds.lab.dialogues import EXPLAIN
from loopwright.worlds.lab.roles import formaliser
from loopwright.worlds.spatial import KNOWLEDGE

EARLY = "nothing yet that counts: one seed of an early lab model, near its ceiling at level 4 and low at level 5"
LAB_ANSWER = r"Answer: (.*)"

FORMALISER: dict[str, JsonValue] = {"backend": "embedded", "path": "lab", "adapter": "formaliser", "dtype": "float32"}

TAUGHT = (
    "the lab model was taught this role, answers without a program included (a quarter of its lessons): 76% of its programs give "
    "the right answer at once, of its own answers 14% are right, hardly more than chance. So the row says what the pipeline "
    "makes of a model that reads well and cannot reason; nothing was tuned",
    "what the row does not show is repair: of wrong programs that clingo finds fault with, 23% (13 to 37) are right after its "
    "words, and 34% (22 to 49) written anew, at temperature 1",
)

CLAIMS = (
    Claim(
        recipe="self-refine",
        baseline="self-consistency",
        world="lab-sums",
        metric="score",
        direction="higher",
        seeds=4,
        first_seed=200,
        setting={"examples": 48, "world": {"level": 5}},
        options={"rounds": 2, "critique": EXPLAIN, "revise": "{feedback}", "satisfied": "Right.", "temperature": 0.7},
        baseline_options={"n": 5, "temperature": 0.7, "extract": LAB_ANSWER},
        budget={"sequences": 240},
        source="Madaan et al., table 1: refined by its own feedback a model beats its first answer; here at equal sequences",
        tried=(EARLY,),
    ),
    Claim(
        recipe="reflexion",
        baseline="best-of-n",
        world="lab-sums",
        metric="score",
        direction="higher",
        seeds=4,
        first_seed=200,
        setting={"examples": 48, "world": {"level": 5, "detail": "outcome"}},
        options={"trials": 3, "memory": 1, "last_attempt": True, "reflect": EXPLAIN, "remember": "{memory}", "temperature": 1.0},
        baseline_options={"n": 5},
        budget={"sequences": 240},
        source="Shinn et al., section 4: told only that it failed, a model that reflects beats one that merely tries as often",
        tried=(EARLY,),
    ),
    Claim(
        recipe="magicore",
        baseline="best-of-n",
        world="lab-sums",
        metric="score",
        direction="higher",
        seeds=4,
        first_seed=200,
        setting={"examples": 32, "world": {"level": 5, "steps": True}},
        options={"samples": 4, "rounds": 1, "review": EXPLAIN, "refine": "{feedback}", "extract": LAB_ANSWER},
        baseline_options={"n": 12, "temperature": 0.8},
        budget={"sequences": 384},
        source="Chen et al., table 1: above best-of-k and self-consistency of as many samples or more, with the same rewards",
        tried=(EARLY,),
    ),
    Claim(
        recipe="fito",
        baseline="fito",
        world="lab-sums",
        metric="score",
        direction="higher",
        seeds=4,
        first_seed=200,
        setting={"examples": 48, "world": {"level": 5, "spans": True}},
        options={"rounds": 4, "error": "{text}", "revise": "{errors}"},
        baseline_options={"rounds": 4, "error": "Wrong.", "revise": "{errors}"},  # the same search, told only that it is wrong
        budget={"sequences": 240},
        source="Xu et al., sections 4 and 5: errors pinpointed by place and kind beat feedback that says only good or bad",
        tried=(EARLY,),
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
)
