"""docs/translate.ipynb, run from top to bottom where Snakemake has built a benchmark."""

import shutil

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.slow


def test_the_notebook_runs_where_a_benchmark_is_built(root, finished, monkeypatch):
    docs = finished.folder / "docs"
    docs.mkdir()
    notebook = nbformat.read(shutil.copy(root / "docs/translate.ipynb", docs), as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # no picture in git
    monkeypatch.setenv("BENCHMARK", "smoke")
    monkeypatch.setenv("PYTHONPATH", str(finished.folder))
    ran = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(docs)}}).execute()
    outputs = [output for cell in ran.cells for output in cell.get("outputs", ())]
    texts = [output["data"]["text/plain"] for output in outputs if output["output_type"] == "execute_result"]
    assert texts[0] == "('Phantom_001', 'guided-ddim L = 20, s = 5', (5, 16, 16), (5, 4, 16, 16))"
    assert texts[-1].startswith("((24, 24, 16), ")
    assert any("image/png" in output.get("data", {}) for output in outputs)
