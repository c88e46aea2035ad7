"""Every function that a learner writes, by its name: what is right, and which mistakes are known.

    exercises.box_iou.check(my_box_iou)      what is wrong, drawn and named
    exercises.box_iou.hint()                 one hint at a time
    exercises.box_iou.solution()             the package's own function

One file a lesson holds them; exercise.py says what an exercise is.
"""

from types import MappingProxyType

from detlab.exercises import lesson_02, lesson_06, lesson_07, lesson_08
from detlab.exercises.exercise import Exercise, Verdict
from detlab.exercises.lesson_00 import image_size
from detlab.exercises.lesson_02 import box_area, box_iou, cxcywh_to_xyxy, intersection_area
from detlab.exercises.lesson_06 import anchor_grid, decode_deltas, encode_boxes, refit_shapes
from detlab.exercises.lesson_07 import focal_loss, hard_negative_cross_entropy, match_anchors
from detlab.exercises.lesson_08 import nms, nms_per_class, soft_nms

LESSONS = MappingProxyType({"02": lesson_02, "06": lesson_06, "07": lesson_07, "08": lesson_08})
"""The lessons that have exercises, by number."""

ALL: MappingProxyType[str, Exercise] = MappingProxyType(
    {
        name: value
        for module in LESSONS.values()
        for name, value in vars(module).items()
        if isinstance(value, Exercise)
    }
)
"""All exercises, by name, in the order of the lessons."""


def in_lesson(number: str) -> dict[str, Exercise]:
    """The exercises of one lesson, by name.

    >>> "box_iou" in in_lesson("02")
    True
    """
    module = LESSONS.get(number)
    found = vars(module) if module else {}
    return {name: value for name, value in found.items() if isinstance(value, Exercise)}


__all__ = [
    "ALL",
    "LESSONS",
    "Exercise",
    "Verdict",
    "anchor_grid",
    "box_area",
    "box_iou",
    "cxcywh_to_xyxy",
    "decode_deltas",
    "encode_boxes",
    "focal_loss",
    "hard_negative_cross_entropy",
    "image_size",
    "in_lesson",
    "intersection_area",
    "match_anchors",
    "nms",
    "nms_per_class",
    "refit_shapes",
    "soft_nms",
]
