import json
import math
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from detlab.data import datasets as data
from detlab.data.check import check_all, sound_part
from detlab.data.datasets import (
    FolderDataset,
    collate,
    load_dataset,
    read_splits,
    shared_classes,
)
from detlab.data.folders import list_splits, read_split
from detlab.data.records import Annotations, DataError
from detlab.data.transforms import Augmented, training_transforms
from detlab.training.batches import Batches, load_batches
from tests.sample_folders import (
    SCENES,
    coco_content,
    coco_folder,
    colour_in,
    shown_as,
    voc_folder,
    voc_xml,
    write_picture,
    yolo_folder,
)

REAL = Path(os.environ.get("DETLAB_DATA", "not set"))
needs_data = pytest.mark.skipif(
    not all((REAL / name).is_dir() for name in ("bccd/BCCD", "aquarium_512")),
    reason="DETLAB_DATA names no folder with bccd and aquarium_512",
)


@pytest.mark.parametrize("make", [coco_folder, yolo_folder])
def test_an_item_is_a_picture_and_its_target(tmp_path, make):
    make(make(tmp_path, "train"), "val")
    dataset = load_dataset(tmp_path, "train")
    assert len(dataset) == 3
    assert dataset.names == ("a.png", "b.png", "c.png")
    assert dataset.class_names == ("background", "cat", "dog")
    image, target = dataset[0]
    assert image.dtype == torch.uint8
    assert image.shape == (3, 40, 60)
    torch.testing.assert_close(target["boxes"], torch.tensor([[6.0, 4, 30, 20], [0, 0, 60, 40]]))
    assert target["labels"].tolist() == [2, 1]
    assert target["image_id"] == 0


def test_boxes_are_resized_with_their_picture(tmp_path):
    dataset = FolderDataset(read_split(coco_folder(tmp_path), "train"), longest_side=30)
    image, target = dataset[0]
    assert image.shape == (3, 20, 30)
    assert target["boxes"].tolist() == [[3, 2, 15, 10], [0, 0, 30, 20]]


def crowd_in_the_first_picture(scenes=SCENES):
    """The dog of picture a is a crowd; there is another dog in b. No area but that of the cat."""
    content = coco_content({**scenes, "b": [("dog", 8.0, 4.0, 40.0, 20.0)]})
    content["annotations"][0] |= {"iscrowd": 1, "area": 384.0}
    content["annotations"][1]["area"] = 600.0
    del content["annotations"][2]["area"]
    return content


@pytest.mark.parametrize("longest_side", [None, 30])
def test_areas_and_ignored_regions_are_resized_with_their_picture(tmp_path, longest_side):
    folder = coco_folder(tmp_path, content=crowd_in_the_first_picture())
    _, target = FolderDataset(read_and_measured(folder), longest_side)[0]
    halves = 1 if longest_side is None else 2
    assert target["labels"].tolist() == [1]
    assert target["areas"].tolist() == [600 / halves**2]
    assert (target["ignored_boxes"] * halves).tolist() == [[6, 4, 30, 20]]
    assert target["ignored_labels"].tolist() == [2]


def test_areas_follow_a_picture_that_is_rounded_to_whole_pixels(tmp_path):
    folder = coco_folder(tmp_path, content=crowd_in_the_first_picture())
    image, target = FolderDataset(read_and_measured(folder), longest_side=25)[0]
    assert image.shape == (3, 17, 25)  # 16.67 pixels high before
    assert target["areas"].tolist() == pytest.approx([600 * (17 * 25) / (40 * 60)])


def read_and_measured(folder):
    return sound_part(read_split(folder, "train"), skip_bad=False)


@pytest.mark.parametrize("make", [coco_folder, voc_folder, yolo_folder])
def test_where_nothing_more_is_said_a_target_has_no_more_entries(tmp_path, make):
    dataset = load_dataset(make(tmp_path / "set"), "train")
    for _, target in dataset:
        assert target.keys() - {"areas"} == {"boxes", "labels", "image_id"}
        assert ("areas" in target) == (make is coco_folder and len(target["boxes"]) > 0)


def test_a_picture_with_a_crowd_trains_as_one_without_it(tmp_path):
    """Workers, augmentation, several scales: what only evaluation uses has left the targets."""
    folder = coco_folder(tmp_path, content=crowd_in_the_first_picture())
    dataset = Augmented(FolderDataset(read_and_measured(folder)), training_transforms(crop=32))
    for workers in (0, 1):
        batches = Batches(dataset, batch_size=3, seed=1, multiscale=1.5)
        images, targets = next(load_batches(batches, 0, torch.device("cpu"), workers))
        assert images.shape[0] == 3
        assert all(item.keys() == {"boxes", "labels", "image_id"} for item in targets)


def test_boxes_follow_the_rounding_of_odd_sizes(tmp_path):
    content = coco_content({"a": [("cat", 0.0, 0.0, 60.0, 40.0)]})
    folder = coco_folder(tmp_path, content=content)
    image, target = FolderDataset(read_split(folder, "train"), longest_side=29)[0]
    assert image.shape == (3, 19, 29)
    torch.testing.assert_close(target["boxes"], torch.tensor([[0.0, 0, 29, 19]]))


OBJECT = (6, 4, 26, 20)
"""A red cat in the upper left of 60x40, in the picture as shown."""


def turned_folder(folder, orientation, kind, said=(60, 40), size=(60, 40)):
    """One photograph as a phone stores it, labelled on what viewers show; `said`: its size."""
    stored, exif = shown_as(orientation, size, {OBJECT: (220, 30, 30)})
    scenes = {"a": [("cat", *map(float, OBJECT))]}
    make = {"coco": coco_folder, "voc": voc_folder, "yolo": yolo_folder}[kind]
    make(folder, scenes=scenes)
    place = folder / ("JPEGImages" if kind == "voc" else "images")
    (place / "a.png").unlink()
    if kind == "coco":
        content = coco_content(scenes)
        sizes = {} if said is None else dict(zip(("width", "height"), said, strict=True))
        content["images"] = [{"id": 1, "file_name": "a.jpg", **sizes}]
        (folder / "instances_train.json").write_text(json.dumps(content))
    if kind == "voc":
        (folder / "Annotations" / "a.xml").write_text(voc_xml(scenes["a"], said or (0, 0)))
    stored.save(place / "a.jpg", exif=exif, quality=95)
    return folder


def train_set(folder, longest_side=None):
    split = "all" if "all" in list_splits(folder) else "train"
    return FolderDataset(sound_part(read_split(folder, split), skip_bad=False), longest_side)


@pytest.mark.parametrize("kind", ["coco", "voc", "yolo"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("longest_side", [None, 120])
def test_boxes_cover_what_a_phone_shows(tmp_path, kind, orientation, longest_side):
    image, target = train_set(turned_folder(tmp_path, orientation, kind), longest_side)[0]
    scale = 1 if longest_side is None else 2
    assert image.shape == (3, 40 * scale, 60 * scale)
    assert target["boxes"].tolist() == [[scale * side for side in OBJECT]]
    assert colour_in(image, target["boxes"][0]) == "red"


@pytest.mark.parametrize("kind", ["coco", "voc"])
@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_size_of_the_stored_pixels_is_refused_with_the_reason(tmp_path, kind, orientation):
    folder = turned_folder(tmp_path, orientation, kind, said=(40, 60))
    what = (
        rf"a\.jpg: is shown as 60x40 pixels, by its EXIF orientation {orientation}; .* says 40x60"
    )
    with pytest.raises(DataError, match=what):
        train_set(folder)


@pytest.mark.parametrize("kind", ["coco", "voc"])
def test_another_size_is_refused_as_ever_where_exif_turns_the_picture(tmp_path, kind):
    folder = turned_folder(tmp_path, 6, kind, said=(41, 60))
    with pytest.raises(DataError, match=r"a\.jpg: is 60x40 pixels; its annotation .* says 41x60"):
        train_set(folder)


@pytest.mark.parametrize("kind", ["coco", "voc"])
@pytest.mark.parametrize(("said", "size"), [(None, (60, 40)), ((60, 60), (60, 60))])
def test_without_a_size_and_in_squares_boxes_are_taken_as_shown(tmp_path, kind, said, size):
    image, target = train_set(turned_folder(tmp_path, 6, kind, said, size))[0]
    assert image.shape == (3, *size[::-1])
    assert colour_in(image, target["boxes"][0]) == "red"


def test_a_picture_without_objects_is_an_item_like_any_other(tmp_path):
    folder = coco_folder(coco_folder(tmp_path), "val")
    _, target = load_dataset(folder)[2]
    assert target["boxes"].shape == (0, 4)
    assert target["labels"].dtype == torch.int64


def test_a_kept_picture_is_not_decoded_again(tmp_path):
    folder = coco_folder(tmp_path)
    kept = FolderDataset(read_split(folder, "train"), cache=True)
    fresh = FolderDataset(read_split(folder, "train"))
    before = kept[0][0]
    Image.new("RGB", (60, 40)).save(folder / "images" / "a.png")
    assert torch.equal(kept[0][0], before)
    assert not torch.equal(fresh[0][0], before)


def test_pictures_leave_a_quarter_of_the_memory_free(tmp_path, monkeypatch):
    free = SimpleNamespace(available=30, total=100)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    kept = FolderDataset(read_split(coco_folder(tmp_path), "train"), cache=True)
    first = kept[0][0]
    free.available = 20
    second = kept[1][0]
    assert kept[0][0] is first
    assert kept[1][0] is not second


def test_a_home_of_nobody_is_no_such_folder():
    with pytest.raises(DataError, match="no such folder"):
        load_dataset("~nobody-of-this-name/pictures")


def test_a_truncated_picture_is_named_at_its_visit_or_skipped_at_once(tmp_path):
    folder = coco_folder(coco_folder(tmp_path), "val")
    path = write_picture(folder / "images" / "a.png")
    path.write_bytes(path.read_bytes()[:-50])
    dataset = load_dataset(folder)
    with pytest.raises(DataError, match=r"a\.png: truncated"):
        dataset[0]
    skipping = load_dataset(folder, skip_bad=True)
    assert skipping.names == ("b.png", "c.png")
    assert [fault.file.name for fault in skipping.skipped] == ["a.png"]


@pytest.mark.parametrize(
    ("bbox", "what"),
    [([5, 5, 0, 9], "no area"), ([5, 5, math.nan, 9], "finite"), ([5, 5, 500, 9], "outside")],
)
def test_a_bad_box_stops_loading_unless_skipped(tmp_path, bbox, what):
    content = coco_content()
    content["annotations"][0]["bbox"] = bbox
    folder = coco_folder(coco_folder(tmp_path, content=content), "val")
    with pytest.raises(DataError, match=f"a annotation 100: .*{what}"):
        load_dataset(folder)
    dataset = load_dataset(folder, skip_bad=True)
    assert len(dataset.skipped) == 1
    assert [len(record.boxes) for record in dataset.records] == [1, 1, 0]


def test_what_is_nowhere_is_named():
    with pytest.raises(DataError, match="nowhere: no such folder"):
        load_dataset("nowhere")


@pytest.mark.parametrize("argument", [{"split": "valid"}, {"split": ""}])
def test_a_split_is_one_of_three(tmp_path, argument):
    with pytest.raises(ValueError, match="split is one of train, val, test"):
        load_dataset(tmp_path, **argument)


def test_a_size_without_pixels_is_refused(tmp_path):
    with pytest.raises(ValueError, match="longest_side is in pixels, 1 or more: 0"):
        FolderDataset(read_split(coco_folder(tmp_path), "train"), longest_side=0)


def test_the_reef_is_drawn_for_training():
    reef = load_dataset("reef", length=3, longest_side=64)
    assert len(reef) == 3
    assert reef[0][0].shape == (3, 64, 64)


def test_unasked_the_reef_has_2000_pictures_of_128_pixels():
    reef = load_dataset("reef")
    assert len(reef) == 2000
    assert reef[0][0].shape == (3, 128, 128)


def test_the_frozen_reef_is_read_from_its_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "REEF_VAL", coco_folder(tmp_path, "val"))
    assert load_dataset("reef", "val").names == ("a.png", "b.png", "c.png")
    with pytest.raises(DataError, match="no test split"):
        load_dataset("reef", "test")


def faults(name):
    return [fault for split in read_splits(name).values() for fault in check_all(split).faults]


def test_a_folder_or_a_set_by_name_is_checked(tmp_path, monkeypatch):
    content = coco_content()
    content["annotations"][0]["bbox"] = [5, 5, 0, 9]
    folder = coco_folder(tmp_path / "aquarium", content=content)
    monkeypatch.setenv("DETLAB_DATA", str(tmp_path))
    monkeypatch.setattr(data, "REEF_VAL", coco_folder(tmp_path / "reef", "val"))
    assert [fault.record for fault in faults(str(folder))] == ["a annotation 100"]
    assert faults("aquarium") == faults(str(folder))
    assert faults("reef") == []


@pytest.mark.parametrize("used", [True, False])
def test_classes_are_those_that_any_split_uses(tmp_path, used):
    content = coco_content()
    content["categories"].append({"id": 9, "name": "cow"})
    if used:
        content["annotations"][0]["category_id"] = 9
    splits = read_splits(str(coco_folder(coco_folder(tmp_path), "val", content)))
    wanted = ("background", "cat", "dog", *(["cow"] if used else []))
    assert [found.class_names for found in splits.values()] == [wanted, wanted]


def test_splits_that_differ_in_their_classes_are_refused():
    named = {"train": ("background", "cat"), "val": ("background", "cat", "cow")}
    splits = {split: Annotations((), names, ()) for split, names in named.items()}
    with pytest.raises(DataError, match="a: train has the classes cat, val has cat, cow; want"):
        shared_classes("a", splits)


# Batches


def picture(height: int, width: int):
    return torch.full((3, height, width), 9, dtype=torch.uint8), {"boxes": torch.ones(1, 4)}


def test_a_batch_is_padded_on_the_right_and_below_only():
    batch = [picture(40, 30), picture(20, 70)]
    images, targets = collate(batch)
    assert images.shape == (2, 3, 64, 96)
    assert images.dtype == torch.uint8
    assert images[0, :, :40, :30].min() == 9
    assert images[0].sum() == 9 * 3 * 40 * 30
    assert targets[0] is batch[0][1]


def test_padding_goes_to_the_stride_that_is_asked_for():
    assert collate([picture(40, 30)], multiple=8)[0].shape == (1, 3, 40, 32)
    assert collate([picture(64, 64)])[0].shape == (1, 3, 64, 64)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_data_loader_takes_it_all(tmp_path, workers):
    folder = coco_folder(coco_folder(tmp_path), "val")
    dataset = Augmented(load_dataset(folder), training_transforms())
    loader = DataLoader(dataset, batch_size=3, num_workers=workers, collate_fn=collate)
    ((images, targets),) = list(loader)
    assert images.shape == (3, 3, 64, 64)
    assert [target["image_id"].item() for target in targets] == [0, 1, 2]


# Public sets


def test_voc_2007_is_read_through_torchvision(tmp_path, monkeypatch):
    scenes = {"1": [("dog", 1, 1, 60, 40)], "2": [("aeroplane", 5, 6, 7, 8)]}
    root = voc_folder(
        tmp_path / "voc2007" / "VOCdevkit" / "VOC2007", {"train": ["1"], "val": ["2"]}, scenes
    )
    for stem in scenes:
        (root / "JPEGImages" / f"{stem}.png").unlink()
        write_picture(root / "JPEGImages" / f"{stem}.jpg")
    monkeypatch.setenv("DETLAB_DATA", str(tmp_path))
    dataset = load_dataset("voc2007")
    assert len(dataset.class_names) == 21
    _, target = dataset[0]
    assert target["boxes"].tolist() == [[0, 0, 60, 40]]  # VOC counts from 1
    assert dataset.class_names[target["labels"][0]] == "dog"
    assert load_dataset("voc2007", "val").names == ("2.jpg",)
    splits = read_splits("voc2007")
    assert sorted(splits) == ["train", "val"]
    assert splits["train"].records[0].boxes.tolist() == [[0, 0, 60, 40]]


def test_coco_is_read_by_our_own_reader(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pycocotools", None)  # as where it is not installed
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    folder = coco_folder(tmp_path / "coco", "val2017")
    (folder / "annotations").mkdir()
    (folder / "instances_val2017.json").rename(folder / "annotations" / "instances_val2017.json")
    (folder / "images").rename(folder / "val2017")
    monkeypatch.setenv("DETLAB_DATA", str(tmp_path))
    dataset = load_dataset("coco", "val")
    assert len(dataset) == len(SCENES)
    assert dataset[0][1]["labels"].tolist() == [2, 1]
    assert capsys.readouterr().out == ""
    with pytest.raises(DataError, match="instances_train2017"):
        load_dataset("coco", "train")


@needs_data
@pytest.mark.parametrize(
    ("name", "split", "pictures", "boxes", "bad"),
    [
        ("bccd", "train", 205, 2805, ["BloodImage_00343 object 4"]),
        ("bccd", "val", 87, 1138, ["BloodImage_00338 object 13"]),
        ("bccd", "test", 72, 945, []),
        ("aquarium", "train", 448, 3324, []),  # scaled down, its two boxes without area are gone
        ("aquarium", "val", 127, 909, []),
        ("aquarium", "test", 63, 582, []),
    ],
)
def test_real_sets_have_the_known_numbers(name, split, pictures, boxes, bad):
    dataset = load_dataset(name, split, longest_side=160)
    assert len(dataset) == pictures
    assert sum(len(record.boxes) for record in dataset.records) == boxes - len(bad)
    assert [fault.record for fault in dataset.skipped] == bad
    image, target = dataset[pictures - 1]
    assert max(image.shape) == 160
    assert len(target["boxes"]) > 0


@needs_data
def test_the_classes_of_real_sets():
    assert load_dataset("bccd").class_names == ("background", "Platelets", "RBC", "WBC")
    fish, *rest = load_dataset("aquarium", "test").class_names[1:]
    assert fish == "fish"
    assert len(rest) == 6
