"""Sphinx extension: the API reference, a page a module, from the docstrings of every public name.

Docstrings are plain text: paragraphs, `code`, $math$, and sections such as `Args:`. `restructured` makes reStructuredText of
them, so that no docstring needs markup for the sake of a web page.
"""

from __future__ import annotations

import importlib
import inspect
import pathlib
import re
import types
from typing import Any

MODULES = {  # those that list their names in __all__, and rooms of laws whose public classes and functions are all meant
    "xbar": "Arrays of cells, and networks on them",
    "xbar.wires": "Interconnect",
    "xbar.training": "Hardware-aware training",
    "xbar.training.insitu": "Training on the arrays",
    "xbar.energy": "Energy, time and area",
    "xbar.architectures": "Published architectures",
    "xbar.spiking": "Spiking networks",
    "devices": "One cell, and the published devices",
    "devices.programming": "Write errors",
    "devices.write_verify": "Write-verify",
    "devices.drift": "Drift, relaxation, retention",
    "devices.noise": "Read noise",
    "devices.conduction": "Conduction",
    "devices.faults": "Stuck cells",
    "devices.steps": "Steps of a pulse",
    "devices.updates": "Pulse updates",
    "devices.curves": "Curves over conductance",
    "devices.compact": "Compact models",
    "devices.instruments": "Readers of laboratory files",
    "devices.fitting": "Fitting device models",
    "devices.device_file": "Device files",
    "devices.exchange": "Devices for other programs",
    "experiments": "Results in Python",
    "experiments.datasets": "Data sets",
    "experiments.framework.experiment": "What an experiment is",
    "experiments.framework.store": "Layouts and results",
}
SECTIONS = re.compile(
    r"^(Args|Returns|Raises|Reference|References|Breaks when|Warns|Attributes|Yields|Example|Source|Sources)(?=[:,])"
)


def names_of(module: types.ModuleType) -> list[str]:
    """Public names: `__all__`, or the classes and functions that the module defines."""
    if (listed := getattr(module, "__all__", None)) is not None:
        return list(listed)
    own = lambda o: (inspect.isclass(o) or inspect.isfunction(o)) and o.__module__ == module.__name__  # noqa: E731
    return [name for name, value in vars(module).items() if not name.startswith("_") and own(value)]


def write_pages(app: Any) -> None:
    """Writes `reference/api/*.rst` before Sphinx looks for pages."""
    folder = pathlib.Path(app.srcdir) / "reference" / "api"
    folder.mkdir(parents=True, exist_ok=True)
    seen: dict[int, str] = {}
    loaded = {name: importlib.import_module(name) for name in MODULES}
    for name in sorted(
        MODULES, key=lambda n: -n.count(".")
    ):  # the room that owns a name documents it; others refer to it
        for one in names_of(loaded[name]):
            seen.setdefault(id(getattr(loaded[name], one)), f"{name}.{one}")
    wanted = {f"{name}.rst": page(name, loaded[name], seen) for name in MODULES}
    for old in {p.name for p in folder.glob("*.rst")} - set(wanted):
        (folder / old).unlink()
    for file, text in wanted.items():
        if not (folder / file).exists() or (folder / file).read_text() != text:
            (folder / file).write_text(text)


def page(name: str, module: types.ModuleType, owner: dict[int, str]) -> str:
    """One module: its docstring, a table of its names, each name in full."""
    title = f"``{name}``: {MODULES[name]}"
    parts = [title, "=" * len(title), "", f".. automodule:: {name}", "   :no-members:", ""]
    elsewhere, full = [], []
    for one in names_of(module):
        value = getattr(module, one)
        home = owner.get(id(value), f"{name}.{one}")
        if inspect.ismodule(value):
            home = f"{name}.{one}"
            elsewhere.append(f"- ``{name}.{one}``: module" + (f", :doc:`{home}`" if home in MODULES else ""))
        elif home != f"{name}.{one}":
            elsewhere.append(f"- ``{name}.{one}`` is :py:obj:`{home}`")
        elif inspect.isclass(value):
            full += [f".. autoclass:: {name}.{one}", "   :members:", "   :show-inheritance:", ""]
        elif callable(value):
            full += [f".. autofunction:: {name}.{one}", ""]
        else:
            full += [f".. py:data:: {name}.{one}", "", f"   {type(value).__name__} of {len(value)}", ""]
    if elsewhere:
        parts += [*elsewhere, ""]
    return "\n".join(parts + full)


def restructured(lines: list[str], parameters: tuple[str, ...] = ()) -> list[str]:
    """A plain docstring as reStructuredText."""
    found: list[str] = []
    for head, block in sections("\n".join(lines)):
        if head:
            found += [f"**{head}**", ""]
        if head in ("Args", "Attributes"):
            found += arguments(block, parameters)
        else:
            found += paragraphs(block)
        found.append("")
    return found


def sections(text: str) -> list[tuple[str, str]]:
    """Sections by heading; the first has none."""
    found: list[tuple[str, list[str]]] = [("", [])]
    for line in inspect.cleandoc(text).splitlines():
        if match := SECTIONS.match(line):
            head, rest = line.split(":", 1) if ":" in line else (match[1], line[match.end() :].lstrip(", "))
            found.append((head, [rest.strip()] if rest.strip() else []))
        else:
            found[-1][1].append(line)
    return [(head, inspect.cleandoc("\n" + "\n".join(block))) for head, block in found]


def arguments(text: str, parameters: tuple[str, ...]) -> list[str]:
    """`a: ... b, c: ...` as a list; a name counts where it begins a sentence or a line, and is a parameter."""
    start = re.compile(r"(?:^|(?<=[.;]\s)|(?<=\n))\s*(\*{0,2}[A-Za-z_]\w*(?:, \*{0,2}[A-Za-z_]\w*)*):\s", re.M)
    begins = [
        m for m in start.finditer(text)
        if not parameters or all(n.strip(" *") in parameters for n in m[1].split(","))
    ]  # fmt: skip
    if not begins or begins[0].start(1) > 0:
        return paragraphs(text)
    lines = []
    for match, after in zip(begins, [*begins[1:], None], strict=True):
        said = " ".join(text[match.end() : after.start() if after else len(text)].split())
        names = ", ".join(f"``{n.strip()}``" for n in match[1].split(","))
        lines.append(f"- {names}: {inline(said)}")
    return lines


def paragraphs(text: str) -> list[str]:
    """Paragraphs, indented programs and displayed equations."""
    found: list[str] = []
    for block in re.split(r"\n\s*\n", text):
        if not block.strip():
            continue
        stripped = block.strip()
        if stripped.startswith("$$") and stripped.endswith("$$"):
            found += [".. math::", "", *(f"   {line.strip()}" for line in stripped[2:-2].strip().splitlines()), ""]
        elif block.startswith("    "):
            found += ["::", "", *block.splitlines(), ""]
        elif re.match(r"- ", stripped):
            items = re.split(r"\n(?=- )", stripped)
            found += [f"- {inline(' '.join(item[2:].split()))}" for item in items] + [""]
        else:
            found += [inline(" ".join(block.split())), ""]
    return found


def inline(text: str) -> str:
    """`code` and $math$ marked up; everything else says what it says."""
    parts = re.split(r"(``[^`]+``|`[^`]+`|\$[^$]+\$)", text)
    shown = ""
    for part in parts:
        if part.startswith("`"):
            shown += _joined(shown, f"``{part.strip('`').strip()}``")
        elif part.startswith("$"):
            shown += _joined(shown, f":math:`{part[1:-1].strip()}`")
        else:
            plain = re.sub(r"([\\*|`])", r"\\\1", part)
            plain = re.sub(r"(?<=\w)_(?!\w)", r"\\_", plain)
            shown += ("\\ " if shown.endswith("`") and plain and plain[0].isalnum() else "") + plain
    return shown


def _joined(before: str, markup: str) -> str:
    """reStructuredText wants a space, or an escaped one, before markup."""
    return markup if not before or before[-1] in " (['\"" else f"\\ {markup}"


def process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Called by autodoc for each docstring."""
    parameters: tuple[str, ...] = ()
    if what in ("class", "function", "method", "exception"):
        try:
            parameters = tuple(inspect.signature(obj).parameters)
        except (TypeError, ValueError):
            parameters = ()
    if what == "class":
        parameters += tuple(getattr(obj, "__dataclass_fields__", ()))
    lines[:] = restructured(lines, parameters)


def skip(app: Any, what: str, name: str, obj: Any, skipped: bool, options: Any) -> bool | None:
    """Members without a docstring of their own stay out: fields are explained under Args."""
    return True if not (inspect.getdoc(obj) or "").strip() else None


def setup(app: Any) -> dict[str, Any]:
    app.connect("builder-inited", write_pages, priority=100)
    app.connect("autodoc-process-docstring", process)
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
