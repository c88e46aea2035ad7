"""Lesson 05, How many are there? Windows over a picture, lists of dicts, a batch of any sizes."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from torch import Tensor

from detlab.boxes import xyxy_to_xywh
from detlab.course.exercises.examples import draw_answers, seeded_boxes, table
from detlab.course.exercises.exercise import Case, Exercise
from detlab.data import datasets as data
from detlab.detector import anchors, postprocess
from detlab.draw.figures import draw_image

Size = tuple[int, int]
"""height, width"""

# ---------------------------------------------------------------- window_boxes


def boxes_at(y: Tensor, x: Tensor, window: Size) -> Tensor:
    """A window with its corner at each y and x, row by row."""
    corners = torch.cartesian_prod(y, x).flip(dims=[1]).float()
    return torch.cat([corners, corners + torch.tensor([window[1], window[0]])], dim=1)


def windows_without_the_last(image_size: Size, window: Size, stride: int) -> Tensor:
    """The range ends one too early."""
    y = torch.arange(0, image_size[0] - window[0], stride)
    x = torch.arange(0, image_size[1] - window[1], stride)
    return boxes_at(y, x, window)


def windows_over_the_edge(image_size: Size, window: Size, stride: int) -> Tensor:
    """One corner for every stride of the image."""
    return boxes_at(
        torch.arange(0, image_size[0], stride), torch.arange(0, image_size[1], stride), window
    )


def windows_with_x_and_y_swapped(image_size: Size, window: Size, stride: int) -> Tensor:
    """y1 x1 y2 x2."""
    return anchors.window_boxes(image_size, window, stride)[:, [1, 0, 3, 2]]


def windows_turned(image_size: Size, window: Size, stride: int) -> Tensor:
    """The window's width as its height."""
    height, width = image_size
    y = torch.arange(0, height - window[1] + 1, stride)
    x = torch.arange(0, width - window[0] + 1, stride)
    return boxes_at(y, x, (window[1], window[0]))


def windows_column_by_column(image_size: Size, window: Size, stride: int) -> Tensor:
    """Down first."""
    height, width = image_size
    turned = anchors.window_boxes((width, height), (window[1], window[0]), stride)
    return turned[:, [1, 0, 3, 2]]


def windows_side_by_side(image_size: Size, window: Size, stride: int) -> Tensor:
    """A step as long as the window."""
    y = torch.arange(0, image_size[0] - window[0] + 1, window[0])
    x = torch.arange(0, image_size[1] - window[1] + 1, window[1])
    return boxes_at(y, x, window)


def windows_a_pixel_short(image_size: Size, window: Size, stride: int) -> Tensor:
    """The last pixel's number as the edge."""
    return anchors.window_boxes(image_size, window, stride) - torch.tensor([0.0, 0.0, 1.0, 1.0])


def windows_with_sizes(image_size: Size, window: Size, stride: int) -> Tensor:
    """Corner and size."""
    return xyxy_to_xywh(anchors.window_boxes(image_size, window, stride))


window_boxes = Exercise(
    reference=anchors.window_boxes,
    cases={
        "a square window, two places": ((8, 12), (8, 8), 4),
        "a wide window over a high picture": ((20, 12), (6, 8), 2),
        "the stride leaves a rest": ((11, 15), (4, 6), 4),
        "the window is the picture": ((9, 7), (9, 7), 3),
        "one pixel high, stride 1": ((3, 5), (1, 2), 1),
        "one pixel wide": ((6, 4), (3, 1), 2),
    },
    mistakes={
        "the last window is missing": (
            windows_without_the_last,
            "From 0 to 4 with windows of 8 in 12 pixels: 12 − 8 is still a place. arange stops"
            " before its end, so add 1.",
        ),
        "windows hang over the edge": (
            windows_over_the_edge,
            "The last place is where the window's *right* edge meets the picture's.",
        ),
        "x and y are swapped": (
            windows_with_x_and_y_swapped,
            "Sizes are (height, width), boxes are x1 y1 x2 y2: the order turns around.",
        ),
        "the window's height and width are swapped": (
            windows_turned,
            "window is (height, width), like image_size.",
        ),
        "windows run down the columns": (
            windows_column_by_column,
            "Row by row, as you read: the second window is to the right of the first.",
        ),
        "the step is the window, not the stride": (
            windows_side_by_side,
            "Windows overlap: from one to the next it is `stride` pixels.",
        ),
        "the far edges are a pixel short": (
            windows_a_pixel_short,
            "Coordinates are continuous: x2 = x1 + width.",
        ),
        "width and height stand where x2 and y2 belong": (
            windows_with_sizes,
            "The last two numbers are the far corner: x1 + width, y1 + height.",
        ),
    },
    hints=[
        "Where may y1 be? 0, stride, 2 · stride … as long as y1 + window height ≤ image height.",
        "torch.arange(0, height − window_height + 1, stride) is all y1. The same for x1.",
        "Two loops, y outside and x inside; or torch.cartesian_prod(y, x).flip(dims=[1]) gives all"
        " corners x1 y1.",
    ],
    draw=draw_answers,
)

# ---------------------------------------------------------------- to_detection


def listed(boxes: Tensor, scores: Tensor, columns: Tensor, keep: Tensor) -> dict[str, Tensor]:
    """The rows to keep, best score first."""
    rows = scores.argsort(descending=True, stable=True)
    rows = rows[keep[rows]]
    return {"boxes": boxes[rows], "labels": columns[rows], "scores": scores[rows]}


def detection_of_background(
    boxes: Tensor, scores: Tensor, score_threshold: float = 0.5
) -> dict[str, Tensor]:
    """Label 0, reported."""
    best, column = scores.max(dim=1)
    return listed(boxes, best, column, best > score_threshold)


def detection_of_winners(
    boxes: Tensor, scores: Tensor, score_threshold: float = 0.5
) -> dict[str, Tensor]:
    """Only where background is not the largest."""
    best, column = scores.max(dim=1)
    return listed(boxes, best, column, (best > score_threshold) & (column > 0))


def detection_one_label_low(
    boxes: Tensor, scores: Tensor, score_threshold: float = 0.5
) -> dict[str, Tensor]:
    """Columns counted after background was cut off."""
    best, column = scores[:, 1:].max(dim=1)
    return listed(boxes, best, column, best > score_threshold)


def detection_worst_first(
    boxes: Tensor, scores: Tensor, score_threshold: float = 0.5
) -> dict[str, Tensor]:
    """Ascending."""
    found = postprocess.to_detection(boxes, scores, score_threshold)
    worst_first = found["scores"].argsort(stable=True)
    return {"boxes": found["boxes"][worst_first], "labels": found["labels"][worst_first],
            "scores": found["scores"][worst_first]}  # fmt: skip


def detection_unsorted(
    boxes: Tensor, scores: Tensor, score_threshold: float = 0.5
) -> dict[str, Tensor]:
    """In the order of the boxes."""
    best, column = scores[:, 1:].max(dim=1)
    keep = best > score_threshold
    return {"boxes": boxes[keep], "labels": column[keep] + 1, "scores": best[keep]}


def detection_with_boxes_left_behind(
    boxes: Tensor, scores: Tensor, score_threshold: float = 0.5
) -> dict[str, Tensor]:
    """Scores and labels sorted, boxes not."""
    found = postprocess.to_detection(boxes, scores, score_threshold)
    keep = scores[:, 1:].max(dim=1).values > score_threshold
    return {"boxes": boxes[keep], "labels": found["labels"], "scores": found["scores"]}


def detection_at_the_threshold(
    boxes: Tensor, scores: Tensor, score_threshold: float = 0.5
) -> dict[str, Tensor]:
    """>= for >."""
    best, column = scores[:, 1:].max(dim=1)
    return listed(boxes, best, column + 1, best >= score_threshold)


def detection_of_anything(
    boxes: Tensor, scores: Tensor, score_threshold: float = 0.5
) -> dict[str, Tensor]:
    """All that is not background, together."""
    best, column = scores[:, 1:].max(dim=1)
    return listed(boxes, best, column + 1, 1 - scores[:, 0] > score_threshold)


def detection_box_by_box(
    boxes: Tensor, scores: Tensor, score_threshold: float = 0.5
) -> list[dict[str, Tensor]]:
    """A dict per box."""
    found = postprocess.to_detection(boxes, scores, score_threshold)
    parts = zip(found["boxes"], found["labels"], found["scores"], strict=True)
    return [{"boxes": box, "labels": label, "scores": score} for box, label, score in parts]


def rows_of(*rows: Sequence[float]) -> Tensor:
    """Scores, one box a row, background first."""
    return torch.tensor(rows)


to_detection = Exercise(
    reference=postprocess.to_detection,
    cases={
        "four windows, two animals": (
            seeded_boxes(4, seed=0),
            rows_of((0.1, 0.6, 0.3), (0.9, 0.1, 0.0), (0.0, 0.2, 0.8), (0.8, 0.1, 0.1)),
        ),
        "a score of exactly the threshold": (
            seeded_boxes(3, seed=1),
            rows_of((0.5, 0.5, 0.0), (0.25, 0.0, 0.75), (0.75, 0.0, 0.25)),
            0.5,
        ),
        "two classes share what is not background": (
            seeded_boxes(2, seed=2),
            rows_of((0.2, 0.4, 0.4), (0.3, 0.1, 0.6)),
        ),
        "a lower threshold": (
            seeded_boxes(3, seed=3),
            rows_of((0.6, 0.1, 0.3), (0.4, 0.35, 0.25), (0.9, 0.05, 0.05)),
            0.2,
        ),
        "equal scores": (
            seeded_boxes(3, seed=4),
            rows_of((0.2, 0.8, 0.0), (0.1, 0.9, 0.0), (0.2, 0.0, 0.8)),
        ),
        "nothing in sight": (
            seeded_boxes(2, seed=5),
            rows_of((0.9, 0.1, 0.0), (1.0, 0.0, 0.0)),
        ),
        "no boxes": (table(), torch.zeros(0, 3)),
    },
    mistakes={
        "background is reported": (
            detection_of_background,
            "Column 0 says how sure it is that nothing is there. Choose among scores[:, 1:].",
        ),
        "an animal lost to background": (
            detection_of_winners,
            "Background does not compete: leave column 0 out *before* max, scores[:, 1:]. An animal"
            " above the threshold stays, also where background has more.",
        ),
        "labels are one too low": (
            detection_one_label_low,
            "In scores[:, 1:] column 0 is class 1: add 1 to what max(dim=1) gives.",
        ),
        "the worst score comes first": (
            detection_worst_first,
            "Best first: argsort(descending=True).",
        ),
        "nothing is sorted": (
            detection_unsorted,
            "Best score first: sort boxes, labels and scores by the score.",
        ),
        "boxes were not sorted with their scores": (
            detection_with_boxes_left_behind,
            "One order for all three: boxes[rows], labels[rows], scores[rows].",
        ),
        "a score of exactly the threshold counts": (
            detection_at_the_threshold,
            "Above the threshold: >, not >=.",
        ),
        "all classes together pass the threshold": (
            detection_of_anything,
            "The *best class* must be above it. 0.4 fish and 0.4 crab are no sure anything.",
        ),
        "there is a dict for each box": (
            detection_box_by_box,
            "One dict per *picture*: `boxes` [N, 4], `labels` [N], `scores` [N], row by row.",
        ),
    },
    hints=[
        "Each box has one best class: scores[:, 1:].max(dim=1) gives its score and its column.",
        "order = best_score.argsort(descending=True, stable=True); keep those above the threshold.",
        'rows = order[best_score[order] > score_threshold]; then {"boxes": boxes[rows],'
        ' "labels": column[rows] + 1, "scores": best_score[rows]}.',
    ],
)

# ---------------------------------------------------------------- collate

Batch = Sequence[tuple[Tensor, dict[str, Any]]]


def common_size(batch: Batch, multiple: int) -> Size:
    """The height and width that hold every picture."""
    height, width = (max(image.shape[side] for image, _ in batch) for side in (1, 2))
    return -(-height // multiple) * multiple, -(-width // multiple) * multiple


def filled(image: Tensor, size: Size, value: int = 0) -> Tensor:
    """A picture, filled up on the right and below."""
    height, width = size
    return F.pad(image, (0, width - image.shape[2], 0, height - image.shape[1]), value=value)


def targets_of(batch: Batch) -> list[dict[str, Any]]:
    """As they came."""
    return [target for _, target in batch]


def collate_at_the_top(batch: Batch, multiple: int = 32) -> Any:
    """Padding before the picture."""
    height, width = common_size(batch, multiple)
    images = [
        F.pad(image, (width - image.shape[2], 0, height - image.shape[1], 0)) for image, _ in batch
    ]
    return torch.stack(images), targets_of(batch)


def collate_stretched(batch: Batch, multiple: int = 32) -> Any:
    """Every picture resized."""
    size = common_size(batch, multiple)
    images = [F.interpolate(image[None].float(), size)[0].to(torch.uint8) for image, _ in batch]
    return torch.stack(images), targets_of(batch)


def collate_without_rounding(batch: Batch, multiple: int = 32) -> Any:
    """As large as the largest."""
    size = common_size(batch, 1)
    return torch.stack([filled(image, size) for image, _ in batch]), targets_of(batch)


def collate_with_one_more(batch: Batch, multiple: int = 32) -> Any:
    """A side that fits already grows by one multiple, too."""
    height, width = (max(image.shape[side] for image, _ in batch) for side in (1, 2))
    size = (height // multiple + 1) * multiple, (width // multiple + 1) * multiple
    return torch.stack([filled(image, size) for image, _ in batch]), targets_of(batch)


def collate_turned(batch: Batch, multiple: int = 32) -> Any:
    """Height and width of the batch exchanged."""
    height, width = common_size(batch, multiple)
    images = [F.pad(image, (0, 999, 0, 999))[:, :width, :height] for image, _ in batch]
    return torch.stack(images), targets_of(batch)


def collate_white(batch: Batch, multiple: int = 32) -> Any:
    """Padded with 255."""
    size = common_size(batch, multiple)
    return torch.stack([filled(image, size, 255) for image, _ in batch]), targets_of(batch)


def collate_with_padded_boxes(batch: Batch, multiple: int = 32) -> Any:
    """Every target filled up with boxes of zeros."""
    images, targets = data.collate(batch, multiple)
    most = max(len(target["boxes"]) for target in targets)
    padded = [
        {
            **target,
            "boxes": F.pad(target["boxes"], (0, 0, 0, most - len(target["boxes"]))),
            "labels": F.pad(target["labels"], (0, most - len(target["labels"]))),
        }
        for target in targets
    ]
    return images, padded


def collate_one_target(batch: Batch, multiple: int = 32) -> Any:
    """All boxes in one dict."""
    images, targets = data.collate(batch, multiple)
    return images, {key: torch.cat([target[key] for target in targets]) for key in targets[0]}


def collate_into_pairs(batch: Batch, multiple: int = 32) -> Any:
    """A list of pairs, as it came."""
    size = common_size(batch, multiple)
    return [(filled(image, size), target) for image, target in batch]


def item(height: int, width: int, objects: int, seed: int) -> tuple[Tensor, dict[str, Any]]:
    """A grey picture, lighter at the top left, and boxes in it."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.full((3, height, width), 100 + 10 * seed, dtype=torch.uint8)
    image[:, : height // 2, : width // 3] = 230
    labels = torch.randint(1, 4, (objects,), generator=generator)
    return image, {"boxes": seeded_boxes(objects, seed), "labels": labels}


def draw_batches(axes: Axes, case: Case, got: object, wanted: tuple[Tensor, Any]) -> None:
    """The first pictures of both batches side by side, in one frame."""
    mine = got[0] if isinstance(got, tuple) and got else None
    pictures = [wanted[0][0]]
    if isinstance(mine, Tensor) and mine.ndim == 4 and mine.shape[1] == 3 and len(mine):
        pictures.append(mine[0].to(torch.uint8))
    height = max(picture.shape[1] for picture in pictures)
    gap = torch.full((3, height, 4), 255, dtype=torch.uint8)
    parts = []
    for picture in pictures:
        parts += [filled(picture, (height, picture.shape[2]), 255), gap]
    draw_image(axes, torch.cat(parts, dim=2))
    axes.set_xlabel("first picture of the batch: right" + ", yours" * (len(pictures) - 1))


collate = Exercise(
    reference=data.collate,
    cases={
        "a wide and a high picture": ([item(20, 40, 1, seed=0), item(36, 10, 2, seed=1)],),
        "three pictures, one without objects": (
            [item(12, 20, 2, seed=2), item(9, 24, 0, seed=3), item(16, 17, 3, seed=4)],
            8,
        ),
        "a single picture of 5 × 3": ([item(5, 3, 1, seed=5)], 4),
        "two that fit already": ([item(32, 64, 1, seed=6), item(32, 64, 1, seed=7)],),
    },
    mistakes={
        "the padding is on the left and above": (
            collate_at_the_top,
            "That moves every picture, and its boxes stay where they were. Pad on the right and"
            " below: F.pad(image, (0, right, 0, below)).",
        ),
        "pictures were stretched": (
            collate_stretched,
            "Resizing moves the animals, and boxes do not follow. Fill up with zeros instead.",
        ),
        "the size is not a multiple": (
            collate_without_rounding,
            "Round both sides up: −(−height // multiple) · multiple.",
        ),
        "a size that fits already is rounded up": (
            collate_with_one_more,
            "64 is a multiple of 32: it stays. −(−64 // 32) is 2, and 64 // 32 + 1 is 3.",
        ),
        "height and width of the batch are swapped": (
            collate_turned,
            "A picture is [3, height, width]; F.pad begins with the *last* side, the width.",
        ),
        "the padding is white": (
            collate_white,
            "Fill up with zeros, F.pad's default.",
        ),
        "padding counted as an object": (
            collate_with_padded_boxes,
            "A box of zeros is no animal. Targets stay as they are: a list of dicts.",
        ),
        "all boxes are in one dict": (
            collate_one_target,
            "Then nobody knows whose they are. One dict per picture, in a list.",
        ),
        "pictures and targets are still in pairs": (
            collate_into_pairs,
            "Two things come back: one tensor [B, 3, H, W], and a list of B dicts.",
        ),
    },
    hints=[
        "images, targets = zip(*batch) takes the pairs apart. Targets need no work: list(targets).",
        "The common height is the largest, rounded up: −(−height // multiple) · multiple.",
        "torch.nn.functional.pad(image, (0, width − image.shape[2], 0, height − image.shape[1]))"
        " fills up on the right and below; then torch.stack.",
    ],
    draw=draw_batches,
)
