"""A tiny random model with a tiny tokenizer, saved as a Hugging Face folder."""

from __future__ import annotations

import hashlib

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

TEMPLATE = (
    "{% for m in messages %}<|start|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)
KINDS = {
    "llama": (LlamaConfig, LlamaForCausalLM),
    "mistral": (MistralConfig, MistralForCausalLM),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM),
}


def tokenizer():
    """Every byte is a token, and three special ones."""
    specials = ["<|end|>", "<|start|>", "<|pad|>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {t: i for i, t in enumerate(specials + alphabet)}
    core = Tokenizer(models.BPE(vocabulary, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<|end|>", pad_token="<|pad|>", bos_token="<|start|>"
    )
    fast.chat_template = TEMPLATE
    return fast


def save(folder, kind="llama", *, spread=0.3, **options):
    """Save a random model; ``spread`` is large enough that its distributions are far from flat."""
    words = tokenizer()
    config_type, model_type = KINDS[kind]
    if kind == "mistral":
        options.setdefault("sliding_window", None)  # transformers' default is that of the first Mistral
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = config_type(
        vocab_size=len(words), num_key_value_heads=2, head_dim=8, max_position_embeddings=256, eos_token_id=0,
        bos_token_id=1, pad_token_id=2, initializer_range=spread, tie_word_embeddings=kind == "llama", **sizes, **options,
    )  # fmt: skip
    torch.manual_seed(0)
    model = model_type(config).float()
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):  # transformers starts these at zero, which would hide that they are left out
            torch.nn.init.normal_(parameter, std=spread)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return model.eval()


class Memory(dict):
    """Blobs in memory."""

    def put(self, data):
        key = hashlib.sha256(data).hexdigest()
        self[key] = data
        return key

    def get(self, hash):
        return self[hash]
