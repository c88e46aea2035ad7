"""The score threshold: one point on the precision-recall curve, and the pictures behind it."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from detlab.metrics.average_precision import match_image, precision_recall
from detlab.types import Detection, Target
from detlab.widgets.canvas import BoxCanvas
from detlab.widgets.checks import check_detection, check_truth, names_of
from detlab.widgets.lab import Goal, Lab, UnitFloat, slider
from detlab.widgets.readout import Chart, Item, Row
from detlab.widgets.roles import STATE
from detlab.widgets.sheet import contact_sheet, on_sheet


class ThresholdLab(Lab):
    """Slide the score threshold: TP, FP, FN, precision and recall follow.

    All classes are counted together. The pictures shown are the first six.
    """

    name: ClassVar[str] = "threshold"
    inputs: ClassVar[tuple[str, ...]] = ("score_threshold",)
    headline: ClassVar[str] = "recall"

    score_threshold = UnitFloat(0.5)

    def __init__(
        self,
        images: Sequence[Tensor],
        detections: Sequence[Detection],
        targets: Sequence[Target],
        class_names: Sequence[str] = (),
        score_threshold: float = 0.5,
        iou_threshold: float = 0.5,
        task: str = "",
        goal: Goal | None = None,
        miss_cost: int = 0,
    ) -> None:
        """Compare detections with the truth.

        Args:
            images: uint8 [3, H, W] of the first pictures; six are shown.
            detections: of all pictures that count, in the order of the images.
            targets: the truth, one per detection.
            class_names: "background" first; for the texts.
            score_threshold: where the slider begins, 0 to 1.
            iou_threshold: from this overlap on a detection is a true positive.
            task: what to reach; its number is about `recall`.
            goal: when it is reached.
            miss_cost: so many false positives cost as much as one missed object; 0 shows no cost.
        """
        images = list(images)[:6]
        if len(detections) != len(targets) or not images or len(images) > len(targets):
            raise ValueError(
                f"want as many detections as targets, and pictures of the first of them; got "
                f"{len(images)} pictures, {len(detections)} detections, {len(targets)} targets"
            )
        found = [check_detection(each, "detections") for each in detections]
        self.score_threshold, self._miss_cost = score_threshold, miss_cost
        matches = [
            match_image(each, truth, iou_threshold)
            for each, truth in zip(found, targets, strict=True)
        ]
        self._scores = torch.cat([each["scores"] for each in found])
        self._hits = torch.cat(matches) >= 0
        self.num_objects = sum(len(truth["boxes"]) for truth in targets)
        self._curve = curve(self._scores, self._hits, self.num_objects)
        sheet, places = contact_sheet(images)
        shown = range(len(images))
        canvas = BoxCanvas(sheet, "six pictures under detections", tags=0)
        truths = [
            check_truth(targets[row], (images[row].shape[1], images[row].shape[2])) for row in shown
        ]
        boxes = [found[row]["boxes"] for row in shown] + [truth["boxes"] for truth in truths]
        self._shown_scores = torch.cat([found[row]["scores"] for row in shown])
        self._shown_hits = torch.cat([matches[row] for row in shown]) >= 0
        self._found_at = torch.cat(
            [
                found_at(matches[row], found[row]["scores"], len(truths[row]["boxes"]))
                for row in shown
            ]
        )
        texts = [
            f"{name} {score:.2f}"
            for row in shown
            for name, score in zip(
                names_of(found[row]["labels"], class_names),
                found[row]["scores"].tolist(),
                strict=True,
            )
        ]
        texts += [
            f"{name}, missed" for truth in truths for name in names_of(truth["labels"], class_names)
        ]
        canvas.show_boxes(on_sheet(boxes, places.repeat(2, 1)), "hidden", texts)
        controls = [slider(self, "score_threshold", "score from")]
        presets = {
            "take everything": {"score_threshold": 0.0},
            "balanced": {"score_threshold": 0.5},
            "only the sure": {"score_threshold": 0.9},
        }
        title = "Slide the score: what do you gain, what do you miss?"
        super().__init__(title, canvas, controls, presets, task, goal)

    def draw(self) -> tuple[str, list[Item]]:
        """Count, and stand on the curve."""
        taken = self._scores >= self.score_threshold
        self.true_positives = int((self._hits & taken).sum())
        self.false_positives = int((~self._hits & taken).sum())
        self.false_negatives = self.num_objects - self.true_positives
        self.cost = self.false_positives + self._miss_cost * self.false_negatives
        precision, recall = curve(self._scores[taken], self._hits[taken], self.num_objects)[-1]
        self.precision, self.recall = precision, recall
        self._colour()
        result = f"precision {self.precision:.2f}, recall {self.recall:.2f}"
        dot = (self.recall, self.precision)
        rows = [
            Row("true positives (hits)", str(self.true_positives), "positive"),
            Row("false positives (false alarms)", str(self.false_positives), "wrong"),
            Row("false negatives (missed)", str(self.false_negatives), "missed"),
        ]
        if self._miss_cost:
            result += f", cost {self.cost:,}"
            rows.append(self._cost_row())
        chart = Chart(
            {"curve": thin([(r, p) for p, r in self._curve[1:]])}, "recall", "precision", dot
        )
        return result, [*rows, chart]

    def _cost_row(self) -> Row:
        """Of what the cost is made."""
        wrong, missed = self.false_positives, self.false_negatives
        label = f"cost = {wrong:,} + {self._miss_cost} · {missed:,}"
        return Row(label, f"{self.cost:,}", strong=True)

    def _colour(self) -> None:
        kind = torch.where(self._shown_hits, STATE["positive"], STATE["wrong"])
        kind[self._shown_scores < self.score_threshold] = STATE["hidden"]
        missed = (self._found_at < self.score_threshold) * STATE["missed"]
        self.canvas.show_states(torch.cat([kind, missed]).to(torch.uint8))


def found_at(matches: Tensor, scores: Tensor, num_objects: int) -> Tensor:
    """The score at which each object of a picture is found, −1 for an object that never is.

    A lower threshold only adds detections at the end of the line, so it changes no match before.
    """
    found = torch.full((num_objects,), -1.0)
    hits = matches >= 0
    found[matches[hits]] = scores[hits]
    return found


def curve(scores: Tensor, hits: Tensor, num_objects: int) -> list[tuple[float, float]]:
    """Precision and recall as the threshold falls; with nothing taken nothing is wrong."""
    precision, recall = precision_recall(scores, hits, num_objects)
    return [(1.0, 0.0), *zip(precision.tolist(), recall.tolist(), strict=True)]


def thin(points: Sequence[Any], most: int = 60) -> list[Any]:
    """At most so many points of a long curve, its end among them."""
    stride = -(-len(points) // most) or 1
    return [*points[::stride], *points[-1:]]
