"""Claims of measures: what they show of two runs that the paper says differ."""

from pydantic import JsonValue

from loopwright.claims.table import Claim

_ONCE: dict[str, JsonValue] = {"rounds": 1, "keep": "last", "temperature": 0.0}

CLAIMS = (
    Claim(
        recipe="confidence-critique",
        baseline="confidence-critique",  # the same model, told that it is wrong whatever it answered
        world="lab-sentences",
        metric="CL",
        direction="higher",
        seeds=8,
        first_seed=200,
        setting={
            "examples": 112,  # of 902 that there are, so that no two of eight seeds share one
            "world": {"level": 3, "temperature": 0.0, "test": 1600},  # greedy, so seeds differ by their questions alone
            "recipe_run": {"recipe": "try-again", "options": {"revise": "Try again.", **_ONCE}},
            "baseline_run": {"recipe": "try-again", "options": {"revise": "Wrong.", **_ONCE}},
        },
        budget={"sequences": 600},
        minutes=2,
        source="Yang et al., abstract: prompts trade the two capabilities; here one that casts doubt against one that does not",
        tried=(
            "on the gate split, seeds 0 to 2: sentences 3, 0.79 to 0.75; modular 3, 0.97 to 0.97; blocks 4, 0.98 to 0.98. On "
            "sums 3, the first row, which nothing was tuned for, 0.99 to 1.00 (six seeds from 200): where nearly every right "
            "answer is kept whatever is said, confidence cannot fall",
            "this row with 200 of the same 300 questions to a seed: lower by 0.056, interval 0.043 to 0.069, which such seeds"
            " make too narrow. So the three seeds of the gate, 100 of 150 questions each, had told nothing",
        ),
    ),
    Claim(
        recipe="feedback-friction",
        baseline="feedback-friction",  # as many answers, all greedy
        world="lab-blocks",
        metric="gap",
        direction="lower",
        seeds=8,
        first_seed=200,
        setting={
            "examples": 150,
            "world": {"level": 5, "temperature": 0.0, "test": 1200},
            "recipe_run": {"recipe": "feedback-loop", "options": {"rounds": 3, "warm": 0.3, "reject": 3, "again": "{feedback}"}},
            "baseline_run": {"recipe": "feedback-loop", "options": {"rounds": 9, "again": "{feedback}"}},
        },
        budget={"sequences": 1650},  # a plain answer, then at most ten under feedback
        minutes=4,
        source="Jiang et al., abstract: rising temperature and rejection of earlier answers narrow the gap, which stays open",
        tried=(
            "on the gate split, seeds 0 to 2, 60 questions: blocks 5, 0.46 to 0.49; stack 3, 0.26 to 0.28; sentences 4, 0.45 "
            "to 0.47. On sums 4, the first row, which nothing was tuned for, 0.02 to 0.01 (six seeds from 200): nine rounds "
            "of full feedback solve all",
        ),
    ),
)
