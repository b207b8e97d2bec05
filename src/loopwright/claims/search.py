"""Claims of methods that try several answers."""

from loopwright.claims.table import Claim

LAST_NUMBER = r"(-?\d+)\D*$"

CLAIMS = (
    Claim(
        recipe="best-of-n",
        baseline="self-consistency",
        world="words",
        metric="score",
        direction="higher",
        seeds=4,
        setting={"examples": 32},
        options={"n": 8},
        baseline_options={"n": 8, "temperature": 1.0},
        source="with a verifier to choose by, the best of n beats the most frequent of the same n",
    ),
    Claim(
        recipe="self-consistency",
        baseline="answer",
        world="additions",
        metric="score",
        direction="higher",
        seeds=4,
        setting={"examples": 48},
        options={"n": 8, "temperature": 0.5, "extract": LAST_NUMBER},
        source="Wang et al., table 2: a majority over samples beats one greedy answer",
        tried=(
            "a vote helps where the right answer is the most frequent one, and this model is right in about a fifth of these "
            "sums. That this is the reason is a guess that no run has tested",
            "the same row under another hash of the seeds: lower by 0.047 on four seeds",
        ),
    ),
    Claim(
        recipe="iad",
        baseline="best-of-n",
        world="words",
        metric="score",
        direction="higher",
        seeds=4,
        setting={"examples": 32},
        options={"calls": 8},
        baseline_options={"n": 8},
        budget={"sequences": 256},
        tried=(
            "why: of 180 attempts on 45 examples whose first two failed, those shown the best and worst with their marks beat "
            "the best so far in 22%, fresh ones in 27% (mean marks 0.26 and 0.25), so this model of 135 million parameters "
            "does not act on what it is shown; the idea needs one that does",
            "the same row under another hash of the seeds: lower by 0.010 on four seeds",
        ),
        source="Chakraborty et al., section 5: above best-of-n at equal calls",
    ),
)
