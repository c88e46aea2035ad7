"""How wrong the predictions are: L = Lcls + lambda * Lbox.

Uses anchors.py and matching.py: matched anchors learn a class and a box, background learns class 0.

Focal loss is from Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017; hard negatives
from Liu et al., "SSD", ECCV 2016; Smooth L1 from Girshick, "Fast R-CNN", ICCV 2015.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from detlab.boxes import (
    check_count,
    check_fraction,
    check_positive,
    check_rows,
    paired_giou,
    paired_iou,
)
from detlab.classify import cross_entropy
from detlab.detector.anchors import Decode, Encode, decode_deltas, encode_boxes
from detlab.detector.matching import IGNORED, match_anchors
from detlab.hardware import mean_over_processes, num_processes
from detlab.types import Activation, Predictions, Target

Match = Callable[[Tensor, Tensor], Tensor]
"""anchors [A 4], gt_boxes [M 4] to matches [A]."""
ClassLoss = Callable[[Tensor, Tensor], Tensor]
"""logits [N K], labels [N] of one image to the summed loss, a scalar."""
BoxLoss = Callable[[Tensor, Tensor, Tensor, Sequence[float]], Tensor]
"""deltas [P 4], anchors [P 4], gt_boxes [P 4], delta weights to the summed loss, a scalar."""


def l1_loss(predicted: Float[Tensor, "*n"], wanted: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """The distance: every error pulls equally hard.

    >>> l1_loss(torch.tensor([3.0]), torch.tensor([1.0]))
    tensor([2.])
    """
    return (predicted - wanted).abs()


def squared_loss(
    predicted: Float[Tensor, "*n"], wanted: Float[Tensor, "*n"]
) -> Float[Tensor, "*n"]:
    """The distance squared (L2): an error twice as large pulls twice as hard.

    >>> squared_loss(torch.tensor([3.0]), torch.tensor([1.0]))
    tensor([4.])
    """
    return (predicted - wanted) ** 2


def smooth_l1_loss(
    predicted: Float[Tensor, "*n"], wanted: Float[Tensor, "*n"], beta: float = 1.0
) -> Float[Tensor, "*n"]:
    """Square below an error of beta, straight above: gentle at the goal, calm about outliers.

    Raises:
        ValueError: beta is not above 0. At 0 it would be `l1_loss`.

    >>> smooth_l1_loss(torch.tensor([1.5, 4.0]), torch.tensor([1.0, 1.0]))
    tensor([0.1250, 2.5000])
    """
    check_positive("beta", beta)
    distance = (predicted - wanted).abs()
    return torch.where(distance < beta, distance**2 / (2 * beta), distance - beta / 2)


def iou_loss(boxes: Float[Tensor, "P 4"], gt_boxes: Float[Tensor, "P 4"]) -> Float[Tensor, " P"]:
    """1 − IoU of each pair: 0 the same, 1 apart, and there without a gradient.

    >>> iou_loss(torch.tensor([[0.0, 0.0, 4.0, 2.0]]), torch.tensor([[2.0, 0.0, 4.0, 2.0]]))
    tensor([0.5000])
    """
    return 1 - paired_iou(boxes, gt_boxes)


def giou_loss(
    boxes: Float[Tensor, "P 4"],
    gt_boxes: Float[Tensor, "P 4"],
    giou: Callable[[Tensor, Tensor], Tensor] = paired_giou,
) -> Float[Tensor, " P"]:
    """1 − GIoU of each pair: 0 the same, 2 far apart.

    >>> giou_loss(torch.tensor([[0.0, 0.0, 4.0, 2.0]]), torch.tensor([[6.0, 0.0, 8.0, 2.0]]))
    tensor([1.2500])
    """
    return 1 - giou(boxes, gt_boxes)


def l1_box_loss(
    deltas: Float[Tensor, "P 4"],
    anchors: Float[Tensor, "P 4"],
    gt_boxes: Float[Tensor, "P 4"],
    weights: Sequence[float],
) -> Float[Tensor, ""]:
    """L1 on deltas, summed.

    Raises:
        ValueError: not equally many deltas, anchors and boxes; so do all box losses.

    >>> anchor, box = torch.tensor([[0.0, 0.0, 8.0, 8.0]]), torch.tensor([[4.0, 0.0, 12.0, 8.0]])
    >>> l1_box_loss(torch.zeros(1, 4), anchor, box, (1.0, 1.0, 1.0, 1.0))  # half a width off
    tensor(0.5000)
    """
    check_rows(deltas=deltas, anchors=anchors, gt_boxes=gt_boxes)
    return l1_loss(deltas, encode_boxes(gt_boxes, anchors, weights)).sum()


def smooth_l1_box_loss(
    deltas: Float[Tensor, "P 4"],
    anchors: Float[Tensor, "P 4"],
    gt_boxes: Float[Tensor, "P 4"],
    weights: Sequence[float],
    encode: Encode = encode_boxes,
    smooth_l1: Callable[[Tensor, Tensor, float], Tensor] = smooth_l1_loss,
) -> Float[Tensor, ""]:
    """Smooth L1 on deltas, summed; beta 1/9 because deltas are mostly below 1.

    >>> anchor, box = torch.tensor([[0.0, 0.0, 8.0, 8.0]]), torch.tensor([[4.0, 0.0, 12.0, 8.0]])
    >>> smooth_l1_box_loss(torch.zeros(1, 4), anchor, box, (1.0, 1.0, 1.0, 1.0))  # 1/2 - 1/18
    tensor(0.4444)
    """
    check_rows(deltas=deltas, anchors=anchors, gt_boxes=gt_boxes)
    return smooth_l1(deltas, encode(gt_boxes, anchors, weights), 1 / 9).sum()


def giou_box_loss(
    deltas: Float[Tensor, "P 4"],
    anchors: Float[Tensor, "P 4"],
    gt_boxes: Float[Tensor, "P 4"],
    weights: Sequence[float],
    decode: Decode = decode_deltas,
    giou: Callable[[Tensor, Tensor], Tensor] = paired_giou,
) -> Float[Tensor, ""]:
    """GIoU loss of the decoded boxes, summed.

    >>> anchor, box = torch.tensor([[0.0, 0.0, 8.0, 8.0]]), torch.tensor([[4.0, 0.0, 12.0, 8.0]])
    >>> giou_box_loss(torch.zeros(1, 4), anchor, box, (1.0, 1.0, 1.0, 1.0))  # IoU 32 / 96
    tensor(0.6667)
    """
    check_rows(deltas=deltas, anchors=anchors, gt_boxes=gt_boxes)
    return giou_loss(decode(deltas, anchors, weights), gt_boxes, giou).sum()


def focal_loss(
    logits: Float[Tensor, "N K"],
    labels: Int64[Tensor, " N"],
    alpha: float = 0.25,
    gamma: float = 2.0,
) -> Float[Tensor, ""]:
    """A yes or no per class; easy answers are played down by (1 − p of the right answer)^gamma.

    Background (label 0) is a no to every class: column 0 learns to stay silent.

    Raises:
        ValueError: not one label a row of logits, alpha outside 0 to 1, or gamma below 0.

    >>> focal_loss(torch.zeros(1, 2), torch.tensor([1]))  # (0.75 + 0.25) · ½² · ln 2
    tensor(0.1733)
    """
    check_rows(logits=logits, labels=labels)
    check_fraction("alpha", alpha)
    check_count("gamma", gamma)
    wanted = F.one_hot(labels, logits.shape[1]).to(logits)
    wanted[:, 0] = 0.0
    error = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    right = torch.exp(-error)  # the probability given to the right answer
    wrong = (1 - right).clamp(min=torch.finfo(right.dtype).tiny)  # 0 ** ½ has an infinite slope
    balance = alpha * wanted + (1 - alpha) * (1 - wanted)
    return (balance * wrong**gamma * error).sum()


def hard_negative_cross_entropy(
    logits: Float[Tensor, "N K"],
    labels: Int64[Tensor, " N"],
    negatives_per_positive: float = 3.0,
    fewest_negatives: int = 8,
) -> Float[Tensor, ""]:
    """Cross-entropy of one image's positives and of the few negatives most like objects.

    An image without objects still teaches with its hardest few.

    Raises:
        ValueError: not one label a row of logits, or a number of negatives below 0.

    >>> hard_negative_cross_entropy(
    ...     torch.tensor([[9.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 0]), fewest_negatives=1
    ... )
    tensor(0.6931)
    """
    check_rows(logits=logits, labels=labels)
    check_count("negatives_per_positive", negatives_per_positive)
    check_count("fewest_negatives", fewest_negatives)
    error = cross_entropy(logits, labels)
    positive = labels > 0
    wanted = max(fewest_negatives, int(negatives_per_positive * positive.sum()))
    hardest = error[~positive].topk(min(wanted, int((~positive).sum()))).values
    return error[positive].sum() + hardest.sum()


CLASS_LOSSES: dict[Activation, ClassLoss] = {
    "sigmoid": focal_loss,
    "softmax": hard_negative_cross_entropy,
}
"""The class loss that suits each way of reading logits."""


def match_batch(
    anchors: Float[Tensor, "A 4"], targets: Sequence[Target], match: Match
) -> tuple[Int64[Tensor, "B A"], Float[Tensor, "B A 4"], Bool[Tensor, "B A"]]:
    """What every anchor of every image must learn: its label, its box, and whether it counts.

    The loop over the batch stands here, because the number of objects varies.

    Returns:
        labels and gt_boxes (0 and a box of zeros where nothing matched), counted (False where
        IGNORED).

    Raises:
        ValueError: not one label a box.

    >>> anchors = torch.tensor([[0.0, 0.0, 8.0, 8.0], [20.0, 0.0, 28.0, 8.0]])
    >>> target = Target(boxes=torch.tensor([[0.0, 0.0, 8.0, 6.0]]), labels=torch.tensor([3]))
    >>> match_batch(anchors, [target], match_anchors)[0]
    tensor([[3, 0]])
    """
    labels, gt_boxes, counted = [], [], []
    for target in targets:
        check_rows(boxes=target["boxes"], labels=target["labels"])
        matches = match(anchors, target["boxes"])
        # One row more, the last: what NEGATIVE and IGNORED point to.
        padded_labels = F.pad(target["labels"], (0, 1))
        padded_boxes = F.pad(target["boxes"], (0, 0, 0, 1))
        labels.append(padded_labels[matches.clamp(min=-1)])
        gt_boxes.append(padded_boxes[matches.clamp(min=-1)])
        counted.append(matches != IGNORED)
    return torch.stack(labels), torch.stack(gt_boxes), torch.stack(counted)


def detection_loss(
    predictions: Predictions,
    targets: Sequence[Target],
    box_weight: float = 1.0,
    match: Match = match_anchors,
    class_loss: ClassLoss | None = None,
    box_loss: BoxLoss = giou_box_loss,
) -> dict[str, Float[Tensor, ""]]:
    """L = Lcls + lambda · Lbox, each a mean over the batch's positive anchors.

    Args:
        predictions: what the detector said of the batch.
        targets: one dict per image, on the same device, in pixels of the batch's images.
        box_weight: the lambda.
        match: who learns what, see `matching.match_anchors`.
        class_loss: focal loss for sigmoid detectors, hard negatives for softmax, or your own.
        box_loss: GIoU, Smooth L1, L1, or your own.

    Returns:
        "class", "box" and "total", all scalars.

    Raises:
        ValueError: another number of targets than of images.

    >>> anchors = torch.tensor([[0.0, 0.0, 8.0, 8.0], [20.0, 0.0, 28.0, 8.0]])
    >>> target = Target(boxes=torch.tensor([[0.0, 0.0, 8.0, 6.0]]), labels=torch.tensor([3]))
    >>> said = Predictions(torch.zeros(1, 2, 4), torch.zeros(1, 2, 4), anchors, "softmax")
    >>> losses = detection_loss(said, [target], box_weight=5.0)
    >>> losses["class"], losses["box"], losses["total"]  # 2 anchors · ln 4; 1 - 48/64
    (tensor(2.7726), tensor(0.2500), tensor(4.0226))
    """
    if len(targets) != len(predictions.logits):
        raise ValueError(f"{len(predictions.logits)} images but {len(targets)} targets")
    labels, gt_boxes, counted = match_batch(predictions.anchors, targets, match)
    class_loss = class_loss or CLASS_LOSSES[predictions.activation]
    return matched_loss(predictions, labels, gt_boxes, counted, class_loss, box_loss, box_weight)


def matched_loss(
    predictions: Predictions,
    labels: Int64[Tensor, "B A"],
    gt_boxes: Float[Tensor, "B A 4"],
    counted: Bool[Tensor, "B A"],
    class_loss: ClassLoss,
    box_loss: BoxLoss,
    box_weight: float,
) -> dict[str, Float[Tensor, ""]]:
    """The loss of a batch whose anchors know what they must learn, see `match_batch`.

    All counted anchors learn a class, image by image; only the positive ones learn a box. Both
    sums are divided by the number of positives, and counted in float32 whatever the network has.

    Returns:
        "class", "box" and "total", all scalars.

    Raises:
        ValueError: not one label, box and yes or no for each anchor that said something.
    """
    check_anchors(predictions, labels, gt_boxes, counted)
    positive = labels > 0
    num_positive = positives_to_divide_by(positive)

    logits = predictions.logits.float()
    rows = range(len(logits))
    lcls = sum(class_loss(logits[row][counted[row]], labels[row][counted[row]]) for row in rows)

    anchors = predictions.anchors.expand_as(gt_boxes)[positive]
    deltas = predictions.deltas.float()[positive]
    lbox = box_loss(deltas, anchors, gt_boxes[positive], predictions.delta_weights)
    lcls, lbox = lcls / num_positive, lbox / num_positive
    return {"class": lcls, "box": lbox, "total": lcls + box_weight * lbox}


def check_anchors(predictions: Predictions, *answers: Tensor) -> None:
    """Refuse answers that are not given for the anchors of the images that were predicted.

    Raises:
        ValueError: says which shapes were seen.
    """
    said = [list(part.shape[:2]) for part in (predictions.logits, predictions.deltas)]
    wanted = [len(predictions.logits), len(predictions.anchors)]
    given = [list(answer.shape[:2]) for answer in answers]
    if any(shape != wanted for shape in said + given):
        raise ValueError(
            f"want images and anchors {wanted} everywhere; got logits {said[0]}, deltas {said[1]},"
            f" answers {given}"
        )


def positives_to_divide_by(positive: Bool[Tensor, "B A"]) -> Float[Tensor, ""]:
    """How many anchors the batch's losses are averaged over; at least one.

    Where several processes train together, their mean, at least one in all of them: they then learn
    as one with all images.
    """
    return mean_over_processes(positive.sum().float()).clamp(min=1 / num_processes())
