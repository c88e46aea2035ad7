"""The classifier sees what the window leaves."""

import pytest
import torch

from detlab.widgets import ClassifierLab
from detlab.widgets.classifier import GREY


def shares_of_colour(image):
    return torch.softmax(image.float().mean(dim=(1, 2)) / 10, dim=0)


@pytest.fixture
def lab(picture):
    return ClassifierLab(picture, shares_of_colour, ["red", "green", "blue"])


def test_it_sees_the_crop(lab, picture):
    lab.canvas.edited = [[20.0, 10.0, 90.0, 60.0]]
    assert torch.equal(lab.seen, picture[:, 10:60, 20:90])
    assert lab.probabilities == pytest.approx(shares_of_colour(lab.seen).tolist())
    assert lab.canvas.regions == [{"box": lab.box, "outside": True}]


def test_it_sees_the_rest_when_covered(lab, picture):
    lab.preset("cover the middle")
    x1, y1, x2, y2 = map(int, lab.box)
    assert (lab.seen[:, y1:y2, x1:x2] == GREY).all()
    assert torch.equal(lab.seen[:, :y1], picture[:, :y1])
    assert lab.canvas._overlay[:4] == b"\x89PNG"
    lab.preset("all of it")
    assert lab.canvas._overlay == b""
    assert torch.equal(lab.seen, picture)


def test_it_says_how_much_of_a_box_is_seen(lab):
    lab.canvas.edited = [[20.0, 10.0, 90.0, 60.0]]
    assert lab.fraction_seen([10.0, 20.0, 30.0, 40.0]) == pytest.approx(0.5)
    assert lab.fraction_seen([0.0, 0.0, 20.0, 10.0]) == 0
    lab.mode = "cover"
    assert lab.fraction_seen([10.0, 20.0, 30.0, 40.0]) == pytest.approx(0.5)
    assert lab.fraction_seen([10.0, 20.0, 50.0, 40.0]) == pytest.approx(0.25)
    assert lab.fraction_seen([0.0, 0.0, 20.0, 10.0]) == 1


def test_the_result_names_the_best_class(lab):
    best = max(zip(lab.probabilities, lab.class_names, strict=True))
    assert repr(lab) == f"<classifier lab: {best[1]} {best[0]:.2f}>"


def test_a_classifier_of_other_classes_is_refused(picture):
    with pytest.raises(ValueError, match=r"want a probability per class \(2\), got \[3\]"):
        ClassifierLab(picture, shares_of_colour, ["red", "green"])
