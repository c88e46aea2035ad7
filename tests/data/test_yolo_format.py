"""YOLO files to records."""

import pytest
import torch
from PIL import Image

from detlab.data.records import DataError
from detlab.data.yolo_format import read_yolo
from tests.sample_folders import (
    SCENES,
    write_picture,
    yolo_folder,
)


def test_a_yolo_line_by_hand(tmp_path):
    folder = yolo_folder(tmp_path, scenes={"a": []})
    (folder / "labels").mkdir(exist_ok=True)
    (folder / "labels" / "a.txt").write_text("1 0.5 0.5 0.1 0.5\n\n")  # of 60 x 40
    (record,) = read_yolo(folder).records
    torch.testing.assert_close(record.boxes, torch.tensor([[27.0, 10.0, 33.0, 30.0]]))
    assert record.labels.tolist() == [2]
    assert record.objects == ("line 1",)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("2 0.5 0.5 0.1 0.1", "unknown class 2; want one of 0, 1"),
        ("-1 0.5 0.5 0.1 0.1", "unknown class -1; want one of 0, 1"),
        ("cat 0.5 0.5 0.1 0.1", "invalid literal for int"),
        ("0 0.5 0.5 0.1", r"want 5 numbers \(class cx cy width height\), got 4"),
        ("0 0.5 0.5 0.1 wide", "could not convert string to float: 'wide'"),
    ],
)
def test_a_fault_in_a_yolo_line_names_it(tmp_path, line, what):
    folder = yolo_folder(tmp_path)
    (folder / "labels" / "a.txt").write_text(f"0 0.5 0.5 0.1 0.1\n{line}\n")
    (fault,) = read_yolo(folder).faults
    with pytest.raises(AssertionError, match=f"a.txt: line 2: {what}"):
        raise AssertionError(str(fault))


def test_labels_without_a_picture_are_a_fault(tmp_path):
    folder = yolo_folder(tmp_path)
    (folder / "images" / "a.png").unlink()
    (fault,) = read_yolo(folder).faults
    assert "no picture a in" in str(fault)


def test_a_picture_that_cannot_be_measured_is_a_fault(tmp_path):
    folder = yolo_folder(tmp_path)
    (folder / "images" / "a.png").write_bytes(b"no picture")
    (fault,) = read_yolo(folder).faults
    assert fault.file == folder / "images" / "a.png"
    assert fault.what.startswith("not a picture")


def test_two_pictures_that_share_one_label_file_are_a_fault(tmp_path):
    folder = yolo_folder(tmp_path)
    write_picture(folder / "images" / "a.jpg")
    annotations = read_yolo(folder)
    assert len(annotations.records) == len(SCENES)
    assert ["a: stands there more than once" in str(fault) for fault in annotations.faults] == [
        True
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("data.yaml", "names: [cat, dog]"),
        ("data.yml", "names:\n- cat\n- dog\n"),
        ("set.yaml", "names:\n  1: dog\n  0: cat\n"),
        ("classes.txt", "cat\ndog\n\n"),
    ],
)
def test_class_names_stand_in_yaml_or_text(tmp_path, name, text):
    folder = yolo_folder(tmp_path)
    (folder / "data.yaml").unlink()
    (folder / name).write_text(text)
    assert read_yolo(folder).class_names == ("background", "cat", "dog")


@pytest.mark.parametrize("text", ["nc: 2\n", "names: []\n", "- cat\n"])
def test_a_folder_without_class_names_is_refused(tmp_path, text):
    folder = yolo_folder(tmp_path)
    (folder / "data.yaml").write_text(text)
    with pytest.raises(DataError, match="no class names; want"):
        read_yolo(folder)


@pytest.mark.parametrize(
    "names", ["{1: cat, 2: dog}", "{'0': cat, '1': dog}", "{0: cat, dog: 1}", "{0: cat, 2: dog}"]
)
def test_names_that_do_not_count_from_0_are_refused(tmp_path, names):
    folder = yolo_folder(tmp_path)
    (folder / "data.yaml").write_text(f"names: {names}")
    with pytest.raises(DataError, match=r"data\.yaml: want a name for each of 0 to 1, got \["):
        read_yolo(folder)


@pytest.mark.parametrize("text", ["names: [cat\n", "names: !!python/object/apply:os.getcwd []\n"])
def test_yaml_that_is_broken_or_runs_code_is_refused(tmp_path, text):
    folder = yolo_folder(tmp_path)
    (folder / "data.yaml").write_text(text)
    with pytest.raises(DataError, match=r"data\.yaml: not YAML"):
        read_yolo(folder)


def test_both_customs_of_naming_splits_are_read(tmp_path):
    one = yolo_folder(tmp_path / "one", "val")
    other = tmp_path / "other"
    for kind in ("images", "labels"):
        (other / "val").mkdir(parents=True, exist_ok=True)
        (one / kind / "val").rename(other / "val" / kind)
    (one / "data.yaml").rename(other / "data.yaml")
    assert len(read_yolo(other, "val").records) == len(SCENES)


def test_the_size_of_a_yolo_picture_is_read_from_the_picture(tmp_path):
    folder = yolo_folder(tmp_path, scenes={"a": []})
    Image.new("RGB", (7, 5)).save(folder / "images" / "a.png")
    assert read_yolo(folder).records[0].image_size == (5, 7)
