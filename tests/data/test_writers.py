"""What is written is what the formats' own readers read: pycocotools, an XML parser, YAML."""

import contextlib
import io
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
import yaml
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from detlab.data.folders import UNSPLIT
from detlab.data.records import Object, make_record
from detlab.data.writers import (
    coco_content,
    data_yaml,
    in_decimals,
    object_areas,
    voc_xml,
    write_coco,
    write_voc,
    write_yolo,
    yolo_lines,
)

NAMES = ("background", "cat", "dog")
CAT, DOG = 1, 2
OBJECTS = [
    Object("annotation 1", DOG, [6.0, 4.1, 30.3, 20.0], area=123.0),
    Object("annotation 2", CAT, [0.0, 0.0, 60.0, 40.0]),
    Object("annotation 3", CAT, [10.0, 10.0, 50.0, 30.0], ignored=True),
]


def record(name="a.jpg", objects=OBJECTS, size=(40, 60)):
    return make_record(Path("train") / name, size, objects, Path("a.json"))


def opened(path):
    """A COCO file in pycocotools, which prints as it reads."""
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def test_pycocotools_reads_boxes_areas_crowds_and_empty_pictures(tmp_path):
    write_coco(tmp_path, {"val": [record(), record("b.jpg", [])]}, NAMES)
    coco = opened(tmp_path / "annotations" / "instances_val.json")
    dog, cat, crowd = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    assert (dog["category_id"], cat["category_id"], crowd["category_id"]) == (DOG, CAT, CAT)
    assert [entry["iscrowd"] for entry in (dog, cat, crowd)] == [0, 0, 1]
    assert [entry["area"] for entry in (dog, cat, crowd)] == [123.0, 2400.0, 800.0]
    assert crowd["bbox"] == [10.0, 10.0, 40.0, 20.0]
    assert coco.getAnnIds(imgIds=[2]) == []
    assert coco.loadImgs(2)[0] == {"id": 2, "file_name": "b.jpg", "width": 60, "height": 40}
    assert {entry["id"]: entry["name"] for entry in coco.loadCats(coco.getCatIds())} == {
        CAT: "cat",
        DOG: "dog",
    }


def test_pycocotools_evaluates_perfect_detections_as_perfect(tmp_path):
    write_coco(tmp_path, {"val": [record()]}, NAMES)
    coco = opened(tmp_path / "annotations" / "instances_val.json")
    found = [
        {key: entry[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.9}
        for entry in coco.loadAnns(coco.getAnnIds())
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(coco, coco.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1.0)


def test_corners_come_back_from_coco_to_the_last_bit():
    torch.manual_seed(0)
    corners = torch.rand(500, 2, 2) * 4000
    boxes = torch.cat([corners.amin(dim=1), corners.amax(dim=1)], dim=1)
    objects = [Object("", CAT, box) for box in boxes.tolist()]
    content = coco_content([record(objects=objects, size=(4000, 4000))], NAMES)
    read = [entry["bbox"] for entry in json.loads(json.dumps(content))["annotations"]]
    again = torch.tensor([[x, y, x + w, y + h] for x, y, w, h in read])
    assert torch.equal(again, boxes)


def test_an_area_that_nobody_gave_is_the_boxs():
    assert object_areas(record()).tolist() == [123.0, 2400.0]


def test_a_set_without_splits_has_one_file(tmp_path):
    for write in (write_coco, write_voc):
        write(tmp_path, {UNSPLIT: [record()]}, NAMES)
    write_yolo(tmp_path, {UNSPLIT: [record()]}, NAMES, tmp_path)
    files = sorted(
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()
    )
    assert files == [
        "Annotations/a.xml",
        "annotations/instances.json",
        "data.yaml",
        "labelmap.txt",
        "labels/a.txt",
    ]


def test_voc_says_size_corners_and_what_is_difficult():
    root = ElementTree.fromstring(voc_xml(record("a & b.jpg"), NAMES))
    assert root.findtext("filename") == "a & b.jpg"
    assert (root.findtext("size/width"), root.findtext("size/height")) == ("60", "40")
    assert [entry.text for entry in root.findall("object/name")] == ["dog", "cat", "cat"]
    assert [entry.text for entry in root.findall("object/difficult")] == ["0", "0", "1"]
    assert [corner.text for corner in root.find("object/bndbox")] == ["6", "4.1", "30.3", "20"]


def test_voc_lists_splits_and_classes(tmp_path):
    write_voc(tmp_path, {"train": [record("b.jpg"), record()], "val": [record("c.jpg")]}, NAMES)
    assert (tmp_path / "ImageSets" / "Main" / "train.txt").read_text() == "b\na\n"
    assert (tmp_path / "ImageSets" / "Main" / "val.txt").read_text() == "c\n"
    rows = (tmp_path / "labelmap.txt").read_text().splitlines()
    assert rows == ["# label:color_rgb:parts:actions", "background:::", "cat:::", "dog:::"]


@pytest.mark.parametrize("value", [0.0, 1e-4, 0.1, 12.5, 4095.9998, 16777216.0])
def test_decimals_are_read_as_the_same_number(value):
    assert torch.equal(torch.tensor(float(in_decimals(value))), torch.tensor(value))
    assert "e" not in in_decimals(value)


def test_yolo_counts_classes_from_0_and_sides_in_fractions():
    objects = [Object("", DOG, [6.0, 4.0, 30.0, 20.0])]
    assert yolo_lines(record(objects=objects)) == ["1 0.3 0.3 0.4 0.4"]
    assert yolo_lines(record(objects=[])) == []


def test_yolo_comes_back_to_within_a_thousandth_of_a_pixel_in_a_large_picture():
    box = [1234.5678, 0.1, 7999.8765, 4321.0]
    (line,) = yolo_lines(record(objects=[Object("", CAT, box)], size=(6000, 8000)))
    cx, cy, w, h = map(float, line.split()[1:])
    again = [(cx - w / 2) * 8000, (cy - h / 2) * 6000, (cx + w / 2) * 8000, (cy + h / 2) * 6000]
    assert again == pytest.approx(box, abs=1e-3)


def test_a_picture_without_objects_has_an_empty_file(tmp_path):
    write_yolo(tmp_path, {"train": [record(objects=[])]}, NAMES, tmp_path)
    assert (tmp_path / "labels" / "train" / "a.txt").read_text() == ""


@pytest.mark.parametrize(
    "name", ["no", "on", "1e3", "~", "0x1", "a: b # c", 'say "cat"', "é", "\n"]
)
def test_names_that_yaml_misreads_stay_names(name):
    content = yaml.safe_load(data_yaml(["train"], ("background", name), Path("C:\\pets")))
    assert content == {"path": "C:\\pets", "train": "images/train", "names": {0: name}}
