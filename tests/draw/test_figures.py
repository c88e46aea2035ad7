import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from detlab.draw.figures import (
    MANY,
    MOST_CAPTIONS,
    Layers,
    Picture,
    box_captions,
    dashes,
    draw_alone,
    draw_boxes,
    draw_caption,
    draw_curves,
    draw_grid,
    draw_image,
    draw_layers,
    draw_picture,
    save_figure,
)
from detlab.draw.roles import CASING, ROLES

CLASS_NAMES = ("background", "fish", "shark")


def blank(height=60, width=80):
    return torch.full((3, height, width), 128, dtype=torch.uint8)


def axis(image=None):
    ax = Figure().add_subplot()
    draw_image(ax, blank() if image is None else image)
    return ax


def boxes_at(*corners):
    return torch.tensor([[c, c, c + 10.0, c + 8.0] for c in corners]).reshape(-1, 4)


def found(*scores):
    n = len(scores)
    labels = torch.ones(n, dtype=torch.int64)
    return {"boxes": boxes_at(*range(n)), "labels": labels, "scores": torch.tensor(scores)}


def there(*corners):
    return {"boxes": boxes_at(*corners), "labels": torch.ones(len(corners), dtype=torch.int64)}


def pixels(figure, tmp_path):
    save_figure(figure, tmp_path / "figure.png", dpi=100)
    return Image.open(tmp_path / "figure.png").convert("RGB")


# ---------------------------------------------------------------- images


def test_an_image_keeps_its_pixels_and_its_frame():
    image = torch.randint(0, 256, (3, 5, 7), dtype=torch.uint8)
    ax = axis(image)
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 7), (5, 0))
    assert ax.images[0].get_extent() == [0, 7, 5, 0]  # pixel 0 reaches from 0 to 1
    shown = torch.from_numpy(ax.images[0].get_array().data.copy())
    torch.testing.assert_close(shown.permute(2, 0, 1), image)


def test_a_float_image_looks_like_its_uint8():
    image = torch.randint(0, 256, (3, 5, 7), dtype=torch.uint8)
    shown = axis(image / 255).images[0].get_array().data
    torch.testing.assert_close(torch.from_numpy(shown * 255).round().byte().permute(2, 0, 1), image)


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_a_normalised_image_is_refused(value):
    with pytest.raises(ValueError, match="from 0 to 1; they are"):
        draw_image(Figure().add_subplot(), torch.full((3, 4, 4), value))


def test_an_image_of_integers_is_refused():
    with pytest.raises(ValueError, match="int64"):
        draw_image(Figure().add_subplot(), torch.zeros(3, 4, 4, dtype=torch.int64))


# ---------------------------------------------------------------- boxes


@pytest.mark.parametrize("role", ROLES)
def test_a_box_has_its_roles_colour_on_a_dark_edge(role):
    ax = axis()
    draw_boxes(ax, boxes_at(3), role)
    edge, line = ax.collections
    assert to_hex(line.get_edgecolor()[0]) == ROLES[role].colour
    assert to_hex(edge.get_edgecolor()[0]) == CASING
    assert edge.get_linewidth()[0] > line.get_linewidth()[0]


def test_a_box_stands_where_its_numbers_say(tmp_path):
    figure = draw_alone(
        Picture(
            blank(90, 90),
            {"boxes": torch.tensor([[20.0, 30, 60, 70]]), "labels": torch.tensor([1])},
        ),
        CLASS_NAMES,
    )
    picture = pixels(figure, tmp_path)  # 900 pixels for 90
    assert picture.size == (900, 900)
    truth = tuple(int(ROLES["truth"].colour[i : i + 2], 16) for i in (1, 3, 5))
    for point in [(400, 300), (200, 450), (600, 450), (500, 700)]:
        assert picture.getpixel(point) == truth
    assert picture.getpixel((400, 500)) == picture.getpixel((100, 100)) == (128, 128, 128)


@given(corners=st.lists(st.integers(0, 50), max_size=6))
@settings(deadline=None, max_examples=20)
def test_every_box_is_drawn_once(corners):
    ax = axis()
    draw_boxes(ax, boxes_at(*corners))
    assert [len(drawn.get_paths()) for drawn in ax.collections] == [len(corners)] * 2


def test_many_boxes_are_thin_and_solid():
    ax = axis()
    draw_boxes(ax, boxes_at(*range(MANY + 1)), "negative")
    [lines] = ax.collections
    assert lines.get_linewidth()[0] < ROLES["negative"].width / 2
    assert lines.get_linestyle()[0][1] is None


def test_dashes_are_told_in_multiples_of_the_width():
    start, lengths = dashes("prediction")
    width = ROLES["prediction"].width
    assert start == 0
    assert [length * width for length in lengths] == pytest.approx([8, 4], abs=0.02)


def test_want_a_caption_for_each_box_or_none():
    with pytest.raises(ValueError, match=r"per box \(2\) or none; got 1"):
        draw_boxes(axis(), boxes_at(0, 20), captions=["one"])


def test_an_unknown_role_is_refused():
    with pytest.raises(ValueError, match="no role 'guess'"):
        draw_boxes(axis(), boxes_at(0), role="guess")


@pytest.mark.parametrize("role", ["truth", "prediction"])
@pytest.mark.parametrize("corner", [(0, 0), (60, 0), (0, 45), (60, 45), (-5, -5), (75, 50)])
def test_a_caption_stays_within_the_picture(corner, role):
    figure = draw_alone(Picture(blank()), CLASS_NAMES)
    [ax] = figure.axes
    x, y = map(float, corner)
    draw_caption(ax, "shark 0.93", (x, y, x + 20, y + 15), role)
    plate, frame = ax.texts[0].get_window_extent(), ax.get_window_extent()
    assert frame.x0 - 1 <= plate.x0 < plate.x1 <= frame.x1 + 1
    assert frame.y0 - 1 <= plate.y0 < plate.y1 <= frame.y1 + 1


def test_truth_is_named_below_its_box_and_all_else_above():
    for role, side in (("truth", "top"), ("prediction", "bottom")):
        [ax] = draw_alone(Picture(blank()), CLASS_NAMES).axes
        draw_caption(ax, "shark", (20.0, 20.0, 40.0, 40.0), role)
        assert ax.texts[0].get_va() == side
        assert ax.texts[0].get_position()[1] == (40 if role == "truth" else 20)


@pytest.mark.parametrize(
    ("x1", "x2", "side", "place"),
    [(5, 75, "left", 5), (59, 90, "left", 59), (61, 75, "right", 75), (61, 90, "right", 80)],
)  # the picture is 80 pixels wide
def test_a_name_begins_at_the_left_of_its_box_but_in_the_last_quarter(x1, x2, side, place):
    ax = axis()
    draw_caption(ax, "shark", (float(x1), 20.0, float(x2), 40.0), "prediction")
    assert ax.texts[0].get_ha() == side
    assert ax.texts[0].get_position()[0] == place


def test_a_class_may_be_named_by_what_is_mathematics_elsewhere(tmp_path):
    figure = draw_alone(Picture(blank()), CLASS_NAMES)
    draw_caption(figure.axes[0], "a$_$b", (20.0, 20.0, 40.0, 40.0), "truth")
    save_figure(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").is_file()


def test_nothing_found_has_no_captions():
    assert box_captions(found(), CLASS_NAMES) == []


# ---------------------------------------------------------------- pictures


def test_truth_is_named_only_where_no_detections_are_shown():
    ax = axis()
    draw_picture(ax, Picture(blank(), there(0, 20)), CLASS_NAMES)
    assert [text.get_text() for text in ax.texts] == ["fish", "fish"]
    ax = axis()
    draw_picture(ax, Picture(blank(), there(0, 20), found(0.5)), CLASS_NAMES)
    assert [text.get_text() for text in ax.texts] == ["fish 0.50"]


def test_the_best_scores_lie_on_top_and_have_the_names():
    scores = [i / 100 for i in range(50, 50 - MOST_CAPTIONS - 5, -1)]
    ax = axis()
    draw_picture(ax, Picture(blank(), detection=found(*scores)), CLASS_NAMES)
    shown = [float(text.get_text().split()[1]) for text in ax.texts]
    assert shown == sorted(scores)[-MOST_CAPTIONS:]


def test_a_grid_takes_pictures_of_different_sizes_and_without_boxes(tmp_path):
    pictures = [
        Picture(blank(60, 80), there(), found(), title="empty"),
        Picture(blank(90, 30), there(3), found(0.9)),
        Picture(blank(20, 70)),
    ]
    figure = draw_grid(pictures, CLASS_NAMES, columns=2, title="Three")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "ground truth",
        "detection",
    ]
    assert [ax.get_title() for ax in figure.axes] == ["empty", "", ""]
    assert pixels(figure, tmp_path).width == 640


def test_a_grid_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one picture"):
        draw_grid([], CLASS_NAMES)


# ---------------------------------------------------------------- curves


def test_curves_take_each_number_where_it_stands():
    rows = [
        {"seconds": 1.0, "loss_total": 3.0, "loss_class": 2.0, "loss_box": 1.0},
        {"seconds": 1.5, "AP": 0.25, "AP50": None},
        {"seconds": 2.0, "loss_total": 2.0, "loss_class": 1.0, "loss_box": 1.0},
    ]
    losses, accuracy = draw_curves(rows).axes
    total = losses.lines[0]
    assert (list(total.get_xdata()), list(total.get_ydata())) == ([1.0, 2.0], [3.0, 2.0])
    assert [line.get_label() for line in accuracy.lines] == ["AP, last 0.25"]
    assert len({line.get_linestyle() for line in losses.lines}) == 3


def test_long_curves_are_averaged_over_the_raw_ones():
    rows = [{"seconds": float(i), "loss_total": float(i % 2)} for i in range(200)]
    raw, smooth = draw_curves(rows).axes[0].lines
    assert len(raw.get_ydata()) == 200
    assert set(smooth.get_ydata()) == {0.5}


def test_no_rows_make_an_empty_figure(tmp_path):
    assert pixels(draw_curves([]), tmp_path).size == (1000, 400)


# ---------------------------------------------------------------- files


def test_a_figure_that_cannot_be_saved_leaves_the_old_file(tmp_path):
    path = tmp_path / "curves.png"
    save_figure(Figure(figsize=(1, 1)), path)
    before = path.read_bytes()
    broken = Figure(figsize=(1, 1))
    broken.text(0, 0, "$\\frac{$")  # mathematics that cannot be set
    with pytest.raises(ValueError, match="frac"):
        save_figure(broken, path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["curves.png"]


def test_an_unknown_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match="xyz"):
        save_figure(Figure(), tmp_path / "curves.xyz")
    assert list(tmp_path.iterdir()) == []


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        save_figure(
            draw_grid([Picture(blank(), there(3), found(0.9))], CLASS_NAMES), tmp_path / name
        )
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_drawing_leaves_pyplot_alone():
    code = (
        "import sys, torch, detlab.draw.figures as d\n"
        "d.draw_grid([d.Picture(torch.zeros(3, 8, 8))], ('background',))\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "False"


def test_layers_are_drawn_in_their_roles_and_named_once_in_the_legend():
    layers = [
        Layers(blank(), {"ignored": boxes_at(5, 20), "truth": boxes_at(30)}, "left"),
        Layers(blank(), {"truth": boxes_at(10)}, "right"),
    ]
    figure = draw_layers(layers, title="both")
    left, right = figure.axes
    assert (left.get_title(), right.get_title()) == ("left", "right")
    faces = [to_hex(lines.get_edgecolor()[0]) for lines in left.collections]
    assert faces == [CASING, ROLES["ignored"].colour, CASING, ROLES["truth"].colour]
    assert [len(lines.get_paths()) for lines in left.collections] == [2, 2, 1, 1]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        ROLES["ignored"].meaning,
        ROLES["truth"].meaning,
    ]


def test_the_legend_of_layers_takes_other_words():
    layers = [Layers(blank(), {"ignored": boxes_at(5), "truth": boxes_at(30)})]
    (legend,) = draw_layers(layers, meanings={"ignored": "anchors"}).legends
    assert [text.get_text() for text in legend.get_texts()] == ["anchors", ROLES["truth"].meaning]


def test_layers_need_a_picture_and_known_roles():
    with pytest.raises(ValueError, match="got none"):
        draw_layers([])
    with pytest.raises(ValueError, match="no role 'ghost'"):
        draw_layers([Layers(blank(), {"ghost": boxes_at(1)})])
