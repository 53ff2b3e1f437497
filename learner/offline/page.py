"""Parts of a page: escaped text, tables with headers, pictures as data. No outside host. Pure."""

import base64
import html
from collections.abc import Sequence

STYLE = """
:root { color-scheme: light dark;
  --paper: #fff; --ink: #1c2024; --muted: #5b6570; --line: #d9dde2; --soft: #f5f6f8;
  --good: #00694f; --bad: #a33a00; --half: #7a5b00; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #181b1f; --ink: #e8eaed; --muted: #a3abb4; --line: #363c43; --soft: #20242a;
  --good: #3cc79b; --bad: #f0883e; --half: #d9c34a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 44rem; margin: 0 auto; padding: 2.5rem 1.1rem 4rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.2rem; margin: 3rem 0 .8rem; }
h3 { font-size: 1rem; margin: 0; }
p, dl, ol, ul { margin: 0 0 1rem; }
.facts, figcaption, .paper, .note { color: var(--muted); font-size: .9rem; }
.badge { display: inline-block; border: 1px solid var(--half); color: var(--half);
  border-radius: 1rem; padding: 0 .6rem; font-weight: 600; }
.lead { font-size: 1.2rem; line-height: 1.45; margin: 1.4rem 0 1.8rem;
  border-left: .25rem solid var(--ink); padding-left: 1rem; }
.claims { list-style: none; padding: 0; }
.claims li { border-top: 1px solid var(--line); padding: .8rem 0; display: grid;
  grid-template-columns: 8.5rem 1fr; gap: .2rem 1rem; }
.claims p { margin: .15rem 0 0; }
.outcome { font-weight: 600; white-space: nowrap; color: var(--muted); }
.reached { color: var(--good); }
.not-reached { color: var(--bad); }
.partly { color: var(--half); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--muted); font-size: .9rem; padding-bottom: .5rem; }
th, td { text-align: right; padding: .4rem .6rem; border-top: 1px solid var(--line);
  white-space: nowrap; }
thead th, thead td { border-top: 0; color: var(--muted); font-weight: 600; }
th:first-child { text-align: left; padding-left: 0; font-weight: 600; }
.words td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.words th { width: 11rem; vertical-align: top; font-weight: 400; color: var(--muted);
  white-space: normal; }
figure { margin: 0 0 2.6rem; }
figure img { display: block; width: 100%; height: auto; border: 1px solid var(--line);
  border-radius: .5rem; }
figcaption { margin-top: .6rem; }
.table { margin-bottom: 1.8rem; }
summary { cursor: pointer; }
@media (max-width: 34rem) {
  main { padding: 1.4rem .9rem 3rem; }
  h1 { font-size: 1.4rem; }
  .lead { font-size: 1.08rem; }
  .claims li { grid-template-columns: 1fr; }
  figure:not(.table) { margin-inline: -.9rem; }
  figure img { border-width: 1px 0; border-radius: 0; }
  figure:not(.table) figcaption { margin-inline: .9rem; }
  .words th { width: 7.5rem; }
  .scroll table { font-size: .8rem; }
  .scroll th, .scroll td { padding-inline: .25rem; }
  .scroll th { white-space: normal; }
}
"""


def escape(text: object) -> str:
    """Text that is safe between tags and in attributes."""
    return html.escape(str(text))


def page(title: str, body: str) -> str:
    """A whole document in which nothing is loaded from elsewhere."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Figures in columns; the first cell of a row says what the row is."""
    top = "".join(f'<th scope="col">{escape(cell)}</th>' if cell else "<td></td>" for cell in head)
    return (
        f'<figure class="table"><figcaption>{escape(caption)}</figcaption>'
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}"><table>'
        f"<thead><tr>{top}</tr></thead><tbody>{_rows(rows)}</tbody></table></div></figure>"
    )


def words(caption: str, rows: Sequence[tuple[str, str]]) -> str:
    """Names and what they stand for."""
    body = _rows(rows)
    return f'<table class="words"><caption>{escape(caption)}</caption><tbody>{body}</tbody></table>'


def picture(light_png: bytes, dark_png: bytes, alt: str, caption: str) -> str:
    """A figure that follows the reader's light or dark."""
    return (
        '<figure><picture><source media="(prefers-color-scheme: dark)" '
        f'srcset="{_data(dark_png)}"><img src="{_data(light_png)}" alt="{escape(alt)}"></picture>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _rows(rows: Sequence[Sequence[str]]) -> str:
    return "".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in rest)
        + "</tr>"
        for first, *rest in rows
    )


def _data(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
