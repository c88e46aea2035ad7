import math

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st

from detlab.metrics.average_precision import (
    UNMATCHED,
    average_precision,
    class_average_precision,
    count_found,
    find_duplicates,
    find_missed,
    match_detections,
    match_image,
    precision_recall,
)
from tests.sample_detections import (
    detection,
    pycocotools_evaluation,
    random_scene,
    random_scenes,
    squares,
    target,
)

# ---------------------------------------------------------------- match_detections


def test_the_second_detection_of_an_object_is_a_duplicate():
    boxes = torch.cat([squares(0), squares(0), squares(40)])
    matches = match_detections(boxes, torch.tensor([0.3, 0.9, 0.5]), squares(40, 0))
    assert matches.tolist() == [UNMATCHED, 1, 0]


def test_of_equal_scores_the_first_row_chooses_first():
    boxes = torch.cat([squares(0), squares(0)])
    assert match_detections(boxes, torch.tensor([0.5, 0.5]), squares(0)).tolist() == [0, UNMATCHED]


def test_a_detection_turns_to_its_second_best_object_when_the_best_is_taken():
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 10.0]])
    gt_boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 8.0]])
    assert match_detections(boxes, torch.tensor([0.9, 0.8]), gt_boxes).tolist() == [0, 1]


@pytest.mark.parametrize(("height", "expected"), [(5.0, 0), (4.9, UNMATCHED)])
def test_an_overlap_equal_to_the_threshold_is_enough(height, expected):
    box = torch.tensor([[0.0, 0.0, 10.0, height]])  # IoU with the 10-pixel square: height / 10
    assert match_detections(box, torch.tensor([0.9]), squares(0), 0.5).tolist() == [expected]


@pytest.mark.parametrize(("num_detections", "num_objects"), [(0, 0), (0, 2), (3, 0)])
def test_nothing_found_or_nothing_there_leaves_all_unmatched(num_detections, num_objects):
    boxes, gt_boxes = squares(*range(num_detections)), squares(*range(num_objects))
    matches = match_detections(boxes, torch.ones(num_detections), gt_boxes)
    assert matches.tolist() == [UNMATCHED] * num_detections
    assert matches.dtype == torch.int64


@given(seed=st.integers(0, 10_000), threshold=st.sampled_from([0.25, 0.5, 0.75]))
def test_no_object_answers_twice_and_every_answer_overlaps_enough(seed, threshold):
    found, there = random_scene(torch.Generator().manual_seed(seed))
    matches = match_detections(found["boxes"], found["scores"], there["boxes"], threshold)
    hits = matches[matches >= 0]
    assert len(hits.unique()) == len(hits)
    for row in (matches >= 0).nonzero()[:, 0]:
        x1y1 = torch.maximum(found["boxes"][row, :2], there["boxes"][matches[row], :2])
        x2y2 = torch.minimum(found["boxes"][row, 2:], there["boxes"][matches[row], 2:])
        shared = (x2y2 - x1y1).clamp(min=0).prod()
        areas = [
            (b[2:] - b[:2]).prod() for b in (found["boxes"][row], there["boxes"][matches[row]])
        ]
        assert shared / (sum(areas) - shared) > threshold - 1e-5


# ---------------------------------------------------------------- a whole image


@pytest.mark.parametrize("seed", [2, 3])
def test_hits_duplicates_and_misses_of_an_image_are_those_of_its_classes(seed):
    for found, there in zip(*random_scenes(seed, num_images=6), strict=True):
        matches = match_image(found, there)
        hits = matches >= 0
        assert torch.equal(there["labels"][matches[hits]], found["labels"][hits])
        assert int(find_missed(matches, len(there["labels"])).sum() + hits.sum()) == len(
            there["labels"]
        )
        again = find_duplicates(found, there, matches)
        for label in (1, 2, 3):
            rows, objects = found["labels"] == label, there["labels"] == label
            gt_boxes = there["boxes"][objects]
            alone = match_detections(found["boxes"][rows], found["scores"][rows], gt_boxes)
            assert torch.equal(alone >= 0, hits[rows])
            overlaps = torchvision.ops.box_iou(found["boxes"][rows], gt_boxes) >= 0.5
            assert torch.equal(again[rows], overlaps.any(dim=1) & (alone == UNMATCHED))


def test_another_way_to_match_sees_the_boxes_of_one_class_and_the_threshold():
    there = target(squares(0.0, 50.0, 90.0), [1, 2, 1])
    found = detection(squares(0.0, 90.0, 50.0), [1, 1, 2], [0.9, 0.8, 0.7])
    seen = []

    def last(boxes, scores, gt_boxes, iou_threshold):
        seen.append((boxes.tolist(), gt_boxes.tolist(), iou_threshold))
        return torch.full((len(boxes),), len(gt_boxes) - 1)

    assert match_image(found, there, 0.75, match=last).tolist() == [2, 2, 1]
    assert seen == [
        (squares(0.0, 90.0).tolist(), squares(0.0, 90.0).tolist(), 0.75),
        (squares(50.0).tolist(), squares(50.0).tolist(), 0.75),
    ]


def test_a_duplicate_is_of_the_same_class_and_well_placed():
    there = target(squares(0.0, 50.0), [1, 2])
    found = detection(squares(0.0, 1.0, 8.0, 0.0), [1, 1, 1, 2], [0.9, 0.8, 0.7, 0.6])
    matches = match_image(found, there)
    assert matches.tolist() == [0, UNMATCHED, UNMATCHED, UNMATCHED]
    assert find_duplicates(found, there, matches).tolist() == [False, True, False, False]
    assert find_missed(matches, 2).tolist() == [False, True]


def test_what_all_images_found_is_the_sum_over_images_at_the_threshold():
    there = [target(squares(0.0, 50.0), [1, 2]), target(squares(), []), target(squares(0.0), [3])]
    found = [
        detection(squares(0.0, 1.0, 0.0), [1, 1, 2], [0.9, 0.8, 0.7]),
        detection(squares(0.0), [1], [0.9]),
        detection(squares(1.0, 0.0), [3, 3], [0.9, 0.8]),
    ]
    assert count_found(found, there) == (2, 2)
    assert count_found(found, there, iou_threshold=0.9) == (2, 0)  # a pixel off: IoU 81/119
    with pytest.raises(ValueError, match="argument 2 is longer"):
        count_found(found[:1], there)


def test_nothing_found_misses_all_and_nothing_there_misses_nothing():
    nothing = detection(squares(), [], [])
    there = target(squares(0.0), [1])
    assert find_missed(match_image(nothing, there), 1).tolist() == [True]
    found = detection(squares(0.0), [1], [0.5])
    matches = match_image(found, target(squares(), []))
    assert matches.tolist() == [UNMATCHED]
    assert find_missed(matches, 0).tolist() == []
    assert find_duplicates(found, target(squares(), []), matches).tolist() == [False]


# ---------------------------------------------------------------- precision, recall, AP


def test_no_detections_give_empty_curves_and_ap_zero():
    precision, recall = precision_recall(torch.zeros(0), torch.zeros(0, dtype=torch.bool), 3)
    assert precision.shape == recall.shape == (0,)
    assert average_precision(precision, recall) == 0


def test_recall_of_no_objects_is_refused():
    with pytest.raises(ValueError, match="num_objects is 0"):
        precision_recall(torch.ones(1), torch.tensor([False]), 0)


def test_a_perfect_detector_has_average_precision_one():
    curves = precision_recall(torch.rand(7), torch.ones(7, dtype=torch.bool), 7)
    assert average_precision(*curves) == 1


def test_duplicates_below_the_last_hit_cost_nothing():
    is_hit = torch.tensor([True, False, True])
    alone = precision_recall(torch.tensor([0.9, 0.8, 0.7]), is_hit, 2)
    more = torch.cat([is_hit, torch.zeros(500, dtype=torch.bool)])
    scores = torch.cat([torch.tensor([0.9, 0.8, 0.7]), torch.full((500,), 0.1)])
    assert average_precision(*precision_recall(scores, more, 2)) == average_precision(*alone)


@given(
    is_hit=st.lists(st.booleans(), max_size=40),
    missed=st.integers(1, 20),
    seed=st.integers(0, 1000),
)
def test_one_more_hit_never_lowers_average_precision(is_hit, missed, seed):
    hits = torch.tensor(is_hit, dtype=torch.bool)
    scores = torch.rand(len(hits), generator=torch.Generator().manual_seed(seed))
    num_objects = int(hits.sum()) + missed
    before = average_precision(*precision_recall(scores, hits, num_objects))
    best = torch.cat([torch.tensor([2.0]), scores])
    after = average_precision(
        *precision_recall(best, torch.cat([hits.new_ones(1), hits]), num_objects)
    )
    assert 0 <= before <= after <= 1


@pytest.mark.parametrize("seed", range(5))
def test_one_class_at_one_threshold_is_what_pycocotools_says(seed):
    detections, targets = random_scenes(seed)
    detections = [{key: value[:100] for key, value in found.items()} for found in detections]
    oracle = pycocotools_evaluation(detections, targets).eval["precision"]
    for row, threshold in [(0, 0.5), (5, 0.75), (8, 0.9)]:
        for label in (1, 2, 3):
            ours = class_average_precision(detections, targets, label, threshold)
            assert ours == pytest.approx(oracle[row, :, label - 1, 0, -1].mean(), abs=1e-9)


@pytest.mark.parametrize("found", [7, 29, 58])
def test_a_recall_that_equals_a_level_counts_as_in_pycocotools(found):
    boxes = squares(*range(0, 2000, 20))  # 100 objects; 29 / 100 in float32 is below 0.29
    detections = [detection(boxes[:found], [1] * found, [0.5] * found)]
    targets = [target(boxes, [1] * 100)]
    oracle = pycocotools_evaluation(detections, targets).eval["precision"][0, :, 0, 0, -1].mean()
    assert class_average_precision(detections, targets, 1) == pytest.approx(oracle, abs=1e-12)


def test_a_class_that_no_image_shows_has_no_average_precision():
    assert math.isnan(
        class_average_precision([detection(squares(0), [2], [0.9])], [target(squares(0), [1])], 2)
    )


# ---------------------------------------------------------------- what is refused


def test_at_threshold_0_an_object_answers_once_too():
    assert match_detections(
        squares(0, 0, 90), torch.tensor([0.9, 0.8, 0.7]), squares(0), iou_threshold=0.0
    ).tolist() == [0, UNMATCHED, UNMATCHED]


def test_detections_that_do_not_fit_together_are_refused(no_shape_checks):
    for scores in (torch.ones(2), torch.ones(4), torch.ones(1)):
        with pytest.raises(ValueError, match=rf"boxes \[3, 4\], scores \[{len(scores)}\]"):
            match_detections(squares(0, 20, 40), scores, squares(0))
    found, there = detection(squares(0, 20), [1, 2], [0.5, 0.4]), target(squares(0, 20), [1, 2])
    for key in ("labels", "scores"):
        with pytest.raises(ValueError, match=rf"boxes \[2, 4\].*{key} \[1\]"):
            match_image({**found, key: found[key][:1]}, there)
    with pytest.raises(ValueError, match=r"boxes \[2, 4\], labels \[1\]"):
        match_image(found, {**there, "labels": there["labels"][:1]})


def test_numbers_that_are_none_and_thresholds_that_mean_nothing_are_refused():
    nan = torch.tensor([[0.0, 0.0, math.nan, 9.0]])
    with pytest.raises(ValueError, match=r"row 0 is .*scores nan"):
        match_detections(squares(0), torch.tensor([math.nan]), squares(0))
    for boxes, gt_boxes in ((nan, squares(0)), (squares(0), nan)):
        with pytest.raises(ValueError, match=r"row 0 is boxes .*nan"):
            match_detections(boxes, torch.tensor([0.5]), gt_boxes)
    for value in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=f"iou_threshold lies between 0 and 1, got {value}"):
            match_detections(squares(0), torch.tensor([0.5]), squares(0), value)
    with pytest.raises(ValueError, match="want scores that are numbers, got"):
        precision_recall(torch.tensor([math.nan]), torch.tensor([True]), 1)


def test_curves_that_do_not_fit_together_are_refused(no_shape_checks):
    with pytest.raises(ValueError, match=r"scores \[2\], is_hit \[3\]"):
        precision_recall(torch.ones(2), torch.tensor([True] * 3), 3)
    with pytest.raises(ValueError, match=r"precision \[3\], recall \[2\]"):
        average_precision(torch.ones(3).double(), torch.ones(2).double())
