"""Workbooks: tables that people keep in Excel, and `columns` of a sidecar for those of Clarius."""

import numpy as np
import openpyxl
import pytest
import xlwt

from devices.instruments import FileError, read

V = np.concatenate([np.linspace(0, 1, 11), np.linspace(0.9, -1, 20), np.linspace(-0.9, 0, 10)])


def book(path, **sheets):
    if path.suffix == ".xls":
        old = xlwt.Workbook()
        for name, rows in sheets.items():
            sheet = old.add_sheet(name)
            for k, row in enumerate(rows):
                for j, cell in enumerate(row):
                    sheet.write(k, j, cell)
        old.save(str(path))
        return path
    new = openpyxl.Workbook()
    new.remove(new.active)
    for name, rows in sheets.items():
        sheet = new.create_sheet(name)
        for row in rows:
            sheet.append(row)
    new.save(path)
    return path


@pytest.mark.parametrize("end", ["xlsx", "xls"])
def test_tables_of_sheets(tmp_path, end):
    rows = [["by hand"], ["Spannung / V", "Strom / mA"], *[[float(v), float(v**3)] for v in V]]
    path = book(tmp_path / f"a.{end}", Notes=[["measured on Monday"]], Data=rows)
    (trace,) = read(path)
    np.testing.assert_allclose(trace["i"], 1e-3 * V**3, atol=1e-12)


def test_unknown_columns_get_a_template_and_words_are_no_measurement(tmp_path):
    path = book(tmp_path / "a.xlsx", Data=[["foo", "bar"], *[[float(v), float(1e-5 * v)] for v in V]])
    with pytest.raises(FileError, match="# of foo, bar") as error:
        read(path)
    path.with_name("a.xlsx.toml").write_text(str(error.value).split("for example:")[1])
    assert read(path)[0].kind == "loop"
    with pytest.raises(FileError, match="no sheet holds a table"):
        read(book(tmp_path / "b.xlsx", Notes=[["measured on Monday"]]))


def test_columns_of_a_clarius_workbook(tmp_path):
    runs = {f"Run{k}": [["AI", "AV", "BI"], *[[1e-6 * k, v, 2e-6 * k * v] for v in V.tolist()]] for k in (1, 2)}
    path = book(tmp_path / "a.xlsx", **runs, Settings=[["x"]])
    (trace,) = read(path, sidecar={"columns": ["-", "v", "i"], "units": ["1", "V", "mA"]})
    np.testing.assert_array_equal(trace["cycle"], np.repeat([0, 1], len(V)))
    np.testing.assert_allclose(trace["i"], np.concatenate([2e-9 * V, 4e-9 * V]))
    with pytest.raises(FileError, match="columns AI, AV, BI, but its sidecar names 2"):
        read(path, sidecar={"columns": ["v", "i"]})
