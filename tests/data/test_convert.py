"""A set that went into another format and back is the same set, and other tools can open it."""

import errno
import json
import os
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from torchvision.datasets import CocoDetection, VOCDetection

from detlab.data import convert as module
from detlab.data.convert import convert, distinct, ending, left_out, one_line, plain_stem
from detlab.data.datasets import read_splits
from detlab.data.records import DataError, Object, in_few_words, make_record
from detlab.data.splits import UNSPLIT
from tests.sample_folders import (
    coco_content,
    coco_folder,
    shown_as,
    voc_folder,
    voc_xml,
    yolo_folder,
)

FORMATS = ("coco", "voc", "yolo")
CLASSES = ("on", "cat dog", "unused", "no", "1e3")  # in no order; YAML takes three for no words
Q = 6  # the EXIF orientation of one picture
SCENES = {  # split: picture: (width, height) as shown, objects
    "train": {
        "wide": ((64, 40), [("no", 6.1, 4.0, 30.3, 20.0), ("on", 0.0, 0.0, 64.0, 40.0)]),
        "turned": ((30, 50), [("1e3", 3.0, 7.25, 21.7, 49.0)]),
        "empty": ((33, 21), []),
    },
    "val": {"tall": ((41, 90), [("cat dog", 1.5, 60.0, 40.0, 89.9), ("no", 2.0, 3.0, 5.0, 9.0)])},
}


def write_shown(path, name, size):
    """A JPEG that is shown in that size; "turned" lies on its side in the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture, exif = shown_as(Q if name == "turned" else 1, size, {(0, 0, 9, 9): (255, 0, 0)})
    picture.save(path, exif=exif)


def coco_source(folder):
    for split, scenes in SCENES.items():
        images, annotations = [], []
        for row, (name, (size, objects)) in enumerate(scenes.items()):
            write_shown(folder / "images" / split / f"{name}.jpg", name, size)
            width, height = size
            images.append({"id": row, "file_name": f"{name}.jpg", "width": width, "height": height})
            for kind, x1, y1, x2, y2 in objects:
                entry = {"image_id": row, "category_id": 5 * CLASSES.index(kind)}
                box = [x1, y1, x2 - x1, y2 - y1]
                annotations.append({"id": len(annotations), "bbox": box, **entry})
        categories = [{"id": 5 * row, "name": name} for row, name in enumerate(CLASSES)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (folder / f"instances_{split}.json").write_text(json.dumps(content))
    return folder


def voc_source(folder):
    for part in ("Annotations", "ImageSets/Main"):
        (folder / part).mkdir(parents=True)
    for split, scenes in SCENES.items():
        for name, (size, objects) in scenes.items():
            write_shown(folder / "JPEGImages" / f"{name}.jpg", name, size)
            (folder / "Annotations" / f"{name}.xml").write_text(voc_xml(objects, size))
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(scenes))
    (folder / "labelmap.txt").write_text("".join(f"{name}:::\n" for name in CLASSES))
    return folder


def yolo_source(folder):
    for split, scenes in SCENES.items():
        for name, (size, objects) in scenes.items():
            write_shown(folder / "images" / split / f"{name}.jpg", name, size)
            labels = folder / "labels" / split / f"{name}.txt"
            labels.parent.mkdir(parents=True, exist_ok=True)
            width, height = size
            lines = [
                f"{CLASSES.index(kind)} {(x1 + x2) / 2 / width} {(y1 + y2) / 2 / height}"
                f" {(x2 - x1) / width} {(y2 - y1) / height}\n"
                for kind, x1, y1, x2, y2 in objects
            ]
            labels.write_text("".join(lines))
    (folder / "data.yaml").write_text(json.dumps({"names": CLASSES}))
    return folder


SOURCES = {"coco": coco_source, "voc": voc_source, "yolo": yolo_source}


def files_in(folder):
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def named(record, annotations):
    return [annotations.class_names[label] for label in record.labels.tolist()]


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_every_format_becomes_every_other_and_nothing_changes(tmp_path, source, to):
    folder = SOURCES[source](tmp_path / "pets")
    goal = tmp_path / "converted"
    convert(str(folder), goal, to)
    ours, theirs = read_splits(str(folder)), read_splits(str(goal))
    assert sorted(ours) == sorted(theirs) == ["train", "val"]
    for split, found in ours.items():
        kept = [name for name in CLASSES if name != "unused" or source != "coco" != to]
        assert theirs[split].class_names == ("background", *kept)
        assert theirs[split].faults == ()
        there = {record.image.name: record for record in theirs[split].records}
        assert sorted(there) == sorted(f"{name}.jpg" for name in SCENES[split])
        for record in found.records:
            again = there[record.image.name]
            assert named(again, theirs[split]) == named(record, found)
            assert again.image_size == SCENES[split][record.image.stem][0][::-1]
            slack = 1e-3 if to == "yolo" else 0
            torch.testing.assert_close(again.boxes, record.boxes, atol=slack, rtol=0)
            assert again.image.samefile(record.image)


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("make", [coco_folder, voc_folder, yolo_folder])
def test_a_set_without_splits_stays_without(tmp_path, make, to):
    folder = make(tmp_path / "pets")
    if make is coco_folder:
        (folder / "instances_train.json").rename(folder / "instances.json")
    convert(str(folder), tmp_path / "converted", to)
    (found,) = read_splits(str(folder)).values()
    again = read_splits(str(tmp_path / "converted"))
    assert list(again) == [UNSPLIT]
    assert [r.labels.tolist() for r in again[UNSPLIT].records] == [
        r.labels.tolist() for r in found.records
    ]


# ---------------------------------------------------------------- other tools


def test_torchvision_opens_voc(tmp_path):
    goal = tmp_path / "VOCdevkit" / "VOC2012"
    convert(str(coco_source(tmp_path / "pets")), goal, "voc")
    for split, scenes in SCENES.items():
        theirs = VOCDetection(tmp_path, year="2012", image_set=split)
        for (picture, target), (size, objects) in zip(theirs, scenes.values(), strict=True):
            said = target["annotation"]["size"]
            assert (int(said["width"]), int(said["height"])) == size
            assert sorted(picture.size) == sorted(size)  # PIL alone turns nothing
            found = [
                (entry["name"], *(float(entry["bndbox"][corner]) for corner in entry["bndbox"]))
                for entry in target["annotation"]["object"]
            ]
            assert found == objects


def test_torchvision_opens_coco(tmp_path, capsys):
    goal = tmp_path / "coco"
    convert(str(voc_source(tmp_path / "pets")), goal, "coco")
    theirs = CocoDetection(goal / "train", goal / "annotations" / "instances_train.json")
    assert [len(target) for _, target in theirs] == [2, 1, 0]
    assert [round(side, 4) for side in theirs[0][1][0]["bbox"]] == [6.1, 4.0, 24.2, 16.0]


def as_ultralytics(path):
    """The pictures and labels of each split, found as Ultralytics does.

    `path` is the folder of the set, the file's own where there is none; train and val are needed;
    the labels of a picture lie where its last /images/ is /labels/, in its name with .txt.
    """
    content = yaml.safe_load(path.read_text())
    home = Path(content.get("path") or path.parent)
    found = {}
    for split in ("train", "val"):
        pictures = sorted((home / content[split]).resolve().rglob("*.*"))
        before, after = f"{os.sep}images{os.sep}", f"{os.sep}labels{os.sep}"
        labels = [
            Path(after.join(str(picture).rsplit(before, 1)).rsplit(".", 1)[0] + ".txt")
            for picture in pictures
        ]
        found[split] = {
            picture.stem: [[float(word) for word in line.split()] for line in text.splitlines()]
            for picture, text in zip(pictures, (p.read_text() for p in labels), strict=True)
        }
    return content["names"], found


def test_ultralytics_rules_find_pictures_labels_and_names(tmp_path):
    goal = tmp_path / "images" / "yolo"
    convert(str(coco_source(tmp_path / "pets")), goal, "yolo")
    names, found = as_ultralytics(goal / "data.yaml")
    assert names == dict(enumerate(name for name in CLASSES if name != "unused"))
    for split, scenes in SCENES.items():
        assert sorted(found[split]) == sorted(scenes)
        for name, ((width, height), objects) in scenes.items():
            for row, (kind, x1, y1, x2, y2) in zip(found[split][name], objects, strict=True):
                assert names[row[0]] == kind
                cx, cy, w, h = row[1:]
                assert [cx * width, cy * height] == pytest.approx([(x1 + x2) / 2, (y1 + y2) / 2])
                assert [w * width, h * height] == pytest.approx([x2 - x1, y2 - y1])


# ---------------------------------------------------------------- pictures


def test_pictures_are_copied_where_they_cannot_be_linked(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    folder = coco_folder(tmp_path / "pets")
    convert(str(folder), tmp_path / "voc", "voc")
    copy = tmp_path / "voc" / "JPEGImages" / "a.png"
    assert copy.read_bytes() == (folder / "images" / "a.png").read_bytes()
    assert not copy.samefile(folder / "images" / "a.png")


@pytest.mark.skipif(os.name == "nt", reason="links want a right there")
def test_a_link_to_a_picture_is_followed(tmp_path):
    folder = coco_folder(tmp_path / "pets")
    picture = folder / "images" / "a.png"
    picture.rename(folder / "original.png")
    picture.symlink_to("../original.png")
    convert(str(folder), tmp_path / "yolo", "yolo")
    linked = tmp_path / "yolo" / "images" / "train" / "a.png"
    assert linked.samefile(folder / "original.png")
    assert not linked.is_symlink()


@pytest.mark.parametrize("to", FORMATS)
def test_pictures_of_one_name_from_two_folders_are_told_apart(tmp_path, to):
    folder = coco_folder(tmp_path / "pets")
    for day, shade in (("monday", 0), ("tuesday", 200)):
        (folder / "images" / day).mkdir()
        Image.new("RGB", (60, 40), (shade,) * 3).save(folder / "images" / day / "a.png")
    content = coco_content()
    for entry, name in zip(content["images"], ("monday/a", "tuesday/a", "c"), strict=True):
        entry["file_name"] = f"{name}.png"
    coco_folder(folder, content=content)
    done = convert(str(folder), tmp_path / "converted", to)
    expected = "pictures have another name there: tuesday/a.png is a_2.png"
    assert expected in in_few_words(done.notes)
    records = {r.image.name: r for r in read_splits(str(tmp_path / "converted"))["train"].records}
    assert sorted(records) == ["a.png", "a_2.png", "c.png"]
    assert len(records["a.png"].boxes) == 2
    assert len(records["a_2.png"].boxes) == 1
    assert records["a_2.png"].image.samefile(folder / "images" / "tuesday" / "a.png")


def test_two_pictures_of_one_stem_do_not_share_their_labels(tmp_path):
    folder = coco_folder(tmp_path / "pets")
    (folder / "images" / "b.png").rename(folder / "images" / "A.png")
    content = coco_content()
    content["images"][1]["file_name"] = "A.png"
    coco_folder(folder, content=content)
    convert(str(folder), tmp_path / "yolo", "yolo")
    assert files_in(tmp_path / "yolo" / "labels") == [
        "train/A_2.txt",
        "train/a.txt",
        "train/c.txt",
    ]


def test_names_are_taken_apart_in_time_that_grows_with_their_number():
    assert distinct(["image"] * 20_000)[-1] == "image_20000"


def test_a_name_that_was_given_out_is_not_given_again():
    assert distinct(["a", "a", "a_2"]) == ["a", "a_2", "a_2_2"]
    assert distinct(["e\u0301", "\u00e9"]) == ["e\u0301", "\u00e9_2"]  # one name on a Mac


@pytest.mark.parametrize(
    ("name", "plain"),
    [("a\nb.jpg", "a_b"), (" a .jpg", "a"), (".a.jpg", "a"), ("a\udce9.jpg", "a_"), ("ä.jpg", "ä")],
)
def test_names_fit_into_a_list_of_names(name, plain):
    assert plain_stem(Path(name)) == plain
    assert one_line(plain) == plain


def test_a_jpeg_is_called_jpg_where_its_readers_want_that():
    assert ending(Path("a.JPG"), "voc") == ".jpg"
    assert ending(Path("a.jfif"), "yolo") == ".jpg"
    assert ending(Path("a.JPG"), "coco") == ".JPG"
    assert ending(Path("a.png"), "voc") == ".png"


# ---------------------------------------------------------------- what is said


def notes_of(to, *objects, picture="a.jpg", splits=("train", "val")):
    record = make_record(Path(picture), (40, 60), objects, Path("a.json"))
    return in_few_words(left_out({split: [record] for split in splits}, to))


CROWD = Object("annotation 1", 1, [0.0, 0.0, 9.0, 9.0], ignored=True)
MASK = Object("annotation 2", 1, [0.0, 0.0, 10.0, 10.0], area=60.0)
ROUNDED = Object("annotation 4", 1, [0.0, 0.0, 10.0, 10.0], area=99.5)
FINE = Object("annotation 3", 1, [0.0, 0.0, 10.5, 10.0], area=105.0)


def test_what_a_format_cannot_say_is_counted():
    assert notes_of("coco", CROWD, MASK, FINE, picture="a.gif", splits=["all"]) == []
    assert notes_of("yolo", CROWD, FINE) == [
        "ignored regions are left out, for YOLO cannot say them: there they are background: "
        "a.jpg, a.jpg; 2 in all"
    ]
    assert notes_of("yolo", MASK, splits=["val", "train"])[0].startswith("areas of masks are")
    assert notes_of("voc", CROWD, MASK)[0].startswith("areas of masks are left out, for VOC")
    assert notes_of("voc", FINE)[0].startswith("boxes have decimals, which readers that want")
    assert notes_of("voc", CROWD, ROUNDED) == []


def test_what_a_tool_does_not_open_is_counted():
    assert notes_of("voc", picture="a.png")[0].startswith("pictures are no JPEG")
    assert notes_of("yolo", picture="a.GIF")[0].startswith("pictures are of a kind that Ultra")
    assert notes_of("yolo", splits=["train", "test"]) == [
        "splits are missing that Ultralytics wants in data.yaml before it trains: val"
    ]


def test_what_was_said_in_reading_is_said_again(tmp_path):
    content = coco_content()
    content["annotations"][0]["bbox"] = [-3.0, 1.0, 20.0, 20.0]
    done = convert(str(coco_folder(tmp_path / "pets", content=content)), tmp_path / "new", "coco")
    assert [line for line in in_few_words(done.notes) if "past the edge and are clipped" in line]


# ---------------------------------------------------------------- whole or not at all


def test_a_fault_stops_and_skip_bad_leaves_it_out(tmp_path):
    content = coco_content()
    content["annotations"][0]["bbox"][2] = 0.0
    folder = str(coco_folder(tmp_path / "pets", content=content))
    with pytest.raises(DataError, match=r"annotation 100: .*\n.*--skip-bad leaves them out"):
        convert(folder, tmp_path / "new", "voc")
    assert os.listdir(tmp_path) == ["pets"]
    done = convert(folder, tmp_path / "new", "voc", skip_bad=True)
    assert len(done.splits["train"].faults) == 1
    again = read_splits(str(tmp_path / "new"))["train"]
    assert again.faults == ()
    assert sum(len(record.boxes) for record in again.records) == 2


def test_skip_bad_finds_pictures_that_are_cut_short(tmp_path):
    folder = coco_folder(tmp_path / "pets")
    picture = folder / "images" / "b.png"
    picture.write_bytes(picture.read_bytes()[:-200])
    done = convert(str(folder), tmp_path / "new", "coco", skip_bad=True)
    assert [str(fault) for fault in done.splits["train"].faults if "truncated" in str(fault)]
    assert files_in(tmp_path / "new" / "train") == ["a.png", "c.png"]


def test_known_faults_of_public_sets_are_left_out_unasked(tmp_path, monkeypatch):
    content = coco_content()
    content["annotations"][0]["bbox"][2] = 0.0
    coco_folder(tmp_path / "bccd" / "BCCD", content=content)
    monkeypatch.setenv("DETLAB_DATA", str(tmp_path))
    done = convert("bccd", tmp_path / "new", "coco")
    assert len(done.splits["train"].faults) == 1


def test_nothing_is_written_over(tmp_path):
    folder = str(coco_folder(tmp_path / "pets"))
    with pytest.raises(DataError, match=r"pets: holds \w+(\.json)? already"):
        convert(folder, tmp_path / "pets", "coco")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file: a file; want a new or an empty folder"):
        convert(folder, tmp_path / "file", "coco")
    (tmp_path / "empty").mkdir()
    convert(folder, tmp_path / "empty", "coco")
    assert files_in(tmp_path / "empty") == [
        "annotations/instances_train.json",
        *(f"train/{name}.png" for name in "abc"),
    ]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "disk full")])
def test_what_is_stopped_half_way_leaves_nothing(tmp_path, monkeypatch, error):
    def stop(*_):
        raise error

    folder = coco_folder(tmp_path / "pets")
    before = files_in(folder)
    monkeypatch.setattr(module, "write_voc", stop)
    with pytest.raises(type(error)):
        convert(str(folder), tmp_path / "deep" / "new", "voc")
    assert os.listdir(tmp_path) == ["pets"]
    assert files_in(folder) == before


def test_a_folder_may_be_converted_into_itself(tmp_path):
    folder = coco_folder(tmp_path / "pets")
    convert(str(folder), folder / "yolo", "yolo")
    assert len(files_in(folder / "yolo")) == 3 + 3 + 1


def test_what_a_format_would_misread_is_refused(tmp_path):
    content = coco_content()
    content["categories"][0]["name"] = "do\ng"
    folder = coco_folder(tmp_path / "pets", content=content)
    with pytest.raises(DataError, match=r"VOC cannot name the class 'do\\ng'"):
        convert(str(folder), tmp_path / "new", "voc")
    convert(str(folder), tmp_path / "yolo", "yolo")


def test_two_classes_of_one_name_do_not_become_one_in_silence(tmp_path):
    content = coco_content()
    content["categories"][0]["name"] = "background"
    folder = coco_folder(tmp_path / "pets", content=content)
    with pytest.raises(DataError, match="2 classes are called 'background', and VOC has names"):
        convert(str(folder), tmp_path / "new", "voc")


def test_a_split_of_any_name_comes_back_from_coco(tmp_path):
    folder = coco_folder(tmp_path / "pets", "fold1")
    convert(str(folder), tmp_path / "new", "coco")
    (found,) = read_splits(str(tmp_path / "new")).values()
    assert all(record.image.is_file() for record in found.records)
