"""What an audit found can be seen."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from detlab.audit.kinds import Finding
from detlab.audit.sheet import MOST, PICTURES, draw_findings, faulty_boxes, look_at, surroundings
from detlab.data.check import check_record
from detlab.data.records import make_record
from detlab.draw.figures import save_figure

NAMES = ("background", "cell")


@pytest.fixture
def records(tmp_path):
    """Ten pictures with a box each."""
    made = []
    for row in range(10):
        path = tmp_path / f"{row}.png"
        Image.new("RGB", (90, 60), (20 * row, 90, 60)).save(path)
        made.append(make_record(path, (60, 90), [("object 0", 1, [10.0, 10.0, 30.0, 25.0])], path))
    return made


def test_the_sheet_shows_every_picture_of_a_finding(records):
    one, other, third = records[:3]
    findings = [
        Finding("twins", (one, other), (), "the same"),
        Finding("odd size", (third,), (0,), "too large"),
    ]
    figure = draw_findings(findings, NAMES)
    titles = [ax.get_title() for ax in figure.axes[:3]]
    assert titles == ["twins: 0", "twins: 1", "odd size: 2"]


def test_of_each_kind_the_first_are_drawn(records):
    odd = [Finding("odd size", (record,), (0,), "") for record in records]
    empty = [Finding("no object", (records[9],), (), "")]
    titles = [ax.get_title() for ax in draw_findings(odd + empty, NAMES).axes]
    assert titles[: MOST + 1] == [*(f"odd size: {row}" for row in range(MOST)), "no object: 9"]


def test_twins_say_how_much_they_are_alike_and_of_many_the_first_are_drawn(records):
    figure = draw_findings([Finding("twins", tuple(records), (), "the same", 0.914)], NAMES)
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert titles == [f"twins, 91% alike: {row}" for row in range(PICTURES)]


def test_nothing_found_draws_nothing():
    with pytest.raises(ValueError, match="at least one picture"):
        draw_findings([], NAMES)


def test_a_box_without_area_can_be_seen_where_it_lies(records, tmp_path):
    boxes = [[10.0, 10.0, 30.0, 25.0], [50.0, 20.0, 50.0, 20.0], [float("nan"), 0.0, 9.0, 9.0]]
    objects = [(f"object {row}", 1, box) for row, box in enumerate(boxes)]
    published = [make_record(records[0].image, (60, 90), objects, tmp_path), records[1]]
    sound = [record for one in published for record in check_record(one).sound]
    (finding,) = faulty_boxes(published, sound)
    assert (finding.boxes, finding.what) == ((1,), "object 1 cannot be used")
    seen = look_at(published[0], finding)
    assert seen.image.shape == (3, 6, 9)
    assert seen.target["boxes"].tolist() == [[4.0, 3.0, 4.0, 3.0]]


@given(
    st.floats(0, 80),
    st.floats(0, 50),
    st.floats(1, 90),
    st.floats(1, 60),
    st.sampled_from([30, 60]),
)
def test_surroundings_hold_the_box_lie_in_the_picture_and_have_its_form(x, y, w, h, height):
    box = torch.tensor([[x, min(y, height - 1), min(x + w, 90), min(y + h, height)]])
    if box[0, 3] <= box[0, 1]:
        return
    x1, y1, x2, y2 = surroundings(box, (height, 90))
    assert 0 <= x1 <= box[0, 0] + 1
    assert 0 <= y1 <= box[0, 1] + 1
    assert box[0, 2] - 1 <= x2 <= 90
    assert box[0, 3] - 1 <= y2 <= height
    assert (x2 - x1) / 90 == pytest.approx((y2 - y1) / height, abs=0.04)


def test_surroundings_can_be_closer_and_have_a_least_size():
    box = torch.tensor([[40.0, 20.0, 50.0, 24.0]])
    assert surroundings(box, (60, 90), around=2.0) == (35, 16, 55, 29)
    assert surroundings(box, (60, 90), around=2.0, least=0.5) == (22, 7, 67, 37)
    assert surroundings(box, (60, 90), around=99.0) == (0, 0, 90, 60)


def test_a_small_box_is_shown_with_its_surroundings_where_it_lies_in_them(records):
    small = replace(records[0], boxes=torch.tensor([[50.0, 20.0, 54.0, 22.0]]))
    pixels = torch.arange(60 * 90, dtype=torch.int32).view(60, 90)
    image = torch.stack([pixels % 256, pixels // 256, pixels * 0]).byte()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(small.image)
    seen = look_at(small, Finding("odd size", (small,), (0,), ""))
    assert torch.equal(seen.image, image[:, 13:29, 40:64])
    assert seen.target["boxes"].tolist() == [[10, 7, 14, 9]]


def test_a_box_of_a_tenth_of_a_pixel_has_surroundings():
    x1, y1, x2, y2 = surroundings(torch.tensor([[20.0, 30.0, 20.05, 30.04]]), (60, 90))
    assert (x2 - x1, y2 - y1) == (1, 1)


def test_a_name_may_hold_what_is_mathematics_elsewhere(records, tmp_path):
    path = tmp_path / "a$_$b.png"
    records[0].image.rename(path)
    odd = Finding("no object", (replace(records[0], image=path),), (), "")
    save_figure(draw_findings([odd], NAMES), tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").is_file()
