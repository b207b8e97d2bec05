"""What PEFT's ``adapter_config.json`` says of a LoRA adapter, and what of it is read here; anything else is refused by name.

Fields are those of peft 0.21's ``LoraConfig``. A field that is not known here is refused once it says something, so that an
adapter of a newer kind is not read as a plain one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import regex

from loopwright.core.errors import InputError

FILE = "adapter_config.json"
MERGE = "merge it into its model with PEFT (merge_and_unload, save_pretrained) and give the merged folder as the model"
_SECONDS = 1.0  # for one pattern of a file on one name
DEFAULT = 8  # PEFT's own r and lora_alpha, where a file leaves them out
READ = frozenset(
    """peft_type r lora_alpha use_rslora rank_pattern alpha_pattern target_modules fan_in_fan_out trainable_token_indices
    base_model_name_or_path init_lora_weights bias""".split()
)
# What says how the adapter was trained or which modules it has (its tensors say that), and not what it computes.
SILENT = frozenset(
    """task_type auto_mapping peft_version revision inference_mode exclude_modules lora_dropout layers_to_transform
    layers_pattern megatron_config megatron_core loftq_config eva_config qalora_group_size ensure_weight_tying
    runtime_config""".split()
)
CALLED = {
    "use_dora": "DoRA", "modules_to_save": "modules that were trained whole", "layer_replication": "replicated layers",
    "lora_bias": "biases of its own", "alora_invocation_tokens": "activated LoRA", "use_qalora": "QALoRA",
    "target_parameters": "LoRA on parameters", "use_bdlora": "block-diagonal LoRA", "arrow_config": "Arrow routing",
    "kasa_config": "KaSA", "velora_config": "VeLoRA", "monteclora_config": "Monte Carlo LoRA", "corda_config": "CorDA",
    "lora_ga_config": "LoRA-GA",
}  # fmt: skip
# Ways to start A and B that leave the model's own weights as they are. PiSSA, OLoRA, CorDA, LoftQ and LoRA-GA do not.
HARMLESS = (None, True, False, "gaussian", "eva", "orthogonal", "mica")
EMBEDDING = "embed_tokens"


@dataclass(frozen=True)
class Settings:
    """What the configuration says of the pairs: defaults, and what differs by module, each by its full name."""

    rank: int
    alpha: float
    rslora: bool
    alphas: Mapping[str, float]
    targets: tuple[str, ...]
    tokens: tuple[int, ...]


def settings(config: Mapping[str, Any], ranks: Mapping[str, int]) -> Settings:
    """Read a configuration.

    Args:
        config: what ``adapter_config.json`` holds.
        ranks: by full module name, the rank that the adapter's tensors have there.

    Returns: rank and alpha of modules without a pattern of their own, the alphas of those with one, names, token ids.

    Raises:
        InputError: where the adapter is of a kind that is not read here, or its tensors are of another adapter.
    """
    _refuse(config)
    rank, alpha = _number(config, "r"), _number(config, "lora_alpha")
    patterns: dict[str, dict[str, float]] = {}
    for name in ("rank_pattern", "alpha_pattern"):
        given = config.get(name) or {}
        if not isinstance(given, dict):
            raise InputError(f"{FILE}: {name} is an object of patterns and numbers, got {given!r}")
        patterns[name] = {pattern: _positive(value, f"{name} of {pattern!r}") for pattern, value in given.items()}
    alphas = {}
    named = config.get("target_modules")
    if not isinstance(named, str | None) and not (isinstance(named, list) and all(isinstance(n, str) for n in named)):
        raise InputError(f"{FILE}: target_modules is a list of names, or a pattern, got {named!r:.80}")
    for module, found in ranks.items():
        if isinstance(named, list) and named and not any(matches(module, str(target)) for target in named):
            raise InputError(
                f"{FILE} names the modules {', '.join(map(str, named))}, and there are tensors of {module}: the two files are "
                "not of one adapter"
            )
        expected = _by_pattern(patterns["rank_pattern"], module, rank)
        if found != expected:
            raise InputError(
                f"{FILE} says that {module} has rank {expected}, its tensors have {found}: the two files are not of one adapter"
            )
        own = _by_pattern(patterns["alpha_pattern"], module, alpha)
        if own != alpha:
            alphas[module] = own
    return Settings(int(rank), alpha, bool(config.get("use_rslora")), alphas, _targets(config, ranks), _tokens(config))


def matches(name: str, target: str) -> bool:
    """Whether a module is meant by an entry of ``target_modules``, as PEFT reads a list of them."""
    return name == target or name.endswith("." + target)


def _refuse(config: Mapping[str, Any]) -> None:
    kind = config.get("peft_type", "LORA")
    if kind != "LORA":
        raise InputError(f"the adapter is of PEFT's type {kind}; LORA is read here. To use it, {MERGE}")
    if config.get("bias", "none") not in ("none", None):
        raise InputError(
            f"the adapter was trained with biases (bias={config['bias']!r}), which are not read here: {MERGE}"
        )
    start = config.get("init_lora_weights")
    if not any(start is known or (isinstance(known, str) and start == known) for known in HARMLESS):
        raise InputError(
            f"the adapter belongs to changed base weights (init_lora_weights={start!r}): save it with PEFT's "
            "path_initial_model_for_weight_conversion, which makes a plain LoRA of it"
        )
    for name in sorted(set(config) - READ - SILENT):
        if config[name]:
            called = f"{CALLED[name]} ({name}={config[name]!r})" if name in CALLED else f"{name}={config[name]!r}"
            raise InputError(f"the adapter uses {called}, which is not read here: {MERGE}")


def _number(config: Mapping[str, Any], name: str) -> float:
    return _positive(config.get(name, DEFAULT), name)


def _positive(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise InputError(f"{FILE}: {name} is a number above 0, got {value!r}")
    return value


def _by_pattern(patterns: Mapping[str, float], module: str, default: float) -> float:
    """PEFT's rule (get_pattern_key): the first pattern that is all of the name, or all of it from some dot on."""
    for pattern, value in patterns.items():
        try:
            if regex.match(rf"(.*\.)?({pattern})$", module, timeout=_SECONDS):
                return value
        except regex.error as error:
            raise InputError(f"{FILE}: {pattern!r} is not a regular expression: {error}") from None
        except TimeoutError:
            raise InputError(f"{FILE}: {pattern!r} took longer than {_SECONDS:g} s on the name {module}") from None
    return default


def _targets(config: Mapping[str, Any], modules: Iterable[str]) -> tuple[str, ...]:
    """Names that mean these modules and no others: those given, or where they say it in another way, full names."""
    given = config.get("target_modules")
    narrowed = any(config.get(name) is not None for name in ("layers_to_transform", "exclude_modules"))
    if isinstance(given, str) or not given or narrowed:
        return tuple(sorted(modules))
    if all(any(matches(module, target) for target in given) for module in modules):
        return tuple(given)
    return tuple(sorted(modules))


def _tokens(config: Mapping[str, Any]) -> tuple[int, ...]:
    """Ids of tokens with embeddings of their own. PEFT also takes them by module; only the embedding's are known here."""
    given = config.get("trainable_token_indices") or ()
    if isinstance(given, Mapping):
        other = sorted(name for name, tokens in given.items() if name != EMBEDDING and tokens)
        if other:
            raise InputError(
                f"the adapter has tokens of its own in {other[0]!r} (trainable_token_indices); only those of {EMBEDDING!r} are "
                f"read here: {MERGE}"
            )
        given = given.get(EMBEDDING, ())
    if not isinstance(given, list | tuple) or not all(type(i) is int and i >= 0 for i in given):
        raise InputError(f"{FILE}: trainable_token_indices is a list of token ids, got {given!r:.80}")
    return tuple(given)
