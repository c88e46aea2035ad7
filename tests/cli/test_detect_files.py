"""A detector finds objects in files; a bad file stops it in time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from detlab.cli import detect_files as inference
from detlab.cli.detect_files import check_inputs, detect_files, find_pictures, output_names
from detlab.data.pictures import read_picture
from detlab.data.records import DataError
from detlab.detector.checkpoint import CheckpointInfo, save_checkpoint
from detlab.detector.config import named_config
from detlab.detector.model import build_detector
from detlab.draw.figures import draw_alone
from tests.sample_folders import colour_in, shown_as, write_picture

NAMES = ("background", "cat", "dog")
CONFIG = named_config("course", 3)
INFO = CheckpointInfo(CONFIG, NAMES)


@pytest.fixture
def finds_one(monkeypatch):
    """Put in place of the network something that finds a dog in the left half of any picture."""

    def detect(detector, images, longest_side, score_threshold, **_):
        seen.append((longest_side, score_threshold))
        halves = [image.shape[2] / 2 for image in images]
        return [
            {
                "boxes": torch.tensor([[0.0, 0.0, half, 10.0]]),
                "labels": torch.tensor([2]),
                "scores": torch.tensor([0.75]),
            }
            for half in halves
        ]

    seen = []
    monkeypatch.setattr(inference, "detect", detect)
    return seen


@pytest.fixture(scope="module")
def detector():
    return build_detector(CONFIG)


def test_results_are_pictures_and_coco_json(tmp_path, detector, finds_one):
    paths = [
        write_picture(tmp_path / name, size)
        for name, size in (("a.png", (60, 40)), ("b.jpg", (30, 80)))
    ]
    found = list(detect_files(detector, INFO, paths, tmp_path / "out", score_threshold=0.4))
    assert [path for path, _ in found] == paths
    assert_close(found[1][1]["boxes"], torch.tensor([[0.0, 0.0, 15.0, 10.0]]))
    assert finds_one == [(128, 0.4)] * 2
    assert json.loads((tmp_path / "out" / "detections.json").read_text()) == [
        {
            "image_id": k,
            "category_id": 2,
            "bbox": [0.0, 0.0, width, 10.0],
            "score": 0.75,
            "file_name": name,
        }
        for k, width, name in ((1, 30.0, "a.png"), (2, 15.0, "b.jpg"))
    ]
    with Image.open(tmp_path / "out" / "b.png") as picture:
        assert picture.width / picture.height == pytest.approx(30 / 80, abs=0.01)
        assert max(picture.size) >= 512


def test_a_phones_picture_is_looked_at_as_it_is_shown(tmp_path, detector, finds_one):
    """Boxes in the file, and the drawn picture, are in the frame that every viewer shows."""
    stored, exif = shown_as(6, (600, 400), {(0, 0, 300, 400): (220, 30, 30)})
    stored.save(tmp_path / "a.jpg", exif=exif)
    [(_, found)] = detect_files(
        detector, INFO, [tmp_path / "a.jpg"], tmp_path / "out", score_threshold=0.4
    )
    assert found["boxes"].tolist() == [[0, 0, 300, 10]]
    with Image.open(tmp_path / "out" / "a.png") as picture:
        assert picture.width == pytest.approx(1.5 * picture.height, abs=1)
        drawn = torch.tensor(np.array(picture.convert("RGB"))).permute(2, 0, 1)
    left, right = (picture.width * share for share in (0.25, 0.75))
    middle = (0.4 * picture.height, 0.6 * picture.height)
    assert colour_in(drawn, (left - 50, middle[0], left + 50, middle[1])) == "red"
    assert colour_in(drawn, (right - 50, middle[0], right + 50, middle[1])) == "grey"


def test_a_real_detector_finds_what_it_would_in_memory(tmp_path, detector):
    from detlab.detector.postprocess import detect

    path = write_picture(tmp_path / "a.png", (60, 40))
    [(_, found)] = detect_files(detector, INFO, [path], tmp_path / "out", score_threshold=0.0)
    [expected] = detect(detector, [read_picture(path)], 128, score_threshold=0.0)
    assert len(found["boxes"]) > 0
    assert_close(found, expected)


@pytest.mark.parametrize("tile", [None, 48])
def test_a_large_picture_is_shrunk_and_its_boxes_are_not(tmp_path, detector, monkeypatch, tile):
    """The network sees 32 pixels of 120 (with tiles, all); boxes and drawing fit the picture."""
    monkeypatch.setattr(inference, "ORDINARY", 120 * 80 - 1)
    monkeypatch.setattr(inference, "SHRUNK", 160)

    def left_half(_, image_or_list, *__, **___):
        image = image_or_list if tile else image_or_list[0]
        sides.append(image.shape[1:])
        box = torch.tensor([[0.0, 0.0, image.shape[2] / 2, image.shape[1] / 4]])
        found = {"boxes": box, "labels": torch.tensor([2]), "scores": torch.tensor([0.75])}
        return found if tile else [found]

    def draw(picture, _):
        drawn.append(picture)
        return draw_alone(picture, NAMES)

    sides, drawn = [], []
    monkeypatch.setattr(inference, "detect_in_tiles" if tile else "detect", left_half)
    monkeypatch.setattr(inference, "draw_alone", draw)
    path = write_picture(tmp_path / "a.png", (240, 160))
    [(_, found)] = detect_files(detector, INFO, [path], tmp_path / "out", tile)
    assert sides == [(160, 240) if tile else (107, 160)]
    assert_close(found["boxes"], torch.tensor([[0.0, 0.0, 120.0, 40.0]]), rtol=0, atol=0.01)
    [row] = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert row["bbox"] == pytest.approx([0, 0, 120, 40], abs=0.01)
    assert drawn[0].image.shape == (3, 107, 160)
    shown = torch.tensor([[0.0, 0.0, 80.0, 26.7]])
    assert_close(drawn[0].detection["boxes"], shown, rtol=0, atol=0.1)


def test_a_picture_at_the_limit_is_looked_at_whole(tmp_path, detector, finds_one, monkeypatch):
    monkeypatch.setattr(inference, "ORDINARY", 240 * 160)
    monkeypatch.setattr(inference, "SHRUNK", 160)
    path = write_picture(tmp_path / "a.png", (240, 160))
    seen = []
    monkeypatch.setattr(
        inference, "read_picture", lambda *args, **_: seen.append(args[1:]) or read_picture(path)
    )
    list(detect_files(detector, INFO, [path], tmp_path / "out", score_threshold=0.4))
    assert seen == [(), (None,)]  # checked, then read


def test_a_large_picture_keeps_the_pixels_that_the_network_wants(tmp_path, finds_one, monkeypatch):
    monkeypatch.setattr(inference, "ORDINARY", 240 * 160 - 1)
    monkeypatch.setattr(inference, "SHRUNK", 100)
    path = write_picture(tmp_path / "a.png", (240, 160))
    seen = []
    monkeypatch.setattr(
        inference, "read_picture", lambda *args, **_: seen.append(args[1:]) or read_picture(*args)
    )
    info = CheckpointInfo(named_config("course", 3, longest_side=200), NAMES)
    list(detect_files(build_detector(CONFIG), info, [path], tmp_path / "out", score_threshold=0.4))
    assert seen == [(), (200,)]  # checked, then read


MEASURED = """
import sys
from detlab.cli.commands import main
main()
[peak] = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(peak, file=sys.stderr)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere /proc does not tell the peak")
@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_the_largest_picture_allowed_takes_less_than_a_gigabyte_and_a_half(
    tmp_path, detector, name, orientation
):
    save_checkpoint(tmp_path / "c.safetensors", detector, INFO)
    exif = shown_as(orientation, (1, 1), {})[1]
    write_picture(tmp_path / "small.png", (109, 82))
    with Image.open(tmp_path / "small.png") as small:
        small.resize((10900, 8200)).save(tmp_path / name, exif=exif)  # 89.4 million pixels
    command = [sys.executable, "-c", MEASURED, "detect", "c.safetensors", name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    kilobytes = int(done.stderr.split("VmHWM:")[1].split()[0])
    assert kilobytes * 1024 < 1.5e9


def test_nothing_found_is_an_empty_list(tmp_path, detector):
    path = write_picture(tmp_path / "a.png")
    [(_, found)] = detect_files(detector, INFO, [path], tmp_path / "out", score_threshold=1.0)
    assert found["boxes"].shape == (0, 4)
    assert json.loads((tmp_path / "out" / "detections.json").read_text()) == []


def test_the_list_of_an_earlier_run_does_not_stay_beside_new_pictures(tmp_path, detector):
    paths = [write_picture(tmp_path / f"{name}.png") for name in "ab"]
    list(detect_files(detector, INFO, paths, tmp_path / "out"))
    next(detect_files(detector, INFO, paths, tmp_path / "out"))
    assert sorted(os.listdir(tmp_path / "out")) == ["a.png", "b.png"]


def test_a_bad_picture_stops_before_the_first_result(tmp_path, detector):
    paths = [write_picture(tmp_path / "a.png"), write_picture(tmp_path / "b.png")]
    paths[1].write_bytes(paths[1].read_bytes()[:-200])
    with pytest.raises(DataError, match=r"b\.png: truncated"):
        next(detect_files(detector, INFO, paths, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_result_never_replaces_its_picture(tmp_path):
    path = write_picture(tmp_path / "a.png")
    (tmp_path / "sub").mkdir()
    with pytest.raises(DataError, match=r"a\.png would be overwritten"):
        check_inputs([path], [tmp_path / "sub" / ".." / "a.png"])
    check_inputs([path], [tmp_path / "sub" / "a.png"])


def test_results_have_names_of_their_own():
    names = output_names([Path("x/a.jpg"), Path("y/a.png"), Path("b.c.jpg"), Path("A.jpg")])
    assert names == ["a.jpg.png", "a.png.png", "b.c.jpg.png", "A.jpg.png"]
    tricky = [Path("b.jpg"), Path("b.png"), Path("b_jpg.webp")]
    assert len(set(output_names(tricky))) == 3
    assert output_names([]) == []


def test_pictures_are_found_by_their_endings(tmp_path):
    for name in ("b.JPG", "a.png", ".hidden.txt", "notes.txt"):
        (tmp_path / name).write_text("")
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in find_pictures(tmp_path)] == ["a.png", "b.JPG"]
    assert find_pictures(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]  # read_picture tells


def test_a_place_without_pictures_is_named(tmp_path):
    with pytest.raises(DataError, match=f"{tmp_path}: no picture in it"):
        find_pictures(tmp_path)
    with pytest.raises(DataError, match="x: no such file or folder"):
        find_pictures(tmp_path / "x")
    assert os.listdir(tmp_path) == []
