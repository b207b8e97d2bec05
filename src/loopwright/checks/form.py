"""Checks that read a recipe without running it."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from loopwright.checks import fresh
from loopwright.checks.suite import ALL, Failed, check
from loopwright.core.errors import LoopwrightError
from loopwright.core.feedback import KINDS
from loopwright.core.registry import Recipe
from loopwright.core.types import Options

NEEDS = ("model", "critic", "tools", "sandbox", "fit", "person", "environment")
PAPER = re.compile(r"arXiv:\d{4}\.\d{4,5}(v\d+)?|doi:10\.\d{4,}/\S+|isbn:[\dXx-]{10,17}|https://\S+|[\w-]+/\S+")
_POSITIONAL = {"solver": 2, "critic": 2, "improver": 2, "learner": 0, "measure": 1}


@check(*ALL)
def card(recipe: Recipe) -> None:
    """The card is whole: a documented module, a paper or a reference method, and words that everybody knows."""
    facts = recipe.card
    module = sys.modules.get(recipe.module) or importlib.import_module(recipe.module)
    if not (inspect.getdoc(module) or inspect.getdoc(recipe.function)):
        raise Failed("no docstring: the module's first line is the catalogue's summary, and the rest says when to use it")
    if not facts.summary.endswith("."):
        raise Failed(f"the summary must be a sentence with a full stop, got {facts.summary!r}")
    if not facts.paper and not facts.baseline:
        raise Failed("name the paper (paper='arXiv:2303.17651'), or say that it is a reference method (baseline=True)")
    if facts.paper and not PAPER.fullmatch(facts.paper):
        raise Failed(f"paper must be arXiv:NUMBER, doi:..., isbn:..., an anthology id or an https link, got {facts.paper!r}")
    for what, words, known in (("needs", facts.needs, NEEDS), ("learns_from", facts.learns_from, KINDS)):
        unknown = sorted(set(words) - set(known))
        if unknown:
            raise Failed(f"{what} must be of {', '.join(known)}; got {', '.join(unknown)}")
    blind = facts.shape == "learner" and facts.baseline  # choosing at random is a reference, and learns from nothing
    if facts.shape in ("improver", "learner") and not (facts.improves and (facts.learns_from or blind)):
        raise Failed(f"a {facts.shape} says what it improves and which kinds of feedback it learns from")


@check(*ALL)
def options(recipe: Recipe) -> None:
    """Options are keyword-only, typed, and have defaults of their type."""
    found = list(inspect.signature(recipe.function).parameters.values())
    positional = [p for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    expected = _POSITIONAL[recipe.card.shape]
    if len(positional) != expected:
        names = ", ".join(p.name for p in positional) or "none"
        raise Failed(f"a {recipe.card.shape} takes {expected} positional arguments, got {names}; put options after '*'")
    for p in found:
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            raise Failed(f"{p} hides options from the command line and the catalogue; write each of them out")
        if p.kind is not p.KEYWORD_ONLY:
            continue
        if p.annotation is p.empty:
            raise Failed(f"option {p.name} has no type")
        if p.default is p.empty:
            raise Failed(f"option {p.name} has no default; use the paper's")
        if isinstance(p.default, list | dict | set):
            raise Failed(f"the default of {p.name} can be changed by one run for the next; use a tuple or None")
    every = [p.name for p in found if not isinstance(p.default, Options)]
    every += [name for p in found if isinstance(p.default, Options) for name in type(p.default).model_fields]
    if twice := sorted({name for name in every if every.count(name) > 1}):
        raise Failed(f"{', '.join(twice)} is an option of the recipe and of a group of options; rename its own")
    try:
        recipe.check({p.name: p.default for p in found if p.kind is p.KEYWORD_ONLY})
    except LoopwrightError as error:
        raise Failed(f"a default is not of its own type: {error}") from error


_CLOCKS = {"time", "datetime", "random", "secrets", "uuid", "os", "threading", "multiprocessing", "subprocess", "socket"}
_RANDOM = {"Generator", "default_rng", "SeedSequence", "PCG64", "Philox"}
_MUTABLE = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp)
_MAKERS = {"list", "dict", "set", "bytearray", "defaultdict", "Counter", "deque", "OrderedDict", "count", "cycle", "iter"}
_BUILTINS = {"hash", "id", "open", "input", "exec", "eval", "globals", "__import__"}


@check(*ALL)
def no_clock_no_globals(recipe: Recipe) -> None:
    """No clock, no randomness but ctx.rng, no state outside the function: a resumed run could not repeat them."""
    path = inspect.getsourcefile(recipe.function)
    if path is None:
        raise Failed("the source of this recipe cannot be read")
    found = sorted(set(_forbidden(ast.parse(Path(path).read_text(encoding="utf-8")))))
    if found:
        raise Failed("; ".join(f"line {line}: {what}" for line, what in found[:5]))


def _forbidden(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for statement in tree.body:
        yield from _shared_state(statement)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            for name in names:
                if name.split(".")[0] in _CLOCKS:
                    yield node.lineno, f"imports {name}; use ctx.rng, ctx.more or ctx.external"
        elif isinstance(node, ast.Global):
            yield node.lineno, f"global {', '.join(node.names)}; keep state in local variables"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _BUILTINS:
            yield node.lineno, f"calls {node.func.id}(), which differs from process to process or reaches outside"
        elif isinstance(node, ast.Call) and _tail(node.func) == "default_rng" and not (node.args or node.keywords):
            yield node.lineno, "default_rng() without a seed; use the rng that is handed in"
        elif isinstance(node, ast.Attribute) and _tail(node.value) == "random" and node.attr not in _RANDOM:
            if isinstance(node.value, ast.Attribute):  # np.random.rand, not a variable called random
                yield node.lineno, f"uses the global generator behind {ast.unparse(node)}; use the rng that is handed in"
        elif isinstance(node, ast.Attribute) and _reaches_around(node):
            yield node.lineno, f"{ast.unparse(node)} goes around the context; use its own methods"


def _reaches_around(node: ast.Attribute) -> bool:
    """``ctx.engine`` and private attributes of the context lead past budget, record and declared capabilities."""
    on_context = isinstance(node.value, ast.Name) and node.value.id == "ctx"
    return on_context and (node.attr == "engine" or node.attr.startswith("_"))


def _shared_state(node: ast.stmt) -> Iterator[tuple[int, str]]:
    """Module-level values that a run could change for the next one."""
    if isinstance(node, ast.Assign):
        names, value = [ast.unparse(t) for t in node.targets], node.value
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        names, value = [ast.unparse(node.target)], node.value
    else:
        return
    made = isinstance(value, ast.Call) and _tail(value.func) in _MAKERS
    if (isinstance(value, _MUTABLE) or made) and names != ["__all__"]:
        yield node.lineno, f"{names[0]} can be changed by one run for the next; use a tuple or MappingProxyType"


def _tail(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


@check(*ALL)
def imports_without_torch(recipe: Recipe) -> str | None:
    """The module loads where torch, transformers and peft are not installed, unless the card says otherwise."""
    if recipe.card.torch:
        return "the card says that it needs torch"
    try:
        fresh.call("loopwright.checks.fresh:import_without_torch", recipe.module, imports=("loopwright.core.registry",))
    except fresh.CallFailed as error:
        raise Failed(f"{error}; import it inside the function that uses it, or say torch=True on the card") from error
    return None
