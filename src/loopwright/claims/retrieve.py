"""Claims of methods that look something up."""

from loopwright.claims.table import Claim

CLAIMS = (
    Claim(
        recipe="refeed",
        baseline="retrieve-then-read",
        world="city-archive",
        metric="score",
        direction="higher",
        seeds=4,
        first_seed=200,
        setting={"examples": 24},
        options={"answers": 3, "documents": 6},
        baseline_options={"documents": 6},
        source="Yu et al., abstract: above baselines that do not use an answer to retrieve with; here with as many documents",
        tried=(
            "nothing before this; the options are the first ones",
            "the arms differ in calls, four against one, as a greedy reading gains nothing from more of them",
        ),
    ),
)
