"""Tiny random models of other architectures than Llama's, saved as Hugging Face folders with a base model's tokenizer."""

from __future__ import annotations

import torch
import transformers
from tiny_llama import tokenizer

SIZES = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128},  # Conv1D, learned positions
    "gpt_neox": {"max_position_embeddings": 128},
    "phi": {"max_position_embeddings": 128},  # some of Llama's module names, and others
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 16, "max_position_embeddings": 128},
    # A cap on the logits, and a window shorter than the prompts.
    "gemma2": {
        "max_position_embeddings": 128, "num_key_value_heads": 2, "head_dim": 8, "sliding_window": 8,
        "final_logit_softcapping": 2.0,
    },
    "bloom": {"n_layer": 2, "n_head": 4},  # takes no positions: prompts of different lengths are not put together
    "mamba": {"state_size": 8},  # no attention; its cache has another name
    "rwkv": {"attention_hidden_size": 32, "context_length": 128},  # no cache of transformers' at all
}  # fmt: skip
COMMON = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
PADDED = ("gpt2", "gpt_neox", "phi", "opt", "gemma2")


def words(*, opening=False):
    """A tokenizer without chat template and without pad token; with ``opening`` it starts texts with <|start|>."""
    out = tokenizer()
    out.chat_template = None
    out.pad_token = None
    if opening:
        from tokenizers.processors import TemplateProcessing

        out.backend_tokenizer.post_processor = TemplateProcessing(
            single="<|start|> $A <|end|>", special_tokens=[("<|start|>", 1), ("<|end|>", 0)]
        )
    return out


def build(kind, *, spread=0.3, **options):
    """A random model; ``spread`` is large enough that its distributions are far from flat."""
    given = {} if kind in ("gpt2",) else COMMON
    config_type = type(transformers.AutoConfig.for_model(kind))
    width = {"init_std": spread} if kind == "opt" else {"initializer_range": spread}
    config = config_type(
        vocab_size=259, bos_token_id=1, eos_token_id=0, pad_token_id=2, **{**given, **width, **SIZES[kind], **options}
    )
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    for name, parameter in model.named_parameters():
        if name.endswith("bias") or kind == "rwkv":  # these start at zero or all alike
            torch.nn.init.normal_(parameter, std=spread)
    return model


def save(folder, kind, *, opening=False, **options):
    model = build(kind, **options)
    model.save_pretrained(folder)
    words(opening=opening).save_pretrained(folder)
    return model
