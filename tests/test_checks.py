"""What is refused, with the row and the value that are wrong."""

import pytest
import torch

from detlab.checks import check_boxes, check_each, check_image, check_target
from detlab.detector.postprocess import detect

SOUND = [[0.0, 0.0, 10.0, 5.0], [1.0, 2.0, 3.0, 4.0]]


def target(boxes=SOUND, labels=(1, 2)):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return {"boxes": boxes, "labels": torch.tensor(labels, dtype=torch.int64)}


def test_a_sound_target_passes_unchanged():
    checked = target()
    check_target(checked)
    torch.testing.assert_close(checked["boxes"], torch.tensor(SOUND))


def test_an_image_without_objects_is_fine():
    check_target(target([], []))
    check_boxes(torch.zeros(0, 4))


@pytest.mark.parametrize(
    "box",
    [
        [5.0, 0.0, 5.0, 9.0],  # no width
        [0.0, 9.0, 5.0, 9.0],  # no height
        [6.0, 0.0, 5.0, 9.0],
        [0.0, 9.5, 5.0, 9.0],
        [float("nan"), 0.0, 5.0, 9.0],
        [0.0, 0.0, float("inf"), 9.0],
        [-float("inf"), 0.0, 5.0, 9.0],
    ],
)
def test_a_bad_box_is_named_by_its_row(box):
    with pytest.raises(ValueError, match=r"cat\.jpg: boxes: .*row 2 is \[") as caught:
        check_target(target([*SOUND, box, box], [1, 2, 3, 3]), where="cat.jpg")
    assert str(box[1]) in str(caught.value)


def test_the_smallest_width_that_a_float_can_hold_is_a_width():
    just_above = torch.tensor(1.0).nextafter(torch.tensor(2.0)).item()
    check_boxes(torch.tensor([[1.0, 1.0, just_above, just_above]]))


@pytest.mark.parametrize(
    ("boxes", "seen"),
    [
        (torch.zeros(4), r"\[4\]"),
        (torch.zeros(2, 5), r"\[2, 5\]"),
        (torch.zeros(1, 2, 4), r"\[1, 2, 4\]"),
        (torch.tensor([[0, 0, 1, 1]]), "int64"),
    ],
)
def test_what_is_no_list_of_boxes_is_refused(boxes, seen):
    with pytest.raises(ValueError, match=rf"want a float \[N, 4\], got .*{seen}"):
        check_boxes(boxes)


@pytest.mark.parametrize("key", ["boxes", "labels"])
def test_a_missing_key_is_named(key):
    partial = target()
    del partial[key]
    with pytest.raises(ValueError, match=f"no '{key}'"):
        check_target(partial)


@pytest.mark.parametrize(
    "labels",
    [torch.ones(3, dtype=torch.int64), torch.ones(2), torch.ones(2, 1, dtype=torch.int64)],
)
def test_labels_are_int64_and_as_many_as_boxes(labels):
    with pytest.raises(ValueError, match=r"want int64 labels, one per box \(2\)"):
        check_target(target() | {"labels": labels})


@pytest.mark.parametrize("label", [0, -1])
def test_labels_start_at_1(label):
    with pytest.raises(ValueError, match="labels start at 1"):
        check_target(target(labels=[1, label]))


def test_values_of_boxes_are_checked_in_every_row():
    boxes = torch.tensor([[0.0, 0.0, 9.0, 4.0], [3.0, 3.0, 3.0, 3.0]])
    check_each(boxes, scores=torch.tensor([0.0, -1.0]), labels=torch.tensor([1, 2]))
    check_each(torch.zeros(0, 4), scores=torch.zeros(0))
    with pytest.raises(ValueError, match=r"row 1 is boxes .*scores inf"):
        check_each(boxes, scores=torch.tensor([0.0, float("inf")]))
    with pytest.raises(ValueError, match="row 0 is boxes"):
        check_each(boxes[:, [2, 1, 0, 3]])
    with pytest.raises(ValueError, match=r"got boxes \[4\]"):
        check_each(boxes[0])


@pytest.mark.parametrize(
    ("image", "what"),
    [
        (torch.full((3, 20, 30), 255.0), "floats from 0 to 1 in the image, got up to 255"),
        (torch.zeros(3, 20, 30, dtype=torch.int64), "got torch.int64"),
        (torch.full((3, 20, 30), float("nan")), "NaN or infinity"),
        (torch.zeros(20, 30), r"got \[20, 30\]"),
    ],
)
def test_what_is_no_picture_is_refused_and_not_misread(image, what):
    with pytest.raises(ValueError, match=f"image 1: .*{what}"):
        check_image(image, "image 1")
    with pytest.raises(ValueError, match="image 1"):
        detect(lambda images: None, [torch.zeros(3, 20, 30), image])


def test_a_little_more_than_white_is_a_picture():
    check_image(torch.full((3, 20, 30), 1.05), "resized with bicubic weights")
