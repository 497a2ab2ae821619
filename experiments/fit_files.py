"""`xbar fit`: from laboratory files to a device file and a page that reports what was found."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import pathlib
import re
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from experiments.framework import plain_json
from experiments.framework.errors import UsageError
from experiments.framework.files import write_text
from experiments.framework.seeds import check_seed
from experiments.framework.signals import INTERRUPTION
from experiments.framework.versions import current_versions

if TYPE_CHECKING:
    from devices.fitting import Fit
    from devices.instruments import Trace

Target = Literal["aihwkit", "neurosim", "spice", "verilog-a"]
SUFFIXES = {"spice": "cir", "verilog-a": "va"}


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Fits device models to laboratory files: reports what the files hold and what is wrong with them, ranks models, and
    writes a device file for `xbar run accuracy-energy --device` and an HTML page."""

    files: Annotated[tuple[pathlib.Path, ...], tyro.conf.Positional]
    """Files or folders of one device or one kind of device."""
    kind: str | None = None
    """Kind of measurement, if the files do not say."""
    model: str | None = None
    """The model to fit; by default all models of this kind, ranked by BIC."""
    out: pathlib.Path | None = None
    """Device file to write, such as my_device.toml; the page is written beside it. Default: a new folder in results/fit."""
    sidecar: pathlib.Path | None = None
    """TOML file that supplies what the files do not say (units, columns, shunt)."""
    export: tuple[Target, ...] = ()
    """Other programs to export the device to, in addition to the device file."""
    draws: int = 64
    """Number of devices drawn from the posterior and stored in the device file."""
    starts: int = 24
    """Number of searches from different starting points, for each model."""
    seed: int = 0
    """Random seed of the starting points and the draws."""
    json: bool = False
    """Print one JSON document to standard output, and nothing else."""
    debug: bool = False
    """Show the traceback of an error."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The outcome: fits, refused traces, the files written, and whether the user interrupted it."""

    fits: tuple[Fit, ...]
    refusals: tuple[str, ...]
    device: Any
    files: tuple[pathlib.Path, ...]
    text: str
    interrupted: bool = False


def carry_out(arguments: Arguments, say: Callable[[str], None], track: Callable) -> Outcome:
    """Reads, fits, and writes.

    Raises:
        UsageError: for input that cannot be used; nothing is written then.
    """
    from devices.instruments import FileError

    _check(arguments)
    out = arguments.out or _new_folder() / "device.toml"
    draft, interrupted = _Draft(arguments, out.with_suffix(".html")), False
    try:
        traces = _read(arguments, say)
        refusals = _fit_all(traces, arguments, track, draft)
    except FileError as error:
        raise UsageError(str(error)) from error
    except KeyboardInterrupt:
        if not draft.all():
            raise
        INTERRUPTION.finishing()
        interrupted, refusals = True, (f"what was not yet fitted when you interrupted; fitted so far: {draft.said()}.",)
    for refusal in refusals:
        say(f"xbar: left out: {refusal}")
    return _write(arguments, out, draft.all(), refusals, say, interrupted)


class _Draft:
    """What is fitted so far, and a page of it that is updated after each model, unless drawing it takes long.

    Args:
        page: where it is written.
    """

    def __init__(self, arguments: Arguments, page: pathlib.Path):
        self.arguments, self.page = arguments, page
        self.fits: list[Fit] = []  # of traces that are done with
        self.current: Fit | None = None  # the best so far for the current trace
        self.next = 0.0  # time before which the page is not drawn again

    def all(self) -> tuple[Fit, ...]:
        return (*self.fits, self.current) if self.current is not None else tuple(self.fits)

    def said(self) -> str:
        """What is fitted so far of the current trace."""
        one = self.current
        if one is None:
            return f"all of {len(self.fits)} traces"
        return f"{', '.join((one.model, *(other.model for other in one.others)))} of {one.trace.name}"

    def update(self, fit: Fit) -> None:
        self.current = fit
        INTERRUPTION.catching = True  # from now on there is something to keep
        began = time.monotonic()
        if began < self.next:
            return
        self.page.parent.mkdir(parents=True, exist_ok=True)
        _write_page(self.arguments, self.page, self.all(), (), f"still running; fitted so far: {self.said()}")
        self.next = time.monotonic() + 5 * (time.monotonic() - began)

    def finish(self, fit: Fit) -> None:
        self.fits.append(fit)
        self.current = None


def _check(arguments: Arguments) -> None:
    if not arguments.files:
        raise UsageError("fit needs files: xbar fit MEASUREMENT.csv [...] --out my_device.toml")
    check_seed(arguments.seed)
    for name in ("draws", "starts"):
        if getattr(arguments, name) < 1:
            raise UsageError(f"--{name} {getattr(arguments, name)}: give at least 1.")
    out = arguments.out
    if out is not None and (out.suffix != ".toml" or not out.parent.is_dir() or out.is_dir()):
        raise UsageError(f"--out {out}: give a file that ends in .toml, in a folder that exists.")


def _read(arguments: Arguments, say: Callable[[str], None]) -> tuple[Trace, ...]:
    from devices.instruments import read

    traces = read(arguments.files, kind=arguments.kind, sidecar=arguments.sidecar)
    for trace in traces:
        say(f"{trace.name}: {trace.kind}, {len(trace)} readings, {trace.format}")
        for flag in trace.flags:
            say(f"  {flag.name}: {flag.reason}")
    if all(trace.unit != "S" for trace in traces):
        say(
            "  range: conductances have no unit here, so their models can be compared, but no device file can be written. "
            "To get one, state in the sidecar which conductances they stand for, such as:\n\n"
            "  normalised = [-1.0, 1.0]   # values at g_min and g_max; above all [tables]\n\n"
            "  [protocol]\n  g_min = 1e-6   # [S]\n  g_max = 1e-4\n"
        )
    return traces


def _fit_all(traces: Sequence[Trace], arguments: Arguments, track: Callable, draft: _Draft) -> tuple[str, ...]:
    """Fits every trace into the draft; returns the refusals."""
    from devices.fitting import fit
    from devices.instruments import FileError

    refusals = []
    for number, trace in enumerate(traces, 1):
        place = trace.name if len(traces) == 1 else f"{trace.name} ({number} of {len(traces)})"
        point = {"kind": trace.kind, "source": place}
        each = lambda names, point=point: (p["model"] for p in track([{"model": n, **point} for n in names]))  # noqa: E731
        try:
            settings = {"starts": arguments.starts, "seed": arguments.seed, "track": each, "done": draft.update}
            draft.finish(fit(trace, arguments.model, **settings))
        except FileError as error:
            refusals.append(str(error))
    if not draft.fits:
        raise FileError("; ".join(refusals))
    return tuple(refusals)


def _write(
    arguments: Arguments,
    out: pathlib.Path,
    fits: tuple[Fit, ...],
    refusals: tuple[str, ...],
    say: Callable[[str], None],
    interrupted: bool,
) -> Outcome:
    from devices.fitting.assembly import assemble, posterior
    from devices.instruments import FileError
    from experiments import fit_files_view

    device, drawn, why = None, None, ""
    try:
        device = assemble(fits, out.stem)
        drawn = posterior(fits, out.stem, count=arguments.draws, seed=arguments.seed)
    except FileError as error:
        why = f"no device file: {error}"
    out.parent.mkdir(parents=True, exist_ok=True)
    files = []
    if device is not None:
        from devices.device_file import save

        save(device, out, drawn)
        files.append(out)
    files += _export(arguments.export, device, fits, out, say)
    text = fit_files_view.text(fits, refusals, why)
    page = out.with_suffix(".html")
    _write_page(arguments, page, fits, refusals, why)
    return Outcome(fits, refusals, device, (*files, page), text, interrupted)


def _write_page(
    arguments: Arguments, page: pathlib.Path, fits: Sequence[Fit], refusals: Sequence[str], why: str
) -> None:
    from experiments import fit_files_view
    from experiments.framework.report import command_line

    files = map(str, arguments.files)
    command = command_line(["xbar", "fit", *files], arguments, without=("files", "json", "debug"))
    write_text(page, fit_files_view.page(fits, refusals, why, command, current_versions()))


def _new_folder() -> pathlib.Path:
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    return pathlib.Path("results") / "fit" / f"{stamp}-{os.getpid()}"


def _export(
    targets: Sequence[Target], device: Any, fits: Sequence[Fit], out: pathlib.Path, say: Callable
) -> list[pathlib.Path]:
    """Exports the device to other programs; what cannot be written is reported, and the rest is written."""
    from devices.exchange import to_aihwkit, to_neurosim, to_spice, to_verilog_a

    compact = {"spice": to_spice, "verilog-a": to_verilog_a}
    written = []
    for target in dict.fromkeys(targets):
        path = out.with_suffix(f".{target}.{SUFFIXES.get(target, 'json')}")
        try:
            if target in compact:
                content = compact[target](_two_terminals(fits), _identifier(out.stem), parallel=True)
            elif device is None:
                raise ValueError("there is no device")
            else:
                content = json.dumps((to_aihwkit if target == "aihwkit" else to_neurosim)(device), indent=1)
        except ValueError as error:
            say(f"xbar: no {target} file: {error}")
            continue
        write_text(path, content)
        written.append(path)
    return written


def _two_terminals(fits: Sequence[Fit]) -> Any:
    import jax

    for one in fits:
        if hasattr(one.candidate, "terminals"):
            with jax.enable_x64(True):
                return one.candidate.terminals(one.estimate, one.data)
    raise ValueError("none of the fitted models is a compact model; fit an I-V loop")


def _identifier(name: str) -> str:
    """A name that Verilog-A and SPICE accept for a module."""
    return re.sub(r"^(?=\d)", "_", re.sub(r"[^A-Za-z0-9_]", "_", name)) or "memristor"


def as_json(outcome: Outcome) -> dict[str, Any]:
    """The results in machine-readable form."""
    found = {
        "fits": [_fit_json(f) for f in outcome.fits],
        "left_out": list(outcome.refusals),
        "files": [str(p) for p in outcome.files],
    }
    return plain_json.finite(found)


def _fit_json(one: Fit) -> dict[str, Any]:
    return {
        "source": list(one.trace.source),
        "kind": one.kind,
        "model": one.model,
        "converged": one.converged,
        "code": one.code,
        "parameters": [dataclasses.asdict(n) for n in one.numbers],
        "bic": one.bic,
        "aic": one.aic,
        "held_out": one.held_out,
        "measures": dict(one.measures),
        "tests": [{**dataclasses.asdict(c), "rejected": c.rejected} for c in one.checks],
        "flags": list(one.flags),
        "advice": list(one.advice),
        "others": [_fit_json(o) for o in one.others],
    }
