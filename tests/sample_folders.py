"""Small data sets written to disk, the same scene in each format, for tests to damage."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 60, 40
CLASSES = ("cat", "dog")
SCENES = {  # picture: (class, x1, y1, x2, y2)
    "a": [("dog", 6.0, 4.0, 30.0, 20.0), ("cat", 0.0, 0.0, 60.0, 40.0)],
    "b": [("cat", 12.0, 8.0, 18.0, 30.0)],
    "c": [],
}


def write_picture(path: Path, size: tuple[int, int] = (WIDTH, HEIGHT), **options) -> Path:
    """A ramp from dark to light; the format is that of the path unless `format` names another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ramp = np.linspace(0, 255, size[0] * size[1] * 3).reshape(size[1], size[0], 3)
    Image.fromarray(ramp.astype(np.uint8)).save(path, **options)
    return path


BACK = {  # what undoes EXIF's orientations; test_pictures.py holds `turn` to Pillow's
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def shown_as(orientation: int, size: tuple[int, int], squares: dict) -> tuple[Image.Image, bytes]:
    """A grey picture that EXIF `orientation` shows with `squares` {box: colour}: pixels, EXIF."""
    picture = Image.new("RGB", size, (120, 120, 120))
    for box, colour in squares.items():
        picture.paste(colour, box)
    exif = Image.Exif()
    exif[0x0112] = orientation
    if orientation in BACK:
        picture = picture.transpose(BACK[orientation])
    return picture, exif.tobytes()


def colour_in(image, box) -> str:
    """The mean colour of a picture [3, H, W] inside a box, by name: red, blue or grey."""
    x1, y1, x2, y2 = (round(float(side)) for side in box)
    red, _, blue = image[:, y1 + 1 : y2 - 1, x1 + 1 : x2 - 1].float().mean(dim=(1, 2)).tolist()
    return "red" if red > blue + 100 else "blue" if blue > red + 100 else "grey"


def coco_content(scenes=SCENES) -> dict:
    images = [
        {"id": i, "file_name": f"{stem}.png", "width": WIDTH, "height": HEIGHT}
        for i, stem in enumerate(scenes, start=1)
    ]
    boxes = [(i, box) for i, stem in enumerate(scenes, start=1) for box in scenes[stem]]
    annotations = [
        {
            "id": number,
            "image_id": i,
            "category_id": {"cat": 3, "dog": 7}[name],
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
            "iscrowd": 0,
        }
        for number, (i, (name, x1, y1, x2, y2)) in enumerate(boxes, start=100)
    ]
    categories = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}]  # gaps, out of order
    return {"images": images, "annotations": annotations, "categories": categories}


def coco_folder(folder: Path, split: str = "train", content=None, scenes=SCENES) -> Path:
    for stem in scenes:
        write_picture(folder / "images" / f"{stem}.png")
    content = coco_content(scenes) if content is None else content
    (folder / f"instances_{split}.json").write_text(json.dumps(content))
    return folder


def voc_xml(boxes, size=(WIDTH, HEIGHT)) -> str:
    objects = "".join(
        f"<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{x1}</xmin>"
        f"<ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        for name, x1, y1, x2, y2 in boxes
    )
    width, height = size
    size_xml = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation>{size_xml}{objects}</annotation>"


def voc_folder(folder: Path, splits=None, scenes=SCENES) -> Path:
    (folder / "Annotations").mkdir(parents=True)
    for stem, boxes in scenes.items():
        write_picture(folder / "JPEGImages" / f"{stem}.png")
        (folder / "Annotations" / f"{stem}.xml").write_text(voc_xml(boxes))
    for split, stems in (splits or {}).items():
        path = folder / "ImageSets" / "Main" / f"{split}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{stem}\n" for stem in stems))
    return folder


def yolo_folder(folder: Path, split: str | None = None, scenes=SCENES) -> Path:
    for stem, boxes in scenes.items():
        write_picture(folder / "images" / (split or "") / f"{stem}.png")
        labels = folder / "labels" / (split or "") / f"{stem}.txt"
        labels.parent.mkdir(parents=True, exist_ok=True)
        lines = [
            f"{CLASSES.index(name)} {(x1 + x2) / 2 / WIDTH!r} {(y1 + y2) / 2 / HEIGHT!r}"
            f" {(x2 - x1) / WIDTH!r} {(y2 - y1) / HEIGHT!r}\n"
            for name, x1, y1, x2, y2 in boxes
        ]
        if lines:  # a picture without a file has no objects
            labels.write_text("".join(lines))
    (folder / "data.yaml").write_text("names: [cat, dog]\n")
    return folder
