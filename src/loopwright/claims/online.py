"""Claims of methods that choose while they learn."""

from loopwright.claims.table import Claim

# The baseline's epsilon is the best of 0, 0.005, 0.01, 0.02, 0.05 and 0.1 on seeds 100 to 109, which the claim does not use: its
# default of 0.1 would lose by the price of exploring alone. LinUCB keeps its default.
CLAIMS = (
    Claim(
        recipe="lin-ucb",
        baseline="epsilon-greedy",
        world="bandit",
        metric="regret",
        direction="lower",
        seeds=20,
        setting={"steps": 2000},
        baseline_options={"epsilon": 0.0},
        minutes=1,
        source="Li et al. 2010: LinUCB collects more than epsilon-greedy with the same disjoint linear models.",
    ),
)
