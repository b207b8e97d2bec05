"""How reports look, and how a text gets into one: one style sheet, light and dark, and nothing that runs or is fetched."""

from __future__ import annotations

import html

from loopwright.core.visible import visible

# Should anything get past ``escape`` it is not run, and nothing is asked of the network.
POLICY = (
    "<meta http-equiv=\"Content-Security-Policy\" "
    "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'\">"
)


def escape(text: str) -> str:
    """A text from anywhere as it stands on a page: no markup, no hidden characters, no change of the direction of reading."""
    return html.escape(visible(text))


STYLE = """
:root{--bg:#fbfaf8;--card:#fff;--ink:#1c1d21;--soft:#646873;--line:#e3e1dc;--good:#15803d;--bad:#c0392b;
--accent:#2f5fd0;--accent2:#a3558f;--goodbg:#e9f6ee;--badbg:#fbecea;--warnbg:#fff5dd;--warn:#8a5a00;--code:#f3f1ec}
@media (prefers-color-scheme:dark){:root{--bg:#14161a;--card:#1c1f25;--ink:#e8e8ea;--soft:#9aa0ac;--line:#31353e;
--good:#4ccb7f;--bad:#f0776a;--accent:#7ea6ff;--accent2:#dc8fca;--goodbg:#14301f;--badbg:#3a1e1b;--warnbg:#33290f;
--warn:#f0c264;--code:#23272f}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:60rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}
header{margin-bottom:1.25rem}h1{font-size:2.1rem;line-height:1.2;margin:.1rem 0 .3rem;overflow-wrap:anywhere}
h2{font-size:1.25rem;margin:0 0 .9rem}h3{font-size:.95rem;margin:1.1rem 0 .4rem}
h4{font-size:.8rem;margin:0 0 .25rem;color:var(--soft);font-weight:600}
.brand{margin:0;color:var(--accent);font-weight:600;font-size:.85rem;letter-spacing:.02em}.facts{margin:0;color:var(--soft)}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:1.4rem 1.5rem;margin:1.25rem 0}
section>:first-child{margin-top:0}section>p:last-child{margin-bottom:0}
.verdict{border-radius:12px;padding:1rem 1.25rem;border-left:5px solid;font-size:1.08rem}
.verdict p{margin:.25rem 0 0;font-size:.92rem}.verdict.good{background:var(--goodbg);border-color:var(--good)}
.verdict.nothing,.verdict.open{background:var(--warnbg);border-color:var(--warn)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(12rem,1fr));gap:1rem;margin:1.25rem 0}
.tile{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:1rem 1.2rem}
.tile h3{margin:0;color:var(--soft);font-weight:600;font-size:.85rem}.big{font-size:1.75rem;font-weight:650;margin:.15rem 0}
.below{margin:.3rem 0 0;font-size:.83rem;color:var(--soft)}
.strip{position:relative;height:6px;border-radius:3px;background:var(--line);margin:.5rem 0}
.strip i{position:absolute;top:0;height:6px;border-radius:3px;background:var(--accent);opacity:.45}
.strip b{position:absolute;top:-3px;width:3px;height:12px;margin-left:-1px;background:var(--accent);border-radius:2px}
svg{max-width:100%;height:auto;display:block;margin:0 auto .8rem}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.88rem}
th{text-align:left;color:var(--soft);font-weight:600;border-bottom:1px solid var(--line);padding:.4rem .6rem;white-space:nowrap}
td{padding:.5rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}tr:last-child td{border-bottom:0}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
small{display:block;color:var(--soft);font-size:.82rem}
.chip{display:inline-block;font-size:.76rem;font-weight:600;border-radius:99px;padding:.05rem .55rem;background:var(--code);
color:var(--soft);white-space:nowrap}.yes .chip{background:var(--goodbg);color:var(--good)}
.no .chip{background:var(--badbg);color:var(--bad)}
pre,code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.85rem;background:var(--code);border-radius:6px}
code{padding:.1rem .3rem}pre{margin:.2rem 0 .6rem;padding:.6rem .8rem;white-space:pre-wrap;overflow-wrap:anywhere;
max-height:22rem;overflow-y:auto}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:.9rem}.pair>div{min-width:0}
@media (max-width:40rem){.pair{grid-template-columns:1fr}section{padding:1.1rem}}
.answer{border-top:1px solid var(--line);padding:.55rem 0}summary{cursor:pointer}.answer>:nth-child(2){margin-top:.6rem}
.target{margin:.1rem 0 .6rem;font-size:.9rem}
.shots{list-style:none;padding:0;display:grid;gap:.8rem}.shots pre{margin:.15rem 0}
.tree ul{list-style:none;margin:0;padding-left:1.4rem;border-left:2px solid var(--line)}
.tree>ul{padding-left:0;border-left:0}.tree li{margin:.45rem 0;position:relative}
.tree .no{opacity:.85}.fine{margin:0;padding-left:1.1rem;font-size:.88rem;color:var(--soft)}.fine li{margin:.3rem 0}
@media print{section{break-inside:avoid}}
"""
