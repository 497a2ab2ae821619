"""One self-contained HTML page of a run: question, answer, figures, sortable tables, doubts, assumptions, the command."""

from __future__ import annotations

import base64
import dataclasses
import html
import io
import os
import pathlib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from experiments.framework import printed_tables
from experiments.framework.experiment import Presentation, Table
from experiments.framework.page_style import SCRIPT, STYLE

LARGEST_SVG = 1_500_000  # bytes of a figure that is still embedded as SVG; larger ones (many points) as PNG


def page(
    title: str,
    command: str,
    shown: Presentation,
    config: dict[str, Any],
    versions: dict[str, str],
    remarks: Sequence[str] = (),
) -> str:
    """The page as text; figures are embedded, nothing is loaded from elsewhere. `remarks` come before everything else."""
    parts = [
        *(f"<p><strong>{html.escape(remark)}</strong></p>" for remark in remarks),
        f'<p class="answer">{html.escape(shown.answer)}</p>' if shown.answer else "",
        warning_box("Before you quote a number", shown.warnings),
        *(image(name, figure, shown.captions.get(name, "")) for name, figure in shown.figures.items()),
        *_numbers(shown),
        "<h2>Method and assumptions</h2>",
        *(f"<p>{html.escape(paragraph)}</p>" for paragraph in shown.method),
        "<h2>Energy model</h2>" + listed(shown.energy) if shown.energy else "",
        "<h2>What to cite</h2>" + "".join(f"<pre>{html.escape(entry)}</pre>" for entry in shown.cite)
        if shown.cite
        else "",
        f'<h2>Run it again</h2><pre class="command">{html.escape(command)}</pre>',
        folded("Settings", table(config)),
        folded("Versions", table(versions)),
    ]
    return document(title, "".join(parts), kind="xbar: report of a run")


def _numbers(shown: Presentation) -> list[str]:
    """Tables that can be sorted, with the printed output below them; or that output alone."""
    printed = f"<pre>{html.escape(shown.text)}</pre>"
    above = "\n".join((shown.answer, *shown.warnings))
    found = [
        one for one in shown.tables or printed_tables.pieces(shown.text) if not isinstance(one, str) or one not in above
    ]
    if not any(isinstance(one, Table) for one in found):
        return ["<h2>Numbers</h2>", printed]
    made = [sortable(one) if isinstance(one, Table) else f'<p class="printed">{html.escape(one)}</p>' for one in found]
    return ["<h2>Numbers</h2>", *made, folded("As printed in the terminal", printed)]


def document(title: str, body: str, kind: str = "") -> str:
    """A whole page around its content; `kind`, above the title, says what kind of page it is."""
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style>"
    )
    above = f'<p class="kind">{html.escape(kind)}</p>' if kind else ""
    heading = f"{above}<h1>{html.escape(title)}</h1>"
    script = f"<script>{SCRIPT}</script>" if 'class="sortable"' in body else ""
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{heading}{body}{script}</body></html>\n'


def image(name: str, figure: Any, caption: str = "") -> str:
    """A figure inside the page: SVG, sharp at any size, or PNG where it holds too many points."""
    from experiments.framework import plots  # loads matplotlib, which listing experiments does not need

    data, kind = plots.svg(figure), "svg+xml"
    if len(data) > LARGEST_SVG:
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=160)
        data, kind = buffer.getvalue(), "png"
    said = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    widest = round(figure.get_figwidth() * 110)
    least = min(widest, 640)  # on a phone a wide figure scrolls: text in it stays legible
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    shown = f'<img alt="{html.escape(caption or name)}" style="min-width: {least}px" src="{source}">'
    return f'<figure style="max-width: {widest}px"><div class="scroll">{shown}</div>{said}</figure>'


def sortable(one: Table) -> str:
    """A table whose columns are sorted by a click on their headings; columns of numbers are right-aligned."""
    right = [bool(one.rows) and all(_numeric(row[k]) for row in one.rows) for k in range(len(one.heads))]
    mark = lambda k: ' class="number"' if right[k] else ""  # noqa: E731
    heads = "".join(f"<th{mark(k)}>{html.escape(head)}</th>" for k, head in enumerate(one.heads))
    head = f"<thead><tr>{heads}</tr></thead>" if any(one.heads) else ""
    cell = lambda k, value: f"<td{mark(k)}{_key(value)}>{html.escape(_text(value))}</td>"  # noqa: E731
    rows = "".join(f"<tr>{''.join(cell(k, v) for k, v in enumerate(row))}</tr>" for row in one.rows)
    kind = "sortable" if head else "plain"
    caption = f"<caption>{html.escape(one.title)}</caption>" if one.title else ""
    return f'<div class="scroll"><table class="{kind}">{caption}{head}<tbody>{rows}</tbody></table></div>' + (
        f"<p>{html.escape(one.note)}</p>" if one.note else ""
    )


def _numeric(value: Any) -> bool:
    return isinstance(value, (int, float, tuple)) and not isinstance(value, bool)


def _key(value: Any) -> str:
    """The value that a cell is sorted by, if not its text."""
    return f' data-value="{value[0]:.9g}"' if isinstance(value, tuple) else ""


def _text(value: Any) -> str:
    return str(value[1]) if isinstance(value, tuple) else f"{value:.5g}" if isinstance(value, float) else str(value)


def warning_box(title: str, sentences: Sequence[str]) -> str:
    """What weakens a result, above the figures; nothing where there is nothing to say."""
    return f'<div class="warnings"><h2>{html.escape(title)}</h2>{listed(sentences)}</div>' if sentences else ""


def listed(items: Iterable[str]) -> str:
    """A list."""
    return "<ul>" + "".join(f"<li>{html.escape(item)}</li>" for item in items) + "</ul>"


def folded(title: str, content: str) -> str:
    """Content that is shown on a click."""
    return f"<details><summary>{html.escape(title)}</summary>{content}</details>"


def table(values: Mapping[str, Any]) -> str:
    """Names and values."""
    rows = (
        f"<tr><td><code>{html.escape(k)}</code></td><td>{html.escape(_plain(v))}</td></tr>" for k, v in values.items()
    )
    return f'<div class="scroll"><table class="settings">{"".join(rows)}</table></div>'


def _plain(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


def command_line(words: Iterable[str], config: Any, without: Sequence[str] = ()) -> str:
    """A command with the settings that differ from the defaults.

    Args:
        words: the beginning of the command. without: fields that do not belong to it.
    """
    words = list(words)
    for field in dataclasses.fields(config):
        if field.name in without:
            continue
        value = getattr(config, field.name)
        default = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
        if value == default:
            continue
        flag = "--" + field.name.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        else:
            words += [flag, *(map(str, value) if isinstance(value, (tuple, list)) else [str(value)])]
    return shlex.join(words)


def sweep_page(title: str, command: str, shown: str, runs: Sequence[Mapping[str, Any]], folder: pathlib.Path) -> str:
    """The page of a sweep: its table, and a link to each run."""
    link = lambda path: html.escape(os.path.relpath(path, folder))  # noqa: E731
    items = (
        f'<li><a href="{link(pathlib.Path(run["folder"]) / "report.html")}">'
        f"{html.escape(', '.join(f'{k} {v}' for k, v in run['settings'].items()) or 'run')}</a></li>"
        for run in runs
    )
    body = f"<p><code>{html.escape(command)}</code></p><pre>{html.escape(shown)}</pre><h2>Runs</h2><ul>{''.join(items)}</ul>"
    return document(title, body, kind="xbar: report of a sweep")
