"""Claims: what the paper of a recipe promises, in which direction, and whether it is so here.

A claim is a row of data in ``claims/<family>.py``; nothing else needs to be written. To add one, append to ``CLAIMS``:

    Claim(
        recipe="best-of-n",              # the recipe, by slug
        baseline="answer",               # another recipe's slug, or "answer": the model's own answer, or the start of an Improver
        world="words",                   # a name of worlds.registry, which also says which model answers
        metric="score",                  # Solvers and Improvers: score on the test split, or the world's own figure (gap: of a
                                         # game, how far from Nash); Learners: regret or reward summed over
                                         # all steps, gap, the regret of the last one, score, the
                                         # world's own, its mean over the steps that have one, or a figure
                                         # that the world has of all trials (qd_score, coverage, best)
        direction="higher",              # what is better
        margin=0.0,                      # the interval must lie beyond this
        seeds=8,                         # at least 8 for a verdict
        options={"n": 8},                # of the recipe; baseline_options are the baseline's
        budget={"sequences": 800},       # cap on what one run of either may sample, held by the ledger
        setting={"examples": 50},        # see below
        minutes=3,
        source="Section 4, Table 2",
    )

A family without a file gets one: ``CLAIMS = (Claim(...),)``. ``setting`` may hold ``examples`` (how many of the test split),
``steps`` (of a Learner), ``model`` (instead of the world's), anything the world's factory takes under ``world``,
and ``answering``: the Solver ({recipe, options}) that an Improver's candidate answers through where it brings none of its own,
so that both arms may answer equally often. Critics are compared by ``auc``: how often they put a right answer above a wrong
one, of ``answers`` to each example. Of a Measure ``recipe_run`` and ``baseline_run`` name the Solver ({recipe, options}) whose
run each arm looks at, and its metric is a column. It may be a Learner's run on a stream of tasks, asked ``every`` so many steps
what it still knows of each; the metric is then a row. Learners on such a stream may also be compared by these figures
(``ACC``, ``WC-ACC``, ``forgetting`` and others of blocks.continual). Then

    loopwright reproduce best-of-n

runs recipe and baseline on the same seeds and examples, and writes ``docs/results/best-of-n.json`` as it came out.
"""

from loopwright.claims.reproduce import Result, reproduce
from loopwright.claims.table import Claim, all_claims, claim_of

__all__ = ["Claim", "Result", "all_claims", "claim_of", "reproduce"]
