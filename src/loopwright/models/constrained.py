"""Which tokens may come next where an answer has to fit a JSON schema, by llguidance (Microsoft, MIT licence).

Shapes: R rows, V the vocabulary.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from loopwright.core.errors import InputError
from loopwright.core.extras import named

HELD = 16  # schemas kept ready
# Spaces and line ends between the parts are fixed: small models would otherwise fill their answer with them.
STYLE: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class Matcher:
    """What one row may still write."""

    def __init__(self, matcher: Any) -> None:
        self._matcher = matcher

    def fill(self, mask: Any, line: int) -> None:
        from llguidance.numpy import fill_next_token_bitmask

        fill_next_token_bitmask(self._matcher, mask, line)

    def take(self, token: int) -> None:
        """The row has written this token, which was allowed."""
        if not self._matcher.is_stopped():  # it stops by itself where nothing but the end can follow
            self._matcher.consume_token(token)


class Grammars:
    """Makes matchers for a tokenizer of transformers' fast kind. ``ends``: the token ids that end an answer."""

    def __init__(self, tokenizer: Any, vocabulary: int, ends: Collection[int]) -> None:
        with named():
            from llguidance import hf
        self._tokenizer = hf.from_tokenizer(tokenizer, n_vocab=vocabulary, eos_token=sorted(ends))
        self._known: OrderedDict[str, Any] = OrderedDict()

    def matcher(self, schema: Mapping[str, Any]) -> Matcher:
        """Raises InputError for what is no JSON schema, or uses what cannot be enforced."""
        from llguidance import LLMatcher

        text = json.dumps(schema, sort_keys=False)
        if text not in self._known:
            try:
                grammar = LLMatcher.grammar_from_json_schema(text, overrides=STYLE)
            except ValueError as error:  # a number beyond what it reads
                raise InputError(f"expected a JSON schema that answers can be held to: {error}") from None
            if wrong := LLMatcher.validate_grammar(grammar, self._tokenizer):
                raise InputError(f"expected a JSON schema that answers can be held to: {wrong}")
            self._known[text] = LLMatcher(self._tokenizer, grammar)
        self._known.move_to_end(text)
        while len(self._known) > HELD:
            self._known.popitem(last=False)
        return Matcher(self._known[text].deep_copy())


def allowed(matchers: Sequence[Matcher], vocabulary: int, device: torch.device) -> Tensor:
    """[R, V] bool: what each row may write next."""
    from llguidance.numpy import allocate_token_bitmask

    mask = allocate_token_bitmask(len(matchers), vocabulary)
    for line, matcher in enumerate(matchers):
        matcher.fill(mask, line)
    bits = torch.from_numpy(mask).to(device)[:, :, None] >> torch.arange(32, device=device, dtype=torch.int32)
    return (bits & 1).bool().flatten(1)[:, :vocabulary]
