"""The report page: printed tables that can be sorted, what stands above them, and the command that makes the run again."""

import dataclasses
import re

import pytest

from experiments.framework import plots, printed_tables, report
from experiments.framework.experiment import Presentation, Table

PRINTED = """Accuracy [%] on 100 images, mean ± standard deviation over 5 chips
device    time     4-bit ADC     8-bit ADC
pcm       1 day    94.5 ± 0.7    97.0 ± 0.7
reram     1 h      7.5 ± 0.7     8.0 ± 0.7

H100, roofline
batch 1              700 µJ
batch 1, no launch   246 nJ
ridge batch          3.79 µJ

A sentence."""


@dataclasses.dataclass(frozen=True)
class Config:
    adc_bits: tuple[int, ...] = (4, 8)
    device: str = "pcm"
    posterior: bool = False
    quick: bool = True
    seed: int = 0


def test_printed_tables_are_found_and_nothing_is_lost():
    head, table, title, costs, sentence = printed_tables.pieces(PRINTED)
    assert head.startswith("Accuracy") and title == "H100, roofline" and sentence == "A sentence."
    assert table.heads == ("device", "time", "4-bit ADC", "8-bit ADC")
    assert table.rows[0] == ("pcm", (1.0, "1 day"), (94.5, "94.5 ± 0.7"), (97.0, "97.0 ± 0.7"))
    assert costs.heads == ("", "") and [row[1][0] for row in costs.rows] == pytest.approx([7e-4, 2.46e-7, 3.79e-6])


def shown(**more):
    figure, (axes,) = plots.subplots(3.0, height=2.0)
    axes.plot([1, 2], [1, 2])
    return Presentation(PRINTED, {"curve": figure}, ("As usual.",), {}, **more)


def test_the_page_says_what_weakens_it_and_how_to_run_it_again():
    """One file that loads nothing; every text is escaped."""
    config = Config(adc_bits=(6,), device="<b>.toml", quick=False)
    command = report.command_line(["xbar", "run", "accuracy-energy"], config, without=["device"])
    assert command == "xbar run accuracy-energy --adc-bits 6 --no-quick"
    page = report.page(
        "How <accurate>?", command, shown(answer="So & so.\nA sentence.", warnings=("never measured",), cite=("@article{x}",)),
        dataclasses.asdict(config), {"jax": "1"},
    )  # fmt: skip
    assert "How &lt;accurate&gt;?" in page and "So &amp; so." in page and "&lt;b&gt;.toml" in page
    assert "Before you quote a number" in page and "never measured" in page and "@article{x}" in page
    assert (
        "data:image/svg+xml;base64," in page and page.count("A sentence.") == 2
    )  # answer, and as printed; not in between
    assert page.count('<table class="sortable">') == 1 and 'data-value="0.0007"' in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page) and "@import" not in page
    assert "viewport" in page and "prefers-color-scheme: dark" in page


def test_without_doubts_there_is_no_box_and_without_tables_the_print():
    page = report.page("Title", "xbar run x", Presentation("Only words.", {}, (), {}), {}, {})
    assert "Before you quote" not in page and "<pre>Only words.</pre>" in page


def test_a_table_has_as_many_cells_as_heads():
    with pytest.raises(ValueError, match="2 cells under 1 heads"):
        Table("t", ("a",), ((1, 2),))


def test_many_points_are_embedded_as_png(monkeypatch):
    monkeypatch.setattr(report, "LARGEST_SVG", 10)
    assert "data:image/png;base64," in report.image("curve", shown().figures["curve"])
