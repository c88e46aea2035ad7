"""What kind of error each detection is, and how good the rest is without one kind.

Uses average_precision.py: a false positive there has a reason here, and each is fixed elsewhere –
names in the class loss, places in the box loss, duplicates in NMS.

The kinds are from Hoiem et al., "Diagnosing Error in Object Detectors", ECCV 2012; their
thresholds, and fixing one kind at a time, are from Bolya et al., "TIDE", ECCV 2020.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from detlab.boxes import box_iou
from detlab.metrics.average_precision import UNMATCHED, match_image
from detlab.types import Detection, Target

FOREGROUND_IOU = 0.5
"""From this overlap on a box is in the right place."""
BACKGROUND_IOU = 0.1
"""Below this overlap it is about no object at all."""

KINDS = ("background", "both", "location", "class", "duplicate", "correct")
"""What a detection can be, worst first. Where two would fit, the later one holds."""
ERRORS = ("class", "location", "both", "duplicate", "background", "missed")
"""What `fix_errors` can fix."""


class ErrorKinds(NamedTuple):
    """What became of the detections and objects of one image."""

    kinds: list[str]
    """One of KINDS per detection."""
    objects: Int64[Tensor, " N"]
    """The row of the target that each detection is about, or UNMATCHED: background."""
    missed: Bool[Tensor, " M"]
    """Objects without a correct detection, and without one wrong in its name or place alone."""


def error_kinds(
    detection: Detection,
    target: Target,
    foreground_iou: float = FOREGROUND_IOU,
    background_iou: float = BACKGROUND_IOU,
) -> ErrorKinds:
    """Say of each detection of one image whether it is right, and if not, in what it is wrong.

    - correct: it has found an object;
    - duplicate: right name, right place, but a better detection has found the object before;
    - class: right place, wrong name;
    - location: right name, wrong place;
    - both: wrong name, wrong place, and yet it touches an object;
    - background: it touches no object.

    The right place is an IoU of at least `foreground_iou`; from `background_iou` on it touches.
    What lies in an ignored region is no error: leave it out first, see `ignored.without_ignored`.

    >>> there = {"boxes": torch.tensor([[0.0, 0.0, 10.0, 10.0]]), "labels": torch.tensor([1])}
    >>> heights = torch.tensor([10.0, 8.0, 9.0, 3.0, 2.0, 0.5])  # IoU: height / 10
    >>> found = {
    ...     "boxes": torch.tensor([[0.0, 0.0, 10.0, height] for height in heights]),
    ...     "labels": torch.tensor([1, 1, 2, 1, 2, 1]),
    ...     "scores": torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5, 0.4]),
    ... }
    >>> error_kinds(found, there).kinds
    ['correct', 'duplicate', 'class', 'location', 'both', 'background']
    """
    if not 0 < background_iou <= foreground_iou <= 1:
        raise ValueError(
            f"want 0 < background_iou <= foreground_iou <= 1; got {background_iou}, "
            f"{foreground_iou}"
        )
    matches = match_image(detection, target, foreground_iou)
    iou = box_iou(detection["boxes"], target["boxes"])  # [N, M]
    same_class = detection["labels"][:, None] == target["labels"]
    own_iou, own = _closest(iou * same_class)
    other_iou, other = _closest(iou * ~same_class)

    rank = torch.zeros_like(matches)  # rows of KINDS: each line overrules those before
    rank[other_iou >= background_iou] = 1
    rank[own_iou >= background_iou] = 2
    rank[other_iou >= foreground_iou] = 3
    rank[own_iou >= foreground_iou] = 4
    rank[matches >= 0] = 5
    kinds = [KINDS[row] for row in rank.tolist()]

    about = torch.stack([torch.full_like(own, UNMATCHED), other, own, other, own, matches])
    objects = about.gather(0, rank[None])[0]
    missed = torch.ones_like(target["labels"], dtype=torch.bool)
    missed[objects[is_kind(kinds, "correct", "class", "location")]] = False
    return ErrorKinds(kinds, objects, missed)


def _closest(iou: Float[Tensor, "N M"]) -> tuple[Float[Tensor, " N"], Int64[Tensor, " N"]]:
    """The best overlap of each row and with whom: 0 and UNMATCHED where there is nobody."""
    nobody = iou.new_zeros(len(iou), 1)
    best, column = torch.cat([nobody, iou], dim=1).max(dim=1)
    return best, column - 1


def is_kind(kinds: list[str], *wanted: str) -> Bool[Tensor, " N"]:
    """Which detections are of the kinds that are wanted.

    >>> is_kind(["class", "both", "correct"], "both", "class")
    tensor([ True,  True, False])
    """
    return torch.tensor([kind in wanted for kind in kinds], dtype=torch.bool)


def fix_errors(
    detection: Detection,
    target: Target,
    error: str,
    foreground_iou: float = FOREGROUND_IOU,
    background_iou: float = BACKGROUND_IOU,
) -> tuple[Detection, Target]:
    """One image as it would be without errors of one kind; the others stay.

    A wrong name or place is put right; if two then say the same, the better score stays.
    Duplicates, boxes on background and those wrong in both are left out.
    Missed objects (false negatives) are left out of the target.

    Raises:
        ValueError: `error` is none of ERRORS.

    >>> there = {"boxes": torch.tensor([[0.0, 0.0, 10.0, 10.0]]), "labels": torch.tensor([1])}
    >>> found = {"boxes": there["boxes"], "labels": torch.tensor([2]), "scores": torch.ones(1)}
    >>> fixed, _ = fix_errors(found, there, "class")
    >>> fixed["labels"]
    tensor([1])
    """
    if error not in ERRORS:
        raise ValueError(f"error: want one of {', '.join(ERRORS)}; got {error!r}")
    kinds, objects, missed = error_kinds(detection, target, foreground_iou, background_iou)
    if error == "missed":
        there = target.copy()
        there["boxes"], there["labels"] = target["boxes"][~missed], target["labels"][~missed]
        if "areas" in target:
            there["areas"] = target["areas"][~missed]
        return detection, there

    boxes, labels, scores = detection["boxes"], detection["labels"], detection["scores"]
    out = is_kind(kinds, error).to(labels.device)
    right = objects[out]
    if error == "class":
        labels = labels.masked_scatter(out, target["labels"][right])
    if error == "location":
        boxes = boxes.masked_scatter(out[:, None], target["boxes"][right])
    if error in ("class", "location"):
        put_right: Detection = {"boxes": boxes, "labels": labels, "scores": scores}
        matches = match_image(put_right, target, foreground_iou)
        out = (matches == UNMATCHED) & (out | is_kind(kinds, "correct").to(out.device))
    return {"boxes": boxes[~out], "labels": labels[~out], "scores": scores[~out]}, target
