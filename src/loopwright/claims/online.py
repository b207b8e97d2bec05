"""Claims of methods that choose while they learn."""

from loopwright.claims.table import Claim

CLAIMS = (
    Claim(
        recipe="lin-ucb",
        baseline="epsilon-greedy",
        world="bandit",
        metric="regret",
        direction="lower",
        seeds=20,
        setting={"steps": 2000},
        minutes=1,
        source="Li et al. 2010, section 5.4: LinUCB collects more than epsilon-greedy with the same features",
    ),
)
