"""Claims of methods that train a model on its own answers."""

from loopwright.claims.table import Claim

CLAIMS = (
    Claim(
        recipe="rest-em",
        baseline="few-shot",
        world="sums",
        metric="score",
        direction="higher",
        margin=0.1,
        seeds=3,
        options={"rounds": 2, "prompts": 64, "shots": 3, "keep": 1},
        baseline_options={"sizes": [3], "sets": 8, "examples": 96},
        source="Singh et al., figures 2 and 3: self-training beats the prompted base model",
    ),
)
