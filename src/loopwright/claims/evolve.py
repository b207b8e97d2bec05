"""Claims of methods that keep many solutions and make new ones of them."""

from loopwright.claims.table import Claim

# qd_score is of all solutions that were evaluated, on a grid over the true measures: the objective's mean over all cells, in
# percent. All options but those named here are the recipes' defaults; nothing was tuned.
CLAIMS = (
    Claim(
        recipe="map-elites",
        baseline="random-search",
        world="planar-arm",
        metric="qd_score",
        direction="higher",
        seeds=6,
        first_seed=200,
        setting={"steps": 600, "world": {"cells": 25}},
        options={"cells": 25, "batch": 10},
        baseline_options={"batch": 10},
        minutes=1,
        source="Mouret and Clune 2015, abstract: MAP-Elites illuminates the search space better than other searches do; tables "
        "not read. 6000 evaluations each.",
        tried=("on seeds 0 and 1: 32.7 and 1.7",),
    ),
    Claim(
        recipe="cma-es",
        baseline="random-search",
        world="rotated",
        metric="best",
        direction="higher",
        seeds=6,
        first_seed=200,
        setting={"steps": 400, "world": {"function": "ellipsoid", "dimensions": 10}},
        options={"batch": 10},
        baseline_options={"batch": 10},
        minutes=1,
        source="Hansen 2016, a tutorial: on ill-conditioned and turned functions it converges; 4000 evaluations each, of an "
        "ellipsoid whose axes differ 1000 times. The objective is minus the cost.",
    ),
    Claim(
        recipe="cma-me",
        baseline="map-elites",
        world="sphere",
        metric="qd_score",
        direction="higher",
        seeds=5,
        first_seed=200,
        setting={"steps": 600},
        options={"cells": 100, "batch": 36, "population": 36},
        baseline_options={"cells": 100, "batch": 36},
        minutes=2,
        source="Fontaine et al. 2020, abstract: CMA-ME finds more, and better, kinds of solutions than MAP-Elites. Here on the "
        "sphere of its section 4 in 20 dimensions, after 21600 evaluations, on 100 x 100 cells.",
        tried=("on seed 1, 4000 evaluations one by one with 50 x 50 cells in the archive: 11.2 and 7.5",),
    ),
    Claim(
        recipe="qdhf",
        baseline="random-projection",
        world="planar-arm",
        metric="qd_score",
        direction="higher",
        seeds=6,
        first_seed=200,
        setting={"steps": 1600, "world": {"cells": 25, "hidden": True, "doubt": 0.02}},
        options={"cells": 25, "batch": 10, "line": 0.2, "stages": [100, 1000, 2000, 3000]},
        baseline_options={"cells": 25, "batch": 10, "line": 0.2, "stages": [100, 1000, 2000, 3000], "judgements": 1000},
        minutes=2,
        source="Ding et al. 2024, abstract: the learned metric matches a hand-made one on a robotic arm and beats those found "
        "without people; its tables were not read, and the random projection is our baseline. 6000 evaluations and 1000 "
        "questions each; the baseline hears no answer.",
        tried=(
            "without doubt, deviation 0.02, on seeds 1 and 2: 63.2 and 62.6; random projection 56.2 and 57.9; all questions "
            "before the first stage 57.0 and 56.2; principal components 59.8 and 65.1; MAP-Elites with the true measures 67.5 "
            "and 67.8",
        ),
    ),
    Claim(
        recipe="learning-progress",
        baseline="random-choice",
        world="crafting",
        metric="score",
        direction="higher",
        seeds=10,
        first_seed=200,
        setting={"steps": 1500},
        minutes=2,
        source="Kanitscheider et al. 2021, by memory: by learning progress more tasks are learned than by even draws. 120 tasks "
        "of crafting, of which 12 are counted, 84 are more of the same and 24 are impossible; 1,500 trainings of 16 episodes. "
        "The score is the mean chance of success at the 12, over the whole course.",
        tried=(
            "on seeds 0 to 3: 0.479; with explore 0.1, 0.2, 0.3 and 0.8 instead of 0.5: 0.374, 0.455, 0.440 and 0.454; "
            "random-choice 0.387. On seeds 4 to 7: 0.470 and 0.368",
        ),
    ),
    Claim(
        recipe="omni",
        baseline="learning-progress",
        world="crafting",
        metric="score",
        direction="higher",
        seeds=10,
        first_seed=200,
        setting={"steps": 1500},
        minutes=2,
        source="Zhang et al. 2023, abstract: with a model of interestingness more is learned than by learning progress alone, or "
        "by even draws, against which learning-progress has its own row, in the same world and score. The judge is scripted, "
        "not a model: to have other numbers of what one can already have is boring.",
        tried=(
            "on seeds 0 to 3: 0.534; with explore 0.1, 0.2, 0.3 and 0.8 instead of 0.5: 0.405, 0.498, 0.498 and 0.516; with well "
            "0.8 and speed 0.2: 0.542 and 0.541; learning-progress 0.479, random-choice 0.387. On seeds 4 to 7: 0.551, 0.470 "
            "and 0.368",
            "on seeds 0 to 7, with a judge who says as much, but of tasks at random: 0.419. Even draws of the 12 that are "
            "counted alone: 0.654",
            "with 24 tasks that are more of the same instead of 84, seeds 0 to 3: 0.603, learning-progress 0.581, random-choice "
            "0.506",
        ),
    ),
)
