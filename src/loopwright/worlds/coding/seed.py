# mypy: ignore-errors
"""A coding agent in one file: it writes functions by search over a small library, and rewrites this very file.

``solve`` answers a task; ``improve`` is given the file's own text with a log of what the agent tried, and returns another
version of it. The search tries chains of blocks, short ones first, until one agrees with the examples of the task or LIMIT
tries were made. What it knows and how it edits itself stands in the constants, which are as open to its edits as its code.
"""

import ast
import itertools
import random

# By name: what it takes and gives (L a list, N a number), and its code with {x} for what it is given and {c} for a constant.
BLOCKS = {
    "sort": ("L", "L", "sorted({x})"),
    "reverse": ("L", "L", "{x}[::-1]"),
    "add": ("L", "L", "[n + {c} for n in {x}]"),
    "times": ("L", "L", "[n * {c} for n in {x}]"),
    "above": ("L", "L", "[n for n in {x} if n > {c}]"),
    "first": ("L", "L", "{x}[:{c}]"),
    "skip": ("L", "L", "{x}[{c}:]"),
    "sum": ("L", "N", "sum({x})"),
    "count": ("L", "N", "len({x})"),
    "largest": ("L", "N", "max({x}, default=0)"),
}
CONSTANTS = (0, 1, 2, 3)
HINTS = {}  # by a word of the description: blocks to try before others
LIMIT = 1500
DEPTH = 3
# What new blocks are made of: {e} is a term of a number n, {p} a test of it.
FORMS = (
    "[{e} for n in {x}]", "[{e} for n in {x}]", "[n for n in {x} if {p}]", "[n for n in {x} if {p}]", "sum({e} for n in {x})",
    "{x}[-{c}:]", "{x}[::{c}]", "min({x}, default=0)", "list(dict.fromkeys({x}))",
    "[m - n for n, m in zip({x}, {x}[1:])]", "[sum({x}[: i + 1]) for i in range(len({x}))]",
)  # fmt: skip
TERMS = ("n", "-n", "n + {c}", "n * {c}", "n * n", "n % {c}", "abs(n)", "n - {c}")
TESTS = ("{e} == {c}", "{e} > {c}", "{e} < {c}", "{e} != {c}")
# How it edits itself: how often each kind of edit is chosen, how many at once, how many new blocks it compares.
TASTE = {"invent": 10, "constant": 4, "limit": 3, "learn": 2, "hint": 2, "join": 1, "drop": 1, "taste": 2, "code": 4}
AT_ONCE = 2
TRIES = 24


def chains(blocks, constants, depth):
    """Chains of steps, short ones first; the caller says of each whether to go on from it."""
    steps = []
    for name, (takes, gives, code) in blocks.items():
        for c in constants if "{c}" in code else (None,):
            steps.append((name, c, takes, gives, eval("lambda x: " + code.format(x="x", c=c))))
    level = [((), "L", None)]
    for _ in range(depth):
        new = []
        for chain, kind, values in level:
            for name, c, takes, gives, function in steps:
                if takes == kind:
                    made = yield (*chain, (name, c)), gives, values, function
                    if made is not None:
                        new.append(((*chain, (name, c)), gives, made))
        level = new


def search(examples, blocks, constants, depth, limit):
    """The first chain that does to every example what it should, or None."""
    inputs, wanted = [xs for xs, _ in examples], [out for _, out in examples]
    seen, tries, made = {repr(inputs)}, 0, None
    walk = chains(blocks, constants, depth)
    try:
        item = next(walk)
        while tries < limit:
            chain, _, values, function = item
            tries += 1
            made = None
            try:
                out = [function(x) for x in (inputs if values is None else values)]
            except Exception:
                out = None
            if out == wanted:
                return chain
            if out is not None and repr(out) not in seen:
                seen.add(repr(out))
                made = out
            item = walk.send(made)
    except StopIteration:
        pass
    return None


def code_of(chain, blocks):
    text = "xs"
    for name, c in chain:
        text = blocks[name][2].format(x=text, c=c)
    return text


def words_of(text):
    return [w for w in text.lower().replace(",", " ").replace(":", " ").replace(".", " ").split() if w.isalpha()]


def improve(source, log, seed):
    """The source, edited. log: entries with task, answer, passed and said, the one to learn from first."""
    rng = random.Random(seed)
    for _ in range(value(source, "AT_ONCE")):
        taste = value(source, "TASTE")
        kind = rng.choices(list(taste), list(taste.values()))[0]
        source = globals()["edit_" + kind](source, log, rng)
    return source


def value(source, name):
    """What the source says that a constant is."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == name:
            return ast.literal_eval(node.value)
    raise KeyError(name)


def assigned(source, name, new):
    """The source with another value for a constant."""
    if isinstance(new, dict):
        rows = "".join(f"    {key!r}: {item!r},\n" for key, item in new.items())
        text = "{\n" + rows + "}"
    else:
        text = repr(new)
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == name:
            lines = source.splitlines(keepends=True)
            return "".join(lines[: node.lineno - 1]) + f"{name} = {text}\n" + "".join(lines[node.end_lineno :])
    raise KeyError(name)


def plans(log, blocks):
    """(task, chain) of what was passed; an answer tells its chain in its last line."""
    found = []
    for entry in log:
        lines = entry["answer"].splitlines()
        if entry["passed"] and lines and lines[-1].startswith("# "):
            chain = ast.literal_eval(lines[-1][2:])
            if all(name in blocks for name, _ in chain):
                found.append((entry["task"], chain))
    return found


def edit_invent(source, log, rng):
    """A new block, made up; of several the first that solves a task that was failed."""
    blocks, constants = value(source, "BLOCKS"), value(source, "CONSTANTS")
    failed = [entry["task"]["examples"] for entry in log if not entry["passed"]]
    rng.shuffle(failed)
    for _ in range(value(source, "TRIES")):
        form = rng.choice(value(source, "FORMS"))
        term, test = rng.choice(value(source, "TERMS")), rng.choice(value(source, "TESTS"))
        if "{c}" in term:
            test = test.replace("{c}", str(rng.choice(constants)))
        code = form.replace("{p}", test).replace("{e}", term)
        new = {f"new{len(blocks)}": ("L", "N" if code.startswith(("sum", "min")) else "L", code)}
        if any(search(examples, {**new, **blocks}, constants, 2, 400) for examples in failed[:6]):
            break
    return assigned(source, "BLOCKS", {**blocks, **new})


def edit_join(source, log, rng):
    """A new block that is two blocks."""
    blocks = value(source, "BLOCKS")
    chain = [(name, rng.choice(value(source, "CONSTANTS"))) for name in rng.sample(list(blocks), 2)]
    return joined(source, chain, blocks)


def edit_learn(source, log, rng):
    """A new block that is a piece of a solved program."""
    blocks = value(source, "BLOCKS")
    long = [chain for _, chain in plans(log, blocks) if len(chain) > 1]
    if not long:
        return source
    chain = rng.choice(long)
    start = rng.randrange(len(chain) - 1)
    return joined(source, chain[start : rng.randint(start + 2, len(chain))], blocks)


def joined(source, chain, blocks):
    kinds = [blocks[name] for name, _ in chain]
    if any(before[1] != after[0] for before, after in itertools.pairwise(kinds)):
        return source
    code = "{x}"
    for (_, c), kind in zip(chain, kinds, strict=True):
        code = kind[2].replace("{c}", str(c)).replace("{x}", code)
    return assigned(source, "BLOCKS", {**blocks, f"new{len(blocks)}": (kinds[0][0], kinds[-1][1], code)})


def edit_hint(source, log, rng):
    """A word of a solved task's description is made a hint at a block of its program."""
    solved = plans(log, value(source, "BLOCKS"))
    if not solved:
        return source
    task, chain = rng.choice(solved)
    told = [words_of(entry["task"]["description"]) for entry in log]
    rare = [w for w in words_of(task["description"]) if sum(w in words for words in told) <= len(told) / 2]
    if not rare:
        return source
    word, (name, _) = rng.choice(rare), rng.choice(chain)
    hints = value(source, "HINTS")
    return assigned(source, "HINTS", {**hints, word: [*hints.get(word, []), name]})


def edit_constant(source, log, rng):
    known = value(source, "CONSTANTS")
    c = rng.randint(0, 12)
    return assigned(source, "CONSTANTS", tuple(k for k in known if k != c) if c in known else (*known, c))


def edit_limit(source, log, rng):
    if rng.random() < 0.5:
        return assigned(source, "DEPTH", max(1, value(source, "DEPTH") + rng.choice((-1, 1))))
    return assigned(source, "LIMIT", int(value(source, "LIMIT") * rng.choice((0.5, 1.5, 2))) + 1)


def edit_drop(source, log, rng):
    blocks = value(source, "BLOCKS")
    gone = rng.choice(list(blocks))
    return assigned(source, "BLOCKS", {name: block for name, block in blocks.items() if name != gone})


def edit_taste(source, log, rng):
    """Another way of editing."""
    name = rng.choice(("AT_ONCE", "TRIES", "TASTE", "TASTE"))
    if name != "TASTE":
        return assigned(source, name, max(1, value(source, name) * 2 if rng.random() < 0.6 else value(source, name) // 2))
    taste = value(source, "TASTE")
    kind = rng.choice(list(taste))
    return assigned(source, "TASTE", {**taste, kind: taste[kind] * rng.choice((0.5, 2))})


def edit_code(source, log, rng):
    """Some number or comparison in the code of a function becomes another. Most of these edits do harm."""
    swaps = {"<": ">", ">": "<", "==": "!=", "!=": "==", "+": "-", "-": "+"}
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    one = rng.choice(functions)
    lines = source.splitlines()
    places = []
    for at in range(one.lineno - 1, one.end_lineno):
        for i, word in enumerate(lines[at].split(" ")):
            if word in swaps or word.strip("():,").isdigit():
                places.append((at, i))
    if not places:
        return source
    at, i = rng.choice(places)
    words = lines[at].split(" ")
    digits = words[i].strip("():,")
    words[i] = swaps.get(words[i]) or words[i].replace(digits, str(int(digits) + rng.choice((-1, 1, 2))))
    lines[at] = " ".join(words)
    return "\n".join(lines) + "\n"


def solve(task):
    """The text of a program for a task, "" where none was found; its last line is the chain it was made of."""
    hinted = {name: None for word in words_of(task["description"]) for name in HINTS.get(word, ()) if name in BLOCKS}
    chain = None
    if hinted:
        chain = search(task["examples"], {name: BLOCKS[name] for name in hinted}, CONSTANTS, DEPTH + 1, LIMIT // 2)
    if chain is None:
        chain = search(task["examples"], BLOCKS, CONSTANTS, DEPTH, LIMIT - LIMIT // 2 if hinted else LIMIT)
    if chain is None:
        return ""
    return f"def {task['name']}(xs):\n    return {code_of(chain, BLOCKS)}\n# {chain!r}\n"
