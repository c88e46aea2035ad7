"""Geometry of boxes: formats, area, overlap.

Boxes are x1 y1 x2 y2 in pixels, continuous: the box of pixel 0 is 0 to 1, so width is x2 − x1.

GIoU is from Rezatofighi et al., "Generalized Intersection over Union", CVPR 2019.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from detlab.checks import check_rows


def xyxy_to_cxcywh(boxes: Float[Tensor, "N 4"]) -> Float[Tensor, "N 4"]:
    """Corners to centre and size, in pixels.

    >>> xyxy_to_cxcywh(torch.tensor([[10.0, 20.0, 14.0, 30.0]]))
    tensor([[12., 25.,  4., 10.]])
    """
    x1, y1, x2, y2 = boxes.unbind(dim=1)
    return torch.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], dim=1)


def cxcywh_to_xyxy(boxes_cxcywh: Float[Tensor, "N 4"]) -> Float[Tensor, "N 4"]:
    """Centre and size to corners, in pixels.

    >>> cxcywh_to_xyxy(torch.tensor([[12.0, 25.0, 4.0, 10.0]]))
    tensor([[10., 20., 14., 30.]])
    """
    cx, cy, w, h = boxes_cxcywh.unbind(dim=1)
    return torch.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], dim=1)


def xyxy_to_xywh(boxes: Float[Tensor, "N 4"]) -> Float[Tensor, "N 4"]:
    """Corners to top-left corner and size, as COCO's files have it, in pixels.

    >>> xyxy_to_xywh(torch.tensor([[10.0, 20.0, 14.0, 30.0]]))
    tensor([[10., 20.,  4., 10.]])
    """
    return torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], dim=1)


def xywh_to_xyxy(boxes_xywh: Float[Tensor, "N 4"]) -> Float[Tensor, "N 4"]:
    """Top-left corner and size to corners, in pixels.

    >>> xywh_to_xyxy(torch.tensor([[10.0, 20.0, 4.0, 10.0]]))
    tensor([[10., 20., 14., 30.]])
    """
    return torch.cat([boxes_xywh[:, :2], boxes_xywh[:, :2] + boxes_xywh[:, 2:]], dim=1)


def normalise_boxes(
    boxes: Float[Tensor, "N 4"], image_size: tuple[int, int]
) -> Float[Tensor, "N 4"]:
    """Pixels to fractions of the image's width and height, 0 to 1.

    >>> normalise_boxes(torch.tensor([[10.0, 20.0, 50.0, 40.0]]), image_size=(80, 100))
    tensor([[0.1000, 0.2500, 0.5000, 0.5000]])
    """
    return scale_boxes(boxes, image_size, (1, 1))


def scale_boxes(
    boxes: Float[Tensor, "N 4"], image_size: tuple[int, int], wanted_size: tuple[int, int]
) -> Float[Tensor, "N 4"]:
    """Boxes on one size of a picture to boxes on another; sizes are (height, width).

    >>> scale_boxes(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), (10, 20), (20, 60))
    tensor([[3., 4., 9., 8.]])
    """
    (height, width), (wanted_height, wanted_width) = image_size, wanted_size
    x, y = wanted_width / width, wanted_height / height
    return boxes * boxes.new_tensor([x, y, x, y])


def box_area(boxes: Float[Tensor, "N 4"]) -> Float[Tensor, " N"]:
    """Width times height, in square pixels.

    >>> box_area(torch.tensor([[10.0, 20.0, 14.0, 30.0]]))
    tensor([40.])
    """
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def intersection_area(
    boxes_a: Float[Tensor, "N 4"], boxes_b: Float[Tensor, "M 4"]
) -> Float[Tensor, "N M"]:
    """The patch that each box of one list shares with each box of the other, in square pixels.

    >>> a, b = torch.tensor([[0.0, 0.0, 4.0, 2.0]]), torch.tensor([[2.0, 1.0, 6.0, 3.0]])
    >>> intersection_area(a, b)
    tensor([[2.]])
    """
    ax1, ay1, ax2, ay2 = boxes_a.T[:, :, None].unbind()  # each [N, 1]
    bx1, by1, bx2, by2 = boxes_b.T.contiguous().unbind()  # each [M]; read N times, so in one piece
    width = torch.minimum(ax2, bx2) - torch.maximum(ax1, bx1)  # [N, M]
    height = torch.minimum(ay2, by2) - torch.maximum(ay1, by1)
    return width.clamp_(min=0) * height.clamp_(min=0)  # boxes apart share no patch


def union_area(
    boxes_a: Float[Tensor, "N 4"], boxes_b: Float[Tensor, "M 4"]
) -> Float[Tensor, "N M"]:
    """What each pair of boxes covers together, in square pixels: the shared patch counts once.

    >>> a, b = torch.tensor([[0.0, 0.0, 4.0, 2.0]]), torch.tensor([[2.0, 1.0, 6.0, 3.0]])
    >>> union_area(a, b)  # 8 + 8 - 2
    tensor([[14.]])
    """
    areas = box_area(boxes_a)[:, None] + box_area(boxes_b)[None, :]
    return areas - intersection_area(boxes_a, boxes_b)


def box_iou(boxes_a: Float[Tensor, "N 4"], boxes_b: Float[Tensor, "M 4"]) -> Float[Tensor, "N M"]:
    """Intersection over union of every pair: 0 apart, 1 the same.

    The union covers the shared patch once. Two boxes of no area have IoU 0.

    >>> a, b = torch.tensor([[0.0, 0.0, 4.0, 2.0]]), torch.tensor([[2.0, 1.0, 6.0, 3.0]])
    >>> box_iou(a, b)  # 2 / (8 + 8 - 2)
    tensor([[0.1429]])
    """
    shared = intersection_area(boxes_a, boxes_b)
    union = box_area(boxes_a)[:, None] + box_area(boxes_b)[None, :] - shared
    return shared / union.clamp(min=torch.finfo(union.dtype).tiny)


def paired_iou(boxes_a: Float[Tensor, "N 4"], boxes_b: Float[Tensor, "N 4"]) -> Float[Tensor, " N"]:
    """Intersection over union of row with row.

    Raises:
        ValueError: not equally many rows; so does `paired_giou`.

    >>> a, b = torch.tensor([[0.0, 0.0, 4.0, 2.0]]), torch.tensor([[2.0, 1.0, 6.0, 3.0]])
    >>> paired_iou(a, b)
    tensor([0.1429])
    """
    shared, union = _paired_areas(boxes_a, boxes_b)
    return shared / union.clamp(min=torch.finfo(union.dtype).tiny)


def paired_giou(
    boxes_a: Float[Tensor, "N 4"], boxes_b: Float[Tensor, "N 4"]
) -> Float[Tensor, " N"]:
    """Generalized IoU of row with row: −1 far apart, 1 the same.

    IoU minus the empty fraction of the smallest box around both, so that boxes
    which do not touch still learn which way to go.

    >>> a, b = torch.tensor([[0.0, 0.0, 4.0, 2.0]]), torch.tensor([[6.0, 0.0, 8.0, 2.0]])
    >>> paired_giou(a, b)  # IoU 0; a gap of 4 in an enclosing 16
    tensor([-0.2500])
    """
    shared, union = _paired_areas(boxes_a, boxes_b)
    around_both = torch.cat(
        [
            torch.minimum(boxes_a[:, :2], boxes_b[:, :2]),
            torch.maximum(boxes_a[:, 2:], boxes_b[:, 2:]),
        ],
        dim=1,
    )
    enclosing = box_area(around_both)
    tiny = torch.finfo(union.dtype).tiny
    return shared / union.clamp(min=tiny) - (enclosing - union) / enclosing.clamp(min=tiny)


def _paired_areas(
    boxes_a: Float[Tensor, "N 4"], boxes_b: Float[Tensor, "N 4"]
) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
    """Row with row: the area in both boxes, and the area in either."""
    check_rows(boxes_a=boxes_a, boxes_b=boxes_b)
    top_left = torch.maximum(boxes_a[:, :2], boxes_b[:, :2])
    bottom_right = torch.minimum(boxes_a[:, 2:], boxes_b[:, 2:])
    shared = (bottom_right - top_left).clamp(min=0).prod(dim=1)
    return shared, box_area(boxes_a) + box_area(boxes_b) - shared


def clip_boxes(boxes: Float[Tensor, "N 4"], image_size: tuple[int, int]) -> Float[Tensor, "N 4"]:
    """Cut boxes off at the image's edges.

    >>> clip_boxes(torch.tensor([[-3.0, 5.0, 40.0, 90.0]]), image_size=(60, 30))
    tensor([[ 0.,  5., 30., 60.]])
    """
    height, width = image_size
    x1, y1, x2, y2 = boxes.unbind(dim=1)
    return torch.stack(
        [x1.clamp(0, width), y1.clamp(0, height), x2.clamp(0, width), y2.clamp(0, height)], dim=1
    )
