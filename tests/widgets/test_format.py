"""The format lab: four ways to write one box, each of them can be typed."""

import pytest
from torchvision.ops import box_convert

from detlab.widgets import FormatLab


def test_all_formats_agree_with_torchvision(picture):
    import torch

    lab = FormatLab(picture, [10, 20, 110, 70])
    box = torch.tensor([[10.0, 20.0, 110.0, 70.0]])
    for name in ("xywh", "cxcywh"):
        assert lab.values[name] == box_convert(box, "xyxy", name)[0].tolist()
    assert lab.values["normalised"] == pytest.approx([0.05, 20 / 150, 0.55, 70 / 150])


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("xyxy", "30, 25, 50, 35"),
        ("xywh", "30 25 20 10"),
        ("cxcywh", "40, 30, 20, 10"),
        ("normalised", "0.15, 0.1666667, 0.25, 0.2333333"),
    ],
)
def test_typed_numbers_move_the_box(picture, name, typed):
    lab = FormatLab(picture, [10, 20, 110, 70])
    lab.fields[name].value = typed
    assert lab.box == pytest.approx([30, 25, 50, 35], abs=0.01)
    assert lab.canvas.edited == [lab.box]
    assert lab.fields["cxcywh"].value == "40, 30, 20, 10"


@pytest.mark.parametrize("typed", ["1, 2, 3", "a b c d", "50, 10, 40, 20", "0, 0, 900, 20"])
def test_what_is_no_box_is_said_and_changes_nothing(picture, typed):
    lab = FormatLab(picture, [10, 20, 110, 70])
    lab.fields["xyxy"].value = typed
    assert lab.box == [10, 20, 110, 70]
    assert lab._header.note.startswith("xyxy: want")
    with pytest.raises(ValueError, match="xyxy: want"):
        lab.write("xyxy", typed)
    lab.fields["xyxy"].value = "10 20 110 70"  # the box that it has been all the time
    assert lab._header.note == ""


def test_dragging_rewrites_every_field(picture):
    lab = FormatLab(picture, [10, 20, 110, 70])
    lab.canvas.edited = [[0.0, 0.0, 20.0, 40.0]]
    assert lab.fields["xywh"].value == "0, 0, 20, 40"
    assert lab.fields["cxcywh"].value == "10, 20, 20, 40"
