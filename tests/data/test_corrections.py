"""A public set, corrected: every correction lands, and nothing else changes."""

import os
from pathlib import Path

import pytest
import torch

from detlab.data.corrections import correct, corrected_splits, read_lists, row_of
from detlab.data.datasets import find_data, load_dataset, read_splits
from detlab.data.records import DataError, make_record

NAMES = ("background", "cell", "speck")
BOXES = [("object 0", 1, [1.0, 2.0, 9.0, 8.0]), ("object 1", 2, [5.0, 5.0, 6.0, 7.0])]
RECORD = make_record(Path("BloodImage_00007.jpg"), (40, 60), BOXES, Path("a.xml"))
NOTHING = {"drop": [], "relabel": [], "add": []}
BCCD = Path(os.environ.get("DETLAB_DATA", "nowhere")) / "bccd" / "BCCD"
real = pytest.mark.skipif(not BCCD.is_dir(), reason="bccd is not below DETLAB_DATA")


def test_a_picture_without_corrections_stays():
    corrected = correct("00007", RECORD, {**NOTHING, "drop": [["00008", [1, 2, 9, 8]]]}, NAMES)
    assert torch.equal(corrected.boxes, RECORD.boxes)
    assert torch.equal(corrected.labels, RECORD.labels)
    assert corrected.objects == RECORD.objects


def test_boxes_are_dropped_renamed_and_added():
    lists = {
        "drop": [["00007", [1, 2, 9, 8]]],
        "relabel": [["00007", [5, 5, 6, 7], "cell"]],
        "add": [["00007", [10, 10, 30, 25], "speck"]],
    }
    corrected = correct("00007", RECORD, lists, NAMES)
    assert corrected.boxes.tolist() == [[5, 5, 6, 7], [10, 10, 30, 25]]
    assert corrected.labels.tolist() == [1, 2]
    assert corrected.objects == ("object 1", "added")
    assert corrected.areas is None  # and not those of the boxes before
    assert RECORD.labels.tolist() == [1, 2]  # the given record is as it was


def test_a_box_that_is_not_there_says_another_version():
    with pytest.raises(DataError, match=r"a\.xml: no box \[1, 2, 9, 9\]; this is another version"):
        row_of([1, 2, 9, 9], RECORD)


def test_of_two_equal_boxes_one_is_meant():
    twice = make_record(Path("a.jpg"), (40, 60), [*BOXES, BOXES[0]], Path("a.xml"))
    assert row_of([1, 2, 9, 8], twice) == 2


def test_no_picture_stands_in_two_splits():
    lists = read_lists("bccd")
    numbers = [number for split in lists["splits"].values() for number in split]
    assert len(numbers) == len(set(numbers)) == 345
    assert not set(numbers) & set(lists["excluded"])


def test_no_scene_stands_in_two_splits():
    lists = read_lists("bccd")
    split_of = {number: split for split, numbers in lists["splits"].items() for number in numbers}
    known = [pair for pair in lists["twins"] if set(pair) <= split_of.keys()]
    assert len(known) > 20
    assert all(split_of[one] == split_of[other] for one, other in known)


@real
def test_the_corrected_set_has_the_counts_of_the_audit():
    splits = read_splits("bccd-clean")
    assert {name: len(found.records) for name, found in splits.items()} == {
        "train": 241,
        "val": 35,
        "test": 69,
    }
    boxes = {name: sum(len(r.boxes) for r in found.records) for name, found in splits.items()}
    assert boxes == {"train": 3348, "val": 488, "test": 997}
    assert len(load_dataset("bccd-clean", "test").records) == 69  # without a fault


@real
def test_wrong_classes_are_corrected_and_forgotten_cells_boxed():
    published, corrected = (
        {
            record.image.stem[-5:]: record
            for split in read_splits(name).values()
            for record in split.records
        }
        for name in ("bccd", "bccd-clean")
    )
    names = read_splits("bccd")["train"].class_names
    row = row_of([257, 430, 288, 457], published["00113"])
    assert names[int(published["00113"].labels[row])] != names[int(corrected["00113"].labels[row])]
    assert names[int(corrected["00113"].labels[row])] == "Platelets"
    assert corrected["00178"].boxes[-1].tolist() == [218, 1, 412, 160]
    assert names[int(corrected["00178"].labels[-1])] == "WBC"


@real
def test_another_version_of_the_set_is_refused(tmp_path):
    source = find_data("bccd-clean")
    for part in ("Annotations", "JPEGImages"):
        (tmp_path / part).symlink_to(source / part)
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text((source / "ImageSets" / "Main" / "train.txt").read_text())
    with pytest.raises(DataError, match="lacks"):
        corrected_splits("bccd-clean", tmp_path)


def test_a_folder_whose_name_ends_alike_is_a_folder(tmp_path):
    assert find_data(tmp_path / "my-clean") == tmp_path / "my-clean"
