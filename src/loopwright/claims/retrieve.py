"""Claims of methods that look something up."""

from loopwright.claims.table import Claim

CLAIMS = (
    Claim(
        recipe="refeed",
        baseline="retrieve-then-read",
        world="city-archive",
        metric="score",
        direction="higher",
        seeds=10,
        first_seed=300,
        setting={"examples": 24},
        options={"answers": 3, "documents": 6},
        baseline_options={"documents": 6},
        minutes=14,
        source="Yu et al., abstract: above baselines that do not use an answer to retrieve with; here with as many documents",
        tried=(
            "the options are the first ones; on seeds 200 to 203 it was 0.073 [-0.074, 0.220], too few to tell",
            "the arms differ in calls, four against one, as a greedy reading gains nothing from more of them",
        ),
    ),
)
