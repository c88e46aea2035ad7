"""The lessons to print or to read without a kernel and without a network: one HTML file each.

`make handout` writes them to runs/handout. Pictures and the labs' static pictures are inside.
"""

import argparse
import re
from html import escape
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter

from detlab.course.lessons import COURSE, NOTEBOOKS
from detlab.files import write_atomically


def exporter() -> HTMLExporter:
    """Notebooks to HTML that asks no other machine for anything."""
    return HTMLExporter(
        template_name="lab",
        embed_images=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        require_js_url="",
        mathjax_url="",
        mermaid_js_url="",
    )


def handout(path: Path) -> str:
    """One lesson as HTML. Links to other lessons lead to their handouts.

    Raises:
        ValueError: something in it would be fetched from elsewhere.
    """
    notebook = nbformat.read(path, 4)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            describe_picture(output)
        if cell.metadata.get("jupyter", {}).get("source_hidden"):
            cell.metadata["transient"] = {"remove_source": True}
    text, _ = exporter().from_notebook_node(
        notebook, {"metadata": {"name": path.stem, "path": str(path.parent)}}
    )
    text = re.sub(r'href="(\d\d_\w+)\.ipynb"', r'href="\1.html"', text)
    text = re.sub(r"<script[^>]*>(?:(?!</script>).)*</script>", "", text, flags=re.DOTALL)
    fetched = re.findall(r'<(?:script|img|link)[^>]*(?:src|href)="(?!data:)([^"]+)"', text)
    if fetched:
        raise ValueError(f"{path.name}: would be fetched from elsewhere: {fetched}")
    return text


def describe_picture(output: nbformat.NotebookNode) -> None:
    """Put a picture's words into its HTML, in place; of itself nbconvert leaves them out."""
    data = output.get("data", {})
    if "image/png" in data and "text/html" not in data:
        alt = output.metadata.get("image/png", {}).get("alt") or data.get("text/plain", "")
        source = f"data:image/png;base64,{data['image/png'].strip()}"
        data["text/html"] = f'<img alt="{escape(alt)}" src="{source}">'


def main() -> None:
    """Write a handout for every lesson that is built."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/handout"))
    out = parser.parse_args().out
    for lesson in COURSE:
        path = NOTEBOOKS / lesson.notebook.name
        if path.exists():
            write_atomically(out / f"{lesson.stem}.html", handout(path).encode())
            print(out / f"{lesson.stem}.html")


if __name__ == "__main__":
    main()
