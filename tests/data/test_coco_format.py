"""COCO files to records, against torchvision."""

import json
import math
from pathlib import Path

import pytest
import torch
from torchvision.datasets import CocoDetection, wrap_dataset_for_transforms_v2

from detlab.data.coco_format import coco_annotations, read_coco
from detlab.data.folders import read_split
from detlab.data.records import DataError, in_few_words
from tests.sample_folders import (
    SCENES,
    coco_content,
    coco_folder,
    write_picture,
)


def find(name: str) -> Path:
    return Path("images") / name


def test_category_ids_with_gaps_become_labels_in_their_order():
    annotations = coco_annotations(coco_content(), find, Path("a.json"))
    assert annotations.class_names == ("background", "cat", "dog")  # ids 3 and 7
    assert annotations.records[0].labels.tolist() == [2, 1]


def test_coco_agrees_with_torchvision(tmp_path):
    folder = coco_folder(tmp_path)
    source = folder / "instances_train.json"
    reader = CocoDetection(folder / "images", str(source))
    theirs = wrap_dataset_for_transforms_v2(reader, target_keys=("boxes", "labels"))
    ours = read_coco(source, folder / "images")
    for record, (_, target) in zip(ours.records, theirs, strict=True):
        if len(record.boxes):
            assert torch.equal(record.boxes, target["boxes"].as_subclass(torch.Tensor))
            assert [{1: 3, 2: 7}[label] for label in record.labels.tolist()] == target[
                "labels"
            ].tolist()
        else:
            assert "boxes" not in target


TWO_DOGS = {"a": SCENES["a"], "b": [*SCENES["b"], ("dog", 30.0, 4.0, 50.0, 10.0)], "c": []}


@pytest.mark.parametrize("mark", [1, True, "1"])
def test_a_crowd_is_an_ignored_region_and_no_fault(mark):
    content = coco_content(TWO_DOGS)
    content["annotations"][0]["iscrowd"] = mark
    annotations = coco_annotations(content, find, Path("a.json"))
    record = annotations.records[0]
    assert record.labels.tolist() == [1]
    assert record.ignored_boxes.tolist() == [[6, 4, 30, 20]]
    assert record.ignored_labels.tolist() == [2]
    assert annotations.faults == ()
    assert in_few_words(annotations.notes) == [
        "crowd regions (iscrowd 1) are not learned, and ignored in evaluation: annotation 100"
    ]


def test_where_a_whole_category_is_marked_its_boxes_are_objects():
    """Tools write masks from a brush so."""
    content = coco_content(TWO_DOGS)
    for entry in content["annotations"]:
        entry["iscrowd"] = int(entry["category_id"] == 7)
    annotations = coco_annotations(content, find, Path("a.json"))
    assert [len(record.boxes) for record in annotations.records] == [2, 2, 0]
    assert not any(len(record.ignored_boxes) for record in annotations.records)
    assert in_few_words(annotations.notes) == [
        "objects are marked iscrowd 1 as all of their category, and taken as objects: "
        "annotation 100, annotation 103; 2 in all"
    ]


def test_a_crowd_that_cannot_be_read_is_a_fault():
    content = coco_content(TWO_DOGS)
    entry = content["annotations"][0]
    entry["iscrowd"] = 1
    del entry["bbox"]
    (fault,) = coco_annotations(content, find, Path("a.json")).faults
    assert str(fault) == "a.json: annotation 100: lacks 'bbox'"


@pytest.mark.parametrize(
    ("area", "expected"),
    [
        (321.5, 321.5),
        (7, 7.0),
        *((odd, None) for odd in (0, -4.0, None, "12", [12], math.nan, math.inf)),
    ],
)
def test_an_area_is_what_the_file_says_or_nan(area, expected):
    content = coco_content()
    content["annotations"][0]["area"] = area
    annotations = coco_annotations(content, find, Path("a.json"))
    stated = annotations.records[0].areas
    assert annotations.faults == ()
    assert stated[1] == 2400
    assert stated[0].isnan() if expected is None else stated[0] == expected


def spoil(kind: str, row: int, **changes):
    content = coco_content()
    for key, value in changes.items():
        if value is None:
            del content[kind][row][key]
        else:
            content[kind][row][key] = value
    return content


@pytest.mark.parametrize(
    ("content", "record", "what"),
    [
        (spoil("annotations", 1, id=100), "annotation 100", "stands there more than once"),
        (spoil("images", 1, id=1), "image 1", "stands there more than once"),
        (spoil("categories", 1, id=7), "category 7", "stands there more than once"),
        (spoil("annotations", 0, image_id=9), "annotation 100", "no image has its image_id 9"),
        (
            spoil("annotations", 0, category_id=5),
            "annotation 100",
            "unknown class 5; want one of 3, 7",
        ),
        (spoil("annotations", 0, bbox=None), "annotation 100", "lacks 'bbox'"),
        (
            spoil("annotations", 0, bbox=[1, 2, 3]),
            "annotation 100",
            "want four numbers as bbox, got [1, 2, 3]",
        ),
        (spoil("annotations", 0, bbox="1234"), "annotation 100", "want four numbers"),
        (spoil("annotations", 0, bbox=[1, 2, "x", 4]), "annotation 100", "could not convert"),
        (spoil("images", 0, width="wide"), "image 1", "invalid literal"),
        (spoil("images", 2, file_name=None), "image 3", "lacks 'file_name'"),
    ],
)
def test_a_fault_in_a_coco_file_names_its_record(content, record, what):
    annotations = coco_annotations(content, find, Path("a.json"))
    assert annotations.faults[0].file == Path("a.json")
    assert annotations.faults[0].record == record
    assert what in annotations.faults[0].what


def test_the_sound_rest_of_a_coco_file_is_kept():
    annotations = coco_annotations(spoil("annotations", 0, bbox=None), find, Path("a.json"))
    assert [record.objects for record in annotations.records] == [
        ("annotation 101",),
        ("annotation 102",),
        (),
    ]


def test_two_images_of_one_file_are_a_fault():
    content = spoil("images", 1, file_name="a.png")
    (fault,) = coco_annotations(content, find, Path("a.json")).faults
    assert str(fault) == f"a.json: {Path('images/a.png')}: stands there more than once"


@pytest.mark.parametrize("key", ["images", "annotations", "categories"])
@pytest.mark.parametrize("value", [None, {}, 3])
def test_a_coco_file_without_one_of_its_lists_is_refused(key, value):
    with pytest.raises(DataError, match=f"a.json: want a COCO file with a list '{key}'"):
        coco_annotations(coco_content() | {key: value}, find, Path("a.json"))


@pytest.mark.parametrize("content", [[], None, "text"])
def test_json_that_is_no_coco_is_refused(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="want a COCO file"):
        read_coco(path, tmp_path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (coco_content() | {"images": [None]}, "want a whole number or a word as the id"),
        (coco_content() | {"images": 3}, "want a COCO file with a list 'images'"),
        (spoil("categories", 0, name=None), "category 7: lacks 'name'"),
    ],
)
def test_a_coco_file_that_cannot_be_gone_through_is_refused(tmp_path, content, what):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"a\.json: {what}"):
        read_coco(path, tmp_path)


@pytest.mark.parametrize("entry", [None, 5, {"name": "x"}, {"id": True}, {"id": [1]}])
def test_an_entry_without_a_number_as_its_id_is_refused(entry):
    content = coco_content() | {"categories": [entry]}
    with pytest.raises(DataError, match="want a whole number or a word as the id"):
        coco_annotations(content, find, Path("a.json"))


def test_ids_may_be_words():
    content = coco_content()
    for entry in (*content["images"], *content["annotations"], *content["categories"]):
        entry["id"] = f"x{entry['id']}"
    for entry in content["annotations"]:
        entry["image_id"] = f"x{entry['image_id']}"
        entry["category_id"] = f"x{entry['category_id']}"
    annotations = coco_annotations(content, find, Path("a.json"))
    assert annotations.class_names == ("background", "cat", "dog")
    assert annotations.faults == ()
    assert annotations.records[0].objects == ("annotation x100", "annotation x101")


@pytest.mark.parametrize("side", [None, 0])
def test_a_size_that_is_not_said_is_left_to_the_picture(side):
    content = spoil("images", 0, width=0) if side == 0 else coco_content()
    if side is None:
        content["images"][0]["height"] = None
    record, *_ = coco_annotations(content, find, Path("a.json")).records
    assert record.image_size is None


def test_two_categories_of_one_name_are_refused():
    content = spoil("categories", 0, name="cat")
    with pytest.raises(DataError, match="categories 3 and 7 are both called 'cat'"):
        coco_annotations(content, find, Path("a.json"))


def test_a_box_that_was_drawn_backwards_is_turned_with_a_word():
    content = spoil("annotations", 0, bbox=[30, 20, -24, -16])
    annotations = coco_annotations(content, find, Path("a.json"))
    assert annotations.records[0].boxes[0].tolist() == [6, 4, 30, 20]
    (note,) = annotations.notes
    assert (note.place, "turned" in note.what) == ("annotation 100", True)


@pytest.mark.parametrize("bbox", ["left out", None, []])
def test_the_box_around_a_polygon_stands_for_one_that_is_missing(bbox):
    content = coco_content()
    content["annotations"][0] |= {"bbox": bbox, "segmentation": [[6, 4, 30, 4, 18, 20]]}
    if bbox == "left out":
        del content["annotations"][0]["bbox"]
    annotations = coco_annotations(content, find, Path("a.json"))
    assert annotations.records[0].boxes[0].tolist() == [6, 4, 30, 20]
    assert [note.place for note in annotations.notes] == ["annotation 100"]


@pytest.mark.parametrize("name", ["images\\a.png", "/home/me/images/a.png", "../images/a.png"])
def test_a_name_from_elsewhere_is_looked_for_inside_with_a_word(tmp_path, name):
    folder = coco_folder(tmp_path / "set", content=spoil("images", 0, file_name=name))
    write_picture(tmp_path / "images" / "a.png")
    annotations = read_split(folder, "train")
    assert annotations.records[0].image == folder / "images" / "a.png"
    assert "lead elsewhere" in annotations.notes[0].what


def test_a_picture_outside_is_never_read(tmp_path):
    outside = write_picture(tmp_path / "secret.png")
    content = spoil("images", 0, file_name=str(outside))
    (fault,) = read_split(coco_folder(tmp_path / "set", content=content), "train").faults[:1]
    assert "no picture of this name here; --allow-outside" in fault.what


def test_json_that_is_nested_without_end_is_refused(tmp_path):
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match="nested too deep"):
        read_coco(tmp_path / "a.json", tmp_path)


def test_what_is_not_json_is_refused(tmp_path):
    (tmp_path / "a.json").write_text('{"images": [')
    with pytest.raises(DataError, match=r"a\.json: not JSON"):
        read_coco(tmp_path / "a.json", tmp_path)


def test_pictures_are_found_in_the_folder_that_has_them(tmp_path):
    folder = coco_folder(tmp_path)
    annotations = read_coco(folder / "instances_train.json", folder, folder / "images")
    assert annotations.records[0].image == folder / "images" / "a.png"


def test_their_folder_is_found_also_where_the_first_picture_is_lost(tmp_path):
    folder = coco_folder(tmp_path)
    (folder / "images" / "a.png").unlink()
    annotations = read_coco(folder / "instances_train.json", folder, folder / "images")
    assert annotations.records[1].image == folder / "images" / "b.png"


def test_a_mask_without_a_box_is_refused_with_the_way_to_one():
    content = coco_content(TWO_DOGS)
    content["annotations"][0] |= {"bbox": None, "segmentation": {"size": [40, 60], "counts": "abc"}}
    (fault,) = coco_annotations(content, find, Path("a.json")).faults
    assert "its mask is RLE; want what pycocotools.mask.toBbox gives" in fault.what
