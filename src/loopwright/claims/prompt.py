"""Claims of methods that change the prompt."""

from loopwright.claims.table import Claim
from loopwright.worlds.lab import circuits, reader

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
    Claim(
        recipe="bootstrap-few-shot",
        baseline="few-shot",  # instructions without worked examples
        world="additions",
        metric="score",
        direction="higher",
        seeds=4,
        first_seed=200,
        setting={"examples": 48},
        options={"sizes": [2], "sets": 4, "examples": 16},
        baseline_options={"sizes": [0], "sets": 4, "examples": 16},
        source="Khattab et al., arXiv:2310.03714: programs with bootstrapped examples above those without any",
        tried=(
            "on the gate split, seeds 0 and 1: 0.57 to 0.28. On capitals, the first row, 0 to 0: as it is asked there this model "
            "is never right, so nothing can be bootstrapped",
        ),
    ),
    # A program plays the optimiser (worlds.lab.circuits): what is judged is whether the trace brings it what it needs.
    Claim(
        recipe="trace-opto",
        baseline="trace-opto",  # the same optimiser without the trace, the paper's ablation
        world="lab-circuit",
        metric="score",
        direction="higher",
        seeds=8,
        first_seed=200,
        setting={"world": {"seed": 200}},
        options={"ask": circuits.ASK, "rounds": 12},
        baseline_options={"ask": circuits.ASK, "rounds": 12, "trace": False, "go_on": "best"},
        budget={"sequences": 12},
        minutes=1,
        source="Cheng et al., numerical optimisation: as good as Adam, and worse where the trace is hidden",
        tried=(
            "circuits 0 to 5, one seed each: with the trace 1, 1, 1, 1, 0.84 and 0.03, without it 0.89, 0.65, 0.68, 0.78, 0.75 "
            "and 0.03; why it fails on the last was not looked into",
            "what this cannot show: whether a language model makes as much of a trace. That wants one that can read code",
        ),
    ),
    # A program plays all roles (worlds.lab.reader): it calls tools as their manual says, with slips.
    Claim(
        recipe="draft",
        baseline="answer",  # the documentation as it was
        world="lab-manuals",
        metric="score",
        direction="higher",
        margin=0.1,
        seeds=8,
        first_seed=200,
        setting={"world": {"seed": 200}},
        # One line of a manual is set right at a time, so versions are nearly the same from the start.
        options={"explore": reader.EXPLORE, "analyse": reader.ANALYSE, "rewrite": reader.REWRITE, "settled": 0.95},
        minutes=1,
        source="Qu et al.: with the rewritten documentation more calls are right than with the original",
        tried=(
            "manuals 0 and 1, one seed each: 0.40 and 0.71, from 0 (each manual has a mistake); with the paper's settled = 0.75, "
            "0.30 and 0.65",
            "what this cannot show: whether a language model finds such mistakes. That wants one that follows instructions",
        ),
    ),
    # A program plays who writes notes and who rewrites the instruction (worlds.lab.notes), with slips.
    Claim(
        recipe="gepa",
        baseline="few-shot",  # sets of worked examples with their true answers, as many as MIPROv2 takes by default
        world="lab-notes",
        metric="score",
        direction="higher",
        seeds=8,
        first_seed=200,
        setting={"examples": 60, "world": {"seed": 200}},
        options={"rounds": 12, "merges": 0},
        baseline_options={"sizes": [4], "sets": 12, "examples": 32},
        budget={"sequences": 400},
        minutes=1,
        source="Agrawal et al., abstract: above MIPROv2, which chooses instructions and worked examples; here, the examples",
        tried=(
            "houses 10 to 15, one seed each, mean: 0.92, with four worked examples 0.83, from 0.36; bootstrapping finds nothing, "
            "as the start writes no note that is right. Sixteen worked examples with their true answers, which show nearly every "
            "form, are better than both: 0.98",
            "against the paper's ablation (select: best), on the same houses: 0.92 and 0.89, and on others, with more kinds of "
            "notes or rules that are broader, the best alone was as good or better. Rules that add up, as these do, give a front "
            "little to keep, so no claim is made of it",
            "with a language model of 135 million parameters in both roles, eight rounds on sums, one seed: nothing that passed "
            "its minibatch",
            "what this cannot show: whether a language model finds such rules in feedback. That wants one that follows "
            "instructions",
        ),
    ),
)
