"""What a learner built, put into the real detector.

Uses progress.py and stored_answers.py: what passed its check, and is checked again. Each part goes
in as an argument of the package's function that uses it; what is missing or not right stays the
package's own.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, NamedTuple

import torchvision
from torch import Tensor

from detlab import boxes
from detlab.course import exercises
from detlab.course.exercises import in_lesson
from detlab.course.exercises.exercise import Verdict
from detlab.course.lessons import COURSE
from detlab.course.progress import read_progress
from detlab.course.stored_answers import (
    Function,
    by_position,
    lets_gradients_through,
    positions,
    rebuild,
)
from detlab.detector import anchors, box_losses, losses, matching, postprocess
from detlab.detector.config import DetectorConfig
from detlab.detector.model import Detector, build_detector
from detlab.detector.postprocess import detect
from detlab.training.config import TrainConfig
from detlab.training.loop import Loss
from detlab.types import Activation, Detection, Predictions, Target


class Place(NamedTuple):
    """Where a part stands in the detector."""

    function: Function
    """The package's own."""
    goes_into: str
    needs: int
    """Arguments that the detector hands over, counted from the first."""
    learns: bool = False
    """The gradient passes through it."""


PLACES: Mapping[str, Place] = {
    "anchor_grid": Place(anchors.anchor_grid, "the detector's anchors", 3),
    "box_iou": Place(boxes.box_iou, "match_anchors", 2),
    "match_anchors": Place(matching.match_anchors, "the loss: who learns what", 4),
    "hard_negative_cross_entropy": Place(
        losses.hard_negative_cross_entropy, "the loss: class, softmax", 2, True
    ),
    "focal_loss": Place(losses.focal_loss, "the loss: class, sigmoid", 2, True),
    "decode_deltas": Place(anchors.decode_deltas, "the loss: box; detections", 2, True),
    "paired_giou": Place(boxes.paired_giou, "the loss: box, GIoU", 2, True),
    "encode_boxes": Place(anchors.encode_boxes, "the loss: box, Smooth L1", 2),
    "smooth_l1_loss": Place(box_losses.smooth_l1_loss, "the loss: box, Smooth L1", 3, True),
    "matched_loss": Place(losses.matched_loss, "the loss: Lcls + lambda · Lbox", 7, True),
    "select_candidates": Place(postprocess.select_candidates, "detections: raw boxes", 5),
    "nms": Place(torchvision.ops.nms, "detections: one box an object", 3),
}
"""Every part that can be replaced, in the order in which a picture meets them."""


@dataclass(frozen=True)
class Part:
    """One part of the detector, and whose it is."""

    name: str
    function: Function
    yours: bool
    why: str


@dataclass(frozen=True, repr=False)
class Parts:
    """All parts of one detector. Shows itself as a table."""

    rows: tuple[Part, ...]

    def __getitem__(self, name: str) -> Function:
        """A part by its name."""
        return self.row(name).function

    def row(self, name: str) -> Part:
        """A part with all that is known of it.

        Raises:
            KeyError: no such part.
        """
        return {part.name: part for part in self.rows}[name]

    @property
    def yours(self) -> tuple[str, ...]:
        """The names of the parts that a learner built."""
        return tuple(part.name for part in self.rows if part.yours and part.name in PLACES)

    def exchange(self, name: str, function: Function) -> "Parts":
        """The same parts but for one, whether right or not: to see what a mistake does."""
        rows = [replace(row, function=function) if row.name == name else row for row in self.rows]
        return Parts(tuple(rows))

    def handed(self, user: str, **inner: str) -> Function:
        """The package's function with its inner parts handed in; the learner's own as it is.

        What a learner wrote calls its inner parts itself.
        """
        if self.row(user).yours:
            return self[user]
        return partial(self[user], **{name: self[part] for name, part in inner.items()})

    def detector(self, config: DetectorConfig) -> Detector:
        """A detector with fresh weights on these anchors, as `model.build_detector`."""
        return build_detector(config, self["anchor_grid"])

    def loss(self, config: TrainConfig, box: Literal["giou", "smooth_l1"] = "giou") -> Loss:
        """What `train.fit` learns from, as `train.configured_loss`, put together anew."""
        match = partial(
            self.handed("match_anchors", iou="box_iou"),
            positive_iou=config.positive_iou,
            negative_iou=config.negative_iou,
        )
        class_losses: dict[Activation, Function] = {
            "sigmoid": self["focal_loss"],
            "softmax": self["hard_negative_cross_entropy"],
        }
        giou_box_loss = partial(
            box_losses.giou_box_loss, decode=self["decode_deltas"], giou=self["paired_giou"]
        )
        smooth_l1_box_loss = partial(
            box_losses.smooth_l1_box_loss,
            encode=self["encode_boxes"],
            smooth_l1=self["smooth_l1_loss"],
        )
        box_loss = giou_box_loss if box == "giou" else smooth_l1_box_loss

        def loss(predictions: Predictions, targets: list[Target]) -> dict[str, Tensor]:
            labels, gt_boxes, counted = losses.match_batch(predictions.anchors, targets, match)
            class_loss = class_losses[predictions.activation]
            lambda_ = config.box_weight
            found: dict[str, Tensor] = self["matched_loss"](
                predictions, labels, gt_boxes, counted, class_loss, box_loss, lambda_
            )
            return losses.with_quality(found, predictions, labels, gt_boxes, config.quality)

        return loss

    def detect(
        self,
        detector: Callable[[Tensor], Predictions],
        images: Sequence[Tensor],
        longest_side: int | None = None,
        **options: Any,
    ) -> list[Detection]:
        """Pictures to boxes, as `postprocess.detect`."""
        candidates = self.handed("select_candidates", decode="decode_deltas")
        parts = {"candidates": candidates, "nms": self["nms"]}
        return detect(detector, images, longest_side, **parts, **options)

    def __repr__(self) -> str:
        """A line for each part: whose it is, where it goes, and why."""
        owners = {True: "yours", False: "detlab's"}
        lines = [
            f"{part.name:<28} {owners[part.yours]:<9} {goes_into(part.name):<32} {part.why}"
            for part in self.rows
        ]
        return "\n".join([f"{'part':<28} {'whose':<9} {'goes into':<32} why", *lines])


def goes_into(name: str) -> str:
    """Where a part goes, in words."""
    return PLACES[name].goes_into if name in PLACES else "checked, but not plugged in"


def collect(**given: Function) -> Parts:
    """Gather what a learner built: what is given here, else what passed its check in a lesson.

    Everything is checked again; what is right takes the place of the package's part. Nothing that
    a learner wrote raises here: what cannot be used is left out, and the table says why.

    Args:
        given: by the exercise's name, functions of this notebook: `nms=my_nms`.

    Raises:
        ValueError: a name that no exercise has.
    """
    unknown = set(given) - set(exercises.ALL)
    if unknown:
        raise ValueError(f"no exercise {sorted(unknown)}; there are {sorted(exercises.ALL)}")
    stored = dict(rebuild(read_progress()["exercises"]))
    beside = [name for name in exercises.ALL if name not in PLACES and name in stored | given]
    return Parts(
        tuple(
            choose(name, [found[name] for found in (given, stored) if name in found])
            for name in [*PLACES, *beside]
        )
    )


def suspects(parts: Parts, config: TrainConfig) -> dict[str, Loss]:
    """Three losses to learn from, by letter: two are right and one has a mistake.

    Lesson 09 asks which. Whoever reads on knows.
    """
    mistake = exercises.ALL["matched_loss"].mistakes["only the positives entered the class loss"]
    return {
        "A": parts.loss(config),
        "B": parts.exchange("matched_loss", mistake.function).loss(config),
        "C": parts.loss(config, box="smooth_l1"),
    }


def choose(name: str, candidates: Sequence[Function | str]) -> Part:
    """The first candidate that is right and fits, else the package's function.

    Args:
        name: of the exercise.
        candidates: functions, or the reason why there is none.
    """
    why = ""
    for candidate in candidates:
        found = candidate if isinstance(candidate, str) else objection(name, candidate)
        if not isinstance(candidate, str) and found == "":
            reference = exercises.ALL[name].reference
            return Part(name, by_position(candidate, reference), True, "right in its check")
        why = why or found
    return Part(name, package_function(name), False, why or not_built(name))


def package_function(name: str) -> Function:
    """The package's own part."""
    return PLACES[name].function if name in PLACES else exercises.ALL[name].reference


def not_built(name: str) -> str:
    """Where a part can be built."""
    number = next(lesson.number for lesson in COURSE if name in in_lesson(lesson.number))
    return f"not built yet: lesson {number}"


def objection(name: str, mine: Function) -> str:
    """Why a function cannot take its place, in one line; "" if it can."""
    exercise = exercises.ALL[name]
    verdict = exercise.grade(mine)
    if verdict.status == "not written":
        return not_built(name)
    if not verdict.passed:
        return f"yours is not right: {complaint(verdict)}"
    if name not in PLACES:
        return ""
    if positions(mine) < PLACES[name].needs:
        wanted = ", ".join(list(inspect.signature(exercise.reference).parameters))
        return f"yours takes too few arguments; the detector hands over {wanted}"
    if PLACES[name].learns and not lets_gradients_through(mine, exercise):
        return "yours is right, but no gradient passes: make its answer from the tensors given"
    return ""


def complaint(verdict: Verdict) -> str:
    """The line of a verdict that says most."""
    lines = verdict.text.splitlines()
    telling = ("What happened: ", "It raised ", "It did not come to an end")
    found = [line for line in lines if line.startswith(telling)]
    most = found[-1] if found else lines[0].rpartition(". ")[2]
    return most.removeprefix("What happened: ").removesuffix(".")
