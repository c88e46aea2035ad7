"""Build the lessons: notebooks/src/NAME.py, which people edit, to notebooks/NAME.ipynb, run.

`make notebooks` builds what changed; `make notebooks ARGS="--all"` builds everything. The outputs
are kept, so that a lesson reads well without a kernel; what only a living kernel can show is not.
"""

import argparse
import base64
import io
import json
import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

from detlab.course.restore import KERNEL, read_source
from detlab.files import write_atomically

NOTEBOOKS = Path(__file__).parent
SOURCES = NOTEBOOKS / "src"
LARGEST = 1_500_000
"""Bytes; code-hosting sites show no larger notebook."""
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def run(notebook: NotebookNode) -> None:
    """Run all cells in the folder of the notebooks; the first error that is not wanted stops.

    What a cell prints is one output, however many messages the kernel needed for it.
    """
    NotebookClient(
        notebook,
        timeout=600,
        coalesce_streams=True,
        resources={"metadata": {"path": str(NOTEBOOKS)}},
    ).execute()


def thumbnail(notebook: NotebookNode) -> bytes | None:
    """The picture of the cell tagged "thumbnail", small: what stands for the lesson elsewhere."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "thumbnail" in cell.metadata.get("tags", []) and "image/png" in output["data"]:
                picture = Image.open(io.BytesIO(base64.b64decode(output["data"]["image/png"])))
                picture.thumbnail((400, 300))
                small = io.BytesIO()
                picture.convert("RGB").quantize(128).save(small, "PNG")
                return small.getvalue()
    return None


def strip(notebook: NotebookNode) -> None:
    """Drop what means nothing without the kernel that made it: widget state, views, timings."""
    notebook.metadata = nbformat.from_dict(KERNEL)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET_VIEW, None)
            output.get("metadata", {}).pop(WIDGET_VIEW, None)


def same_cells(source: NotebookNode, built: NotebookNode) -> bool:
    """Whether a built notebook has the cells of its source."""

    def cells(notebook: NotebookNode) -> list[tuple[str, str, str, object]]:
        return [(c.id, c.cell_type, c.source, c.metadata.get("tags")) for c in notebook.cells]

    return cells(source) == cells(built)


def keep_outputs(notebook: NotebookNode, built: NotebookNode) -> bool:
    """Take over what an earlier run showed, if no code changed since.

    Returns:
        Whether it could.
    """
    code, earlier = (
        [cell for cell in each.cells if cell.cell_type == "code"] for each in (notebook, built)
    )
    if [cell.source for cell in code] != [cell.source for cell in earlier]:
        return False
    for cell, before in zip(code, earlier, strict=True):
        cell.outputs, cell.execution_count = before.outputs, before.execution_count
    return True


def build(path: Path, always: bool = False) -> bool:
    """Build one lesson if its source changed; if only its texts did, nothing is run.

    Returns:
        Whether it was built.

    Raises:
        ValueError: the result is too large to be shown on the web.
    """
    target = NOTEBOOKS / f"{path.stem}.ipynb"
    notebook = read_source(path)
    built = nbformat.read(target, 4) if target.exists() and not always else None
    if built and same_cells(notebook, built):
        return False
    if not (built and keep_outputs(notebook, built)):
        run(notebook)
    strip(notebook)
    text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    if len(text.encode()) > LARGEST:
        raise ValueError(f"{target.name}: {len(text.encode())} bytes, want at most {LARGEST}")
    write_atomically(target, text.encode())
    if small := thumbnail(notebook):
        write_atomically(NOTEBOOKS / "figures" / f"{path.stem[:2]}.png", small)
    return True


def main() -> None:
    """Build the lessons that are named, or all that changed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="beginnings of lesson names; none: every lesson")
    parser.add_argument("--all", action="store_true", help="build also what did not change")
    options = parser.parse_args()
    elsewhere = tempfile.mkdtemp()
    os.environ["DETLAB_PROGRESS"] = str(Path(elsewhere) / "progress.json")  # not ours
    os.environ.pop("DETLAB_DATA", None)  # photographs are not ours to publish …
    os.environ["XDG_CACHE_HOME"] = elsewhere  # … nor those that were downloaded
    for path in sorted(SOURCES.glob("*.py")):
        if not options.names or path.stem.startswith(tuple(options.names)):
            built = build(path, options.all)
            print(f"{path.stem}: {'built' if built else 'unchanged'}", file=sys.stderr)


if __name__ == "__main__":
    main()
