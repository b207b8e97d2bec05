"""Claims of methods that act."""

from loopwright.claims.table import Claim

CLAIMS = (
    Claim(
        recipe="coach",
        baseline="q-learning",
        world="trained-grid",
        metric="regret",
        direction="lower",
        seeds=10,
        first_seed=200,
        setting={"steps": 4000, "world": {"noise": 0.1}},
        minutes=3,
        source="MacGlashan et al. 2017: with feedback that depends on the policy COACH converges, and learners that "
        "take it for a reward unlearn. Their grid is laid out from memory of the paper; here a tenth of the words is "
        "turned round.",
        tried=(
            "mean regret of a step in the last fifth of 3000, seeds 0 to 3: 0.0045 for coach, 0.048 to 0.050 for "
            "q-learning at sharpness 3, 10 and 30 and at rate 0.1, 0.012 for tamer, which looks ahead to nothing and "
            "so fails less; 0.158 at random",
            "with words that come 2 steps late, seeds 0 to 3: 0.009 for coach with delay 2, 0.28 with delay 0, 0.09 "
            "for tamer",
            "with 70% of words unsaid nobody converges in 3000 steps: 0.046 for coach, 0.042 at decay 0.5, 0.036 for "
            "tamer",
            "with ahead=actor, the exact advantage of what was seen, most seeds of every learner stay in the corner, "
            "a local optimum: without noise, seeds 0 to 2, 0.028 for coach, 0.025 for tamer, 0.047 for q-learning",
            "on Gymnasium's FrozenLake, 2000 steps, seeds 0 to 2: not slippery 0.008, q-learning 0.010, tamer 0.007; "
            "slippery 0.003, 0.005 and 0.004: no difference to speak of",
        ),
    ),
)
