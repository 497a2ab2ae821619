"""One self-contained HTML page of a run: tables, figures, method, settings, versions."""

from __future__ import annotations

import base64
import html
import io
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.framework.experiment import Presentation

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em; color: #222; }
pre { background: #f6f6f6; padding: 1em; overflow-x: auto; font-size: 13px; line-height: 1.35; }
img { max-width: 100%; } table { border-collapse: collapse; }
td, th { text-align: left; padding: .1em 1em .1em 0; vertical-align: top; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2em; } code { font-size: 13px; }
"""


def page(
    title: str,
    command: str,
    shown: Presentation,
    config: dict[str, Any],
    versions: dict[str, str],
    remarks: Sequence[str] = (),
) -> str:
    """The page as text; figures are embedded, nothing is loaded from elsewhere. `remarks` stand above everything."""
    parts = [
        *(f"<p><strong>{html.escape(remark)}</strong></p>" for remark in remarks),
        f"<p><code>{html.escape(command)}</code></p>",
        *(image(name, figure) for name, figure in shown.figures.items()),
        f"<h2>Numbers</h2><pre>{html.escape(shown.text)}</pre>",
        "<h2>Method and assumptions</h2>",
        *(f"<p>{html.escape(paragraph)}</p>" for paragraph in shown.method),
        f"<h2>Settings</h2>{table(config)}",
        f"<h2>Versions</h2>{table(versions)}",
    ]
    return document(title, "".join(parts))


def document(title: str, body: str) -> str:
    """A whole page around its content."""
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{_STYLE}</style>'
    heading = f"<h1>{html.escape(title)}</h1>"
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{heading}{body}</body></html>\n'


def image(name: str, figure: Any) -> str:
    """A figure inside the page."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<p><img alt="{html.escape(name)}" src="data:image/png;base64,{data}"></p>'


def table(values: dict[str, Any]) -> str:
    """Names and values."""
    rows = (f"<tr><td>{html.escape(k)}</td><td>{html.escape(str(v))}</td></tr>" for k, v in values.items())
    return f"<table>{''.join(rows)}</table>"


def sweep_page(title: str, command: str, shown: str, runs: Sequence[Mapping[str, Any]], folder: pathlib.Path) -> str:
    """The page of a sweep: its table, and a link to each run."""
    link = lambda path: html.escape(os.path.relpath(path, folder))  # noqa: E731
    items = (
        f'<li><a href="{link(pathlib.Path(run["folder"]) / "report.html")}">'
        f"{html.escape(', '.join(f'{k} {v}' for k, v in run['settings'].items()) or 'run')}</a></li>"
        for run in runs
    )
    body = f"<p><code>{html.escape(command)}</code></p><pre>{html.escape(shown)}</pre><h2>Runs</h2><ul>{''.join(items)}</ul>"
    return document(title, body)
