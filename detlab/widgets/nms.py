"""Non-maximum suppression, one decision at a time: which box was taken, whom it suppressed, why."""

from collections.abc import Sequence
from typing import Any, ClassVar

import ipywidgets as widgets
import torch
import traitlets
from torch import Tensor

from detlab.boxes import box_iou
from detlab.detector.suppression import separate_classes
from detlab.metrics.average_precision import find_duplicates, find_missed, match_image
from detlab.types import Detection
from detlab.widgets.canvas import BoxCanvas, check_image
from detlab.widgets.checks import check_detection, check_truth, names_of
from detlab.widgets.decisions import Decision, greedy_decisions, soft_decisions
from detlab.widgets.lab import Goal, Lab, UnitFloat, buttons_row, choice, slider, switch
from detlab.widgets.readout import Item, Row, Table, Words
from detlab.widgets.roles import STATE

METHODS = ("greedy", "soft")
ALL = -1  # every decision is made


class NMSLab(Lab):
    """Slide the thresholds over raw boxes, then step through the decisions.

    Boxes are numbered by their row in `boxes`, best score first. `kept` are the rows that remain,
    `decisions` how it came to that. Greedy NMS looks at the IoU threshold; Soft-NMS lowers scores
    instead, and what falls below the score threshold is gone.
    """

    name: ClassVar[str] = "NMS"
    inputs: ClassVar[tuple[str, ...]] = (
        *("score_threshold", "iou_threshold", "per_class", "method", "step"),
    )
    headline: ClassVar[str] = "num_kept"

    score_threshold = UnitFloat(0.3)
    iou_threshold = UnitFloat(0.5)
    per_class = traitlets.Bool(True)
    method = traitlets.Enum(METHODS, "greedy")
    step = traitlets.Int(ALL, help="decisions made so far, ALL (-1) is every one")

    def __init__(
        self,
        image: Tensor,
        candidates: Any,
        target: Any = None,
        class_names: Sequence[str] = (),
        score_threshold: float = 0.3,
        iou_threshold: float = 0.5,
        per_class: bool = True,
        method: str = "greedy",
        task: str = "",
        goal: Goal | None = None,
    ) -> None:
        """Show raw boxes over a picture.

        Args:
            image: uint8 [3, H, W].
            candidates: boxes [N, 4], labels and scores before suppression.
            target: the ground truth; with it missed objects and duplicates are counted.
            class_names: "background" first; for the texts.
            score_threshold: below it a box is not looked at, 0 to 1.
            iou_threshold: above it the better box suppresses the other, 0 to 1.
            per_class: does a fish suppress only fish?
            method: "greedy" or "soft".
            task: what to reach.
            goal: when it is reached.
        """
        height, width = check_image(image).shape[1:]
        found = check_detection(candidates)
        best_first = found["scores"].argsort(descending=True, stable=True)
        self.boxes, self.labels, self.scores = (
            found[key][best_first] for key in ("boxes", "labels", "scores")
        )
        self.target = check_truth(target, (height, width)) if target is not None else None
        self.score_threshold, self.iou_threshold = score_threshold, iou_threshold
        self.per_class, self.method = per_class, method
        self.names = names_of(self.labels, class_names)
        canvas = BoxCanvas(image, "a picture under raw detections", selectable=True, tags=12)
        self._show_candidates(canvas, class_names)
        canvas.observe(self.refresh, names="selected")
        self._position = widgets.FloatSlider(1, min=0, max=1, step=0.01, readout=False)  # share
        self._position.description = "decisions"
        self._position.observe(self._moved, names="value")
        self._play = widgets.Play(interval=900, min=0, max=10**6, show_repeat=False)
        self._play.observe(self._played, names="value")
        self._drawing = False
        steps = [("◀ back", self.back), ("forward ▶", self.forward), ("all", self.all)]
        self.step_buttons = {name: widgets.Button(description=name) for name, _ in steps}
        for name, act in steps:
            self.step_buttons[name].on_click(lambda _, act=act: act())
        controls = [
            slider(self, "score_threshold", "score above"),
            slider(self, "iou_threshold", "IoU above"),
            choice(self, "method", "method", METHODS),
            switch(self, "per_class", "each class by itself"),
            self._position,
            buttons_row([*self.step_buttons.values(), self._play]),
        ]
        whole = {"step": ALL, "method": "greedy", "per_class": True}
        presets = {
            "usual": {**whole, "score_threshold": 0.3, "iou_threshold": 0.5},
            "no suppression": {**whole, "score_threshold": 0.3, "iou_threshold": 1.0},
            "too eager": {**whole, "score_threshold": 0.3, "iou_threshold": 0.1},
            "across classes": {**whole, "iou_threshold": 0.5, "per_class": False},
        }
        title = "One animal, many boxes: slide the thresholds, then step through the decisions"
        super().__init__(title, canvas, controls, presets, task, goal)

    # .. steps ..

    def forward(self) -> None:
        """Make one more decision."""
        self.step = 1 if self.step == ALL else min(self.step + 1, len(self.decisions))

    def back(self) -> None:
        """Take the last decision back."""
        made = len(self.decisions) if self.step == ALL else self.step
        self.step = max(made - 1, 0)

    def all(self) -> None:
        """Make every decision."""
        self.step = ALL

    def _moved(self, change: Any) -> None:
        if not self._drawing:
            share = change["new"]
            self.step = ALL if share == 1 else round(share * len(self.decisions))

    def _played(self, change: Any) -> None:
        """One decision a tick, up to the last; the stop button goes back before the first."""
        if change["new"] < change["old"]:
            self.step = 0
            return
        self.forward()
        if self.step == len(self.decisions):
            self._play.playing = False
            self.step = ALL  # so that it begins anew

    # .. drawing ..

    def draw(self) -> tuple[str, list[Item]]:
        """Suppress, then colour the boxes as they stand after `step` decisions."""
        self._suppress()
        made = len(self.decisions) if self.step == ALL else min(self.step, len(self.decisions))
        self.made = made
        self._follow()
        self._colour(made)
        plural = "box" if self.num_kept == 1 else "boxes"
        result = f"{self.num_kept} {plural} kept of {len(self.candidates)}"
        return result, self._counts(made)

    def _follow(self) -> None:
        """Put the control where the lab is.

        It holds a share, so at its right end it stays there while a threshold moves: nothing is
        sent. A slider whose range changes with its value sends its old value back.
        """
        count = max(1, len(self.decisions))
        share = 1.0 if self.step == ALL else self.made / count
        if round(self._position.value * count) != round(share * count):
            self._drawing = True  # the control follows the lab here, not the lab the control
            self._position.value = share
            self._drawing = False

    def explain(self) -> list[Item]:
        """The decision that was just made, and why the clicked box is where it is."""
        return [*self._decision(self.made), *self._why()]

    def _suppress(self) -> None:
        """Decide: the rows that are looked at, how each of them went, and which are kept."""
        self.candidates = (self.scores > self.score_threshold).nonzero()[:, 0]
        boxes, scores = self.boxes[self.candidates], self.scores[self.candidates]
        if self.per_class:
            boxes = separate_classes(boxes, self.labels[self.candidates])
        if self.method == "soft":
            decisions = soft_decisions(boxes, scores, self.score_threshold)
        else:
            decisions = greedy_decisions(boxes, scores, self.iou_threshold)
        rows = self.candidates.tolist()
        self.decisions = [
            Decision(
                rows[taken],
                [rows[row] for row in suppressed],
                self.scores if after is scores else self._all_scores(after),
            )
            for taken, suppressed, after in decisions
        ]
        self.kept = torch.tensor([each.taken for each in self.decisions], dtype=torch.int64)
        self.num_kept = len(self.kept)
        self.suppressor = {row: each.taken for each in self.decisions for row in each.suppressed}

    def _all_scores(self, of_candidates: Tensor) -> Tensor:
        scores = self.scores.clone()
        scores[self.candidates] = of_candidates
        return scores

    def _colour(self, made: int) -> None:
        stepping = made < len(self.decisions)
        states = torch.zeros(len(self.boxes), dtype=torch.uint8)
        states[self.candidates] = STATE["ignored" if stepping else "suppressed"]
        if stepping and made:
            past = [row for each in self.decisions[: made - 1] for row in each.suppressed]
            states[past] = STATE["hidden"]
            states[self.decisions[made - 1].suppressed] = STATE["suppressed"]
        states[self.kept[:made]] = STATE["prediction"]
        self._against_truth()
        told = self.missed & (not stepping)  # only the end says who is missed
        self.canvas.show_states(torch.cat([states, told.to(torch.uint8) * STATE["missed"]]))
        now = self.boxes[self.decisions[made - 1].taken] if stepping and made else None
        self.canvas.regions = [] if now is None else [{"box": now.tolist(), "role": "focus"}]

    def _against_truth(self) -> None:
        """Which objects no kept box has found, and how many kept boxes are duplicates."""
        self.missed, self.duplicates = torch.zeros(0, dtype=torch.bool), 0
        if self.target is None:
            return
        boxes, labels = self.boxes[self.kept], self.labels[self.kept]
        found: Detection = {"boxes": boxes, "labels": labels, "scores": self.scores[self.kept]}
        matches = match_image(found, self.target)
        self.missed = find_missed(matches, len(self.target["boxes"]))
        self.duplicates = int(find_duplicates(found, self.target, matches).sum())

    # .. words ..

    def _counts(self, made: int) -> list[Item]:
        if made < len(self.decisions):
            gone = sum(len(each.suppressed) for each in self.decisions[:made])
            waiting = len(self.candidates) - made - gone
            return [
                Row("taken", str(made), "prediction", strong=True),
                Row("suppressed", str(gone), "suppressed"),
                Row("waiting", str(waiting), "ignored"),
            ]
        rows: list[Item] = [
            Row("kept", str(self.num_kept), "prediction", strong=True),
            Row("suppressed", str(len(self.candidates) - self.num_kept), "suppressed"),
        ]
        if self.target is not None:
            of = len(self.target["boxes"])
            rows.append(Row("missed objects", f"{int(self.missed.sum())} of {of}", "missed"))
            rows.append(Row("duplicates among the kept", str(self.duplicates)))
        return rows

    def _decision(self, made: int) -> list[Item]:
        if not 0 < made < len(self.decisions):
            return []
        before = self.decisions[made - 2].scores if made > 1 else self.scores
        taken, suppressed, after = self.decisions[made - 1]
        name = f"{self.names[taken]} {before[taken]:.2f}"
        head = Words(f"Decision {made} of {len(self.decisions)}: {name} is taken.")
        moved = (before - after > 0.005).nonzero()[:, 0].tolist()
        touched = sorted({*suppressed, *moved}, key=lambda row: -float(self._iou(taken, row)))
        if not touched:
            return [head, Words("It suppresses nobody.")]
        table = [
            [
                f"{self.names[row]} {before[row]:.2f}" + (f" → {after[row]:.2f}" if moved else ""),
                f"{self._iou(taken, row):.2f}",
            ]
            for row in touched[:5]
        ]
        if len(touched) > 5:
            table.append([f"and {len(touched) - 5} more", ""])
        what = f"suppresses {len(suppressed)}" + (f", lowers {len(moved)}" if moved else "")
        return [head, Table([what, "IoU"], table)]

    def _why(self) -> list[Item]:
        row = self.canvas.selected
        if not 0 <= row < len(self.boxes):
            return []
        by = self.suppressor.get(row)
        if by is None:
            kept = row in self.kept.tolist()
            why = "kept" if kept else f"score not above {self.score_threshold:.2f}"
        else:
            iou = self._iou(by, row)
            cause = f"IoU {iou:.2f} > {self.iou_threshold:.2f}"
            if self.method == "soft":
                cause = f"IoU {iou:.2f} lowered its score below {self.score_threshold:.2f}"
            why = f"suppressed by {self._text(by)}: {cause}"
        return [Words(f"Clicked: {self._text(row)}, {why}.")]

    def _iou(self, row: int, other: int) -> float:
        return box_iou(self.boxes[[row]], self.boxes[[other]]).item()

    def _text(self, row: int) -> str:
        return f"{self.names[row]} {self.scores[row]:.2f}"

    def _show_candidates(self, canvas: BoxCanvas, class_names: Sequence[str]) -> None:
        texts = [self._text(row) for row in range(len(self.boxes))]
        boxes = self.boxes
        if self.target is not None:
            boxes = torch.cat([boxes, self.target["boxes"]])
            texts += [f"{name}, missed" for name in names_of(self.target["labels"], class_names)]
        canvas.show_boxes(boxes, "hidden", texts)
