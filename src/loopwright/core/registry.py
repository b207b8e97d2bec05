"""Recipes: how a function becomes one, how its options are checked, and where all of them are found."""

from __future__ import annotations

import difflib
import importlib
import inspect
import math
import pkgutil
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from loopwright.core.beside import module_named, names_beside
from loopwright.core.errors import InputError, NotAllowed, UnknownName
from loopwright.core.facade import given as given_to
from loopwright.core.state import plain
from loopwright.core.types import Card, MadeBy, Options, Shape

ENTRY_POINT = "loopwright.recipes"
_BOUNDS = {"ge": "of at least", "gt": "above", "le": "of at most", "lt": "below"}


@dataclass(frozen=True, slots=True)
class Option:
    name: str
    type: Any
    default: Any

    @property
    def kind(self) -> str:
        """Its type in words."""
        kind = get_args(self.type)[0] if get_origin(self.type) is Annotated else self.type
        return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind).replace("typing.", "")

    @property
    def number(self) -> bool:
        """Whether it is a number (or None), and no yes or no, which Python would take for 1 and 0."""
        kind = get_args(self.type)[0] if get_origin(self.type) is Annotated else self.type
        return {kind, *get_args(kind)} & {int, float, bool} in ({int}, {float}, {int, float})

    @property
    def wanted(self) -> str:
        """Its type and bounds in words."""
        found: dict[str, float] = {}
        for about in get_args(self.type)[1:] if get_origin(self.type) is Annotated else ():
            for bound in getattr(about, "metadata", None) or [about]:
                found |= {k: getattr(bound, k) for k in _BOUNDS if getattr(bound, k, None) is not None}
        return " ".join([self.kind, *(f"{_BOUNDS[k]} {v:g}" for k, v in found.items())])


@dataclass(frozen=True, slots=True)
class Recipe:
    """A method with its card and options. ``recipe(...)`` calls it as it was written."""

    card: Card
    function: Callable[..., Any]
    module: str
    defaults: Mapping[str, Any] = field(default_factory=dict)  # of a row: the options that differ from the function's
    name: str = ""  # in its module

    @property
    def slug(self) -> str:
        return self.card.slug

    @property
    def address(self) -> str:
        """What ``get_recipe`` finds it by: its slug, or ``module:name`` where it is not installed."""
        return self.slug if self.slug in all_recipes() else f"{self.module}:{self.name}"

    def __call__(self, *args: Any, **options: Any) -> Any:
        given = {**self.defaults, **self.check(options)}
        for name, group in self._groups.items():
            own = {field: given.pop(field) for field in type(group).model_fields if field in given}
            given[name] = group.model_copy(update=own)
        made = self.function(*(given_to(self, argument) for argument in args), **given)
        if self.card.shape == "learner" and "made_by" in getattr(made, "_fields", ()):
            chosen = {name: plain(value, f"option {name}") for name, value in self.settings(options).items()}
            made = made._replace(made_by=MadeBy(self.slug, MappingProxyType(chosen), self.card.learns_from))
        return made

    @property
    def _groups(self) -> Mapping[str, Options]:
        """The parameters that stand for several options, with what they are by default."""
        return _declared(self.function)[1]

    @property
    def options(self) -> dict[str, Option]:
        """By name, those of the function, and each field of its groups of options."""
        found = _declared(self.function)[0]
        return {o.name: replace(o, default=self.defaults[o.name]) if o.name in self.defaults else o for o in found}

    def check(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options with their types checked; text from a command line or TOML file is converted. Raises InputError."""
        known = self.options
        checked: dict[str, Any] = {}
        groups = self._groups
        plain = {k: v for k, v in options.items() if k not in groups}
        for value in (options[name] for name in groups if name in options):
            plain = {**(value.model_dump() if isinstance(value, Options) else value), **plain}
        for name, value in plain.items():
            if name not in known:
                raise UnknownName(f"option of {self.slug}", name, known)
            try:
                if isinstance(value, bool) and known[name].number:
                    raise InputError(f"option {name} of {self.slug}: expected {known[name].wanted}, got {value!r}")
                checked[name] = _adapter(known[name].type).validate_python(value)
            except ValidationError as error:
                raise InputError(
                    f"option {name} of {self.slug}: expected {known[name].wanted}, got {value!r} "
                    f"({error.errors()[0]['msg']}); the default is {known[name].default!r}"
                ) from None
            if isinstance(checked[name], float) and not math.isfinite(checked[name]):
                raise InputError(
                    f"option {name} of {self.slug}: expected {known[name].wanted}, a finite number, got {value!r}; "
                    f"the default is {known[name].default!r}"
                )
        return checked

    def settings(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Every option with its value, defaults included: what a run's specification records."""
        return {name: option.default for name, option in self.options.items()} | self.check(options)


@cache  # a solver is called for every example, and looking at a signature takes longer than a short recipe
def _declared(function: Callable[..., Any]) -> tuple[tuple[Option, ...], Mapping[str, Options]]:
    """The options of a function, those of its groups included, and the groups by name."""
    hints = get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters.values()
    groups = {p.name: p.default for p in parameters if isinstance(p.default, Options)}
    found = [
        Option(p.name, hints.get(p.name, Any), p.default)
        for p in parameters
        if p.kind is p.KEYWORD_ONLY and p.name not in groups
    ]
    for group in groups.values():
        for name, about in type(group).model_fields.items():
            kind = Annotated[about.annotation, *about.metadata] if about.metadata else about.annotation
            found.append(Option(name, kind, getattr(group, name)))
    return tuple(found), MappingProxyType(groups)


def _adapter(kind: Any) -> TypeAdapter[Any]:
    try:
        return _kept_adapter(kind)
    except TypeError:  # a type that cannot be looked up, as with a list among its annotations
        return TypeAdapter(kind)


_kept_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)


def _decorator(shape: Shape) -> Callable[..., Any]:
    def with_metadata(
        *,
        paper: str = "",
        needs: tuple[str, ...] = (),
        learns_from: tuple[str, ...] = (),
        improves: str = "",
        torch: bool = False,
        packages: tuple[str, ...] = (),
        baseline: bool = False,
        slug: str = "",
        family: str = "",
    ) -> Callable[[Callable[..., Any]], Recipe]:
        def wrap(function: Callable[..., Any]) -> Recipe:
            parts = function.__module__.split(".")
            doc = inspect.getdoc(importlib.import_module(function.__module__)) or inspect.getdoc(function) or ""
            asynchronous = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
            if shape in ("solver", "critic", "improver") and not asynchronous:
                raise TypeError(f"{function.__name__}: a {shape} is an async function, write 'async def'")
            card = Card(
                slug=slug or function.__name__.replace("_", "-"),
                family=family or (parts[-2] if len(parts) > 1 else "custom"),
                shape=shape,
                summary=doc.split("\n", 1)[0],
                paper=paper,
                needs=needs,
                learns_from=learns_from,
                improves=improves,
                torch=torch,
                packages=packages,
                baseline=baseline,
            )
            return Recipe(card=card, function=function, module=function.__module__, name=function.__name__)

        return wrap

    return with_metadata


solver = _decorator("solver")
critic = _decorator("critic")
improver = _decorator("improver")
learner = _decorator("learner")
measure = _decorator("measure")


def row(
    of: str,
    *,
    name: str,
    module: str,
    paper: str = "",
    baseline: bool = False,
    learns_from: tuple[str, ...] | None = None,
    **defaults: Any,
) -> Recipe:
    """A recipe that is another one with other defaults: the difference is data.

    of: ``module:name`` of the other. name: of the variable it is kept in, from which the slug is made. module:
    ``__name__`` of its file, whose docstring tells what differs and why. learns_from: where that is not the other's.
    Raises as ``Recipe.check`` does.
    """
    base = get_recipe(of)
    parts = module.split(".")
    doc = inspect.getdoc(importlib.import_module(module)) or ""
    changes: dict[str, Any] = {
        "slug": name.replace("_", "-"), "family": parts[-2] if len(parts) > 1 else "custom",
        "summary": doc.split("\n", 1)[0], "paper": paper, "baseline": baseline,
    }  # fmt: skip
    if learns_from is not None:
        changes["learns_from"] = learns_from
    card = Card.model_validate({**base.card.model_dump(), **changes})
    return Recipe(card, base.function, module, {**base.defaults, **base.check(defaults)}, name)


def _own_modules() -> Iterator[str]:
    import loopwright.recipes as package

    for family in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if family.ispkg:
            module = importlib.import_module(family.name)
            for found in pkgutil.iter_modules(module.__path__, family.name + "."):
                yield found.name


def recipes_in(module: Any) -> list[Recipe]:
    """The recipes that a module defines (not those it imports)."""
    return [v for v in vars(module).values() if isinstance(v, Recipe) and v.module == module.__name__]


@cache
def all_recipes() -> dict[str, Recipe]:
    """Every recipe by slug: ours, and those of installed packages with a ``loopwright.recipes`` entry point.

    An entry point names a module or a recipe. One that fails to load is an InputError naming the package.
    """
    found: dict[str, Recipe] = {}
    modules = [importlib.import_module(name) for name in _own_modules()]
    recipes = [recipe for module in modules for recipe in recipes_in(module)]
    for entry in entry_points(group=ENTRY_POINT):
        try:
            loaded = entry.load()
        except Exception as error:
            raise InputError(f"entry point {entry.name} = {entry.value} could not be loaded: {error!r}") from error
        recipes += [loaded] if isinstance(loaded, Recipe) else recipes_in(loaded)
    for recipe in recipes:
        if recipe.slug in found:
            raise InputError(f"two recipes are called {recipe.slug}: {found[recipe.slug].module} and {recipe.module}")
        found[recipe.slug] = recipe
    return dict(sorted(found.items()))


def _named(address: str) -> Recipe:
    module, _, name = address.rpartition(":")
    try:
        holder = module_named(module)
    except NotAllowed:
        raise
    except Exception as error:  # importing runs somebody's code, which may fail in any way
        top = module.removesuffix(".py").partition(".")[0]
        unknown = isinstance(error, ModuleNotFoundError) and error.name == top and top not in names_beside()
        if unknown or not top.isidentifier():
            near = difflib.get_close_matches(top, names_beside(), n=1, cutoff=0.6)
            hint = f"did you mean {near[0]}:{name}?" if near else "expected a file beside task.toml, or an importable.module:name"
            raise InputError(f"{address}: No module named {module!r}; {hint}") from error
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if Path(f.filename).stem == top.rpartition("/")[2]]
        at = f" ({Path(own[-1].filename).name} line {own[-1].lineno})" if own else ""
        raise InputError(f"{address}: {module} could not be imported: {type(error).__name__}: {error}{at}") from error
    if not hasattr(holder, name):
        raise UnknownName(f"recipe of {module}", name, [n for n, v in vars(holder).items() if isinstance(v, Recipe)])
    loaded = getattr(holder, name)
    if not isinstance(loaded, Recipe):
        what = "a plain function" if inspect.isfunction(loaded) else f"a {type(loaded).__name__}"
        raise InputError(f"{address} is {what}, expected a recipe: write @loopwright.trainable.trainable or @solver above it")
    return loaded


def get_recipe(slug: str) -> Recipe:
    """By slug, or by ``module:name`` for one that is not installed; the module may lie beside the task (``core.beside``).

    Raises UnknownName with the near ones.
    """
    if ":" in slug:
        return _named(slug)
    known = all_recipes()
    if slug not in known:
        raise UnknownName("recipe", slug, known)
    return known[slug]
