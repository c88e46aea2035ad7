"""Non-maximum suppression, one decision at a time: which box was taken, whom it suppressed, why."""

from collections.abc import Sequence
from typing import Any, ClassVar

import ipywidgets as widgets
import torch
import traitlets
from jaxtyping import Float, Int64
from torch import Tensor

from detlab.boxes import box_iou
from detlab.evaluate import match_detections
from detlab.postprocess import nms, separate_classes, soft_nms
from detlab.widgets.canvas import BoxCanvas, check_image
from detlab.widgets.checks import check_detection, check_truth, names_of
from detlab.widgets.lab import Goal, Lab, Share, buttons_row, choice, slider, switch
from detlab.widgets.readout import Item, Row, Table, Words
from detlab.widgets.roles import STATE

METHODS = ("greedy", "soft")
ALL = -1  # every decision is made


class NMSLab(Lab):
    """Slide the thresholds over raw boxes, then step through the decisions.

    `kept` are the rows of `candidates` that remain, best first; `decisions` says of each decision
    which row was taken and which rows it suppressed. A slider in greedy NMS moves the IoU
    threshold, in soft NMS the same slider is not used: scores fall instead of boxes.
    """

    name: ClassVar[str] = "NMS"
    inputs: ClassVar[tuple[str, ...]] = (
        *("score_threshold", "iou_threshold", "per_class", "method", "step"),
    )
    headline: ClassVar[str] = "num_kept"

    score_threshold = Share(0.3)
    iou_threshold = Share(0.5)
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
            target: the ground truth; with it missed and doubled objects are counted.
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
        self._position = widgets.IntSlider(min=0, max=1, description="decisions")
        self._position.observe(self._moved, names="value")
        self._play = widgets.Play(interval=900, min=0, max=1)
        self._play.observe(self._moved, names="value")
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
            self.step = change["new"]

    # .. drawing ..

    def draw(self) -> tuple[str, list[Item]]:
        """Suppress, then colour the boxes as they stand after `step` decisions."""
        self._suppress()
        made = len(self.decisions) if self.step == ALL else min(self.step, len(self.decisions))
        self._drawing = True  # the two controls follow the lab here, not the lab them
        for control in (self._position, self._play):
            control.max = max(1, len(self.decisions))
            control.value = made
        self._drawing = False
        self._colour(made)
        plural = "box" if self.num_kept == 1 else "boxes"
        result = f"{self.num_kept} {plural} kept of {len(self.candidates)}"
        return result, [*self._counts(), *self._decision(made), *self._why()]

    def _suppress(self) -> None:
        """Who is kept, and who suppressed whom: rows of the candidates, best first."""
        self.candidates = (self.scores >= self.score_threshold).nonzero()[:, 0]
        boxes, scores = self.boxes[self.candidates], self.scores[self.candidates]
        if self.per_class:
            boxes = separate_classes(boxes, self.labels[self.candidates])
        if self.method == "soft":
            lowered = soft_nms(boxes, scores)
            order = lowered.argsort(descending=True, stable=True)
            kept = order[lowered[order] >= self.score_threshold]
            self.now_scores = lowered
            suppressor = torch.full_like(self.candidates, -1)
        else:
            kept = nms(boxes, scores, self.iou_threshold)
            self.now_scores = scores
            suppressor = who_suppressed(boxes, kept, self.iou_threshold)
        self.kept = self.candidates[kept]
        self.num_kept = len(kept)
        rows = {int(row): place for place, row in enumerate(kept)}
        self.suppressor = {
            int(self.candidates[place]): int(self.kept[rows[int(by)]])
            for place, by in enumerate(suppressor)
            if by >= 0
        }
        self.decisions = [
            (int(row), [victim for victim, by in self.suppressor.items() if by == row])
            for row in self.kept
        ]

    def _colour(self, made: int) -> None:
        states = torch.zeros(len(self.boxes), dtype=torch.uint8)
        states[self.candidates] = STATE["ignored" if made < len(self.decisions) else "suppressed"]
        for place, (row, victims) in enumerate(self.decisions[:made]):
            states[row] = STATE["prediction"]
            stepping = made < len(self.decisions) and place < made - 1
            states[victims] = STATE["hidden" if stepping else "suppressed"]
        self.missed, self.duplicates = self._against_truth()
        truth = torch.zeros(0, dtype=torch.uint8)
        if self.target is not None:
            truth = self.missed.to(torch.uint8) * STATE["missed"]
        self.canvas.show_states(torch.cat([states, truth]))
        now = self.decisions[made - 1][0] if 0 < made < len(self.decisions) else None
        box = [] if now is None else [{"box": self.boxes[now].tolist(), "role": "focus"}]
        self.canvas.regions = box

    def _against_truth(self) -> tuple[Tensor, int]:
        """Which objects no kept box has found, and how many kept boxes found one again."""
        if self.target is None:
            return torch.zeros(0, dtype=torch.bool), 0
        gt_boxes, gt_labels = self.target["boxes"], self.target["labels"]
        missed = torch.ones(len(gt_boxes), dtype=torch.bool)
        duplicates = 0
        for label in gt_labels.unique():
            rows = self.kept[self.labels[self.kept] == label]
            objects = (gt_labels == label).nonzero()[:, 0]
            matches = match_detections(self.boxes[rows], self.scores[rows], gt_boxes[objects])
            missed[objects[matches[matches >= 0]]] = False
            again = box_iou(self.boxes[rows], gt_boxes[objects]).amax(dim=1) >= 0.5
            duplicates += int((again & (matches < 0)).sum())
        return missed, duplicates

    # .. words ..

    def _counts(self) -> list[Item]:
        suppressed = len(self.candidates) - self.num_kept
        rows: list[Item] = [
            Row("kept", str(self.num_kept), "prediction", strong=True),
            Row("suppressed", str(suppressed), "suppressed"),
        ]
        if self.target is not None:
            of = len(self.target["boxes"])
            rows.append(Row("objects missed", f"{int(self.missed.sum())} of {of}", "missed"))
            rows.append(Row("objects found twice or more", str(self.duplicates)))
        return rows

    def _decision(self, made: int) -> list[Item]:
        if not 0 < made < len(self.decisions):
            return []
        row, victims = self.decisions[made - 1]
        head = f"Decision {made} of {len(self.decisions)}: {self._text(row)} is taken."
        if not victims:
            return [Words(f"{head} It suppresses nobody.")]
        iou = box_iou(self.boxes[[row]], self.boxes[victims])[0].tolist()
        listed = sorted(zip(iou, victims, strict=True), reverse=True)
        table = [[self._text(victim), f"{value:.2f}"] for value, victim in listed[:5]]
        if len(listed) > 5:
            table.append([f"and {len(listed) - 5} more", ""])
        return [Words(head), Table([f"suppresses {len(victims)}", "IoU"], table)]

    def _why(self) -> list[Item]:
        row = self.canvas.selected
        if not 0 <= row < len(self.boxes):
            return []
        by = self.suppressor.get(row)
        if by is not None:
            iou = box_iou(self.boxes[[row]], self.boxes[[by]]).item()
            why = f"suppressed by {self._text(by)}: IoU {iou:.2f} > {self.iou_threshold:.2f}"
        elif row in self.kept.tolist():
            why = "kept"
        else:
            why = f"score below {self.score_threshold:.2f}"
        return [Words(f"Clicked: {self._text(row)}, {why}.")]

    def _text(self, row: int) -> str:
        return f"{self.names[row]} {self.scores[row]:.2f}"

    def _show_candidates(self, canvas: BoxCanvas, class_names: Sequence[str]) -> None:
        texts = [self._text(row) for row in range(len(self.boxes))]
        boxes = self.boxes
        if self.target is not None:
            boxes = torch.cat([boxes, self.target["boxes"]])
            texts += [f"{name}, missed" for name in names_of(self.target["labels"], class_names)]
        canvas.show_boxes(boxes, "hidden", texts)


def who_suppressed(
    boxes: Float[Tensor, "N 4"], kept: Int64[Tensor, " K"], iou_threshold: float
) -> Int64[Tensor, " N"]:
    """Of each box the row that suppressed it, −1 for the kept: the first taken that overlaps it.

    >>> boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 8.0], [20.0, 0.0, 30.0, 5.0]])
    >>> who_suppressed(boxes, kept=torch.tensor([0, 2]), iou_threshold=0.5)
    tensor([-1,  0, -1])
    """
    if len(kept) == 0:
        return torch.full((len(boxes),), -1)
    first = (box_iou(boxes[kept], boxes) > iou_threshold).int().argmax(dim=0)
    suppressor = kept[first]
    suppressor[kept] = -1
    return suppressor
