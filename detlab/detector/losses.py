"""How wrong the predictions are: L = Lcls + lambda * Lbox.

Uses matching.py and box_losses.py: matched anchors learn a class and a box, background learns
class 0.

Focal loss is from Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017; hard negatives
from Liu et al., "SSD", ECCV 2016.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from detlab.checks import check_count, check_fraction, check_rows
from detlab.classify import cross_entropy
from detlab.detector.box_losses import BoxLoss, giou_box_loss, quality_loss
from detlab.detector.matching import IGNORED, match_anchors
from detlab.hardware import mean_over_processes, num_processes
from detlab.types import Activation, Predictions, Target

Match = Callable[[Tensor, Tensor], Tensor]
"""anchors [A 4], gt_boxes [M 4] to matches [A]."""
ClassLoss = Callable[[Tensor, Tensor], Tensor]
"""logits [N K], labels [N] of one image to the summed loss, a scalar."""


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
        # One row more, the first: what NEGATIVE and IGNORED point to.
        rows = (matches + 1).clamp(min=0)
        labels.append(F.pad(target["labels"], (1, 0)).index_select(0, rows))
        gt_boxes.append(F.pad(target["boxes"], (0, 0, 1, 0)).index_select(0, rows))
        counted.append(matches != IGNORED)
    return torch.stack(labels), torch.stack(gt_boxes), torch.stack(counted)


def detection_loss(
    predictions: Predictions,
    targets: Sequence[Target],
    box_weight: float = 1.0,
    match: Match = match_anchors,
    class_loss: ClassLoss | None = None,
    box_loss: BoxLoss = giou_box_loss,
    quality: float = 0.0,
) -> dict[str, Float[Tensor, ""]]:
    """L = Lcls + lambda · Lbox, each a mean over the batch's positive anchors.

    Args:
        predictions: what the detector said of the batch.
        targets: one dict per image, on the same device, in pixels of the batch's images.
        box_weight: the lambda.
        match: who learns what, see `matching.match_anchors`.
        class_loss: focal loss for sigmoid detectors, hard negatives for softmax, or your own.
        box_loss: GIoU, Smooth L1, L1, or your own.
        quality: how far a score is to follow its box's IoU, 0 to 1, see `box_losses.quality_loss`.

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
    losses = matched_loss(predictions, labels, gt_boxes, counted, class_loss, box_loss, box_weight)
    return with_quality(losses, predictions, labels, gt_boxes, quality)


def with_quality(
    losses: dict[str, Float[Tensor, ""]],
    predictions: Predictions,
    labels: Int64[Tensor, "B A"],
    gt_boxes: Float[Tensor, "B A 4"],
    quality: float,
) -> dict[str, Float[Tensor, ""]]:
    """The losses of `matched_loss`, the class loss asking for scores that follow the boxes' IoU."""
    if quality == 0:
        return losses
    extra = quality_loss(predictions, labels, gt_boxes, quality)
    extra = extra / positives_to_divide_by(labels > 0)
    return {**losses, "class": losses["class"] + extra, "total": losses["total"] + extra}


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

    logits = predictions.logits.float().unbind()  # [A, K] each, whose gradients are joined once
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
