"""YOLO files to records."""

import pytest
import torch
from PIL import Image

from detlab.data.folders import read_split
from detlab.data.yolo_format import corners_of
from tests.sample_folders import (
    SCENES,
    write_picture,
    yolo_folder,
)


def test_a_yolo_line_by_hand(tmp_path):
    folder = yolo_folder(tmp_path, scenes={"a": []})
    (folder / "labels").mkdir(exist_ok=True)
    (folder / "labels" / "a.txt").write_text("1 0.5 0.5 0.1 0.5\n\n")  # of 60 x 40
    (record,) = read_split(folder, "all").records
    torch.testing.assert_close(record.boxes, torch.tensor([[27.0, 10.0, 33.0, 30.0]]))
    assert record.labels.tolist() == [2]
    assert record.objects == ("line 1",)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("2 0.5 0.5 0.1 0.1", "unknown class 2; want one of 0, 1"),
        ("-1 0.5 0.5 0.1 0.1", "unknown class -1; want one of 0, 1"),
        ("cat 0.5 0.5 0.1 0.1", "want the number of a class, from 0, and no name, got 'cat'"),
        ("0,0.5,0.5,0.1,0.1", "want spaces between the numbers, no commas"),
        ("0 0.1 0.1 0.9 0.9", r".* reaches outside the picture: corners x1 y1 x2 y2\?"),
        ("0.5 0.5 0.5 0.1 0.1", "want a whole number as the class, got 0.5"),
        ("0 0.5 0.5 0.1 0.1 0.9", "6 numbers: a score as the last"),
        ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", r"want 5 numbers .*, got 8"),
        ("0 320 200 40 40", "want fractions of the picture's sides, 0 to 1, got .* pixels"),
        ("0 0.5 0.5 0.1", r"want 5 numbers \(class cx cy width height\), got 4"),
        ("0 0.5 0.5 0.1 wide", "could not convert string to float: 'wide'"),
    ],
)
def test_a_fault_in_a_yolo_line_names_it(tmp_path, line, what):
    folder = yolo_folder(tmp_path)
    (folder / "labels" / "a.txt").write_text(f"0 0.5 0.5 0.1 0.1\n{line}\n")
    (fault,) = read_split(folder, "all").faults
    with pytest.raises(AssertionError, match=f"a.txt: line 2: {what}"):
        raise AssertionError(str(fault))


def test_labels_without_a_picture_are_a_fault(tmp_path):
    folder = yolo_folder(tmp_path)
    (folder / "images" / "a.png").unlink()
    (fault,) = read_split(folder, "all").faults
    assert str(fault).endswith("a.txt: no picture a")


def test_a_picture_that_cannot_be_measured_is_a_fault(tmp_path):
    folder = yolo_folder(tmp_path)
    (folder / "images" / "a.png").write_bytes(b"no picture")
    (fault,) = read_split(folder, "all").faults
    assert fault.file == folder / "images" / "a.png"
    assert fault.what.startswith("not a picture")


def test_two_pictures_that_share_one_label_file_are_a_fault(tmp_path):
    folder = yolo_folder(tmp_path)
    write_picture(folder / "images" / "a.jpg")
    annotations = read_split(folder, "all")
    assert len(annotations.records) == len(SCENES)
    (fault,) = annotations.faults
    assert str(fault).endswith(
        "a.png: shares its label file with a.jpg; want one name for each picture"
    )


def test_both_customs_of_naming_splits_are_read(tmp_path):
    one = yolo_folder(tmp_path / "one", "val")
    other = tmp_path / "other"
    for kind in ("images", "labels"):
        (other / "val").mkdir(parents=True, exist_ok=True)
        (one / kind / "val").rename(other / "val" / kind)
    (one / "data.yaml").rename(other / "data.yaml")
    assert len(read_split(other, "val").records) == len(SCENES)


def test_the_size_of_a_yolo_picture_is_read_from_the_picture(tmp_path):
    folder = yolo_folder(tmp_path, scenes={"a": []})
    Image.new("RGB", (7, 5)).save(folder / "images" / "a.png")
    assert read_split(folder, "all").records[0].image_size == (5, 7)


def test_a_class_may_be_written_as_a_float(tmp_path):
    folder = yolo_folder(tmp_path, scenes={"a": [("dog", 6.0, 4.0, 30.0, 20.0)]})
    path = folder / "labels" / "a.txt"
    path.write_text(path.read_text().replace("1 ", "1.0 ", 1))
    assert read_split(folder, "all").records[0].labels.tolist() == [2]


@pytest.mark.parametrize(
    ("points", "what"),
    [
        ([0.1, 0.2, 0.5, 0.2, 0.3, 0.6], "polygons are read"),
        ([0.1, 0.3, 0.3, 0.2, 0.5, 0.5, 0.2, 0.6], "polygons of four points (oriented boxes)"),
        ([0.1, 0.2, 0.5, 0.2, 0.5, 0.6, 0.3, 0.4, 0.1, 0.6], "polygons are read"),
    ],
)
def test_a_polygon_is_read_as_the_box_around_it(points, what):
    corners, note = corners_of(points, key_points=False)
    assert corners == [0.1, 0.2, 0.5, 0.6]
    assert note.startswith(what)


@pytest.mark.parametrize("numbers", [2, 3])  # x y, or x y and whether it can be seen
def test_a_pose_is_read_as_its_box(tmp_path, numbers):
    folder = yolo_folder(tmp_path)
    (folder / "data.yaml").write_text(f"names: [cat, dog]\nkpt_shape: [4, {numbers}]\n")
    points = " ".join(["0.9"] * 4 * numbers)
    (folder / "labels" / "a.txt").write_text(f"0 0.5 0.5 0.1 0.5 {points}\n")
    annotations = read_split(folder, "all")
    torch.testing.assert_close(
        annotations.records[0].boxes, torch.tensor([[27.0, 10.0, 33.0, 30.0]])
    )
    assert "poses" in {note.what.split()[0] for note in annotations.notes}


def test_an_empty_label_file_is_told_from_none(tmp_path):
    folder = yolo_folder(tmp_path)
    (folder / "labels" / "a.txt").write_text("")
    annotations = read_split(folder, "all")
    assert annotations.faults == ()
    assert [note.place for note in annotations.notes] == ["images/c.png"]


def test_labels_of_two_people_are_not_chosen_between(tmp_path):
    folder = yolo_folder(tmp_path)
    for person in ("1", "2"):
        place = folder / "labels" / person
        place.mkdir()
        (place / "a.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    (folder / "labels" / "a.txt").unlink()
    faults = read_split(folder, "all").faults
    assert ["labels in labels/1/a.txt, labels/2/a.txt; want one" in str(f) for f in faults] == [
        True
    ]


def test_labels_in_a_folder_of_their_own_are_found_and_noted(tmp_path):
    folder = yolo_folder(tmp_path)
    (folder / "labels").rename(folder / "7")
    (folder / "labels").mkdir()
    (folder / "7").rename(folder / "labels" / "7")
    annotations = read_split(folder, "all")
    assert sum(len(record.boxes) for record in annotations.records) == 3
    assert "images/a.png in labels/7/a.txt" in [note.place for note in annotations.notes]


def test_poses_are_told_by_their_lines_where_no_yaml_says_so(tmp_path):
    folder = yolo_folder(tmp_path, scenes={"a": []})
    (folder / "labels").mkdir(exist_ok=True)
    pose, polygon = "0 0.5 0.5 0.1 0.5 0.9 0.9 2 0.1 0.1 0\n", "0 0.1 0.1 0.9 0.1 0.9 0.9\n"
    (folder / "labels" / "a.txt").write_text(pose)
    found = read_split(folder, "all")
    torch.testing.assert_close(found.records[0].boxes, torch.tensor([[27.0, 10.0, 33.0, 30.0]]))
    assert [note.what for note in found.notes] == ["poses are read as their boxes"]
    (folder / "labels" / "a.txt").write_text(pose + polygon)
    assert {note.what for note in read_split(folder, "all").notes} == {
        "polygons are read as the boxes around them"
    }
