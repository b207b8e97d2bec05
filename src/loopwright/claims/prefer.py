"""Claims of methods that train a model on which of two answers is better."""

from loopwright.claims.table import Claim

CLAIMS = (
    Claim(
        recipe="rlhf-workflow",
        baseline="dpo",  # the same 192 labels, used once; it has no use for the samples that are left
        world="lab-people",
        metric="score",  # the person's hidden reward, which neither learns from
        direction="higher",
        seeds=4,
        first_seed=200,
        setting={"examples": 150},
        options={"label_prompts": 192, "prompts": 48, "samples": 8, "rounds": 3, "reward_epochs": 4},
        baseline_options={"prompts": 192, "epochs": 4},
        budget={"sequences": 1540},  # 1536 answers, and each fit counts as one
        source="Dong et al., table 3: online iterative DPO above offline DPO from the same start",
    ),
    Claim(
        recipe="active-dpo",
        baseline="active-dpo",  # choosing by chance
        world="lab-people",
        metric="score",
        direction="higher",
        seeds=6,
        first_seed=200,
        setting={"examples": 150},
        options={"rounds": 4, "prompts": 64, "labels": 16, "epochs": 4},
        baseline_options={"rounds": 4, "prompts": 64, "labels": 16, "epochs": 4, "design": "random"},
        budget={"sequences": 516},
        source="Kveton et al., section 6: less error than uniform selection at equal feedback, of logits and of policies",
    ),
)
