"""Claims of methods that try several answers."""

from pydantic import JsonValue

from loopwright.claims.table import Claim
from loopwright.worlds.lab.dialogues import AGAIN, JUDGE
from loopwright.worlds.lab.roles import proposer

LAST_NUMBER = r"(-?\d+)\D*$"
PROPOSER: dict[str, JsonValue] = {"backend": "embedded", "path": "lab", "adapter": "proposer", "dtype": "float32"}
HYPOTHESES: dict[str, JsonValue] = {
    "propose": proposer.PROPOSE, "refine": proposer.REFINE, "mistake": proposer.MISTAKE, "follow": proposer.FOLLOW,
}  # fmt: skip

CLAIMS = (
    Claim(
        recipe="best-of-n",
        baseline="self-consistency",
        world="words",
        metric="score",
        direction="higher",
        seeds=4,
        setting={"examples": 32},
        options={"n": 8},
        baseline_options={"n": 8, "temperature": 1.0},
        source="with a verifier to choose by, the best of n beats the most frequent of the same n",
    ),
    Claim(
        recipe="self-consistency",
        baseline="answer",
        world="additions",
        metric="score",
        direction="higher",
        seeds=4,
        setting={"examples": 48},
        options={"n": 8, "temperature": 0.5, "extract": LAST_NUMBER},
        source="Wang et al., table 2: a majority over samples beats one greedy answer",
        tried=(
            "a vote helps where the right answer is the most frequent one, and this model is right in about a fifth of these "
            "sums. That this is the reason is a guess that no run has tested",
            "the same row under another hash of the seeds: lower by 0.047 on four seeds",
        ),
    ),
    Claim(
        recipe="iad",
        baseline="best-of-n",
        world="words",
        metric="score",
        direction="higher",
        seeds=4,
        setting={"examples": 32},
        options={"calls": 8},
        baseline_options={"n": 8},
        budget={"sequences": 256},
        tried=(
            "why: of 180 attempts on 45 examples whose first two failed, those shown the best and worst with their marks beat "
            "the best so far in 22%, fresh ones in 27% (mean marks 0.26 and 0.25), so this model of 135 million parameters "
            "does not act on what it is shown; the idea needs one that does",
            "the same row under another hash of the seeds: lower by 0.010 on four seeds",
        ),
        source="Chakraborty et al., section 5: above best-of-n at equal calls",
    ),
    Claim(
        recipe="tree-of-thoughts",
        baseline="self-consistency",
        world="lab-blocks",
        metric="score",
        direction="higher",
        seeds=4,
        first_seed=200,
        setting={"examples": 48, "world": {"level": 3}},
        # A thought of the lab model is a whole attempt, and the next one is another try after it: it knows no half answers.
        options={
            "depth": 2, "thoughts": 4, "keep": 2, "votes": 2, "temperature": 1.0, "first": "", "then": AGAIN, "last": AGAIN,
            "value": f"{JUDGE}\n{{question}}\n{{answer}}", "worth": [["Right", 20.0], ["Wrong", 0.001]],
        },
        baseline_options={"n": 20, "temperature": 1.0},
        budget={"sequences": 1100},
        source="Yao et al., table 2: a tree of thoughts above a vote over as many chains",
        tried=(
            "on the gate split, seeds 0 to 3, 40 questions, a vote with about as many answers: blocks 3, 0.70 to 0.79; blocks 4, "
            "0.65 to 0.72; stack 3, 0.59 to 0.70; edits 5, 0.45 to 0.68. The tree goes where its values point, and the lab model "
            "tells right from wrong in 51 to 59% of its own answers; it knows no half answers, so a thought is a whole attempt",
            "lab-sentences, 16 of them, 0.88 against 0.38, is not the row: no two sentences are alike, so a vote is no rival",
        ),
    ),
    # A program plays the agent, its critic and who debates (worlds.lab.repairer): it tries out changes where the tests point.
    Claim(
        recipe="swe-search",
        baseline="swe-search",
        world="lab-repair",
        metric="score",
        direction="higher",
        seeds=6,
        first_seed=200,
        setting={"examples": 8, "world": {"faults": 1, "seed": 200}},
        # 20 actions and their values, 3 who debate and the last word: 44 calls an example, like 22 actions and values.
        options={"iterations": 20, "agents": 3, "debate": 1, "explore": 0.5},
        baseline_options={"iterations": 22, "search": False},
        budget={"sequences": 352},
        source="Antoniades et al., abstract: 23% above the same agents without the tree",
        tried=(
            "16 repositories of seed 7: 0.50, and 0.44 for the baseline; at explore 0.05 and 1.41, 0.38; at width 8, 0.44 with "
            "explore 0.05 and 0.5. With the mean of all that is below a state in place of its own value, as this recipe had it "
            "once, 0.54 and 0.39 on 28 repositories (explore 0.05, width 8). In the runs that were looked at a third of the "
            "tree's actions are wasted, as it views one file from several states. How well it guesses is the player's: with "
            "less of a nose for odd code neither arm repairs much",
            "what this cannot show: whether a language model takes as much from a critic's words. With one, name it in the "
            "setting as model",
        ),
    ),
    Claim(
        recipe="hypothesis-refinement",
        baseline="hypothesis-refinement",
        world="rules",
        metric="score",
        direction="higher",
        seeds=6,
        first_seed=200,
        setting={"model": PROPOSER, "examples": 48, "world": {**proposer.WORLD, "count": 600}},
        options={**HYPOTHESES, "apply": "interpreter"},
        baseline_options={**HYPOTHESES, "apply": "model"},
        budget={"sequences": 3000},  # the baseline may ask for 62 a question: 15 rules, three cases of each, the answer
        source="Qiu et al., abstract: models propose rules that hold when they are run, and are worse at applying them. The "
        "baseline is the same but for apply=model: no interpreter, the model applies its rules itself, with more calls",
        tried=(
            "the lab model was taught this role: of questions like these 51% of its rules are right at temperature 1, and it "
            "applies 45% of the rules it is told (700 each; two in five of the very applications it may have been taught, which "
            "favours the baseline). On the gate split, seeds 0 to 2, 60 questions: 0.91 to 0.54, with about 380 sequences "
            "against 3400; one greedy rule, 0.63 to 0.38. Nothing but the world was chosen there",
            "what the row does not show is refinement: of 340 wrong rules 34% (29 to 39) are right after the interpreter's "
            "words, and 32% (27 to 37) proposed anew. Asked as at first instead of told its mistakes, in as many rounds, it does "
            "as well: 0.91 to 0.91 on the gate split, seeds 0 to 7, 60 questions; with two rules a round at temperature 1, 0.85 "
            "to 0.85, and 0.91 to 0.93 in six rounds. This model makes nothing of the feedback, though two in five of its "
            "lessons were of it",
            "other lessons: rules of one or two of all steps, lists of 3 to 6, 4% right after 11,000; of eight steps, lists of "
            "one number, 25% after 4,000, with the rate of learning falling at last, and 6% after 6,000 where it stayed high; "
            "one of twenty steps (add to 12, times to 9), half of the lessons after feedback, 27% after 4,000, when it was "
            "stopped, and no more after feedback (25%) than anew (26%). append and repeat it learned with the others and hardly "
            "ever misses: they are left out",
        ),
    ),
)
