"""Records to the files of COCO, Pascal VOC and YOLO: the way back of their three readers.

Uses boxes.py, files.py, splits.py and records.py. Each `write_` function writes the annotations of
all splits of a set, whose pictures convert.py has put where `picture_folder` says. Boxes, in pixels
of the picture as it is shown, go into COCO and VOC exactly, and into YOLO to within a thousandth of
a pixel.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import numpy as np
import torch
import yaml  # type: ignore[import-untyped]
from jaxtyping import Float
from torch import Tensor

from detlab.boxes import box_area, normalise_boxes, xyxy_to_cxcywh, xyxy_to_xywh
from detlab.data.records import Record
from detlab.data.splits import UNSPLIT
from detlab.files import to_json

Format = Literal["coco", "voc", "yolo"]

Splits = Mapping[str, Sequence[Record]]
"""The records of each split: sound ones, so their `image_size` is known."""


def picture_folder(to: Format, split: str) -> str:
    """Where the pictures of a split lie, below the folder of the set.

    COCO's own layout, train/ beside annotations/instances_train.json, is the one that most programs
    which train on COCO expect; Roboflow's, an annotation file among the pictures, is Roboflow's.

    >>> [picture_folder(to, "val") for to in ("coco", "voc", "yolo")]
    ['val', 'JPEGImages', 'images/val']
    """
    if to == "voc":
        return "JPEGImages"
    if split == UNSPLIT:
        return "images"
    return split if to == "coco" else f"images/{split}"


def write_coco(folder: Path, splits: Splits, class_names: Sequence[str]) -> None:
    """Write annotations/instances_SPLIT.json, or instances.json for a set without splits."""
    for split, records in splits.items():
        name = "instances" if split == UNSPLIT else f"instances_{split}"
        content = coco_content(records, class_names)
        write_new(folder / "annotations" / f"{name}.json", to_json(content))


def coco_content(records: Sequence[Record], class_names: Sequence[str]) -> dict[str, Any]:
    """What a COCO file says of a split; all its ids count from 1.

    >>> coco_content([], ("background", "cat"))["categories"]
    [{'id': 1, 'name': 'cat', 'supercategory': ''}]
    """
    images, annotations = [], []
    for row, record in enumerate(records, start=1):
        height, width = shown_size(record)
        name = record.image.name
        images.append({"id": row, "file_name": name, "width": width, "height": height})
        annotations += [{"image_id": row, **entry} for entry in coco_objects(record)]
    return {
        "info": {},
        "licenses": [],
        "images": images,
        "annotations": [{"id": number, **entry} for number, entry in enumerate(annotations, 1)],
        "categories": [
            {"id": label, "name": name, "supercategory": ""}
            for label, name in enumerate(class_names)
            if label
        ],
    }


def coco_objects(record: Record) -> list[dict[str, Any]]:
    """The objects of one picture, then its ignored regions, as crowds."""
    boxes = xyxy_to_xywh(torch.cat([record.boxes, record.ignored_boxes]).double())
    labels = torch.cat([record.labels, record.ignored_labels])
    areas = torch.cat([object_areas(record), box_area(record.ignored_boxes.double())])
    entries = zip(labels.tolist(), boxes.tolist(), areas.tolist(), strict=True)
    return [
        {
            "category_id": label,
            "bbox": box,
            "area": area,
            "segmentation": [],
            "iscrowd": int(row >= len(record.boxes)),
        }
        for row, (label, box, area) in enumerate(entries)
    ]


def object_areas(record: Record) -> Float[Tensor, " M"]:
    """The area of each object in square pixels: its box's where no annotation says it."""
    areas = box_area(record.boxes.double())
    if record.areas is None:
        return areas
    return torch.where(record.areas.isnan(), areas, record.areas.double())


def write_voc(folder: Path, splits: Splits, class_names: Sequence[str]) -> None:
    """Write Annotations/, ImageSets/Main/SPLIT.txt, and labelmap.txt with the classes in order.

    VOC itself lists its classes nowhere; CVAT, Datumaro and our reader look into labelmap.txt.
    """
    for split, records in splits.items():
        for record in records:
            path = folder / "Annotations" / f"{record.image.stem}.xml"
            write_new(path, voc_xml(record, class_names))
        if split != UNSPLIT:
            stems = (record.image.stem for record in records)
            write_new(folder / "ImageSets" / "Main" / f"{split}.txt", in_lines(stems))
    rows = (f"{name}:::" for name in class_names)
    write_new(folder / "labelmap.txt", in_lines(["# label:color_rgb:parts:actions", *rows]))


def voc_xml(record: Record, class_names: Sequence[str]) -> str:
    """What VOC says of one picture; ignored regions are objects called difficult.

    Corners are written as they are: counted from 0, as LabelImg does (only VOC's own files count
    from 1), and with decimals where they have some, as CVAT does, for rounding would move boxes.
    torchvision's VOCDetection gives them as texts; its wrap_dataset_for_transforms_v2, and others
    that take whole pixels, refuse decimals.
    """
    height, width = shown_size(record)
    root = Element("annotation")
    put(root, folder="JPEGImages", filename=record.image.name)
    put(SubElement(root, "size"), width=width, height=height, depth=3)
    put(root, segmented=0)
    boxes = torch.cat([record.boxes, record.ignored_boxes]).tolist()
    labels = torch.cat([record.labels, record.ignored_labels]).tolist()
    for row, (label, box) in enumerate(zip(labels, boxes, strict=True)):
        entry = SubElement(root, "object")
        difficult = int(row >= len(record.boxes))
        put(entry, name=class_names[label], pose="Unspecified", truncated=0, difficult=difficult)
        xmin, ymin, xmax, ymax = map(in_decimals, box)
        put(SubElement(entry, "bndbox"), xmin=xmin, ymin=ymin, xmax=xmax, ymax=ymax)
    indent(root)
    return tostring(root, encoding="unicode") + "\n"


def put(parent: Element, **texts: object) -> None:
    """Add one element for each text below a parent."""
    for tag, text in texts.items():
        SubElement(parent, tag).text = str(text)


def in_decimals(value: float) -> str:
    """The shortest decimal number that is read as the same float32.

    >>> in_decimals(30.0), in_decimals(torch.tensor(0.1).item())
    ('30', '0.1')
    """
    return np.format_float_positional(np.float32(value), trim="-")


def write_yolo(folder: Path, splits: Splits, class_names: Sequence[str], home: Path) -> None:
    """Write a text file for each picture, and data.yaml, as Ultralytics has them.

    A picture without objects gets an empty file, so nobody takes it for one without labels.
    Ignored regions cannot be said and are not written.

    Args:
        folder: to write into.
        splits: the records.
        class_names: "background" first.
        home: where the folder will lie, for `path` in data.yaml.
    """
    for split, records in splits.items():
        labels = folder / picture_folder("yolo", split).replace("images", "labels", 1)
        for record in records:
            write_new(labels / f"{record.image.stem}.txt", in_lines(yolo_lines(record)))
    write_new(folder / "data.yaml", data_yaml(list(splits), class_names, home))


def yolo_lines(record: Record) -> list[str]:
    """The objects of one picture: class, from 0, then cx cy width height as fractions of it."""
    fractions = xyxy_to_cxcywh(normalise_boxes(record.boxes.double(), shown_size(record)))
    rows = zip(record.labels.tolist(), fractions.tolist(), strict=True)
    return [" ".join([str(label - 1), *(f"{side:.10g}" for side in box)]) for label, box in rows]


def data_yaml(splits: Sequence[str], class_names: Sequence[str], home: Path) -> str:
    r"""What Ultralytics reads first: where the pictures of each split lie, and the classes.

    Names stand in quotes, for YAML takes a bare `no` for false and `1e3` for a number.

    >>> data_yaml(["val"], ("background", "no"), Path("pets")).splitlines()[1:]
    ['path: "pets"', 'val: "images/val"', 'names:', '  0: "no"']
    """
    folders = [
        f"{split}: {quoted(picture_folder('yolo', split))}" for split in splits if split != UNSPLIT
    ]
    names = [f"  {row}: {quoted(name)}" for row, name in enumerate(class_names[1:])]
    moved = (
        "# without the line `path`, Ultralytics takes this file's folder: for one that has moved"
    )
    return in_lines([moved, f"path: {quoted(str(home))}", *folders, "names:", *names])


def quoted(text: str) -> str:
    """A text that YAML cannot take for anything else."""
    dumped = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=float("inf"))
    return str(dumped).strip()


def shown_size(record: Record) -> tuple[int, int]:
    """(height, width) of a sound record's picture, in pixels as it is shown."""
    assert record.image_size is not None  # a sound record has been measured
    return record.image_size


def in_lines(lines: Iterable[str]) -> str:
    """Lines as the text of a file; nothing where there are none."""
    return "".join(f"{line}\n" for line in lines)


def write_new(path: Path, text: str) -> None:
    """Write a text file into a folder that nobody sees before it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
