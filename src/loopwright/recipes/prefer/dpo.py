"""DPO: all pairs are answers of the model one starts with, told apart once; then one training on all of them.

Rafailov et al., "Direct Preference Optimization", arXiv:2305.18290. Online DPO with a single round: what is compared never
comes from the policy that is being trained.

How this differs: adapters (LoRA) by default instead of full weights; a tie trains nothing.
"""

from loopwright.core.registry import row

dpo = row(
    "loopwright.recipes.prefer.online_dpo:online_dpo", name="dpo", module=__name__, paper="arXiv:2305.18290", baseline=True,
    rounds=1, prompts=1280, epochs=1,
)  # fmt: skip
