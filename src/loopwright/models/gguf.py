"""Reading GGUF files: a quick check that one is whole, and de-quantising it into a Hugging Face folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loopwright.core.errors import ModelError


def check(path: Path) -> None:
    """Raises ModelError where the file is not a GGUF file, or is cut short."""
    with path.open("rb") as file:
        magic = file.read(4)
    if magic != b"GGUF":
        raise ModelError(f"{path} is not a GGUF file: it starts with {magic!r}")
    import gguf

    try:
        reader = gguf.GGUFReader(path)
        whole = max((t.data_offset + t.n_bytes for t in reader.tensors), default=0)
    except Exception as error:  # the reader fails in many ways on a short file: index, value and memory-map errors
        raise ModelError(f"{path} is damaged or cut short: {error}") from error
    if not reader.tensors or path.stat().st_size < whole:
        raise ModelError(f"{path} is cut short: it has {path.stat().st_size} bytes of {whole}; fetch it again")


def to_folder(path: Path, folder: Path) -> None:
    """De-quantise into bfloat16 safetensors with configuration and tokenizer.

    Raises ModelError for architectures that transformers does not read from GGUF, and for models that are not causal.
    """
    import torch
    import transformers

    from loopwright.models import hf

    names = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    try:
        with hf.quiet():
            hf.check_causal(path, transformers.AutoConfig.from_pretrained(**names))
            tokenizer = transformers.AutoTokenizer.from_pretrained(**names)
            read: Any = transformers.AutoModelForCausalLM.from_pretrained(
                **names, dtype=torch.float32, output_loading_info=True, ignore_mismatched_sizes=True
            )
    except ModelError:
        raise
    except Exception as error:  # its readers fail in many ways, tokenizers with a bare Exception
        raise ModelError(
            f"transformers cannot convert {path}: {error}. Get the model as a Hugging Face folder, or serve the file behind an "
            "OpenAI-compatible server"
        ) from error
    model, info = read
    hf.check_whole(path, info)
    # The weights are plain now, but the model still says it is quantised, which trainers and save_pretrained refuse.
    for mark, plain in (("hf_quantizer", None), ("is_quantized", False)):
        setattr(model, mark, plain)
    for holder, mark in ((model, "quantization_method"), (model.config, "quantization_config")):
        if hasattr(holder, mark):
            delattr(holder, mark)
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
