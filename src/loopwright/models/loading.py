"""From a name, folder or GGUF file to a network and a tokenizer."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from loopwright.core.errors import InputError, ModelError, ModelNotFound
from loopwright.core.model import FitJob
from loopwright.core.types import Turn
from loopwright.models import files, gguf, hf, smollm2, whole
from loopwright.models.decode import Row
from loopwright.models.hf import HF
from loopwright.models.llama import Llama, supports
from loopwright.models.places import LAB, LAB_FOLDER, ROLES_FOLDER, roles
from loopwright.training.peft_config import MERGE

if TYPE_CHECKING:
    from loopwright.training.lora import Adapter

ADAPTER = "adapter_model.safetensors"
NO_END = (
    "the model has no token that ends an answer, within its vocabulary: name one as eos_token_id in generation_config.json or "
    "config.json, or as eos_token in tokenizer_config.json"
)
CONVERSION = "1"  # raise when converted folders of older versions must not be used any more


def locate(model: str | Path, progress: Callable[[str], None]) -> Path:
    """The Hugging Face folder of a model, fetched and converted where needed.

    Raises ModelNotFound where there is no such thing, ModelError where a file is damaged.
    """
    if str(model) == LAB:
        return LAB_FOLDER
    if str(model) == smollm2.NAME:
        ready = _converted(smollm2.SHA256)
        return ready if ready.exists() else convert(smollm2.fetch(progress), smollm2.SHA256, progress)
    path = Path(model).expanduser()
    if path.is_dir():
        if not (path / "config.json").exists():
            raise ModelNotFound(f"{path} is a folder without config.json: expected a Hugging Face model folder")
        return path
    if path.is_file():
        gguf.check(path)
        digest = smollm2.sha256(path)
        ready = _converted(digest)
        return ready if ready.exists() else convert(path, digest, progress)
    raise ModelNotFound(
        f"there is no model {str(model)!r}: give {smollm2.NAME!r}, {LAB!r}, a Hugging Face folder, or a GGUF file that exists"
    )


def locate_adapter(adapter: str | Path) -> Path:
    """The folder of an adapter: a role of the lab model by its name, else a path. Raises ModelNotFound."""
    for folder in (ROLES_FOLDER / str(adapter), Path(adapter).expanduser()):
        if (folder / "adapter_config.json").is_file():
            if not (folder / ADAPTER).is_file():
                old = " (adapter_model.bin there is of an older PEFT)" if (folder / "adapter_model.bin").exists() else ""
                raise ModelNotFound(f"{folder} has no {ADAPTER}{old}: save the adapter with PEFT's save_pretrained")
            return folder
    raise ModelNotFound(
        f"there is no adapter {str(adapter)!r}: give a folder as PEFT writes it, with adapter_config.json, or a role of the lab "
        f"model: {', '.join(roles())}"
    )


def _converted(digest: str) -> Path:
    return smollm2.cache_root() / "models" / f"{digest[:16]}-v{CONVERSION}"


def convert(path: Path, digest: str, progress: Callable[[str], None]) -> Path:
    """De-quantise a GGUF file into a folder of bfloat16 safetensors; returns the folder. Done once a file."""
    gguf.check(path)
    progress(f"converting {path.name}, once, about half a minute for 135M parameters ...")
    target = _converted(digest)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=target.parent, prefix="convert-"))
    try:
        gguf.to_folder(path, scratch)
        try:
            os.replace(scratch, target)
        except OSError:
            if not target.exists():  # else another process was quicker; its result is the same
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    progress(f"converted to {target}")
    return target


def choose(dtype: str, device: str, progress: Callable[[str], None]) -> tuple[torch.dtype, torch.device]:
    """Resolve "auto". bfloat16 on a processor without instructions for it is slower than float32, so it is not taken."""
    try:
        where = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    except RuntimeError:
        raise InputError(f"device must be auto, cpu, cuda, or one of several such as cuda:1; got {device!r}") from None
    if where.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {device}: torch {torch.__version__} finds no CUDA device here; use --device cpu, or auto")
    named = {"bfloat16": torch.bfloat16, "float32": torch.float32}
    if dtype in named:
        return named[dtype], where
    if dtype != "auto":
        raise InputError(f"dtype must be auto, bfloat16 or float32, got {dtype!r}")
    if where.type == "cuda":
        fast = torch.cuda.is_bf16_supported()
    else:
        probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        fast = any(getattr(torch.cpu, p, lambda: False)() for p in probes)
    if not fast:
        progress(f"this {where.type} does not compute in bfloat16: using float32, several times slower")
    return (torch.bfloat16 if fast else torch.float32), where


def fingerprint(folder: Path, dtype: torch.dtype, adapter: Path | None = None) -> str:
    """Hash of what decides the answers: weights, adapter, configuration, tokenizer, chat template, dtype.

    A weight file counts by its hash, which is kept beside our own converted folders and taken anew for a user's.
    """
    parts = [str(dtype)]
    wanted = ("*.safetensors", "*.bin", "*.json", "*.jinja", "*.model", "merges.txt", "vocab.txt")
    found = sorted({p for pattern in wanted for p in folder.glob(pattern)})
    for path in found:
        parts += [path.name, smollm2.sha256(path)]
    if adapter is not None:
        parts += [smollm2.sha256(adapter / name) for name in ("adapter_config.json", ADAPTER)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@dataclass
class Loaded:
    """A network with its tokenizer."""

    network: Llama | HF
    tokenizer: Any
    ends: frozenset[int]

    def prompt_ids(self, turns: Sequence[Turn]) -> tuple[int, ...]:
        """Token ids of the conversation up to where the assistant writes.

        The last assistant turn's own tokens are taken as they were sampled wherever they are what the template renders;
        only the text after them is tokenised.
        """
        text = self._render(turns)
        opening = self._opening(text)
        for turn in reversed(turns):
            if turn.role == "assistant" and turn.token_ids and turn.prompt_ids:
                known = (*turn.prompt_ids, *turn.token_ids)
                own = known[len(opening) :]
                start = self.tokenizer.decode(own, skip_special_tokens=False, clean_up_tokenization_spaces=False)
                if text.startswith(start):
                    return (*known, *self._encode(text[len(start) :]))
                break
        return (*opening, *self._encode(text))

    def _opening(self, text: str) -> tuple[int, ...]:
        """The token that starts every text a base model has seen, where its tokenizer adds one. Templates write their own."""
        if self.tokenizer.chat_template or self.tokenizer.bos_token_id is None:
            return ()
        usual = self.tokenizer(text)["input_ids"]  # may also end with a token that says the text is over
        return tuple(usual[:1]) if usual[:1] == [self.tokenizer.bos_token_id] != list(self._encode(text)[:1]) else ()

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def answer_ids(self, text: str) -> tuple[int, ...]:
        """A whole answer; of several tokens that end one, that which the tokenizer names. Raises InputError where none does."""
        if not self.ends:
            raise InputError(NO_END)
        end = self.tokenizer.eos_token_id
        return (*self._encode(text), end if end in self.ends else min(self.ends))

    def _render(self, turns: Sequence[Turn]) -> str:
        if not self.tokenizer.chat_template:  # a base model: plain text, to be continued
            return "\n\n".join(t.text for t in turns)
        messages = [{"role": t.role, "content": t.text} for t in turns]
        try:
            return str(self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))
        except Exception as error:  # templates raise their own kinds, for instance where roles must alternate
            raise InputError(f"the model's chat template does not take these turns: {error}") from error

    def text(self, row: Row) -> str:
        """What a row says: without special tokens, cut at the first stop string."""
        text = str(self.tokenizer.decode(row.token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
        places = [at for at in (text.find(s) for s in row.sampling.stop if s) if at >= 0]
        return text[: min(places)] if places else text

    def text_ends(self, token_ids: Sequence[int]) -> list[int]:
        """Where each token's text ends, in characters. Decoded from the start: tokens alone lose spaces and half letters."""
        ends = [0]
        for i in range(1, len(token_ids) + 1):
            text = self.tokenizer.decode(token_ids[:i], skip_special_tokens=True, clean_up_tokenization_spaces=False)
            ends.append(max(ends[-1], len(text)))
        return ends[1:]

    def stopped(self, row: Row) -> bool:
        """Whether a stop string has appeared; looks at the last tokens only, since earlier ones were looked at before."""
        reach = max(len(s.encode()) for s in row.sampling.stop) + 4
        tail = self.tokenizer.decode(
            row.token_ids[-reach:], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return any(s in tail for s in row.sampling.stop if s)

    def targets(self, asked: Sequence[str], say: Callable[[str], None]) -> tuple[str, ...]:
        """Names of the modules to adapt: those asked for, or all linear ones of the blocks.

        All where that is asked for ("all-linear", PEFT's word), and where nothing in particular was: the names that a
        job has of itself are those of the Llama family, and other architectures have some of them or none.
        """
        sizes = self.network.sizes
        every = self.network.targets if isinstance(self.network, HF) else tuple(sorted({_last(n) for n in sizes}))
        if tuple(asked) == ("all-linear",):
            return every
        usual = FitJob.model_fields["targets"].default
        if tuple(asked) != usual or set(usual) <= {_last(n) for n in sizes}:
            return tuple(asked)
        say(f"this architecture does not name its modules as Llama does: adapting all linear ones, {', '.join(every)}")
        return every

    @property
    def transposed(self) -> frozenset[str]:
        """Modules that keep their weight as [in, out]."""
        return self.network.transposed if isinstance(self.network, HF) else frozenset()

    def whole(self) -> Llama:
        """The network where all its weights can be replaced. Raises InputError where transformers runs the model."""
        if not isinstance(self.network, Llama):
            raise InputError(
                "all weights can be fitted and replaced where our own forward pass runs the model (Llama, Mistral, Qwen2, "
                "Qwen3); this one is run by transformers: use tuning='lora'"
            )
        return self.network

    def check_adapter(self, adapter: Adapter) -> None:
        """Raises InputError where an adapter was made for another model."""
        if adapter.rows is not None:
            if not isinstance(self.network, Llama):
                raise InputError(
                    "the adapter has its own embeddings of some tokens, which only our own forward pass takes (Llama, Mistral, "
                    "Qwen2, Qwen3); this model is run by transformers"
                )
            vocabulary, hidden = self.network.embed.shape
            if adapter.rows.shape[1] != hidden or max(adapter.tokens) >= vocabulary or min(adapter.tokens) < 0:
                raise InputError(
                    f"the adapter was made for another model: it has embeddings of size {adapter.rows.shape[1]} for tokens up to "
                    f"{max(adapter.tokens)}, this model has {vocabulary} of size {hidden}"
                )
        for name, (down, up) in adapter.pairs.items():
            size = self.network.sizes.get(name)
            if size is None:
                raise InputError(
                    f"the adapter has a LoRA on {name}, which this model does not have or which cannot be adapted here; modules "
                    f"that can: {', '.join(sorted({_last(n) for n in self.network.sizes}))}. Where it is this model's, {MERGE}"
                )
            if size != (up.shape[0], down.shape[1]):
                raise InputError(
                    f"the adapter was made for another model: it has {name} of {(up.shape[0], down.shape[1])}, "
                    f"this model has {size}"
                )


def _type(folder: Path) -> Any:
    return json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")


def _last(name: str) -> str:
    return name.rsplit(".", 1)[-1]


def load(
    folder: Path, dtype: torch.dtype, device: torch.device, threads: int | None, adapter: Path | None = None
) -> Loaded:
    """Read a folder: with our own forward pass where it knows the layout exactly, else with transformers'.

    adapter: a folder whose adapter is added to the weights. Raises ModelError for damaged files and for models that are not
    causal language models, InputError for an adapter of another model.
    """
    from transformers import AutoConfig, AutoTokenizer

    if threads is not None:
        torch.set_num_threads(threads)
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        hf.check_causal(folder, config)  # before the tokenizer, which such models may not have
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except ModelError:
        raise
    except Exception as error:  # transformers fails in many ways here, tokenizers with a bare Exception
        if "trust_remote_code" in str(error):
            raise ModelError(
                f"the model in {folder} is of the type {_type(folder)!r}, whose code is not in transformers but comes with the "
                "model, and is not run here. Serve it behind an OpenAI-compatible server instead"
            ) from error
        raise ModelError(f"cannot read the model in {folder}: {error}") from error
    if not tokenizer("text", add_special_tokens=False)["input_ids"]:  # transformers makes an empty one of nothing
        raise ModelError(
            f"{folder} has no tokenizer: expected tokenizer.json or the files of a slow one beside the weights"
        )
    network: Llama | HF
    if supports(config):
        network = Llama(config, read_tensors(folder), dtype=dtype, device=device)
    elif adapter is not None:
        raise InputError(
            "an adapter can be named beside a model that our own forward pass runs (Llama, Mistral, Qwen2, Qwen3); merge it into "
            "this one with PEFT first"
        )
    else:
        network = hf.load(folder, config, dtype=dtype, device=device)
    ends = frozenset(i for i in _ends(folder, config, tokenizer) if 0 <= i < network.vocabulary)
    loaded = Loaded(network, tokenizer, ends)
    return loaded if adapter is None else replace(loaded, network=_merged(loaded, adapter, dtype))


def _merged(loaded: Loaded, folder: Path, dtype: torch.dtype) -> Llama:
    """The network with an adapter in its weights. The sum is taken in float32, of the weights as they were cast."""
    from loopwright.training import lora

    adapter = lora.from_bytes(lora.import_adapter(folder))
    loaded.check_adapter(adapter)
    network = loaded.whole()
    tensors = whole.split(network, whole.weights(network))
    for name, (down, up) in adapter.scaled().items():
        plain = tensors[f"{name}.weight"]
        tensors[f"{name}.weight"] = (plain.float() + up.to(plain.device) @ down.to(plain.device)).to(dtype)
    network = whole.replaced(network, whole.fuse(network, tensors))
    return network if adapter.rows is None else whole.retokened(network, adapter.tokens, adapter.rows)


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """The tensors of a folder's weights, and of no other file that lies beside them; see ``models.files``.

    Raises ModelError for files or tensors that are missing or damaged, and for .bin files that hold more than tensors.
    """
    out: dict[str, Tensor] = {}
    for path, names in files.weights(folder).items():
        try:
            found = torch.load(path, map_location="cpu", weights_only=True) if path.suffix == ".bin" else load_file(path)
        except pickle.UnpicklingError as error:
            raise ModelError(hf.unsafe(path)) from error
        except (SafetensorError, OSError, RuntimeError, EOFError) as error:
            raise ModelError(f"{path} is damaged or cut short: {error}") from error
        if names is None:
            return dict(found)
        missing = sorted(names - set(found))
        if missing:
            raise ModelError(f"{path} has no tensor {missing[0]!r}, which the index says it holds: fetch the model again")
        out.update({name: found[name] for name in names})
    return out


def _ends(folder: Path, config: Any, tokenizer: Any) -> frozenset[int]:
    """Token ids that end a text: a model may have several, and its three files need not agree."""
    # A model that also reads pictures keeps what is about text in a configuration of its own.
    found: list[Any] = [getattr(config.get_text_config(), "eos_token_id", None), tokenizer.eos_token_id]
    path = folder / "generation_config.json"
    if path.exists():
        found.append(json.loads(path.read_text(encoding="utf-8")).get("eos_token_id"))
    flat = [i for f in found for i in (f if isinstance(f, list) else [f])]
    return frozenset(int(i) for i in flat if i is not None)
