"""Claims of agents that edit their own code."""

from loopwright.claims.table import Claim

# The agents are programs that search and edit themselves in the sandbox; no model is asked. Their tasks are those of a seed on
# which nothing was tried, and both arms try as many of them. What is tested is the best version met, in both.
WORLD = {"seed": 200, "seconds": 1}
CLAIMS = (
    Claim(
        recipe="dgm",
        baseline="dgm-no-archive",
        world="coding",
        metric="score",
        direction="higher",
        seeds=6,
        first_seed=200,
        setting={"examples": 60, "world": {**WORLD}},
        options={"rounds": 400, "stages": [10, 20], "evaluations": 240},
        baseline_options={"rounds": 400, "stages": [10, 20], "evaluations": 240},
        source="Zhang et al., the ablation without open-ended exploration: with the archive agents get better than when only the "
        "last version goes on. The figure was not read.",
        tried=(
            "the agent to begin with was made on tasks of seeds 0 and 1, by how fast a chain of its edits got better there; an "
            "earlier one, with 240 evaluations in stages of 12 and 24 on tasks of seed 1 and run seed 1, came from 0.15 to 0.23",
        ),
    ),
    Claim(
        recipe="hgm",
        baseline="dgm",
        world="coding",
        metric="score",
        direction="higher",
        seeds=6,
        first_seed=200,
        setting={"examples": 60, "world": {**WORLD}},
        options={"evaluations": 240},
        baseline_options={"rounds": 400, "stages": [10, 20], "evaluations": 240},
        source="Wang et al., abstract: above earlier self-improving agents, with less time. Equal evaluations here.",
        tried=(
            "afterwards, on tasks of seed 0 and run seed 7: 0.23 and 0.23, from an agent that solved 1 of 13 tasks; 25 versions "
            "were kept, most tried on 5 to 15 tasks of which they solved 0 to 3, so that draws for clades hardly differ; DGM "
            "kept 14 by as many tasks",
        ),
    ),
)
