"""The second annotator: look at what an audit found, one after the other, and decide."""

# mypy: disable-error-code="no-untyped-call"

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import ipywidgets as widgets
import torch
import traitlets
from jaxtyping import Float, UInt8
from torch import Tensor

from detlab.audit.kinds import Finding
from detlab.audit.sheet import surroundings
from detlab.data.pictures import open_picture, read_picture
from detlab.data.records import Record
from detlab.widgets.canvas import BoxCanvas
from detlab.widgets.checks import names_of
from detlab.widgets.lab import Goal, Lab, buttons_row, switch
from detlab.widgets.readout import Bar, Item, Row, Words
from detlab.widgets.roles import STATE
from detlab.widgets.sheet import contact_sheet, on_sheet

MARKS = ("fix", "keep")
SHORTCUTS = {"f": "fix", "k": "keep", "ArrowLeft": "back", "ArrowRight": "next"}
ALONE, RIVALS = 6.0, 1.6
"""How much wider than its boxes the shown part is: one box is compared with others, two are not."""
LEAST = 0.25
"""Fraction of the picture that is shown at least, however small the boxes are."""
SHOWN = 4
"""Pictures of one finding that are shown."""
LONGEST = 24
"""Letters of a file's name that are shown."""

QUESTIONS: Mapping[str, tuple[str, str]] = {
    "odd size": (
        "Is this “{name}”, and is its box right?",
        "Fix: draw the box anew, change its class or delete it.",
    ),
    "double box": (
        "Two objects, or one that was boxed twice?",
        "Fix: delete one of the two boxes.",
    ),
    "class missing": (
        "Is there nothing here that nearly all other pictures show?",
        "Fix: draw the boxes that are missing.",
    ),
    "few boxes": (
        "Are there really so few objects here?",
        "Fix: draw the boxes that are missing.",
    ),
    "same place": (
        "Does this “{name}” never move?",
        "Fix: draw the box where the object is.",
    ),
    "no object": (
        "Is there really nothing to find here?",
        "Fix: draw the boxes that are missing.",
    ),
    "twins": (
        "Are these one scene, twice?",
        "Fix: leave one of the pictures out.",
    ),
    "twins across splits": (
        "Are these one scene, in two splits?",
        "Fix: put both pictures into one split.",
    ),
}
"""What is asked of each kind, about a box of class `name`; and what fixing it would mean."""
ANY_OTHER = ("Is this label right?", "Fix: change the label.")


class View(NamedTuple):
    """One picture of a finding, or the part of it that is shown."""

    image: UInt8[Tensor, "3 H W"]
    boxes: Float[Tensor, "M 4"]
    """Pixels of that part."""
    states: UInt8[Tensor, " M"]
    texts: list[str]
    enlarged: float
    """How many times larger than in the whole picture."""


class AuditLab(Lab):
    """Look at one finding after the other: fix the label, or keep it?

    `finding` is the index of the one that is shown; set it to go elsewhere. `marks` says of each
    index that was decided "fix" or "keep"; set it as a whole. The keys f, k, ← and → do what the
    buttons do. With a list of known faults each mark is answered, and `num_found` and
    `num_changed` count the faults and the sound labels among those marked "fix".
    """

    name: ClassVar[str] = "audit"
    inputs: ClassVar[tuple[str, ...]] = ("finding", "marks", "whole")
    headline: ClassVar[str] = "num_marked"

    finding = traitlets.Int(0, help="index of the finding that is shown")
    marks: Any = traitlets.Dict(help='index of a finding to "fix" or "keep"')
    whole = traitlets.Bool(False, help="show the whole picture, not only what is around the boxes")

    def __init__(
        self,
        findings: Sequence[Finding],
        class_names: Sequence[str],
        faults: Collection[int] | None = None,
        task: str = "",
        goal: Goal | None = None,
    ) -> None:
        """Show the first finding.

        Args:
            findings: what `audit.audit` found; at least one.
            class_names: "background" first.
            faults: indices of the findings that are known to be faults; None: nobody knows.
            task: what to reach; its number is about `num_marked`.
            goal: when it is reached.
        """
        self.findings = check_findings(findings)
        for record in (record for finding in self.findings for record in finding.records):
            names_of(record.labels, class_names)  # refuses a label without a name
        self.class_names = class_names
        count = len(self.findings)
        self.faults = None if faults is None else check_faults(faults, count)
        self._shown: tuple[int, bool] | None = None
        canvas = BoxCanvas(torch.zeros(3, 1, 1, dtype=torch.uint8), "", tags=1)
        canvas.shortcuts = [list(pair) for pair in SHORTCUTS.items()]
        canvas.on_msg(self._pressed)
        self.mark_buttons = {mark: widgets.Button() for mark in MARKS}
        self.step_buttons = {
            "back": widgets.Button(description="◀ back"),
            "next": widgets.Button(description="next ▶"),
        }
        for name, button in {**self.mark_buttons, **self.step_buttons}.items():
            button.on_click(partial(self._act, name))
        controls = [
            buttons_row(list(self.mark_buttons.values())),
            buttons_row(list(self.step_buttons.values())),
            switch(self, "whole", "whole picture"),
        ]
        kinds = [finding.kind for finding in self.findings]
        presets = {kind: {"finding": kinds.index(kind)} for kind in dict.fromkeys(kinds)}
        super().__init__("", canvas, controls, presets, task, goal)

    @traitlets.validate("finding")
    def _check_finding(self, proposal: Any) -> int:
        last = len(self.findings) - 1
        if not 0 <= proposal["value"] <= last:
            raise ValueError(f"finding: want 0 to {last}, got {proposal['value']}")
        return int(proposal["value"])

    @traitlets.validate("marks")
    def _check_marks(self, proposal: Any) -> dict[int, str]:
        return check_marks(proposal["value"], len(self.findings))

    # .. hands ..

    def next(self) -> None:
        """Show the next finding; after the last there is none."""
        self.finding = min(self.finding + 1, len(self.findings) - 1)

    def back(self) -> None:
        """Show the finding before."""
        self.finding = max(self.finding - 1, 0)

    def fix(self) -> None:
        """This one is a fault."""
        self.marks = {**self.marks, self.finding: "fix"}

    def keep(self) -> None:
        """This one is sound."""
        self.marks = {**self.marks, self.finding: "keep"}

    def _act(self, name: str, _: Any = None) -> None:
        getattr(self, name)()

    def _pressed(self, _: Any, content: dict[str, str], __: Any) -> None:
        self._act(SHORTCUTS[content["key"]])

    # .. drawing ..

    def draw(self) -> tuple[str, list[Item]]:
        """Show the finding, ask, and count the marks."""
        found = self.findings[self.finding]
        asks, fixing = QUESTIONS.get(found.kind, ANY_OTHER)
        self._header.title = asks.format(name=self._name_in(found)) + " Fix, or keep"
        self._show(found)
        self._label_buttons()
        to_fix = {index for index, mark in self.marks.items() if mark == "fix"}
        known = self.faults or frozenset()
        self.num_marked, self.num_fixed = len(self.marks), len(to_fix)
        self.num_found, self.num_changed = len(to_fix & known), len(to_fix - known)
        helps = Words(f"{fixing} Keep: leave all as it is.")
        return self._result(), [helps, *self._verdict(), *self._legend(found), *self._progress()]

    def explain(self) -> list[Item]:
        """What the audit said."""
        return [Words(self.findings[self.finding].what)]

    def _name_in(self, found: Finding) -> str:
        """The class of the first box in question; "" where it is about no box."""
        labels = found.records[0].labels[list(found.boxes[:1])]
        return "".join(names_of(labels, self.class_names))

    def _show(self, found: Finding) -> None:
        """Put pictures and boxes on the canvas, unless they are there."""
        if self._shown == (self.finding, self.whole):
            return
        views = [
            view(record, found.boxes, self.class_names, self.whole)
            for record in found.records[:SHOWN]
        ]
        sheet, places = contact_sheet([each.image for each in views], columns=2)
        boxes = on_sheet([each.boxes for each in views], places)
        self.canvas.alt = f"{found.kind}: {', '.join(map(short_name, found.pictures))}"
        self.canvas.show_image(sheet)
        self.canvas.show_boxes(
            boxes,
            torch.cat([each.states for each in views]),
            [text for each in views for text in each.texts],
        )
        self._enlarged = views[0].enlarged
        self._shown = (self.finding, self.whole)

    def _label_buttons(self) -> None:
        """A tick is on the mark that was set; in colour is what to press now."""
        mine, last = self.marks.get(self.finding), len(self.findings) - 1
        for mark, button in self.mark_buttons.items():
            button.description = f"{'✓ ' if mark == mine else ''}{mark} ({mark[0]})"
            button.button_style = "" if mine else "primary"
        self.step_buttons["next"].button_style = "primary" if mine and self.finding < last else ""

    # .. words ..

    def _result(self) -> str:
        """Where one stands, and the mark, or what came of them all."""
        here = f"{self.finding + 1} of {len(self.findings)}"
        if self.num_marked == len(self.findings):
            return f"{here}; " + ", ".join(f"{row.label}: {row.value}" for row in self._outcome())
        mark = self.marks.get(self.finding, "not marked yet")
        agrees = self._list_agrees()
        tail = "" if agrees is None else ", as the list says" if agrees else ", the list disagrees"
        return f"{here}, {self.findings[self.finding].kind}: {mark}{tail}"

    def _list_agrees(self) -> bool | None:
        """Does the list of known faults say what the mark says? None: no list, or no mark."""
        mark = self.marks.get(self.finding)
        if mark is None or self.faults is None:
            return None
        return bool((self.finding in self.faults) == (mark == "fix"))

    def _verdict(self) -> list[Item]:
        """What the list of known faults says to the mark."""
        agrees = self._list_agrees()
        if agrees is None:
            return []
        said = "agrees" if agrees else "disagrees"
        what = "a fault" if self.finding in (self.faults or ()) else "no fault"
        sign = "✓" if agrees else "✗"
        return [Row(f"The list of known faults {said}: {what}", sign, strong=True)]

    def _legend(self, found: Finding) -> list[Item]:
        """The pictures, and which line is which label."""
        count = len(found.pictures)
        sides = {1: ["picture"], 2: ["left", "right"]}.get(count, [f"1 to {SHOWN} of {count}"])
        names = [short_name(path) for path in found.pictures]
        rows: list[Item] = [Row(side, name) for side, name in zip(sides, names, strict=False)]
        if self._enlarged > 1:
            rows.append(Row("enlarged", f"{self._enlarged:.1f} ×"))
        record = found.records[0]
        labels = names_of(record.labels, self.class_names)
        for place, row in enumerate(found.boxes):
            rows.append(Row(record.objects[row], labels[row], role_of(place), strong=True))
        labelled = sum(len(record.boxes) for record in found.records)
        if others := labelled - len(found.boxes):
            rows.append(Row("other labels" if found.boxes else "labels", str(others), "other"))
        return rows

    def _progress(self) -> list[Item]:
        """How many are marked; at the end what came of it."""
        of = len(self.findings)
        bar = Bar("marked", self.num_marked / of, f"{self.num_marked}/{of}")
        return [bar, *(self._outcome() if self.num_marked == of else ())]

    def _outcome(self) -> list[Row]:
        if self.faults is None:
            kept = self.num_marked - self.num_fixed
            return [Row("to fix", str(self.num_fixed)), Row("to keep", str(kept))]
        return [
            Row("faults found", f"{self.num_found} of {len(self.faults)}", strong=True),
            Row("sound ones changed", str(self.num_changed), strong=True),
        ]


def role_of(place: int) -> str:
    """The first box of a finding is drawn as truth, those that rival it in a line of their own."""
    return "second" if place else "truth"


def view(record: Record, rows: Sequence[int], class_names: Sequence[str], whole: bool) -> View:
    """A picture under its labels, those in question strong; close to them unless `whole`."""
    image = read_picture(record.image)
    height, width = image.shape[1:]
    x1, y1, x2, y2 = 0, 0, width, height
    if rows and not whole:
        boxes, around = record.boxes[list(rows)], ALONE if len(rows) == 1 else RIVALS
        x1, y1, x2, y2 = surroundings(boxes, (height, width), around, LEAST)
    states = torch.full((len(record.boxes),), STATE["other"], dtype=torch.uint8)
    for place, row in enumerate(rows):
        states[row] = STATE[role_of(place)]
    names = names_of(record.labels, class_names)
    texts = [f"{name}, {where}" for name, where in zip(names, record.objects, strict=True)]
    moved = record.boxes - torch.tensor([x1, y1, x1, y1])
    return View(image[:, y1:y2, x1:x2], moved, states, texts, width / (x2 - x1))


def short_name(path: Path) -> str:
    """A file's name without its ending, cut short.

    >>> short_name(Path("photos/BloodImage_00012.jpg"))
    'BloodImage_00012'
    """
    return path.stem if len(path.stem) <= LONGEST else path.stem[: LONGEST - 1] + "…"


# .. what is refused ..


def check_findings(findings: Any) -> list[Finding]:
    """The findings, with pictures that can be shown.

    Raises:
        ValueError: says which finding is about what is not there.
        DataError: a picture is missing or is no picture.
    """
    if not isinstance(findings, Sequence) or not all(isinstance(f, Finding) for f in findings):
        raise ValueError(f"findings: want a list of Finding, got {findings!r:.80}")
    if not findings:
        raise ValueError("findings: want one at least, got none")
    for index, finding in enumerate(findings):
        if not finding.records:
            raise ValueError(f"findings[{index}]: want one picture at least, got none")
        fewest = min(len(record.boxes) for record in finding.records)
        if any(row not in range(fewest) for row in finding.boxes):
            raise ValueError(
                f"findings[{index}]: want rows of its picture's {fewest} boxes, got {finding.boxes}"
            )
    for path in dict.fromkeys(path for finding in findings for path in finding.pictures):
        open_picture(path).close()
    return list(findings)


def check_faults(faults: Collection[int], count: int) -> frozenset[int]:
    """Indices of findings.

    Raises:
        ValueError: an index that no finding has.
    """
    if wrong := [index for index in faults if index not in range(count)]:
        raise ValueError(f"faults: want indices from 0 to {count - 1}, got {wrong}")
    return frozenset(faults)


def check_marks(marks: Mapping[Any, Any], count: int) -> dict[int, str]:
    """A mark for some of the findings.

    Raises:
        ValueError: an index that no finding has, or a mark that there is not.

    >>> check_marks({2: "fix"}, 3)
    {2: 'fix'}
    """
    for index, mark in marks.items():
        if index not in range(count) or mark not in MARKS:
            raise ValueError(
                f'marks: want 0 to {count - 1} with "fix" or "keep", got {index!r}: {mark!r}'
            )
    return dict(marks)
