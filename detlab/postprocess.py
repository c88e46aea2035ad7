"""Predictions to detections: scores, thresholds, and one box per object.

Follows model.py. Non-maximum suppression in the form used here is from Dalal and Triggs, CVPR 2005;
Soft-NMS from Bodla et al., "Soft-NMS", ICCV 2017.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torchvision
from jaxtyping import Float, Int64
from torch import Tensor, nn

from detlab.anchors import Decode, decode_deltas
from detlab.boxes import box_iou, clip_boxes, scale_boxes
from detlab.classify import softmax
from detlab.images import batch_images, fit_image, image_size
from detlab.types import Activation, Detection, Predictions

Nms = Callable[[Tensor, Tensor, float], Tensor]
"""boxes [N 4], scores [N], IoU threshold to the rows kept, best score first."""
Candidates = Callable[
    [Predictions, int, tuple[int, int], float, int], tuple[Tensor, Tensor, Tensor]
]
"""predictions, row of an image, its size, score threshold, how many: boxes, labels, scores."""


def to_scores(
    logits: Float[Tensor, "A K"], activation: Activation = "sigmoid"
) -> Float[Tensor, "A K"]:
    """Logits to scores from 0 to 1. Softmax's share of background is no detection: it becomes 0.

    >>> to_scores(torch.tensor([[0.0, 0.0, 0.0]]), "softmax")
    tensor([[0.0000, 0.3333, 0.3333]])
    """
    if activation == "sigmoid":
        return logits.sigmoid()
    scores = softmax(logits)
    return torch.cat([torch.zeros_like(scores[:, :1]), scores[:, 1:]], dim=1)


def nms(
    boxes: Float[Tensor, "N 4"], scores: Float[Tensor, " N"], iou_threshold: float
) -> Int64[Tensor, " K"]:
    """Take the best box, suppress all that overlap it by more than the threshold, go on.

    A suppressed box suppresses nobody. The model uses torchvision's compiled twin of this.

    Returns:
        The rows kept, best score first; of equal scores the earlier row.

    >>> boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 8.0], [20.0, 0.0, 30.0, 5.0]])
    >>> nms(boxes, torch.tensor([0.9, 0.8, 0.7]), iou_threshold=0.5)
    tensor([0, 2])
    """
    waiting = scores.argsort(descending=True, stable=True)
    kept = []
    while len(waiting) > 0:
        best, others = waiting[0], waiting[1:]
        kept.append(best)
        iou = box_iou(boxes[best, None], boxes[others])[0]
        waiting = others[iou.double() <= iou_threshold]  # in float32 0.1 is above 0.1
    return torch.stack(kept) if kept else waiting


def suppressed_by(
    boxes: Float[Tensor, "N 4"],
    scores: Float[Tensor, " N"],
    iou_threshold: float,
    nms: Nms = torchvision.ops.nms,
) -> Int64[Tensor, " N"]:
    """Whom NMS blames: of each box the row that suppressed it, of a kept box its own row.

    The first box taken that overlaps it too much was it, so the blame never falls on a box that
    was suppressed itself.

    >>> boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 8.0], [20.0, 0.0, 30.0, 5.0]])
    >>> suppressed_by(boxes, torch.tensor([0.9, 0.8, 0.7]), iou_threshold=0.5)
    tensor([0, 0, 2])
    """
    kept = nms(boxes, scores, iou_threshold)
    if len(kept) == 0:
        return kept
    too_close = box_iou(boxes[kept], boxes).double() > iou_threshold  # [K, N]
    suppressor = kept[too_close.int().argmax(dim=0)]  # the first in the order of taking
    suppressor[kept] = kept
    return suppressor


def separate_classes(
    boxes: Float[Tensor, "N 4"], labels: Int64[Tensor, " N"]
) -> Float[Tensor, "N 4"]:
    """Move each class to a place of its own, so that NMS never compares two classes.

    >>> separate_classes(torch.tensor([[0.0, 0.0, 9.0, 4.0]] * 2), torch.tensor([0, 2]))
    tensor([[ 0.,  0.,  9.,  4.],
            [20., 20., 29., 24.]])
    """
    if len(boxes) == 0:
        return boxes
    extent = boxes.max() - boxes.min() + 1  # corners may be negative
    return boxes + (labels * extent)[:, None]


def nms_per_class(
    boxes: Float[Tensor, "N 4"],
    labels: Int64[Tensor, " N"],
    scores: Float[Tensor, " N"],
    iou_threshold: float,
    nms: Nms = torchvision.ops.nms,
) -> Int64[Tensor, " K"]:
    """NMS of every class by itself: a fish suppresses fish, never a turtle.

    Returns:
        The rows kept, best score first.

    >>> boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0]] * 3)
    >>> nms_per_class(boxes, torch.tensor([1, 1, 2]), torch.tensor([0.7, 0.8, 0.9]), 0.5)
    tensor([2, 1])
    """
    return nms(separate_classes(boxes, labels), scores, iou_threshold)


def soft_nms(
    boxes: Float[Tensor, "N 4"], scores: Float[Tensor, " N"], sigma: float = 0.5
) -> Float[Tensor, " N"]:
    """New scores: each box lowers those that overlap it, by exp(−IoU² / sigma), best first.

    Nothing is thrown away, so a second animal behind the first keeps a chance.

    >>> boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 5.0]])
    >>> soft_nms(boxes, torch.tensor([1.0, 0.8]))  # 0.8 · exp(−0.5² / 0.5)
    tensor([1.0000, 0.4852])
    """
    for _, lowered in soft_nms_steps(boxes, scores, sigma):
        scores = lowered
    return scores.clone()


def soft_nms_steps(
    boxes: Float[Tensor, "N 4"], scores: Float[Tensor, " N"], sigma: float = 0.5
) -> Iterator[tuple[int, Float[Tensor, " N"]]]:
    """The decisions of Soft-NMS one by one: the row that was taken, and all scores after that.

    Raises:
        ValueError: sigma is not above 0.

    >>> boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 5.0]])
    >>> [row for row, _ in soft_nms_steps(boxes, torch.tensor([0.8, 1.0]))]
    [1, 0]
    """
    if sigma <= 0:
        raise ValueError(f"soft_nms: want sigma > 0, got {sigma}")
    waiting = torch.ones_like(scores, dtype=torch.bool)
    iou = box_iou(boxes, boxes)
    for _ in range(len(boxes)):
        best = int(scores.masked_fill(~waiting, -1.0).argmax())
        waiting[best] = False
        scores = torch.where(waiting, scores * torch.exp(-(iou[best] ** 2) / sigma), scores)
        yield best, scores


def to_detection(
    boxes: Float[Tensor, "N 4"], scores: Float[Tensor, "N K"], score_threshold: float = 0.5
) -> Detection:
    """The boxes whose best class scores above the threshold, best score first.

    Column 0 of the scores is background: nothing to report.

    >>> boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0], [4.0, 0.0, 13.0, 9.0]])
    >>> to_detection(boxes, torch.tensor([[0.9, 0.1, 0.0], [0.2, 0.1, 0.7]]))["labels"]
    tensor([2])
    """
    best_score, column = scores[:, 1:].max(dim=1)
    order = best_score.argsort(descending=True, stable=True)
    rows = order[best_score[order] > score_threshold]
    return Detection(boxes=boxes[rows], labels=column[rows] + 1, scores=best_score[rows])


def select_candidates(
    predictions: Predictions,
    row: int,
    image_size: tuple[int, int],
    score_threshold: float,
    max_candidates: int,
    decode: Decode = decode_deltas,
) -> tuple[Float[Tensor, "N 4"], Int64[Tensor, " N"], Float[Tensor, " N"]]:
    """The raw boxes of one image: its best anchors and classes, decoded and clipped.

    One anchor can be a candidate for several classes.

    Returns:
        boxes, labels, scores; best score first.

    >>> logits, anchors = torch.tensor([[[0.0, 2.0, -2.0]]]), torch.tensor([[0.0, 0.0, 8.0, 8.0]])
    >>> said = Predictions(logits, torch.zeros(1, 1, 4), anchors, "sigmoid")
    >>> select_candidates(said, 0, (6, 20), score_threshold=0.6, max_candidates=1000)
    (tensor([[0., 0., 8., 6.]]), tensor([1]), tensor([0.8808]))
    """
    scores = to_scores(predictions.logits[row].float(), predictions.activation)
    anchor, label = (scores > score_threshold).nonzero().unbind(dim=1)
    scores, best = scores[anchor, label].sort(descending=True, stable=True)
    best = best[:max_candidates]
    anchor, label = anchor[best], label[best]
    deltas = predictions.deltas[row, anchor].float()
    boxes = decode(deltas, predictions.anchors[anchor], predictions.delta_weights)
    return clip_boxes(boxes, image_size), label, scores[:max_candidates]


def select_detections(
    predictions: Predictions,
    image_sizes: Sequence[tuple[int, int]],
    score_threshold: float = 0.3,
    iou_threshold: float = 0.5,
    max_detections: int = 100,
    max_candidates: int = 1000,
    per_class: bool = True,
    nms: Nms = torchvision.ops.nms,
    soft_sigma: float | None = None,
    candidates: Candidates = select_candidates,
) -> list[Detection]:
    """Predictions of a batch to one list of boxes per image.

    The loop over the batch stands here, because the number of detections varies.

    Args:
        predictions: what the detector said of the batch.
        image_sizes: (height, width) of each image; boxes are clipped to it.
        score_threshold: below it nothing is a detection, 0 to 1.
        iou_threshold: of two boxes that overlap more, the better stays, 0 to 1.
        max_detections: the best so many of each image stay.
        max_candidates: the best so many of each image go into NMS.
        per_class: suppress within a class only; False: across all classes.
        nms: torchvision's compiled one, or `nms` above, or your own.
        soft_sigma: use Soft-NMS with this sigma instead of `nms`.
        candidates: raw boxes of one image, see `select_candidates`.

    Raises:
        ValueError: a threshold outside 0 to 1, or another number of sizes than of images.
    """
    for name, value in (("score_threshold", score_threshold), ("iou_threshold", iou_threshold)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} lies between 0 and 1, got {value}")
    if len(image_sizes) != len(predictions.logits):
        raise ValueError(f"{len(predictions.logits)} images but {len(image_sizes)} image sizes")

    detections = []
    for row, size in enumerate(image_sizes):
        boxes, labels, scores = candidates(predictions, row, size, score_threshold, max_candidates)
        raw = Detection(boxes=boxes, labels=labels, scores=scores)
        detections.append(
            suppress(
                raw, score_threshold, iou_threshold, max_detections, per_class, nms, soft_sigma
            )
        )
    return detections


def suppress(
    raw: Detection,
    score_threshold: float = 0.3,
    iou_threshold: float = 0.5,
    max_detections: int = 100,
    per_class: bool = True,
    nms: Nms = torchvision.ops.nms,
    soft_sigma: float | None = None,
) -> Detection:
    """Raw boxes of one image to one box per object, best score first; see `select_detections`."""
    boxes, labels, scores = raw["boxes"], raw["labels"], raw["scores"]
    rivals = labels if per_class else torch.zeros_like(labels)  # zeros: one class of all
    if soft_sigma is None:
        keep = nms_per_class(boxes, rivals, scores, iou_threshold, nms)[:max_detections]
    else:
        scores = soft_nms(separate_classes(boxes, rivals), scores, soft_sigma)
        order = scores.argsort(descending=True, stable=True)[:max_detections]
        keep = order[scores[order] > score_threshold]
    return Detection(boxes=boxes[keep], labels=labels[keep], scores=scores[keep])


@torch.no_grad()
def detect(
    detector: Callable[[Tensor], Predictions],
    images: Sequence[Tensor],
    longest_side: int | None = None,
    **options: Any,
) -> list[Detection]:
    """Pictures to boxes, everything included: evaluation mode, no gradients, any sizes.

    Only pictures of one size share a batch: the network would see objects on the edge of padding.
    All of one size go through at once; hand in fewer where memory is short.

    Args:
        detector: a Detector, or anything else that maps a batch of images to Predictions.
        images: [3, H, W] each, uint8 or float from 0 to 1; sizes may differ.
        longest_side: pixels to which pictures are scaled for the network; None leaves them.
        options: thresholds and the like, see `select_detections`.

    Returns:
        One dict per image, on the detector's device; boxes in pixels of the image as it was given.
    """
    fitted = [fit_image(image, longest_side) for image in images]
    detections: dict[int, Detection] = {}
    with evaluation_mode(detector) as device:
        for size, rows in rows_by_size(fitted).items():
            predictions = detector(batch_images([fitted[row] for row in rows]).to(device))
            found = select_detections(predictions, [size] * len(rows), **options)
            detections.update(zip(rows, found, strict=True))
    for row, image in enumerate(images):
        boxes, size = detections[row]["boxes"], image_size(fitted[row])
        detections[row]["boxes"] = scale_boxes(boxes, size, image_size(image))
    return [detections[row] for row in range(len(images))]


def rows_by_size(images: Sequence[Tensor]) -> dict[tuple[int, int], list[int]]:
    """Which pictures [3, H, W] share a (height, width).

    >>> rows_by_size([torch.zeros(3, 4, 6), torch.zeros(3, 6, 4), torch.zeros(3, 4, 6)])
    {(4, 6): [0, 2], (6, 4): [1]}
    """
    rows: dict[tuple[int, int], list[int]] = {}
    for row, image in enumerate(images):
        rows.setdefault(image_size(image), []).append(row)
    return rows


@contextmanager
def evaluation_mode(detector: Callable[[Tensor], Predictions]) -> Iterator[torch.device | None]:
    """Batch norm and dropout as in use, for a while; gives the device where the weights lie."""
    if not isinstance(detector, nn.Module):
        yield None
        return
    was_training = detector.training
    detector.eval()
    try:
        yield next((parameter.device for parameter in detector.parameters()), None)
    finally:
        detector.train(was_training)
