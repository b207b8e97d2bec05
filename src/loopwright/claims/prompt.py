"""Claims of methods that change the prompt."""

from loopwright.claims.table import Claim

CLAIMS = (
    Claim(
        recipe="few-shot",
        baseline="answer",
        world="capitals",
        metric="score",
        direction="higher",
        margin=0.1,
        seeds=4,
        setting={"examples": 48},
        options={"sizes": [2], "sets": 4, "examples": 16},
        source="worked examples show a form that an instruction does not get across",
    ),
)
