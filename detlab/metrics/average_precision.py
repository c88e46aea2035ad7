"""How good are the detections? True positives, precision, recall, average precision.

Follows postprocess.py. Readable: one class and one IoU threshold at a time.
coco.py hands all classes and thresholds to a compiled library and gets the same answers, but where
a detection overlaps two objects equally: the library takes the later one, we the earlier.
Ignored regions are not known here: ignored.py leaves out what lies in them.

Average precision is from Everingham et al., "The PASCAL VOC Challenge", IJCV 2010; the 101 recall
levels are from Lin et al., "Microsoft COCO", ECCV 2014.
"""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from detlab.boxes import box_iou
from detlab.checks import check_each, check_fraction, check_rows
from detlab.types import Detection, Target

UNMATCHED = -1
"""This detection found no object: a false positive (FP)."""
Match = Callable[[Tensor, Tensor, Tensor, float], Tensor]
"""boxes [N 4], scores [N], gt_boxes [M 4], IoU threshold to the object of each box."""


def match_detections(
    boxes: Float[Tensor, "N 4"],
    scores: Float[Tensor, " N"],
    gt_boxes: Float[Tensor, "M 4"],
    iou_threshold: float = 0.5,
) -> Int64[Tensor, " N"]:
    """Say which object of one image and one class each detection has found.

    The best score chooses first: it takes the object it overlaps most among those still free,
    if their IoU reaches the threshold. Each object answers once, so a second detection
    of it is a duplicate and counts as wrong.

    Returns:
        A row of `gt_boxes` per detection, or UNMATCHED; `matches >= 0` are the true positives (TP).

    Raises:
        ValueError: not one score a box, a number that is none, or a threshold outside 0 to 1.

    >>> boxes = torch.tensor([[0.0, 0.0, 10.0, 8.0], [0.0, 0.0, 10.0, 10.0]])  # IoU 0.8 and 1
    >>> match_detections(boxes, torch.tensor([0.9, 0.7]), gt_boxes=boxes[1:])
    tensor([ 0, -1])
    """
    check_each(boxes, scores=scores)
    check_each(gt_boxes)
    check_fraction("iou_threshold", iou_threshold)
    matches = torch.full_like(scores, UNMATCHED, dtype=torch.int64)
    if len(gt_boxes) == 0:
        return matches

    iou = box_iou(boxes, gt_boxes)  # [N, M]
    for row in scores.argsort(descending=True, stable=True):
        best_iou, best_object = iou[row].max(dim=0)
        if best_iou >= iou_threshold:
            matches[row] = best_object
            iou[:, best_object] = -1  # taken
    return matches


def match_image(
    detection: Detection,
    target: Target,
    iou_threshold: float = 0.5,
    match: Match = match_detections,
) -> Int64[Tensor, " N"]:
    """Say which object of one image each detection has found, every class by itself.

    Args:
        detection: what was found.
        target: what is there.
        iou_threshold: from which overlap on an object is found.
        match: for the boxes of one class; a lesson hands in its own.

    Returns:
        A row of the target's boxes per detection, or UNMATCHED.

    Raises:
        ValueError: not one label a box, in the detection or the target.

    >>> box = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    >>> target = {"boxes": box, "labels": torch.tensor([2])}
    >>> found = {"boxes": box.repeat(2, 1), "labels": torch.tensor([1, 2]), "scores": torch.ones(2)}
    >>> match_image(found, target)
    tensor([-1,  0])
    """
    check_each(detection["boxes"], labels=detection["labels"], scores=detection["scores"])
    check_each(target["boxes"], labels=target["labels"])
    matches = torch.full_like(detection["labels"], UNMATCHED)
    for label in target["labels"].unique():
        rows = (detection["labels"] == label).nonzero()[:, 0]
        objects = (target["labels"] == label).nonzero()[:, 0]
        found = match(
            detection["boxes"][rows],
            detection["scores"][rows],
            target["boxes"][objects],
            iou_threshold,
        )
        is_hit = found >= 0
        matches[rows[is_hit]] = objects[found[is_hit]]
    return matches


def find_duplicates(
    detection: Detection,
    target: Target,
    matches: Int64[Tensor, " N"],
    iou_threshold: float = 0.5,
) -> Bool[Tensor, " N"]:
    """Which detections lie well on an object of their class that a better one has found already.

    >>> box = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    >>> target = {"boxes": box, "labels": torch.tensor([1])}
    >>> found = {"boxes": box.repeat(2, 1), "labels": torch.tensor([1, 1]), "scores": torch.ones(2)}
    >>> find_duplicates(found, target, match_image(found, target))
    tensor([False,  True])
    """
    same_class = detection["labels"][:, None] == target["labels"]  # [N, M]
    well_placed = box_iou(detection["boxes"], target["boxes"]) >= iou_threshold
    return (same_class & well_placed).any(dim=1) & (matches == UNMATCHED)


def find_missed(matches: Int64[Tensor, " N"], num_objects: int) -> Bool[Tensor, " M"]:
    """Which objects of one image no detection has found: the false negatives (FN).

    >>> find_missed(torch.tensor([2, UNMATCHED]), num_objects=3)
    tensor([ True,  True, False])
    """
    missed = torch.ones(num_objects, dtype=torch.bool, device=matches.device)
    missed[matches[matches >= 0]] = False
    return missed


def count_found(
    detections: Sequence[Detection], targets: Sequence[Target], iou_threshold: float = 0.5
) -> tuple[int, int]:
    """How many objects of all images were found, and how many detections are duplicates.

    >>> box = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    >>> target = {"boxes": box, "labels": torch.tensor([1])}
    >>> found = {"boxes": box.repeat(2, 1), "labels": torch.tensor([1, 1]), "scores": torch.ones(2)}
    >>> count_found([found], [target])
    (1, 1)
    """
    true_positives = duplicates = 0
    for detection, target in zip(detections, targets, strict=True):
        matches = match_image(detection, target, iou_threshold)
        true_positives += int((matches >= 0).sum())
        duplicates += int(find_duplicates(detection, target, matches, iou_threshold).sum())
    return true_positives, duplicates


def precision_recall(
    scores: Float[Tensor, " N"], is_hit: Bool[Tensor, " N"], num_objects: int
) -> tuple[Float64[Tensor, " N"], Float64[Tensor, " N"]]:
    """Precision and recall as the score threshold falls past one detection after the other.

    Precision is the fraction of the detections so far that are hits, TP / (TP + FP);
    recall is the fraction of the objects found so far, TP / (TP + FN). A hit is a true positive.
    Float64, because recall is compared with levels such as 0.29.

    Raises:
        ValueError: if there is no object; recall is then a fraction of nothing. Or not one answer
            a score, or a score that is no number.

    >>> precision, recall = precision_recall(
    ...     torch.tensor([0.9, 0.5, 0.7]), torch.tensor([True, True, False]), num_objects=4
    ... )
    >>> precision, recall  # hit, miss, hit
    (tensor([1.0000, 0.5000, 0.6667], dtype=torch.float64),
     tensor([0.2500, 0.2500, 0.5000], dtype=torch.float64))
    """
    if num_objects < 1:
        raise ValueError(f"recall needs at least one object; num_objects is {num_objects}")
    check_rows(scores=scores, is_hit=is_hit)
    if scores.isnan().any():
        raise ValueError(f"want scores that are numbers, got {scores.tolist()}")
    best_first = scores.argsort(descending=True, stable=True)
    true_positives = is_hit[best_first].double().cumsum(dim=0)
    detections_so_far = torch.arange(1, len(is_hit) + 1, device=is_hit.device)
    return true_positives / detections_so_far, true_positives / num_objects


def average_precision(
    precision: Float64[Tensor, " N"], recall: Float64[Tensor, " N"]
) -> Float64[Tensor, ""]:
    """Area under the precision–recall curve, as COCO measures it: 0 to 1.

    At each of the recall levels 0, 0.01 … 1 stands the best precision that can be had
    with at least that much recall, or 0 where the detector never gets so far.
    The average of these 101 numbers is the average precision.

    Raises:
        ValueError: not one precision a recall.

    >>> ap = average_precision(  # precision 1 up to recall 0.25, then 2/3 up to recall 0.5
    ...     torch.tensor([1, 1 / 2, 2 / 3]).double(), torch.tensor([1 / 4, 1 / 4, 1 / 2]).double()
    ... )
    >>> round(float(ap), 4), round((26 * 1 + 25 * 2 / 3) / 101, 4)
    (0.4224, 0.4224)
    """
    check_rows(precision=precision, recall=recall)
    levels = torch.arange(101, dtype=recall.dtype, device=recall.device) * 0.01
    best_from_here = precision.flip(0).cummax(dim=0).values.flip(0)
    beyond_the_end = best_from_here.new_zeros(1)
    first_reaching = torch.searchsorted(recall, levels)  # N where none does
    return torch.cat([best_from_here, beyond_the_end])[first_reaching].mean()


def class_average_precision(
    detections: Sequence[Detection],
    targets: Sequence[Target],
    label: int,
    iou_threshold: float = 0.5,
) -> float:
    """Average precision of one class over many images, at one IoU threshold.

    Detections find objects image by image; then all of them stand in one line, best score first.

    Returns:
        0 to 1, or nan where no image shows the class.

    >>> box = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    >>> fish = torch.tensor([1])
    >>> found = {"boxes": box, "labels": fish, "scores": torch.tensor([0.9])}
    >>> class_average_precision([found], [{"boxes": box, "labels": fish}], label=1)
    1.0
    """
    scores, is_hit, num_objects = [], [], 0
    for detection, target in zip(detections, targets, strict=True):
        of_class = detection["labels"] == label
        gt_boxes = target["boxes"][target["labels"] == label]
        image_scores = detection["scores"][of_class]
        matches = match_detections(
            detection["boxes"][of_class], image_scores, gt_boxes, iou_threshold
        )
        scores.append(image_scores)
        is_hit.append(matches >= 0)
        num_objects += len(gt_boxes)
    if num_objects == 0:
        return math.nan
    precision, recall = precision_recall(torch.cat(scores), torch.cat(is_hit), num_objects)
    return float(average_precision(precision, recall))
