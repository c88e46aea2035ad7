"""The sliding window scores every place once, and counts what it does."""

import pytest

from detlab.widgets import WindowLab
from detlab.widgets.window import DARKEST


def brightness(windows):
    return windows.float().mean(dim=(1, 2, 3)) / 255


def test_every_score_belongs_to_its_box(picture):
    lab = WindowLab(picture, brightness, size=40, stride=15)
    assert lab.num_windows == 11 * 8
    for row in (0, 7, 30, lab.num_windows - 1):
        x1, y1, x2, y2 = map(int, lab.boxes[row].tolist())
        assert lab.scores[row] == pytest.approx(brightness(picture[None, :, y1:y2, x1:x2]).item())


def test_half_the_stride_is_about_four_times_the_windows(picture):
    lab = WindowLab(picture, brightness, size=40, stride=20)
    few = lab.num_windows
    lab.stride = 10
    assert 3 < lab.num_windows / few < 5
    assert f"{lab.num_windows:,} windows" in repr(lab)


def test_the_best_window_is_marked(picture):
    lab = WindowLab(picture, brightness, size=40, stride=20)
    best = lab.boxes[lab.scores.argmax()].tolist()
    assert lab.canvas.regions[1] == {"box": best, "role": "prediction"}


def test_the_veil_is_thin_where_the_middle_of_a_good_window_lies(picture):
    lab = WindowLab(picture, brightness, size=40, stride=20)
    veil = lab.canvas.overlay[3].float()
    for row in (0, 10, int(lab.scores.argmax())):
        x1, y1, x2, y2 = lab.boxes[row].tolist()
        middle = veil[int(y1 + y2) // 2, int(x1 + x2) // 2].item()
        assert middle == pytest.approx(DARKEST * (1 - lab.scores[row].item()), abs=8)
    assert veil[0, 0] == DARKEST  # no window has its middle in the corner
    assert veil.min() >= DARKEST * (1 - lab.scores.max().item()) - 1


def test_a_single_window_and_a_stride_beyond_the_picture_are_drawn(picture):
    lab = WindowLab(picture, brightness, size=150, stride=75)
    lab.stride = 1
    assert lab.num_windows == 51
    lone = WindowLab(picture[:, :, :150], brightness, size=150, stride=75)
    assert lone.num_windows == 1
    assert lone.canvas.overlay.shape == (4, 150, 150)


def test_a_window_larger_than_the_picture_is_refused(picture):
    with pytest.raises(ValueError, match="want 1 <= size <= 150"):
        WindowLab(picture, brightness, size=151)


def test_a_preset_scores_the_windows_once(picture):
    asked = []

    def score(windows):
        asked.append(len(windows))
        return brightness(windows)

    lab = WindowLab(picture, score, size=40, stride=20)
    asked.clear()
    lab.preset("fine")
    assert sum(asked) == lab.num_windows
    asked.clear()
    lab.size = 40  # by hand, one trait: drawn again
    assert sum(asked) == lab.num_windows


def test_a_map_without_boxes_to_walk_through_takes_no_tab_stop(alone, picture):
    page = alone(WindowLab(picture, brightness, size=40, stride=20).canvas)
    assert page.page.locator(".dl-stage[tabindex]").count() == 0
