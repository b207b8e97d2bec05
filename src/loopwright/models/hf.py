"""Any causal language model that transformers has, run by transformers' own forward pass: slower than ``models.llama``.

Architectures differ in what their forward pass takes and keeps, so the class tries the model on a few tokens when it is
made, and takes the quick way only where that gives what the plain way gives:

- states and head apart, so that logits are computed only where they are needed; else all logits at once;
- prompts of several lengths padded into one batch; else one batch for each length;
- keys and values of a shared start used again in training; else every sequence is read whole;
- transformers' cache of what was read; else everything is read again for each token.

Shapes: B sequences, S tokens each, R rows being sampled, V the vocabulary.
"""

from __future__ import annotations

import copy
import inspect
import logging
import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from torch import Tensor, nn

from loopwright.core.errors import ModelError
from loopwright.models import files
from loopwright.models.llama import Bound, LoraPair, LoraWeights, Packed

log = logging.getLogger(__name__)

UNBOUNDED = 1 << 30  # the context of a model that has no limit of its own
CACHES = ("past_key_values", "cache_params")  # what forward passes call their cache
# Kernels of these read the weight of ``out_proj`` past the module, so nothing can be added to it; PEFT refuses it too.
MAMBAS = ("falcon_h1", "falcon_mamba", "mamba", "mamba2", "nemotron_h")
TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3}  # of a trial, in standard deviations of the states
COARSE = 0.1  # the same for half precision, where the order of a sum already moves the second digit


@dataclass
class Part:
    """Rows that are read in one pass, and what the model keeps of them."""

    lines: Tensor  # [R] where these rows are in the batch
    past: Any  # transformers' cache; None where the model has none that can be cut
    ids: Tensor  # [R, T] what was read, kept only where there is no cache
    mask: Tensor | None  # [R, T] 1 where a token is, 0 where padding; None without padding
    positions: Tensor  # [R] of the next token

    def select(self, rows: Tensor) -> None:
        """Keep these of its rows, in this order; a row may be asked for several times."""
        if self.past is not None:
            self.past.reorder_cache(rows)  # the one method that layers of every kind have
        self.ids = self.ids[rows]
        self.mask = None if self.mask is None else self.mask[rows]
        self.positions = self.positions[rows]


@dataclass
class Cache:
    """What is kept of R rows, in parts."""

    parts: list[Part]
    rows: int

    def select(self, rows: Tensor) -> None:
        """Keep these rows only, in this order."""
        place = rows.new_full((self.rows,), -1)
        place[rows] = torch.arange(len(rows), device=rows.device)
        for part in self.parts:
            lines = place[part.lines]
            kept = (lines >= 0).nonzero()[:, 0]
            part.lines = lines[kept]
            part.select(kept)
        self.parts = [part for part in self.parts if len(part.lines)]
        self.rows = len(rows)


class Read(NamedTuple):
    """Of one forward pass: states [B, S, hidden] (logits where states and head are not apart) and the cache, if any."""

    states: Tensor
    past: Any


class _Given(nn.Module):
    """Stands where the body of a model is, and gives out states that are there already."""

    def __init__(self, kind: type) -> None:
        super().__init__()
        self.kind = kind
        self.states: Tensor | None = None

    def forward(self, *args: Any, **options: Any) -> Any:
        return self.kind(last_hidden_state=self.states)


class HF:
    """A transformers model as the sampler and the trainer want it; see ``models.decode.Network``, ``training.trainer.Network``.

    model: a causal language model of transformers; it is taken over and its own weights are frozen.
    Raises ModelError where it reads tokens that come later, as a masked language model does.

    ``sizes`` are the (out, in) of all linear modules that take part in reading text, except the head; ``transposed`` those of
    them that keep their weight as [in, out]; ``targets`` the names by which PEFT finds all of them and nothing else.
    ``head_weight`` [V, hidden] is there where ``head`` is the product with it and nothing more.
    """

    def __init__(self, model: Any, *, device: torch.device) -> None:
        from transformers.pytorch_utils import Conv1D

        self.model = model.to(device).eval().requires_grad_(False)
        self.device = device
        self.dtype: torch.dtype = model.dtype
        self.context, self.vocabulary = _limits(model.config)
        self.sizes: dict[str, tuple[int, int]] = {}
        transposed = set()
        head = model.get_output_embeddings()
        for name, module in model.named_modules():
            if module is head or not isinstance(module, nn.Linear | Conv1D):
                continue
            if name.endswith(".out_proj") and model.config.model_type in MAMBAS:
                continue
            if isinstance(module, Conv1D):
                transposed.add(name)
                self.sizes[name] = (module.nf, module.nx)
            else:
                self.sizes[name] = (module.out_features, module.in_features)
            module.register_forward_hook(self._adapter(name))
        self._called: set[str] = set()  # last names of the linear modules that a pass has used
        self._pairs: Mapping[str, LoraPair] = {}  # the adapter of the pass that is running
        self._dropout = 0.0
        self._body: Any = None
        self._top: Any = None
        self._stand_in: _Given | None = None
        self.head_weight: Tensor | None = None
        self._takes = _parameters(model)
        self._cache_name: str | None = None
        self._pads = self._shares = False
        with torch.no_grad():  # not inference mode: what the model keeps for later must allow gradients
            self._try()
        # By last names, since few tokens reach few of the experts of a mixture.
        self.sizes = {name: size for name, size in self.sizes.items() if _last(name) in self._called}
        self.transposed = frozenset(transposed & set(self.sizes))
        self.targets = _targets(self.sizes, [name for name, _ in model.named_modules()])

    def bind(self, weights: LoraWeights | None) -> Bound | None:
        """LoRA weights in the model's dtype. Differentiable: gradients reach the weights given here."""
        if not weights:
            return None
        return [{name: (a.to(self.dtype), b.to(self.dtype)) for name, (a, b) in weights.items()}]

    def hidden(self, packed: Packed, bound: Bound | None = None, *, dropout: float = 0.0) -> Tensor:
        """What ``head`` makes logits of, [B, S, ...], for the unshared tokens; carries gradients to the adapter.

        States at places of padding mean nothing.
        """
        width = packed.ids.shape[1]
        order = torch.arange(width, device=self.device)
        # Padding goes to the right here: what comes later cannot reach a token, so no mask is needed and no positions.
        ids = packed.ids.gather(1, (order + packed.pad[:, None]) % width)
        shared = len(packed.prefix)
        with self._adapted(bound, dropout):
            if shared and self._shares:
                read = self._read(packed.prefix[None], keep=True)
                read.past.reorder_cache(torch.zeros(len(ids), dtype=torch.long, device=self.device))
                states = self._read(ids, past=read.past, positions=(shared + order).expand(len(ids), -1)).states
            else:
                states = self._read(torch.cat([packed.prefix.expand(len(ids), -1), ids], dim=1)).states[:, shared:]
        back = (order - packed.pad[:, None]) % width
        return states.gather(1, back[:, :, None].expand(-1, -1, states.shape[2]))

    def head(self, hidden: Tensor) -> Tensor:
        """Logits [..., V] of what ``hidden`` gave, with all that the architecture does to them (scales, caps)."""
        if self._top is None or self._stand_in is None:
            return hidden
        flat = hidden.reshape(1, -1, hidden.shape[-1])
        self._stand_in.states = flat
        try:
            ids = torch.zeros(flat.shape[:2], dtype=torch.long, device=self.device)
            logits: Tensor = self._top(input_ids=ids, return_dict=True).logits
        finally:
            self._stand_in.states = None
        return logits.view(*hidden.shape[:-1], -1)

    def prefill(self, packed: Packed, bound: Bound | None, copies: Sequence[int], room: int) -> tuple[Tensor, Cache]:
        """Read the prompts; returns the logits after each [B, V] and a cache of ``copies[i]`` rows for prompt i.

        room: not used; the cache grows by itself.
        """
        # The shared start is read with every prompt: between it and a shorter prompt there would be padding, which
        # architectures that look at a window count as tokens.
        count, rest = packed.ids.shape
        width = len(packed.prefix) + rest
        ids = packed.ids.new_zeros(count, width)
        for i, pad in enumerate(packed.pad.tolist()):
            ids[i, pad:] = torch.cat([packed.prefix, packed.ids[i, pad:]])
        lengths = width - packed.pad
        repeats = torch.tensor(copies, device=self.device)
        owner_lines = torch.arange(int(repeats.sum()), device=self.device).split(list(copies))  # of each prompt
        groups = [torch.arange(count, device=self.device)]
        mask = None
        if self._pads:
            mask = (torch.arange(width, device=self.device) >= packed.pad[:, None]).long()
        else:
            groups = [(lengths == n).nonzero()[:, 0] for n in lengths.unique().tolist()]
        last: list[Tensor] = []
        parts: list[Part] = []
        with self._adapted(bound, 0.0):
            for members in groups:
                mine = ids[members, -int(lengths[members].max()) :]
                read = self._read(mine, mask=mask, keep=True, last=True)
                last.append(read.states[:, -1])
                lines = torch.cat([owner_lines[i] for i in members.tolist()])
                part = Part(lines, read.past, mine, mask, lengths[members])
                part.select(torch.repeat_interleave(torch.arange(len(members), device=self.device), repeats[members]))
                parts.append(part)
        states = torch.cat(last)[torch.cat(groups).argsort()]
        return self.head(states), Cache(parts, int(repeats.sum()))

    def step(self, tokens: Tensor, cache: Cache, bound: Bound | None) -> Tensor:
        """Logits [R, V] after one more token [R] per row; the cache grows by a token."""
        last = []
        with self._adapted(bound, 0.0):
            for part in cache.parts:
                new = tokens[part.lines][:, None]
                if part.mask is not None:
                    part.mask = torch.cat([part.mask, torch.ones_like(new)], dim=1)
                if part.past is None:
                    part.ids = torch.cat([part.ids, new], dim=1)
                    read = self._read(part.ids, mask=part.mask, last=True)
                else:
                    positions = part.positions[:, None]
                    read = self._read(new, mask=part.mask, past=part.past, positions=positions, keep=True, last=True)
                    part.past = read.past
                part.positions = part.positions + 1
                last.append(read.states[:, -1])
        return self.head(torch.cat(last)[torch.cat([part.lines for part in cache.parts]).argsort()])

    def _read(
        self,
        ids: Tensor,
        *,
        mask: Tensor | None = None,
        past: Any = None,
        positions: Tensor | None = None,
        keep: bool = False,
        last: bool = False,
    ) -> Read:
        """One forward pass over ids [B, S].

        mask: [B, T] 1 where a token is, of past and new ones. positions: [B, S]; told by the mask where not given.
        keep: give the cache back. last: only the last state is wanted.
        """
        given: dict[str, Any] = {"input_ids": ids, "return_dict": True}
        if "use_cache" in self._takes:
            given["use_cache"] = keep and self._cache_name is not None
        if mask is not None:
            given["attention_mask"] = mask
            if positions is None:
                positions = (mask.cumsum(1) - 1).clamp(min=0)
        if positions is not None and "position_ids" in self._takes:
            given["position_ids"] = positions
        if past is not None and self._cache_name is not None:
            given[self._cache_name] = past
        if self._body is None and last and "logits_to_keep" in self._takes:
            given["logits_to_keep"] = 1
        out = self.model(**given) if self._body is None else self._body(**given)
        states = out.logits if self._body is None else out[0]
        return Read(states, getattr(out, self._cache_name) if keep and self._cache_name else None)

    def _adapter(self, name: str) -> Any:
        last = _last(name)

        def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
            self._called.add(last)
            pair = self._pairs.get(name)
            if pair is None:
                return None
            x = inputs[0].to(pair[0].dtype)
            if self._dropout:
                x = F.dropout(x, self._dropout)
            return output + F.linear(F.linear(x, pair[0]), pair[1]).to(output.dtype)

        return add

    @contextmanager
    def _adapted(self, bound: Bound | None, dropout: float) -> Iterator[None]:
        self._pairs, self._dropout = bound[0] if bound else {}, dropout
        try:
            yield
        finally:
            self._pairs, self._dropout = {}, 0.0

    def _try(self) -> None:
        """Find out which quick ways are right for this model; see the top of this file."""
        ids = (torch.arange(9, device=self.device) * 7 + 3)[None] % self.vocabulary
        plain = self._read(ids).states
        changed = torch.cat([ids[:, :-1], (ids[:, -1:] + 1) % self.vocabulary], dim=1)
        if not self._same(self._read(changed).states[:, :-1], plain[:, :-1]):
            raise ModelError(
                f"expected a causal language model, got {type(self.model).__name__} with weights or a configuration that let "
                "a token see later ones (a masked language model, or is_decoder is not set)"
            )
        self._try_head(ids, plain)
        plain = self._read(ids).states
        self._cache_name = self._try_cache(ids, plain)
        if self._cache_name is None or not {"attention_mask", "position_ids"} <= self._takes:
            return
        # The same prompt alone and beside a longer one, and one more token after it.
        short = torch.cat([torch.zeros_like(ids[:, :3]), ids[:, :5]], dim=1)
        mask = torch.ones_like(ids[:, :8]).repeat(2, 1)
        mask[0, :3] = 0
        read = self._read(torch.cat([short, ids[:, :8]]), mask=mask, keep=True)
        new, mask = ids[:, [5, 8]].T, torch.cat([mask, mask[:, -1:]], dim=1)
        after = self._read(new, mask=mask, past=read.past, positions=new.new_tensor([[5], [8]]), keep=True).states
        self._pads = all(
            self._same(got, plain[0, at])
            for got, at in [(read.states[0, -1], 4), (read.states[1, -1], 7), (after[0, -1], 5), (after[1, -1], 8)]
        )
        read = self._read(ids[:, :5], keep=True)
        if any(getattr(read.past, "is_linear", ())):
            return  # such layers write their state in place, which a gradient cannot pass
        read.past.reorder_cache(ids.new_zeros(2))
        rest = self._read(
            ids[:, 5:].expand(2, -1),
            past=read.past,
            positions=torch.arange(5, 9, device=ids.device)[None].expand(2, -1),
        )
        self._shares = self._same(rest.states, plain[:, 5:].expand(2, -1, -1))

    def _try_head(self, ids: Tensor, logits: Tensor) -> None:
        """Part the model into body and head, where logits made of the body's states are the model's own."""
        name = self.model.base_model_prefix
        for path in ([name], [name, "decoder"]) if name else ():
            try:
                body = self.model.get_submodule(".".join(path))
                out = body(input_ids=ids, return_dict=True)
                self._stand_in = _Given(type(out))
                self._top = _with(self.model, path, self._stand_in)
                if self._same(self.head(out[0]), logits):
                    self._body, self._takes = body, _parameters(body)
                    self._try_product(out[0])
                    return
            except Exception:  # forward passes that reach into their body fail in many ways
                log.debug("%s: its %s is not apart from its head", type(self.model).__name__, path, exc_info=True)
        self._top = self._stand_in = None

    def _try_product(self, states: Tensor) -> None:
        head: Any = self.model.get_output_embeddings()
        if head.__class__ is not nn.Linear or getattr(head, "bias", None) is not None:  # subclasses pack their weights
            return
        large = states * 1000  # a cap does next to nothing to small logits
        if all(self._same(self.head(s), F.linear(s, head.weight)) for s in (states, large)):
            self.head_weight = head.weight

    def _try_cache(self, ids: Tensor, plain: Tensor) -> str | None:
        for name in CACHES:
            if name not in self._takes:
                continue
            self._cache_name = name
            try:
                read = self._read(ids[:, :-1], keep=True)
                read.past.reorder_cache(ids.new_zeros(2))
                if self._same(
                    self._read(ids[:, [-1, -1]].T, past=read.past, keep=True).states[:, -1], plain[:, -1].expand(2, -1)
                ):
                    return name
            except Exception:  # caches of other kinds fail in many ways
                logging.getLogger(__name__).debug(
                    "%s: its %s is not used", type(self.model).__name__, name, exc_info=True
                )
        return None

    def _same(self, got: Tensor, expected: Tensor) -> bool:
        limit = TOLERANCE.get(self.dtype, COARSE) * expected.float().std()
        return got.shape == expected.shape and bool((got.float() - expected.float()).abs().max() <= limit)


def _with(module: Any, path: Sequence[str], part: nn.Module) -> Any:
    """A module that shares all with ``module`` but for what lies at ``path``."""
    twin = copy.copy(module)
    twin._modules = dict(module._modules)
    setattr(twin, path[0], _with(getattr(module, path[0]), path[1:], part) if len(path) > 1 else part)
    return twin


def _parameters(model: Any) -> frozenset[str]:
    return frozenset(inspect.signature(model.forward).parameters)


def _limits(config: Any) -> tuple[int, int]:
    """Context and vocabulary of a configuration, whatever it calls them."""
    text = config.get_text_config()
    names = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "n_ctx")
    lengths = [value for value in (getattr(text, name, None) for name in names) if isinstance(value, int) and value > 0]
    return (lengths[0] if lengths else UNBOUNDED), int(text.vocab_size)


def _last(name: str) -> str:
    return name.rsplit(".", 1)[-1]


def _targets(sizes: Mapping[str, Any], modules: Sequence[str]) -> tuple[str, ...]:
    """Last names of the modules in ``sizes``, or full names for those whose last name is also that of something else."""
    out = set()
    for name in sizes:
        last = _last(name)
        alike = [m for m in modules if m == last or m.endswith("." + last)]
        out.add(last if all(m in sizes for m in alike) else name)
    return tuple(sorted(out))


@contextmanager
def quiet() -> Iterator[None]:
    """transformers without its progress bars and its reports on weights."""
    from transformers.utils import logging as theirs

    shown, level = theirs.is_progress_bar_enabled(), theirs.get_verbosity()
    theirs.disable_progress_bar()
    theirs.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        theirs.set_verbosity(level)
        if shown:
            theirs.enable_progress_bar()


def check_causal(folder: Path, config: Any) -> None:
    """Raises ModelError where a configuration is not that of a causal language model that transformers has."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    names = list(getattr(config, "architectures", None) or [])
    classes: Any = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(config.model_type, ())
    known: tuple[str, ...] = (classes,) if isinstance(classes, str) else tuple(classes)
    got = f"{', '.join(names) or 'a nameless model'} of the type {config.model_type!r}"
    start = f"{folder}: expected a causal language model, such as LlamaForCausalLM or GPT2LMHeadModel; got {got}"
    if getattr(config, "is_encoder_decoder", False):
        raise ModelError(f"{start}, which is an encoder with a decoder")
    if not known:
        raise ModelError(f"{start}, which transformers cannot run as one")
    if names and not any(n in known or n.endswith(("ForCausalLM", "LMHeadModel")) for n in names):
        raise ModelError(f"{start}, whose weights are for something else than writing text (that would be {known[0]})")


def load(folder: Path, config: Any, *, dtype: torch.dtype, device: torch.device) -> HF:
    """The model in a Hugging Face folder, from safetensors or, where they hold nothing but tensors, from .bin files.

    Raises ModelError for a model that is not causal, for missing or damaged weights, and for weights in files that
    could run code.
    """
    from transformers import AutoModelForCausalLM

    check_causal(folder, config)
    files.weights(folder)  # clear errors, and none for transformers to choose among
    try:
        with quiet():
            read: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=dtype,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
    except pickle.UnpicklingError as error:
        raise ModelError(unsafe(folder)) from error
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError, NotImplementedError) as error:
        raise ModelError(f"transformers cannot read the model in {folder}: {error}") from error
    model, info = read
    check_whole(folder, info)
    return HF(model, device=device)


def check_whole(path: Path, info: Mapping[str, Any]) -> None:
    """Raises ModelError where transformers had to leave weights at random numbers, which it does without saying.

    info: what ``from_pretrained`` gives as its loading information.
    """
    missing = sorted(info["missing_keys"])
    if missing:
        raise ModelError(f"the weights in {path} have no tensor {missing[0]!r}: not a complete model")
    for name, found, expected in sorted(info["mismatched_keys"])[:1]:
        raise ModelError(
            f"the weights in {path} do not fit its configuration: {name} is {tuple(found)}, expected {tuple(expected)}"
        )


def unsafe(path: Path) -> str:
    return (
        f"the weights in {path} are not plain tensors: the .bin file is damaged, or holds Python objects, which may run code "
        "when they are read. Where you trust it, load it yourself and save it as safetensors"
    )
