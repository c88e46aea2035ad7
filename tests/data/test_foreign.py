"""Formats that are refused by name."""

import json

import pytest

from detlab.data.folders import layout_of
from detlab.data.foreign import CURES
from detlab.data.records import DataError
from tests.sample_folders import coco_folder, write_picture, yolo_folder

FILES = {
    "FiftyOne": ("samples.json", json.dumps({"samples": []})),
    "Open Images": (
        "train-annotations-bbox.csv",
        "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\n",
    ),
    "CVAT for images": ("annotations.xml", "<annotations><version>1.1</version></annotations>"),
    "Label Studio's JSON": (
        "project.json",
        json.dumps([{"id": 1, "data": {"image": "a.png"}, "annotations": []}]),
    ),
    "VIA": (
        "via_region_data.json",
        json.dumps({"a.png123": {"filename": "a.png", "size": 123, "regions": []}}),
    ),
    "CreateML": ("_annotations.createml.json", json.dumps([{"image": "a.png", "annotations": []}])),
    "Supervisely": ("ann/a.png.json", json.dumps({"objects": [], "size": {"height": 4}})),
    "COCO results": (
        "detections.json",
        json.dumps([{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 0.5}]),
    ),
    "a table (CSV)": ("labels.csv", "filename,width,height,class,xmin,ymin,xmax,ymax\n"),
    "TFRecord": ("train.tfrecord", ""),
    "KITTI": ("label_2/a.txt", "Car 0.0 0 1.5 5 4 30 20 1.5 1.6 3.9 1.0 1.5 8.4 0.01\n"),
    "DOTA": ("labelTxt/a.txt", "1.0 2.0 9.0 2.0 9.0 8.0 1.0 8.0 plane 0\n"),
    "MOT": ("seq/gt/gt.txt", "1,1,10,10,5,5,1,1,1\n"),
    "BDD100K": ("det_train.json", json.dumps([{"name": "a.png", "labels": []}])),
    "VoTT": ("set-export.json", json.dumps({"name": "set", "assets": {}})),
    "Hugging Face's metadata.jsonl": ("train/metadata.jsonl", "{}\n"),
    "Detectron2's list": ("a.json", json.dumps([{"file_name": "a.png", "annotations": []}])),
    "keras-yolo3's list": ("train.txt", "images/a.png 1,2,30,20,0 5,5,9,9,1\n"),
    "Parquet": ("train.parquet", ""),
}


def test_every_format_of_the_table_is_tried():
    assert set(FILES) == set(CURES)


@pytest.mark.parametrize("name", FILES)
def test_a_format_that_is_not_read_is_refused_with_the_cure(tmp_path, name):
    write_picture(tmp_path / "images" / "a.png")
    place, text = FILES[name]
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_text(text)
    with pytest.raises(DataError) as caught:
        layout_of(tmp_path)
    assert f"{place}: {name} is not read; {CURES[name]}" in str(caught.value)


@pytest.mark.parametrize("name", ["a table (CSV)", "CreateML", "TFRecord"])
def test_beside_a_format_that_is_read_nothing_is_refused(tmp_path, name):
    folder = coco_folder(tmp_path)
    place, text = FILES[name]
    (folder / place).write_text(text)
    assert layout_of(folder).format == "coco"


@pytest.mark.parametrize("name", ["COCO results", "Label Studio's JSON", "Parquet"])
def test_beside_labels_of_yolo_it_is_noted(tmp_path, name):
    folder = yolo_folder(tmp_path)
    place, text = FILES[name]
    (folder / place).write_text(text)
    layout = layout_of(folder)
    assert layout.format == "yolo"
    assert (f"{name} is not read beside YOLO", place) in layout.notes
