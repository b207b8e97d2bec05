"""Claims of methods in which several roles or models work on one answer."""

from loopwright.claims.table import Claim

CLAIMS = (
    # A program plays all roles (worlds.lab.panellist): it reads case and findings with slips, and thinks of prices and of what
    # speaks against its idea where its prompt tells it to.
    Claim(
        recipe="mai-dxo",
        baseline="mai-dxo",
        world="lab-diagnosis",
        metric="score",
        direction="higher",
        seeds=8,
        first_seed=200,
        setting={"examples": 48, "world": {"weight": 0.5, "seed": 200}},
        options={"mode": "budget", "rounds": 6},
        baseline_options={"mode": "free", "rounds": 6, "roles": []},
        minutes=2,
        source="Nori et al., abstract: right more often than the model by itself, at 70% less cost",
        tried=(
            "the score takes off what was spent: a right diagnosis after everything was asked and ordered counts half. Calls of "
            "the model differ between the arms, as in the paper; money is what counts",
            "cases of seed 7, one seed: 0.91 and 0.76; without budget, 0.93; one alone, shown what its orders cost, 0.86; and "
            "the panel without its words reaching the decision, 0.76. Where money does not count, 0.93 and 0.87 of 60 cases",
            "with 14 causes to tell apart instead of 8 the one alone was right as often as the panel or more (0.95 and 0.90 of "
            "60 cases), as a panel names three causes; at its price the panel was still ahead",
            "what this cannot show: whether a language model plays such roles well. With one, name it in the setting as model",
        ),
    ),
)
