"""The report as one HTML page that asks nothing of the network. Every text of a model or a file is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from loopwright.blocks.lineage import Piece
from loopwright.blocks.monitors import MONITORS
from loopwright.core.gate import Interval, how_many
from loopwright.core.origins import an_earlier_run, tokens_told
from loopwright.improve.figures import costs_figure, looks_figure, monitors_figure, rounds_figure, training_figure
from loopwright.improve.gating import over_runs
from loopwright.improve.page import POLICY, STYLE, escape
from loopwright.improve.report_data import Answers, Look, Report, Screened, Version
from loopwright.improve.uses import told


def render_html(report: Report, figures: Mapping[str, str] | None = None) -> str:
    """The whole page. figures: SVG by name, as ``pictures.save_figures`` gives them."""
    drawn = figures or {}
    trees = "".join(svg for name, svg in drawn.items() if name.startswith("lineage"))
    sections = (
        _header(report),
        _tiles(report),
        _section("What the gate decided", _gate(report)),
        _section("What changed", _changes(report)),
        _section("Before and after, on test examples", _answers(report)),
        _section("Where every version came from", trees + _lineage(report.versions)),
        _section("What was made in the rounds", drawn.get("pictures", "")),
        _section("Attempts while learning", rounds_figure(report) + _monitors(report)),
        _section("Training", training_figure(report) + _trainings(report)),
        _section("What it cost", costs_figure(report) + _costs(report)),
        _section("Small print", _small_print(report)),
    )
    body = "\n".join(part for part in sections if part)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f"{POLICY}\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(report.task)}: Loopwright report</title>\n<style>{STYLE}</style></head>\n"
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


def verdict(report: Report) -> tuple[str, str]:
    """How it went: ``good``, ``nothing`` or ``open``, and the sentence that says so."""
    if report.learned and report.gain is not None:
        gain = report.gain
        sentence = (
            f"{_points(gain.effect)} points on {how_many(gain.n, 'test', report.counts)} that nothing had seen "
            f"(95% interval {_points(gain.low)} to {_points(gain.high)})."
        )
        if gain.low > 0:
            return "good", "Better: " + sentence
        margin = next((k.margin for k in report.looks if k.accepted and k.margin is not None), None)
        if margin is not None and gain.low > -margin:
            return "good", f"Not worse by {100 * margin:g} points or more: " + sentence
        return "open", "Accepted by the gate, but the test examples alone do not settle it: " + sentence
    if report.status == "done":
        offered = len(report.looks) + sum(not s.promising for s in report.screened)
        tried = f"none of {offered} candidates was accepted" if offered > 1 else "the one candidate was not accepted"
        tried = tried if offered else "no method had anything to offer"
        return "nothing", f"Learned nothing: {tried}. What you started with is what you have."
    kept = sum(offer.accepted for offer in report.offers)
    return "open", f"Not finished ({report.status}): {kept} of {len(report.offers)} candidates accepted so far."


def _points(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "\u2212")


def _percent(value: float) -> str:
    return f"{100 * value:.1f}%"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>\n{content}</section>" if content else ""


def _header(report: Report) -> str:
    kind, sentence = verdict(report)
    when = datetime.fromtimestamp(report.created, UTC).strftime("%-d %B %Y, %H:%M UTC")
    facts = [f"model <b>{escape(report.model)}</b>", f"run <code>{escape(report.run[:13])}</code>", when]
    if report.change:
        facts.insert(1, "may change " + escape(", ".join(report.change)))
    why = f"<p>{escape(report.reason)}</p>" if report.reason else ""
    doubts = "".join(
        f'<div class="verdict nothing"><strong>{escape(message)}</strong></div>' for message in report.warnings
    ) + "".join(
        f'<div class="verdict nothing"><strong>{escape(f.slug)} ended by an error</strong><p>{escape(f.error)}</p></div>'
        for f in report.failures
    ) + "".join(
        f'<div class="verdict nothing"><strong>Doubtful judge: {escape(d.judge)}</strong><p>It {escape(d.message)}.</p></div>'
        for d in report.doubts
    )
    doubts += "".join(
        f'<div class="verdict nothing"><strong>The server changed</strong><p>{escape(said)}.</p></div>'
        for said in report.server_changes
    )
    return (
        f'<header><p class="brand">Loopwright report</p><h1>{escape(report.task)}</h1>'
        f'<p class="facts">{" &middot; ".join(facts)}</p></header>\n'
        f'<div class="verdict {kind}"><strong>{escape(sentence)}</strong>{why}</div>{doubts}'
    )


def _tiles(report: Report) -> str:
    tokens = tokens_told(report.spent.tokens, report.bound, report.fresh)
    tiles = [
        _score_tile("Before", report.baseline, "test") or _score_tile("Before", report.gate_baseline, "gate"),
        _score_tile("After", report.final, "test"),
        _tile("Looks of the gate", str(len(report.offers)), f"{sum(k.accepted for k in report.offers)} accepted"),
        _tile("Took", _duration(report.seconds), f"{report.spent.calls:,} calls, {tokens}{_money(report)}"),
    ]
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _money(report: Report) -> str:
    return f", ${report.spent.money:,.4g}" if report.spent.money else ""


def _tile(name: str, value: str, below: str, extra: str = "") -> str:
    return f'<div class="tile"><h3>{name}</h3><p class="big">{value}</p>{extra}<p class="below">{escape(below)}</p></div>'


def _score_tile(name: str, interval: Interval | None, split: str) -> str:
    if interval is None:
        return ""
    left, width = 100 * interval.low, 100 * (interval.high - interval.low)
    strip = (
        f'<div class="strip"><i style="left:{left:.1f}%;width:{width:.1f}%"></i>'
        f'<b style="left:{100 * interval.score:.1f}%"></b></div>'
    )
    missing = f", {interval.missing} not judged" if interval.missing else ""
    below = f"{_percent(interval.low)} to {_percent(interval.high)}, {interval.n} {split} examples{missing}"
    return _tile(name, _percent(interval.score), below, strip)


def _gate(report: Report) -> str:
    return _notice(report) + looks_figure(report) + _looks(report) + _unproven(report) + _screened(report)


def _notice(report: Report) -> str:
    """What the gate could notice, and what weakens what it says."""
    told = [report.notice]
    if report.made_by:
        told.append(
            f"What this run started from was made by run {report.made_by[:13]} on these examples, and was chosen by somebody who "
            "could see its scores on them: that start is unproven. Proved is only that what was accepted here is better than it."
        )
    return "".join(f"<p>{escape(text)}</p>" for text in told if text)


def _unproven(report: Report) -> str:
    if not report.unproven:
        return ""
    return (
        f"<p>Best of the refused candidates, which is unproven: {escape(report.unproven)}. It is in the folder "
        "<code>unproven</code> of this run's output, and no part of the artifact.</p>"
    )


def _worse(screened: Screened) -> str:
    """On how many examples a candidate was worse; those without a judgement count as such."""
    return f"{screened.losses}" + (f" ({screened.missing} not judged)" if screened.missing else "")


def _screened(report: Report) -> str:
    """What was compared before the gate was asked."""
    rows = "".join(
        f'<tr class="{"yes" if s.promising else "no"}">'
        f'<td><span class="chip">{"gate asked" if s.promising else "refused"}</span></td>'
        f"<td><b>{escape(s.by)}</b><small>{escape(s.note)}</small></td>"
        + "".join(f'<td class="n">{figure}</td>' for figure in (_points(s.effect), s.wins, _worse(s), s.n))
        + "</tr>"
        for s in report.screened
    )
    if not rows:
        return ""
    heads = "".join(f"<th{' class=n' if i > 1 else ''}>{h}</th>" for i, h in enumerate(
        ("", "Candidate", "Gain, points", "Better on", "Worse on", report.counts.capitalize())))  # fmt: skip
    again = f" {report.repeated_offers} offers were repeated and cost no look." if report.repeated_offers else ""
    return (
        "<p>Before the gate is asked, a candidate is compared with the incumbent on the screen examples, a part of train that no "
        f"method is fitted to.{again}</p>"
        f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _looks(report: Report) -> str:
    looks = report.looks
    if not looks and report.offers:
        rows = "".join(
            f"<li>look {k.look}: {'accepted' if k.accepted else 'refused'} <b>{escape(k.by)}</b> {escape(k.note)}</li>"
            for k in report.offers
        )
        why = "Scores on gate examples are shown when the run is done, as choosing by them would bias what follows."
        return f"<p>{why}</p><ul>{rows}</ul>"
    if not looks:
        return "<p>No candidate reached the gate.</p>"
    rows = "".join(
        f'<tr class="{"yes" if k.accepted else "no"}"><td class="n">{k.look}</td>'
        f'<td><span class="chip">{"accepted" if k.accepted else "rejected"}</span><small>{escape(k.reason)}</small></td>'
        f"<td><b>{escape(k.by)}</b><small>{escape(k.note)}</small></td>"
        f'<td class="n">{_percent(k.incumbent_score)} &rarr; {_percent(k.candidate_score)}</td>'
        f'<td class="n">{_points(k.effect)}<small>{_points(k.low)} to {_points(k.high)}</small></td>'
        f'<td class="n">{k.evidence[0]}<small>{k.evidence[1] and f"needs {k.evidence[1]}"}</small></td><td class="n">{k.n}'
        f"{_turned(k)}</td></tr>"
        for k in looks
    )
    heads = "".join(
        f'<th{" class=n" if right else ""}>{name}</th>'
        for name, right in (
            ("Look", 1), ("Decision", 0), ("Candidate", 0), ("Incumbent &rarr; candidate", 1), ("Gain, points", 1),
            ("Evidence", 1), ("Pairs", 1),
        )
    )  # fmt: skip
    return f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def _turned(look: Look) -> str:
    """On how many examples the candidate was better, and on how many worse."""
    return "" if look.wins is None else f"<small>{look.wins} better, {look.losses} worse</small>"


def _changes(report: Report) -> str:
    best = next((v for v in reversed(report.versions) if v.accepted), None)
    if best is None:
        return ""
    base = report.versions[0]
    parts = []
    if best.system != base.system:
        parts.append(_change("System message", base.system, best.system))
    if best.instruction != base.instruction:
        parts.append(_change(f"Instruction, by {best.instruction_from}", base.instruction, best.instruction))
    if best.shots and best.shots != base.shots:
        items = "".join(
            f'<li><div class="pair"><pre>{escape(s.input)}</pre><pre>{escape(s.output)}</pre></div>'
            f"<small>{'from train example ' + escape(s.example) if s.example else 'source not recorded'}</small></li>"
            for s in best.shots
        )
        parts.append(f"<h3>Worked examples in the prompt</h3><ul class=shots>{items}</ul>")
    if best.adapter != base.adapter:
        parts.append(f"<h3>Weights</h3><p>An adapter was trained: <code>{escape(best.adapter[:16])}</code>.</p>")
    if best.solver != base.solver:
        parts.append(f"<h3>Way of answering</h3><p>Every question is answered through <b>{escape(best.solver)}</b>.</p>")
    parts += [_origins(name, pieces) for name, pieces in best.origins.items()]
    return "".join(parts)


def _origins(name: str, pieces: Sequence[Piece]) -> str:
    """The sentences of a text, those that came together together."""
    groups: list[tuple[Piece, list[str]]] = []
    for piece in pieces:
        if groups and groups[-1][0].model_copy(update={"text": piece.text}) == piece:
            groups[-1][1].append(piece.text)
        else:
            groups.append((piece, [piece.text]))
    items = "".join(f"<li><pre>{escape(chr(10).join(texts))}</pre><small>{_origin(p)}</small></li>" for p, texts in groups)
    return f"<h3>Where each sentence of {escape(name)} came from</h3><ul class=shots>{items}</ul>" if pieces else ""


def _origin(piece: Piece) -> str:
    told = [f"by {escape(piece.by)}" if piece.by != "task" else "from the task"]
    if piece.version:
        told.append(f"in version <code>{escape(piece.version[:8])}</code>, round {piece.round}")
    if piece.examples:
        told.append(f"written after train examples {escape(', '.join(piece.examples))}")
    return ", ".join(told)


def _change(name: str, before: str, after: str) -> str:
    return (
        f'<h3>{escape(name)}</h3><div class="pair"><div><h4>before</h4><pre>{escape(before) or "<i>none</i>"}</pre></div>'
        f"<div><h4>after</h4><pre>{escape(after) or '<i>none</i>'}</pre></div></div>"
    )


_KINDS = (("fixed", "better now"), ("broken", "worse now"), ("right", "right both times"), ("wrong", "not right, unchanged"),
          ("missing", "not judged"))  # fmt: skip


def _answers(report: Report) -> str:
    if not report.answers and not report.outcomes:
        return ""
    counts = " &middot; ".join(f"<b>{report.outcomes[k]}</b> {words}" for k, words in _KINDS if report.outcomes.get(k))
    cards = "".join(_answer(a) for a in report.answers)
    return f"<p>{counts}. A few of each, the first ones, not the best ones:</p>{cards}"


def _answer(a: Answers) -> str:
    before, after = a.before_score or 0.0, a.after_score or 0.0
    kind, word = ("yes", "better") if after > before else ("no", "worse") if after < before else ("same", "unchanged")
    # A short question stands in the summary already.
    whole = "" if _line(a.question) == a.question else f"<pre>{escape(a.question)}</pre>"
    target = f"<p class=target>expected <code>{escape(a.target)}</code></p>" if a.target else ""
    return (
        f'<details class="answer {kind}"{" open" if kind != "same" else ""}><summary><span class="chip">{word}</span> '
        f"{escape(_line(a.question))}</summary>{whole}{target}"
        f'<div class="pair"><div><h4>before &middot; {_percent(before)}</h4><pre>{escape(a.before)}</pre></div>'
        f"<div><h4>after &middot; {_percent(after)}</h4><pre>{escape(a.after)}</pre></div></div></details>"
    )


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 100 else line[:97] + "..."


def _lineage(versions: tuple[Version, ...]) -> str:
    known = {v.hash for v in versions}
    children: dict[str, list[Version]] = {}
    for version in versions:
        parent = next((p for p in version.parents if p in known and p != version.hash), "")
        children.setdefault(parent, []).append(version)

    def tree(parent: str, seen: frozenset[str]) -> str:
        below = [v for v in children.get(parent, []) if v.hash not in seen]
        items = "".join(f"<li>{_version(v)}{tree(v.hash, seen | {v.hash})}</li>" for v in below)
        return f"<ul>{items}</ul>" if items else ""

    return f'<div class="tree">{tree("", frozenset())}</div>' if len(versions) > 1 else ""


def _version(v: Version) -> str:
    if v.look is None:
        state, word = "base", "start"
    else:
        state, word = ("yes", f"accepted at look {v.look}") if v.accepted else ("no", f"rejected at look {v.look}")
    what = []
    if v.look is not None and v.instruction_new:
        what.append(f"instruction of {v.instruction_from}: \u201c{_line(v.instruction)}\u201d")
    new = [s for s in v.shots if s.new]
    if new:
        what.append(f"{len(new)} new worked examples from {', '.join(s.example or '?' for s in new)}")
    if "adapter" in v.changed:
        what.append(f"weights {v.adapter[:10]}")
    if "solver" in v.changed:
        what.append(f"answers through {v.solver}")
    detail = f"<small>{escape('; '.join(what))}</small>" if what else ""
    note = f" <span>{escape(v.note)}</span>" if v.note else ""
    name = f"<b>{escape(v.by)}</b>{note} <code>{escape(v.hash[:8])}</code>"
    return f'<div class="{state}">{name} <span class="chip">{word}</span>{detail}</div>'


def _trainings(report: Report) -> str:
    if not report.trainings:
        return ""
    names = list(dict.fromkeys(name for t in report.trainings for name in t.stats))
    heads = "".join(f"<th class=n>{escape(n.replace('_', ' '))}</th>" for n in names)
    rows = "".join(
        f"<tr><td class=n>{t.number}</td><td>{escape(t.loss_name)}</td>"
        + "".join(f"<td class=n>{t.stats[n]:,.4g}</td>" if n in t.stats else "<td></td>" for n in names)
        + "</tr>"
        for t in report.trainings
    )
    heads = f"<tr><th class=n>Fit</th><th>Loss</th>{heads}</tr>"
    return f'<div class="wide"><table><thead>{heads}</thead><tbody>{rows}</tbody></table></div>'


def _monitors(report: Report) -> str:
    """The panels with what their names mean, and what a stop rule ended."""
    figure = monitors_figure(report)
    meaning = "; ".join(f"<b>{n}</b> {escape(w)}" for n, w in MONITORS.items() if any(n in r.monitors for r in report.rounds))
    ended = "".join(
        f"<p>A stop rule ended <b>{escape(s.by)}</b> after round {s.round}: {escape(s.reason)}.</p>" for s in report.stops
    )
    return figure + (f"<p class=below>{meaning}.</p>" if figure else "") + ended


def _costs(report: Report) -> str:
    if not report.spending:
        return ""
    caps = ", ".join(f"{v:,g} {k}" for k, v in report.budget.items() if v is not None) or "no cap"
    return f"<p>Budget: {escape(caps)}. Answers from the cache of an earlier run cost nothing and are not in these figures.</p>"


def _small_print(report: Report) -> str:
    splits = ", ".join(f"{n} {name}" for name, n in report.splits.items())
    notes = [
        f"The gate: {report.gate_test}. {_error_rate(report)}" + _over_runs(report),
        "Intervals are 95%, of one figure at a time: Wilson's of a share of right answers, Gaffke's of a mean of grades or of "
        "differences. That Gaffke's covers in general is a conjecture, without a counterexample so far; it decides nothing. The "
        "bars in the first figure are those of the gain over the incumbent.",
    ]
    if report.fork:
        notes.insert(0, report.fork[0].upper() + report.fork[1:])
    if splits:
        seen = "No method sees the screen, gate or test examples" if "screen" in report.splits else "No method sees gate or test"
        notes.append(f"Examples: {splits}. {seen}; the test examples are used once, here.")
    if used := told(report.test_used_before):
        notes.append(used)
    for split, count in report.missing.items():
        notes.append(f"{count} of {report.judged[split]} {split} attempts have no score; a missing judgement is never a zero.")
    notes += [f"No score ({n} times): {reason}" for reason, n in report.missing_reasons.items()]
    for split, count in report.unjudged.items():
        notes.append(f"{count} of {report.judged[split]} {split} attempts were not to be scored: their method needs no score.")
    for split, count in report.cut.items():
        notes.append(f"{count} of {report.judged[split]} {split} answers were cut at max_tokens; they are judged by their text.")
    for split, count in report.unanswered.items():
        notes.append(f"{count} of {report.judged[split]} {split} attempts gave no answer; they are judged as an empty one.")
    notes += [f"No answer ({n} times): {reason}" for reason, n in report.unanswered_reasons.items()]
    notes += [f"{f.slug} (method {f.number}) ended by an error: {f.error}" for f in report.failures]
    notes += report.server_notices
    for r in report.replies:
        if r.run:
            notes.append(f"{r.count} replies were recorded by {an_earlier_run(r.run, r.date)} and were not asked for again.")
        else:
            said = f"{r.model or 'no name'}, fingerprint {r.system_fingerprint or 'not given'}"
            notes.append(f"{r.count} replies came from a server that says it is: {said}.")
    if report.unusable:
        notes.append(f"{report.unusable} calls gave nothing usable.")
    if report.presumed:
        notes.append(f"{report.presumed} calls were in flight when a process died: presumed spent and counted.")
    if report.repeated:
        notes.append(f"{report.repeated} calls were made again after a failure or a kill.")
    notes.append(f"Why it stopped: {report.reason or report.status}.")
    if report.stopped_early:
        notes.append(f"Methods were left untried or unfinished: {report.stopped_early}.")
    notes.append(f"Seed {report.seed}, Loopwright {report.code_version}, run {report.run}.")
    return "<ul class=fine>" + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>"


def _error_rate(report: Report) -> str:
    """What the gate promises, and of how many looks."""
    looks = f"{len(report.offers)} look{'s' if len(report.offers) != 1 else ''}"
    margin = next((k.margin for k in report.looks if k.margin is not None), None)
    if margin is not None:
        wrong, least = f"is worse than what the run began with by {100 * margin:g} points or more", ""
    else:
        wrong, least = "is not better", f" A measured gain below {100 * report.min_effect:g} percentage points is refused."
    return f"The probability that any candidate was accepted that {wrong} is at most {report.alpha:g}, over all {looks}.{least}"


def _over_runs(report: Report) -> str:
    """The chance of a false acceptance over all runs that asked the gate of this task, each with an alpha of its own."""
    runs = report.earlier_runs + 1
    if runs == 1 or not report.offers:
        return ""
    return f" It was the {_ordinal(runs)} run that asked the gate about these questions: {over_runs(runs, report.alpha)}"


def _ordinal(n: int) -> str:
    return {2: "second", 3: "third", 4: "fourth", 5: "fifth", 6: "sixth"}.get(n, f"{n}th")


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
