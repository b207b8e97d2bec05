"""Claims of methods that judge, or that answer by their own judgement."""

from pydantic import JsonValue

from loopwright.claims.table import Claim

# The lab model's words for checking one thing; what is checked are the rules of the question, which its meta holds.
_WORDS: dict[str, JsonValue] = {"one_by_one": True, "ask_one": "Check {item}.\n{question}\n{answer}", "max_tokens": 4}

CLAIMS = (
    Claim(
        recipe="tick",
        baseline="p-true",  # one judgement of the whole, sampled as often as a checklist has questions on average
        world="lab-sentences",
        metric="auc",
        direction="higher",
        seeds=6,
        first_seed=300,
        setting={"examples": 60, "answers": 4, "world": {"level": 4, "criteria": True, "test": 1600}},
        options=_WORDS,
        baseline_options={"samples": 4, "ask": "Judge.", "yes": "right", "no": "wrong"},
        budget={"sequences": 1200},
        minutes=3,
        source="Cook et al., abstract: exact agreement with people 52.2% by checklist against 46.4% by direct score; here the "
        "questions are given, as the lab model writes none",
        tried=(
            "why: the lab model tells right from wrong in 48 to 59% of what it wrote itself (its card), in parts no better "
            "than as a whole; a checklist cannot help a judge who cannot answer its questions",
            "asked of steps instead, on the gate split, seeds 0 and 1: modular 3, 0.50 to 0.51; sort 4, 0.57 to 0.59; sums 4,"
            " 0.47 to 0.53",
        ),
    ),
    Claim(
        recipe="stick-best-of-n",
        baseline="answer",  # greedy
        world="lab-sentences",
        metric="score",
        direction="higher",
        seeds=6,
        first_seed=300,
        setting={"examples": 60, "world": {"level": 4, "criteria": True, "temperature": 0.0, "test": 1600}},
        options={"n": 4, **_WORDS},
        budget={"sequences": 1440},
        minutes=4,
        source="Cook et al.: best of 8 by STICK above greedy decoding (WildBench 71.2 against 64.9); as there, the "
        "baseline samples once",
        tried=("why: its ticks are hardly better than a coin (see tick), so that the best of four by them is any of four",),
    ),
    Claim(
        recipe="stick",
        baseline="self-refine",  # told the same, but whatever it answered
        world="lab-sentences",
        metric="score",
        direction="higher",
        seeds=6,
        first_seed=300,
        setting={"examples": 100, "world": {"level": 4, "criteria": True, "temperature": 0.0, "test": 1600}},
        options={"refine": "Wrong.", "keep": "last", **_WORDS},
        baseline_options={"rounds": 1, "critique": "", "revise": "Wrong.", "temperature": 0.0},
        budget={"sequences": 1200},
        minutes=3,
        source="Cook et al.: one round of STICK above Self-Refine, which loses (LiveBench, Command-R+)",
        tried=(
            "why: its ticks are hardly better than a coin (see tick), and half of the lab model's right sentences become "
            "wrong when it is told that they are",
        ),
    ),
    Claim(
        recipe="rlbff",
        baseline="rlbff",  # a Bradley-Terry model of the same answers and labels
        world="lab-sentences",
        metric="score",
        direction="higher",
        seeds=4,
        first_seed=200,
        setting={"examples": 100, "world": {"level": 4, "criteria": True}},
        options={"label_prompts": 192, "rounds": 4, "prompts": 12, "overall": ""},
        baseline_options={"label_prompts": 192, "rounds": 4, "prompts": 12, "overall": "", "reward": "bradley-terry"},
        budget={"sequences": 780},  # 384 answers with labels, 384 in the rounds, and each fit counts as one
        source="Wang et al.: the flexible-principles model above Bradley-Terry on the same data (RM-Bench 83.6 "
        "against 78.5), and a policy trained with it, too (Arena Hard 55.6 against 47.5)",
        tried=("nothing before this; the options are the first ones, and four seeds tell little: the interval is wide",),
    ),
)
