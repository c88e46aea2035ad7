"""Predictions to detections: scores, thresholds, boxes in the frame of the picture.

Follows model.py. Uses suppression.py, which leaves one box per object.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import torch
import torchvision
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torchvision.ops import remove_small_boxes

from detlab.boxes import clip_boxes, scale_boxes
from detlab.checks import check_count, check_fraction, check_image, check_rows
from detlab.classify import softmax
from detlab.detector.anchors import Decode, decode_deltas
from detlab.detector.padding import MIN_SIDE, Candidates, leave_out_thin, without_padding
from detlab.detector.suppression import Nms, suppress
from detlab.images import batch_images, fit_image, image_size
from detlab.types import Activation, Detection, Predictions


def to_scores(
    logits: Float[Tensor, "A K"], activation: Activation = "sigmoid"
) -> Float[Tensor, "A K"]:
    """Logits to scores from 0 to 1. Background is no detection: its score becomes 0.

    Raises:
        ValueError: an activation that is neither "sigmoid" nor "softmax".

    >>> to_scores(torch.tensor([[0.0, 0.0, 0.0]]), "softmax")
    tensor([[0.0000, 0.3333, 0.3333]])
    """
    if activation not in ("sigmoid", "softmax"):
        raise ValueError(f"activation is 'sigmoid' or 'softmax', got {activation!r}")
    scores = logits.sigmoid() if activation == "sigmoid" else softmax(logits)
    return torch.cat([torch.zeros_like(scores[:, :1]), scores[:, 1:]], dim=1)


def to_detection(
    boxes: Float[Tensor, "N 4"], scores: Float[Tensor, "N K"], score_threshold: float = 0.5
) -> Detection:
    """The boxes whose best class scores above the threshold, best score first.

    Column 0 of the scores is background: nothing to report.

    Raises:
        ValueError: not equally many boxes and rows of scores, or a threshold outside 0 to 1.

    >>> boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0], [4.0, 0.0, 13.0, 9.0]])
    >>> to_detection(boxes, torch.tensor([[0.9, 0.1, 0.0], [0.2, 0.1, 0.7]]))["labels"]
    tensor([2])
    """
    check_rows(boxes=boxes, scores=scores)
    check_fraction("score_threshold", score_threshold)
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


def batch_candidates(
    predictions: Predictions,
    image_size: tuple[int, int],
    score_threshold: float,
    max_candidates: int,
) -> list[tuple[Float[Tensor, "N 4"], Int64[Tensor, " N"], Float[Tensor, " N"]]]:
    """What `leave_out_thin` leaves of `select_candidates`, for all images of one size at once.

    Much quicker than one image after the other: what they need is found and decoded in one go.
    Where one of them has more than `max_candidates`, all are taken one by one after all: to decode
    whatever is above a low threshold could want too much memory.
    """
    scores = torch.stack(
        [to_scores(logits.float(), predictions.activation) for logits in predictions.logits]
    )
    image, anchor, labels = (scores > score_threshold).nonzero().unbind(dim=1)
    if image.bincount(minlength=len(scores)).amax() > max_candidates:
        limits = image_size, score_threshold, max_candidates, select_candidates
        return [leave_out_thin(predictions, row, *limits) for row in range(len(scores))]

    deltas, anchors = predictions.deltas[image, anchor].float(), predictions.anchors[anchor]
    boxes = clip_boxes(decode_deltas(deltas, anchors, predictions.delta_weights), image_size)
    found = boxes, labels, scores[image, anchor, labels]

    kept = remove_small_boxes(boxes, MIN_SIDE)
    kept = kept[found[2][kept].argsort(descending=True, stable=True)]
    kept = kept[image[kept].argsort(stable=True)]  # image by image, best first in each
    counts = image[kept].bincount(minlength=len(scores)).tolist()
    return list(zip(*(part[kept].split(counts) for part in found), strict=True))


def in_turn(
    predictions: Predictions, image_size: tuple[int, int], candidates: Candidates | None
) -> Candidates:
    """Raw boxes image by image, as `select_detections` asks for them, from images of one size.

    Without `candidates` all are found when the first is asked for, by `batch_candidates`.
    """
    if candidates is not None:
        return partial(leave_out_thin, candidates=candidates)
    at_once = cache(partial(batch_candidates, predictions, image_size))
    return lambda predictions, row, image_size, *limits: at_once(*limits)[row]


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

    The loop over the batch stands here, because the number of detections varies. As torchvision
    does, it lets anchors in the padding speak, too; `detect` leaves them out.

    Args:
        predictions: what the detector said of the batch.
        image_sizes: (height, width) of each image; boxes are clipped to it.
        score_threshold: below it nothing is a detection, 0 to 1.
        iou_threshold: of two boxes that overlap more, the better stays, 0 to 1.
        max_detections: the best so many of each image stay.
        max_candidates: the best so many of each image go into NMS.
        per_class: suppress within a class only; False: across all classes.
        nms: torchvision's compiled one, or `suppression.nms`, or your own.
        soft_sigma: use Soft-NMS with this sigma instead of `nms`.
        candidates: raw boxes of one image, see `select_candidates`.

    Raises:
        ValueError: a threshold outside 0 to 1, a number below 0, or another number of sizes than of
            images.
    """
    for name, value in (("score_threshold", score_threshold), ("iou_threshold", iou_threshold)):
        check_fraction(name, value)
    for name, number in (("max_detections", max_detections), ("max_candidates", max_candidates)):
        check_count(name, number)
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


@torch.no_grad()
def detect(
    detector: Callable[[Tensor], Predictions],
    images: Sequence[Tensor],
    longest_side: int | None = None,
    *,
    candidates: Candidates | None = None,
    **options: Any,
) -> list[Detection]:
    """Pictures to boxes, everything included: evaluation mode, no gradients, any sizes.

    Only pictures of one size share a batch, so that what is found in one does not hang on the
    others: they decide how much padding there is. All of one size go through at once; hand in fewer
    where memory is short. What the padding seems to show is left out, see padding.py.

    Args:
        detector: a Detector, or anything else that maps a batch of images to Predictions.
        images: [3, H, W] each, uint8 or float from 0 to 1; sizes may differ.
        longest_side: pixels to which pictures are scaled for the network; None leaves them.
        candidates: raw boxes of one image, see `select_candidates`; None: `batch_candidates`.
        options: thresholds and the like, see `select_detections`.

    Raises:
        ValueError: an image is not [3, H, W] of uint8 or of finite floats from 0 to 1.

    Returns:
        One dict per image, on the detector's device; boxes in pixels of the image as it was given.
    """
    for row, image in enumerate(images):
        check_image(image, f"image {row}")
    fitted = [fit_image(image, longest_side) for image in images]
    detections: dict[int, Detection] = {}
    with evaluation_mode(detector) as device:
        for size, rows in rows_by_size(fitted).items():
            said = detector(batch_images([fitted[row] for row in rows]).to(device))
            said = without_padding(said, size)
            of_each = in_turn(said, size, candidates)
            found = select_detections(said, [size] * len(rows), candidates=of_each, **options)
            detections.update(zip(rows, found, strict=True))
    for row, image in enumerate(images):
        boxes, size, whole = detections[row]["boxes"], image_size(fitted[row]), image_size(image)
        if size != whole:  # scaling may round a box beyond the edge
            detections[row]["boxes"] = clip_boxes(scale_boxes(boxes, size, whole), whole)
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
    """Batch norm and dropout as in use, for a while; gives the device where the weights lie.

    Afterwards every part is in the mode that it was in: some may be frozen while others train.
    """
    if not isinstance(detector, nn.Module):
        yield None
        return
    modes = {module: module.training for module in detector.modules()}
    learns = any(modes.values())
    if learns:
        detector.eval()
    try:
        yield next((parameter.device for parameter in detector.parameters()), None)
    finally:
        if learns:
            detector.train(modes[detector])  # which a part may have made its own
            for module, mode in modes.items():
                module.training = mode
