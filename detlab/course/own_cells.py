"""A learner's own cells, put beside the cells of a newer lesson.

A cell is a learner's own if its text was never shipped. shipped_cells.json holds a digest of every
text that ever was, lesson by lesson; a release adds its own. Uses moved.py.
"""

import ast
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

from detlab.course.moved import translate
from detlab.files import write_atomically

SHIPPED = Path(__file__).with_name("shipped_cells.json")
"""A lesson's number to the digests of all cells that it ever had."""
SHIPPED_ID = re.compile(r"(\d\d|gallery).*-\d{3}")
"""The id of a cell of ours; it stays when a learner writes into the cell."""
YOURS = "yours"
"""The tag of a carried cell, and the beginning of its id, which ends with the text's digest."""
MARKS = re.compile(r"^def (\w+)|\bexercises\.(\w+)\.check\b", re.MULTILINE)
"""What says where a cell belongs: the function that it defines, the check that it runs."""
NEEDED = "# Your cells use these; the lesson no longer does."
"""The first line of a cell with imports that a lesson has lost."""
EMPTY = ast.Module([], [])


class OwnCell(NamedTuple):
    """A cell that a learner wrote, or wrote into."""

    home: int
    """The row of the cell of the new lesson that it belongs after; -1 is the top."""
    cell: NotebookNode


def digest(text: str) -> str:
    r"""Ten hex digits for a cell's text, whatever its line ends and the spaces at them.

    >>> digest("x = 1\ny = 2") == digest("x = 1  \r\ny = 2\n")
    True
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    bare = "\n".join(line.rstrip() for line in lines).strip()
    return hashlib.sha256(bare.encode("utf-8", "surrogatepass")).hexdigest()[:10]


def digests(notebook: NotebookNode) -> set[str]:
    """Those of all its cells."""
    return {digest(cell.source) for cell in notebook.cells}


def ever_shipped(number: str) -> set[str]:
    """The digests of all cells that a lesson had in any version."""
    return set(json.loads(SHIPPED.read_text(encoding="utf-8")).get(number, "").split())


def record_shipped(lessons: dict[str, NotebookNode]) -> None:
    """Add the cells of lessons, by number, to what was ever shipped."""
    known = json.loads(SHIPPED.read_text(encoding="utf-8")) if SHIPPED.exists() else {}
    for number, notebook in lessons.items():
        known[number] = " ".join(sorted({*known.get(number, "").split(), *digests(notebook)}))
    write_atomically(SHIPPED, f"{json.dumps(known, indent=1, sort_keys=True)}\n".encode())


def own_cells(
    notebook: NotebookNode, fresh: NotebookNode, shipped: AbstractSet[str]
) -> list[OwnCell]:
    """What a learner wrote in a lesson, and where in the fresh lesson it belongs.

    Code is given the imports of today. A cell that is like none of the fresh lesson stays behind
    the cell that it followed.

    Args:
        notebook: as the learner left it.
        fresh: the lesson as it is shipped now.
        shipped: digests of what was shipped before.
    """
    known = {*shipped, *digests(fresh), digest("")}
    home, own = -1, []
    for cell in notebook.cells:
        carried = as_carried(cell)
        home = counterpart(carried, cell.get("id", ""), fresh, home)
        if known.isdisjoint({digest(cell.source), digest(carried.source)}):
            own.append(OwnCell(home, carried))
    return own


def as_carried(cell: NotebookNode) -> NotebookNode:
    """A learner's cell as the new lesson takes it: today's imports, a tag, and no outputs."""
    text = cell.source.replace("\r\n", "\n")
    text = translated(text) if cell.cell_type == "code" else text
    tags = [tag for tag in cell.metadata.get("tags", []) if tag != YOURS]
    carried_before = cell.get("id", "").startswith(f"{YOURS}-")
    new = new_cell(cell.cell_type, text, [*tags, YOURS])
    new.id = cell.id if carried_before else f"{YOURS}-{digest(text)}"
    if "attachments" in cell:
        new.attachments = cell.attachments
    return new


def new_cell(kind: str, text: str, tags: Sequence[str] = ()) -> NotebookNode:
    """A cell of a kind: code, markdown or raw."""
    make = getattr(nbformat.v4, f"new_{kind}_cell")
    cell: NotebookNode = make(source=text, metadata={"tags": [*tags]})
    return cell


def translated(text: str) -> str:
    """A cell's text with the imports of today; as it was if that would spoil it."""
    now = translate(text)
    return now if syntax_tree(now) or not syntax_tree(text) else text


def counterpart(cell: NotebookNode, shipped_id: str, fresh: NotebookNode, before: int) -> int:
    """The row of the fresh cell that a learner's cell belongs after.

    That is the cell with its text; else the last one that defines or checks the same function;
    else, for a cell that once was ours, the one that is most like it; else that of the cell before.
    """
    texts = [other.source for other in fresh.cells]
    same = [row for row, text in enumerate(texts) if digest(text) == digest(cell.source)]
    if same:
        return min(same, key=lambda row: (row < before, row))
    marked = [row for row, other in enumerate(fresh.cells) if marks(other) & marks(cell)]
    if marked:
        return marked[-1]
    if SHIPPED_ID.fullmatch(shipped_id):
        return next(map(texts.index, get_close_matches(cell.source, texts, 1)), before)
    return before


def marks(cell: NotebookNode) -> set[str]:
    r"""The functions that a cell defines, and those whose check it runs.

    >>> sorted(marks(new_cell("code", "def my_iou(a, b):\n    ...\nexercises.iou.check(my_iou)")))
    ['iou', 'my_iou']
    """
    if cell.cell_type != "code":
        return set()
    return {name for pair in MARKS.findall(cell.source) for name in pair if name}


def not_there_yet(more: Sequence[OwnCell], there: Sequence[OwnCell]) -> list[OwnCell]:
    """Those of some own cells that are not among others: as often as they are, and as carried."""
    met = Counter[str]()
    for _, cell in there:
        met.update({digest(cell.source), carried_text(cell)})
    added = []
    for own in more:
        key = digest(own.cell.source)
        if met[key] > 0:
            met[key] -= 1
        else:
            added.append(own)
    return added


def carried_text(cell: NotebookNode) -> str:
    """The digest of the text that a cell had when it was carried; its id keeps it."""
    return str(cell.id).split("-")[1]


def with_own_cells(fresh: NotebookNode, own: Sequence[OwnCell]) -> NotebookNode:
    """The fresh lesson with a learner's cells, each after the one it belongs to."""
    cells = [cell for home, cell in own if home < 0]
    for row, shipped in enumerate(fresh.cells):
        cells += [shipped, *(cell for home, cell in own if home == row)]
    give_ids(cell for _, cell in own)
    whole: NotebookNode = nbformat.from_dict({**fresh, "cells": cells})
    return whole


def give_ids(cells: Iterator[NotebookNode]) -> None:
    """Tell cells of the same text apart by a number behind their ids."""
    taken = set[str]()
    for cell in cells:
        names = [cell.id, *(f"{cell.id}-{number}" for number in range(2, len(taken) + 3))]
        cell.id = next(name for name in names if name not in taken)
        taken.add(cell.id)


def lost_imports(
    notebook: NotebookNode, own: Sequence[OwnCell], fresh: NotebookNode
) -> list[OwnCell]:
    """A cell with the imports that own cells live on and that the fresh lesson has no longer."""
    mine = [tree for _, cell in own if (tree := tree_of(cell))]
    bound = {name for tree in (*mine, *map(tree_of, fresh.cells)) for name in binds(tree)}
    wanted = {name for tree in mine for name in reads(tree)} - bound
    lines, homes, home = list[str](), list[int](), -1
    for cell in notebook.cells:
        carried = as_carried(cell)
        home = counterpart(carried, cell.get("id", ""), fresh, home)
        found = [line for name, line in imports_in(tree_of(carried)) if name in wanted]
        lines, homes = lines + found, homes + [home] * len(found)
    if not lines:
        return []
    text = "\n".join([NEEDED, *dict.fromkeys(lines)])
    cell = new_cell("code", text, [YOURS])
    cell.id = f"{YOURS}-{digest(text)}"
    return [OwnCell(homes[0], cell)]


def tree_of(cell: NotebookNode) -> ast.Module | None:
    """A code cell as Python reads it; None if there is no code to read."""
    return syntax_tree(cell.source) if cell.cell_type == "code" else None


def syntax_tree(text: str) -> ast.Module | None:
    """A text as Python reads it, without the lines for IPython; None if it is no Python."""
    try:
        return ast.parse(re.sub(r"^[ \t]*[%!].*$", "", text, flags=re.MULTILINE))
    except (SyntaxError, ValueError, RecursionError):
        return None


def binds(tree: ast.Module | None) -> Iterator[str]:
    """The names that code gives a meaning: by import, as a function or class, by assignment."""
    for node in ast.walk(tree or EMPTY):
        if isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id


def reads(tree: ast.Module | None) -> Iterator[str]:
    """The names that code looks up."""
    for node in ast.walk(tree or EMPTY):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id


def imports_in(tree: ast.Module | None) -> Iterator[tuple[str, str]]:
    """Every name that a cell imports, with a statement that imports it alone."""
    for node in (tree or EMPTY).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            origin = f"from {node.module} " if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                name = (alias.asname or alias.name).partition(".")[0]
                yield name, f"{origin}{ast.unparse(ast.Import([alias]))}"
