"""Who learns what: thresholds move, anchors change colour, and an object may lose them all."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import traitlets
from torch import Tensor

from detlab.boxes import box_iou, xyxy_to_cxcywh
from detlab.checks import check_boxes
from detlab.detector.matching import IGNORED, NEGATIVE, match_anchors
from detlab.widgets.canvas import BoxCanvas, check_image
from detlab.widgets.checks import check_truth, names_of
from detlab.widgets.lab import Goal, Lab, UnitFloat, one_thread, slider, switch
from detlab.widgets.readout import Item, Row, Table, Words
from detlab.widgets.roles import STATE


class MatchLab(Lab):
    """Move the thresholds: each anchor is positive, ignored or negative.

    `matches` is what `matching.match_anchors` says: a row of the ground truth, NEGATIVE, IGNORED.
    """

    name: ClassVar[str] = "matching"
    inputs: ClassVar[tuple[str, ...]] = (
        *("positive_iou", "negative_iou", "force_best", "all_boxes"),
    )
    headline: ClassVar[str] = "num_positive"

    positive_iou = UnitFloat(0.5)
    negative_iou = UnitFloat(0.4)
    force_best = traitlets.Bool(True)
    all_boxes = traitlets.Bool(False, help="draw the negative anchors too")

    def __init__(
        self,
        image: Tensor,
        target: Any,
        anchors: Tensor,
        class_names: Sequence[str] = (),
        positive_iou: float = 0.5,
        negative_iou: float = 0.4,
        force_best: bool = True,
        task: str = "",
        goal: Goal | None = None,
    ) -> None:
        """Match anchors [A, 4] with the objects of a picture, uint8 [3, H, W]."""
        height, width = check_image(image).shape[1:]
        self.target = check_truth(target, (height, width))
        check_boxes(anchors, "anchors")
        self.anchors = anchors
        self.positive_iou, self.negative_iou = positive_iou, negative_iou
        self.force_best = force_best
        if negative_iou > positive_iou:
            raise ValueError(
                f"want negative_iou <= positive_iou, got {negative_iou} > {positive_iou}"
            )
        self.names = names_of(self.target["labels"], class_names)
        canvas = BoxCanvas(image, "a picture under matched anchors")
        canvas.show_boxes(torch.cat([anchors, self.target["boxes"]]), "hidden")
        centres, self._place = xyxy_to_cxcywh(anchors)[:, :2].unique(dim=0, return_inverse=True)
        self._centres = centres
        controls = [
            slider(self, "positive_iou", "positive from"),
            slider(self, "negative_iou", "negative below"),
            switch(self, "force_best", "every object's best anchor is positive"),
            switch(self, "all_boxes", "draw the negative anchors too"),
        ]
        presets = {
            "usual": {"negative_iou": 0.4, "positive_iou": 0.5, "force_best": True},
            "strict": {"negative_iou": 0.4, "positive_iou": 0.8, "force_best": False},
            "strict, forced": {"negative_iou": 0.4, "positive_iou": 0.8, "force_best": True},
            "generous": {"negative_iou": 0.2, "positive_iou": 0.3, "force_best": True},
        }
        title = "Which anchor learns which animal? Move the thresholds"
        super().__init__(title, canvas, controls, presets, task, goal)

    @traitlets.observe("positive_iou", "negative_iou")
    def _keep_order(self, change: Any) -> None:
        """Negative never ends above positive: the one that was moved takes the other along."""
        if self.negative_iou > self.positive_iou:
            other = "negative_iou" if change["name"] == "positive_iou" else "positive_iou"
            setattr(self, other, change["new"])

    @one_thread()
    def draw(self) -> tuple[str, list[Item]]:
        """Match with the package's function, colour, count."""
        if self.negative_iou > self.positive_iou:
            return self.result, self.items  # the other threshold is on its way
        gt_boxes = self.target["boxes"]
        self.matches = match_anchors(
            self.anchors, gt_boxes, self.positive_iou, self.negative_iou, self.force_best
        )
        self.per_object = (
            torch.stack([(self.matches == row).sum() for row in range(len(gt_boxes))])
            if len(gt_boxes)
            else torch.zeros(0).long()
        )
        self.num_positive = int((self.matches >= 0).sum())
        lost = self.per_object == 0
        self._colour(lost)
        counts = {
            "positive": self.num_positive,
            "ignored": int((self.matches == IGNORED).sum()),
            "negative": int((self.matches == NEGATIVE).sum()),
        }
        best = box_iou(self.anchors, gt_boxes).amax(dim=0).tolist() if len(gt_boxes) else []
        table = [
            [name, f"{iou:.2f}", str(int(count))]
            for name, iou, count in zip(self.names, best, self.per_object, strict=True)
        ]
        items: list[Item] = [
            *(Row(role, f"{count:,}", role, role == "positive") for role, count in counts.items()),
            Table(["object", "best IoU", "positive anchors"], table),
        ]
        if lost.any():
            alone = ", ".join(name for name, gone in zip(self.names, lost, strict=True) if gone)
            items.append(
                Words(f"No anchor answers for: {alone}. The network learns nothing about them.")
            )
        result = count_of(self.num_positive, "positive anchor")
        if lost.any():
            result += f", {count_of(int(lost.sum()), 'object')} without an anchor"
        return result, items

    def _colour(self, lost: Tensor) -> None:
        states = torch.full((len(self.matches),), STATE["negative"], dtype=torch.uint8)
        states[self.matches == IGNORED] = STATE["ignored"]
        states[self.matches >= 0] = STATE["positive"]
        drawn = states if self.all_boxes else states * (states != STATE["negative"])
        truth = torch.where(lost, STATE["missed"], STATE["truth"]).to(torch.uint8)
        self.canvas.show_states(torch.cat([drawn, truth]))
        points = torch.zeros(len(self._centres), dtype=torch.uint8)
        points.scatter_reduce_(0, self._place, states, "amax")
        self.canvas.show_points(self._centres, points)
        self.canvas.arrows = [
            arrow_to(box, self.canvas.image_size) for box in self.target["boxes"][lost].tolist()
        ]


def count_of(number: int, what: str) -> str:
    """A number of things in words.

    >>> count_of(1, "object"), count_of(2, "object")
    ('1 object', '2 objects')
    """
    return f"{number} {what}{'' if number == 1 else 's'}"


def arrow_to(box: Sequence[float], image_size: tuple[int, int]) -> dict[str, Any]:
    """An arrow that points at a box, from the side where there is room."""
    x1, y1, x2, y2 = box
    middle, reach = (x1 + x2) / 2, image_size[0] / 6
    above = y1 > reach
    start = [middle, y1 - reach] if above else [middle, y2 + reach]
    return {"from": start, "to": [middle, y1 if above else y2], "role": "wrong"}
