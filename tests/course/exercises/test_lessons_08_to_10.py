"""Other right ways pass, and mistakes are known in a learner's own words."""

import pytest
import torch

from detlab.boxes import box_iou, clip_boxes
from detlab.course import exercises
from detlab.detector.anchors import decode_deltas
from detlab.detector.postprocess import to_scores


def my_select_candidates(predictions, row, image_size, score_threshold, max_candidates):
    scores = to_scores(predictions.logits[row].float(), predictions.activation)[:, 1:]
    best = [
        (-score, anchor, column + 1)
        for anchor, of_anchor in enumerate(scores.tolist())
        for column, score in enumerate(of_anchor)
        if score > score_threshold
    ]
    best = sorted(best)[:max_candidates]
    rows = torch.tensor([anchor for _, anchor, _ in best], dtype=torch.int64)
    boxes = decode_deltas(
        predictions.deltas[row][rows].float(), predictions.anchors[rows], predictions.delta_weights
    )
    labels = torch.tensor([label for *_, label in best], dtype=torch.int64)
    found = torch.tensor([-score for score, *_ in best])
    return clip_boxes(boxes, image_size), labels, found


def my_match_detections(boxes, scores, gt_boxes, iou_threshold=0.5):
    matches, free = torch.full((len(boxes),), -1), set(range(len(gt_boxes)))
    for row in sorted(range(len(boxes)), key=lambda row: -scores[row].item()):
        iou = {column: box_iou(boxes[[row]], gt_boxes[[column]]).item() for column in free}
        best = max(iou, key=iou.get, default=None)
        if best is not None and iou[best] >= iou_threshold:
            matches[row] = best
            free.remove(best)
    return matches


def my_average_precision(precision, recall):
    levels = [round(level * 0.01, 2) for level in range(101)]
    best = [precision[recall >= level - 1e-12].tolist() for level in levels]
    return torch.tensor([max(each, default=0.0) for each in best]).double().mean()


@pytest.mark.parametrize("mine", [my_select_candidates, my_match_detections, my_average_precision])
def test_other_right_ways_pass(mine):
    verdict = exercises.ALL[mine.__name__.removeprefix("my_")].grade(mine)
    assert verdict.passed, verdict.text


def nms_per_class_counting_within(boxes, labels, scores, iou_threshold):
    kept = []
    for label in labels.unique():
        mine = labels == label
        kept.append(exercises.nms.reference(boxes[mine], scores[mine], iou_threshold))
    return torch.cat(kept)


def nms_per_class_without_empty(boxes, labels, scores, iou_threshold):
    kept = []
    for label in labels.unique():
        rows = (labels == label).nonzero()[:, 0]
        kept.append(rows[exercises.nms.reference(boxes[rows], scores[rows], iou_threshold)])
    kept = torch.cat(kept)
    return kept[scores[kept].argsort(descending=True)]


def candidates_among_animals(predictions, row, image_size, score_threshold, most):
    scores = to_scores(predictions.logits[row].float(), predictions.activation)
    if predictions.activation == "softmax":
        scores = scores / scores.sum(dim=1, keepdim=True)
    anchor, label = (scores > score_threshold).nonzero().unbind(dim=1)
    scores, best = scores[anchor, label].sort(descending=True)
    anchor, label = anchor[best[:most]], label[best[:most]]
    deltas, anchors = predictions.deltas[row, anchor].float(), predictions.anchors[anchor]
    boxes = decode_deltas(deltas, anchors, predictions.delta_weights)
    return clip_boxes(boxes, image_size), label, scores[:most]


def matches_in_the_given_order(boxes, scores, gt_boxes, iou_threshold=0.5):
    matches, iou = torch.full((len(boxes),), -1), box_iou(boxes, gt_boxes)
    for row in range(len(boxes)):
        best_iou, best = iou[row].max(dim=0)
        if best_iou >= iou_threshold:
            matches[row] = best
            iou[:, best] = -1
    return matches


def matches_left_sorted(boxes, scores, gt_boxes, iou_threshold=0.5):
    boxes = boxes[scores.argsort(descending=True, stable=True)]
    if len(gt_boxes) == 0:
        return torch.full((len(boxes),), -1)
    return matches_in_the_given_order(boxes, scores, gt_boxes, iou_threshold)


def area_under_the_raw_curve(precision, recall):
    area, before = 0.0, 0.0
    for height, reached in zip(precision.tolist(), recall.tolist(), strict=True):
        area, before = area + height * (reached - before), reached
    return torch.tensor(area).double()


@pytest.mark.parametrize(
    ("name", "wrong", "mistake"),
    [
        (
            "nms_per_class",
            nms_per_class_counting_within,
            "row numbers of one class were returned, unsorted, and no boxes were not thought of",
        ),
        (
            "nms_per_class",
            nms_per_class_without_empty,
            "without boxes there was nothing to put together",
        ),
        (
            "select_candidates",
            candidates_among_animals,
            "the softmax ran over the animals alone",
        ),
        (
            "match_detections",
            matches_in_the_given_order,
            "detections chose in the order of their rows, and none at all was not thought of",
        ),
        (
            "match_detections",
            matches_left_sorted,
            "the answers stand in the order of the scores",
        ),
        (
            "average_precision",
            area_under_the_raw_curve,
            "rectangles were added under the curve as it is",
        ),
    ],
)
def test_a_mistake_is_known_in_other_words(name, wrong, mistake):
    assert exercises.ALL[name].grade(wrong).mistake == mistake
