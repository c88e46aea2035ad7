"""Formats that are not read, each by its name and with the way to one that is.

Uses tree.py and yolo_format.py. What tells them apart is what their tools write; the sources stand
in README's table.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from detlab.data.pictures import SUFFIXES
from detlab.data.records import DataError, Note, first_words, is_number
from detlab.data.tree import Tree
from detlab.data.yolo_format import looks_like_labels

CURES = {
    "FiftyOne": "export it with dataset_type=fiftyone.types.COCODetectionDataset",
    "Open Images": "load it with FiftyOne (fiftyone.zoo) and export it as COCODetectionDataset",
    "CVAT for images": "export the task as COCO 1.0 or Pascal VOC 1.1 instead",
    "Label Studio's JSON": "export the project as COCO or YOLO instead",
    "VIA": "export it as COCO: Annotation, Export Annotations (COCO format)",
    "CreateML": "export it from its tool as COCO, VOC or YOLO instead",
    "Supervisely": "export it with the app Export to COCO",
    "COCO results": "they are detections; want the file with the annotations",
    "a table (CSV)": "export it from its tool as COCO, VOC or YOLO instead",
    "TFRecord": "export it from its tool as COCO, VOC or YOLO instead",
    "KITTI": "convert it to COCO (datumaro convert -if kitti -f coco)",
    "DOTA": "convert it to YOLO (ultralytics.data.converter.convert_dota_to_yolo_obb)",
    "MOT": "convert it to COCO (datumaro convert -if mot_seq -f coco)",
    "BDD100K": "convert it to COCO (python -m bdd100k.label.to_coco -m det)",
    "VoTT": "export it from VoTT as Pascal VOC",
    "Hugging Face's metadata.jsonl": "write its boxes to a COCO file, or as labels of YOLO",
    "Detectron2's list": "convert it (detectron2.data.datasets.coco.convert_to_coco_json)",
    "keras-yolo3's list": "write a YOLO label file for each picture: class cx cy width height",
    "Parquet": "export it from its tool as COCO, VOC or YOLO instead",
}
"""A format's name, and what to do."""


def refuse_foreign(tree: Tree, jsons: Mapping[Path, Any], roots: Mapping[Path, str]) -> list[Note]:
    """Refuse a folder whose format is known and not read; beside YOLO's labels it is noted.

    Args:
        tree: its files.
        jsons: its parsed JSON files.
        roots: its XML files, and the name of what is outermost in each.

    Raises:
        DataError: names the format, a file of it, and the cure.
    """
    named = {
        path: foreign_format(path, jsons.get(path), roots.get(path, "")) for path in tree.files
    }
    found = {path: name for path, name in named.items() if name}
    others = [path for path in tree.ending(".txt") if path not in found]
    has_labels = any(first_words(path) and looks_like_labels(path) for path in others)
    for path, name in found.items():
        if path.suffix.lower() == ".txt" or not has_labels:
            raise DataError(f"{path}: {name} is not read; {CURES[name]}")
    return [
        Note(f"{name} is not read beside YOLO", tree.name(path)) for path, name in found.items()
    ]


def foreign_format(path: Path, content: Any, root: str) -> str:
    """The format that a file belongs to, "" where it is none of CURES."""
    if root == "annotations":
        return "CVAT for images"
    by_name = {
        "samples.json": "FiftyOne",
        "class-descriptions-boxable.csv": "Open Images",
        "metadata.jsonl": "Hugging Face's metadata.jsonl",
    }
    if path.name in by_name:
        return by_name[path.name]
    if path.suffix.lower() == ".csv":
        return csv_format(path)
    if path.suffix.lower() == ".txt":
        return text_format(path)
    endings = {".tfrecord": "TFRecord", ".tfrecords": "TFRecord", ".parquet": "Parquet"}
    return endings.get(path.suffix.lower(), "") or json_format(content)


def csv_format(path: Path) -> str:
    """Open Images by its columns, any other table of boxes as such."""
    columns = set(" ".join(first_words(path)).lower().replace('"', "").split(","))
    if {"imageid", "labelname", "xmin"} <= columns:
        return "Open Images"
    return "a table (CSV)" if {"xmin", "x_min", "bbox", "x1"} & columns else ""


def text_format(path: Path) -> str:
    """KITTI, DOTA, MOT or keras-yolo3 by the words of a first line."""
    if path.parent.name == "gt" and path.name == "gt.txt":
        return "MOT"
    words = first_words(path)
    if len(words) in (15, 16) and words[0].isalpha() and all(map(is_number, words[1:15])):
        return "KITTI"
    boxes = words[1:]
    if (
        boxes
        and words[0].lower().endswith(tuple(SUFFIXES))
        and all(w.count(",") == 4 for w in boxes)
    ):
        return "keras-yolo3's list"
    if words[:1] == ["imagesource:GoogleEarth"] or words[:1] == ["gsd:null"]:
        return "DOTA"
    if len(words) in (9, 10) and all(map(is_number, words[:8])) and not is_number(words[8]):
        return "DOTA"
    return ""


def json_format(content: Any) -> str:
    """A format by the entries of its JSON."""
    if isinstance(content, dict):
        if "samples" in content:
            return "FiftyOne"
        if isinstance(content.get("assets"), dict):
            return "VoTT"
        if "_via_img_metadata" in content or any(map(is_via, list(content.values())[:1])):
            return "VIA"
        return "Supervisely" if {"objects", "size"} <= set(content) else ""
    first = content[0] if isinstance(content, list) and content else None
    if not isinstance(first, dict):
        return ""
    tests: dict[str, Callable[[dict[str, Any]], bool]] = {
        "COCO results": lambda entry: {"image_id", "bbox", "score"} <= set(entry),
        "BDD100K": lambda entry: "name" in entry and "labels" in entry,
        "Detectron2's list": lambda entry: "file_name" in entry and "annotations" in entry,
        "CreateML": lambda entry: "image" in entry and "annotations" in entry,
        "Label Studio's JSON": lambda entry: "data" in entry or "completions" in entry,
    }
    return next((name for name, test in tests.items() if test(first)), "")


def is_via(entry: Any) -> bool:
    """Whether an entry is one of VIA's: a picture with its regions."""
    return isinstance(entry, dict) and "regions" in entry and "filename" in entry
