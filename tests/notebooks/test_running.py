"""`make notebooks`: outputs are renewed, everything else stays, and a failure changes nothing."""

import importlib.util

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tests.notebooks.notebook import ROOT

script = ROOT / "book" / "scripts" / "run_notebooks.py"
spec = importlib.util.spec_from_file_location("run_notebooks", script)
run_notebooks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(run_notebooks)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(run_notebooks, "NOTEBOOKS", tmp_path)
    return tmp_path


def write(path, *sources):
    cells = [new_markdown_cell("# A title"), *(new_code_cell(source) for source in sources)]
    cells[1].metadata["tags"] = ["kept"]
    book = new_notebook(cells=cells)
    book.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {}}
    nbformat.write(book, path)
    return nbformat.read(path, as_version=4)


def test_outputs_are_stored_and_nothing_else_changes(folder):
    before = write(folder / "01_sum.ipynb", "print(1)\nprint(2)", "3 + 4")
    write(folder / "02_other.ipynb", "print('not asked for')")
    assert run_notebooks.main(["01"]) == 0
    after = nbformat.read(folder / "01_sum.ipynb", as_version=4)
    assert [c.source for c in after.cells] == [c.source for c in before.cells]
    assert [c.id for c in after.cells] == [c.id for c in before.cells]
    assert [c.execution_count for c in after.cells[1:]] == [1, 2]
    assert after.cells[1].outputs[0].text == "1\n2\n"
    assert after.cells[2].outputs[0].data["text/plain"] == "7"
    assert after.cells[1].metadata == {"tags": ["kept"]}
    assert set(after.metadata) == {"kernelspec", "language_info"}
    other = nbformat.read(folder / "02_other.ipynb", as_version=4)
    assert other.cells[1].execution_count is None


def test_same_run_gives_the_same_file(folder):
    write(folder / "01_sum.ipynb", "print(1)")
    run_notebooks.main([])
    first = (folder / "01_sum.ipynb").read_bytes()
    run_notebooks.main([])
    assert (folder / "01_sum.ipynb").read_bytes() == first


def test_a_failing_notebook_is_left_as_it_was(folder, capsys):
    write(folder / "01_fails.ipynb", "print(1)", "1 / 0")
    before = (folder / "01_fails.ipynb").read_bytes()
    assert run_notebooks.main([]) == 1
    assert (folder / "01_fails.ipynb").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["01_fails.ipynb"]
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_an_unknown_prefix_is_an_error(folder, capsys):
    assert run_notebooks.main(["99"]) == 2
    assert "99" in capsys.readouterr().out
