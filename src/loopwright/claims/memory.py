"""Claims of methods that remember what they learned."""

from loopwright.claims.table import Claim

CLAIMS = (
    # A program plays all roles (worlds.lab.modeller): it makes the mistakes of each kind of problem unless it is told the remedy.
    Claim(
        recipe="alpha-opt",
        baseline="answer",  # the same model without the library
        world="lab-modelling",
        metric="score",
        direction="higher",
        margin=0.1,
        seeds=8,
        first_seed=200,
        setting={"examples": 48, "world": {"seed": 200}},
        minutes=2,
        source="Kong et al., abstract: a library learned from answers alone makes the same model better at other problems",
        tried=(
            "problems of seeds 3, 9, 11 and 12, six runs: 0.55 to 0.83, mean 0.71, from 0.33 to 0.45, mean 0.39; with prompts "
            "that do not show the right answer, 0.39. Told a question's insights it takes three calls to answer, without them "
            "one",
            "what this cannot show: whether a language model finds out what went wrong, and when a note applies. That wants one "
            "that can model",
        ),
    ),
)
