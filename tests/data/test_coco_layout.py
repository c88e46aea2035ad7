"""Where COCO files and their pictures lie."""

import json

import pytest

from detlab.data.folders import layout_of, list_splits, read_split
from detlab.data.records import DataError
from tests.sample_folders import coco_content, coco_folder, write_picture


def write_coco(path, content=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content or coco_content()))


@pytest.mark.parametrize(
    ("places", "splits"),
    [
        (["annotations/instances_default.json"], ["all"]),
        (["annotations/Train.json", "annotations/Validation.json"], ["train", "val"]),
        (["train.json", "dev.json"], ["train", "val"]),
        (["train/labels.json", "test/labels.json"], ["train", "test"]),
        (["my_pets_train.json", "my_pets_val2.json"], ["train", "val"]),
        (["pets.json"], ["all"]),
        (["a.json", "b.json"], ["a", "b"]),
    ],
)  # fmt: skip
def test_files_of_any_name_are_found(tmp_path, places, splits):
    for place in places:
        write_coco(tmp_path / place)
    assert list_splits(tmp_path) == splits


def test_each_split_finds_its_own_pictures_of_one_name(tmp_path):
    for split in ("train", "valid"):
        write_coco(tmp_path / "annotations" / f"instances_{split}.json")
        for stem in "abc":
            write_picture(tmp_path / "images" / split / f"{stem}.png")
    for split, folder in (("train", "train"), ("val", "valid")):
        annotations = read_split(tmp_path, split)
        assert annotations.faults == ()
        assert {r.image.parent.name for r in annotations.records} == {folder}


def test_a_name_that_could_be_two_pictures_is_a_fault(tmp_path):
    write_coco(tmp_path / "pets.json")
    for place in ("day1", "day2"):
        write_picture(tmp_path / place / "a.png")
    faults = read_split(tmp_path, "all").faults
    assert [fault.record for fault in faults] == ["image 1"]
    assert "could be" in faults[0].what


def test_key_points_are_not_read_beside_instances(tmp_path):
    coco_folder(tmp_path / "x", "train")
    folder = tmp_path / "x"
    write_coco(folder / "person_keypoints_train.json")
    (note,) = layout_of(folder).notes
    assert note.place.endswith("person_keypoints_train.json")


def test_a_file_without_annotations_is_a_split_to_detect_on(tmp_path):
    folder = coco_folder(tmp_path)
    content = coco_content()
    del content["annotations"]
    write_coco(folder / "image_info_test2017.json", content)
    layout = layout_of(folder)
    assert (list(layout.splits), layout.unlabelled) == (["train"], {"test": 3})


def test_a_file_of_no_split_is_not_used_beside_those_of_splits(tmp_path):
    folder = coco_folder(tmp_path)
    write_coco(folder / "all_pets.json")
    layout = layout_of(folder)
    assert list(layout.splits) == ["train"]
    assert [note.place for note in layout.notes] == ["all_pets.json"]


def test_a_file_without_annotations_alone_is_refused(tmp_path):
    content = coco_content()
    del content["annotations"]
    write_coco(tmp_path / "test.json", content)
    with pytest.raises(DataError, match="want a COCO file with a list 'annotations'"):
        layout_of(tmp_path)


def test_a_category_that_nothing_uses_is_no_class_and_is_said_once(tmp_path):
    content = coco_content()
    content["categories"].insert(0, {"id": 0, "name": "pets", "supercategory": "none"})
    for split in ("train", "valid"):
        write_coco(tmp_path / split / "_annotations.coco.json", content)
    layout = layout_of(tmp_path)
    assert [note.place for note in layout.notes] == ["pets"]
    assert layout.splits["val"]().class_names == ("background", "cat", "dog")
    assert layout.splits["train"]().records[0].labels.tolist() == [2, 1]


def test_where_nothing_is_labelled_yet_every_category_is_a_class(tmp_path):
    write_coco(tmp_path / "a.json", coco_content() | {"annotations": []})
    assert read_split(tmp_path, "all").class_names == ("background", "cat", "dog")


def test_ids_may_differ_from_file_to_file(tmp_path):
    content = coco_content()
    for entry in content["categories"]:
        entry["id"] = {"cat": 2, "dog": 1}[entry["name"]]
    for entry in content["annotations"]:
        entry["category_id"] = {3: 2, 7: 1}[entry["category_id"]]
    write_coco(tmp_path / "train.json")
    write_coco(tmp_path / "val.json", content)
    one, other = (read_split(tmp_path, split) for split in ("train", "val"))
    assert one.class_names == other.class_names == ("background", "cat", "dog")
    assert one.records[0].labels.tolist() == other.records[0].labels.tolist() == [2, 1]


def test_a_class_that_one_split_lacks_is_said(tmp_path):
    content = coco_content()
    content["categories"][0]["name"] = "cow"
    write_coco(tmp_path / "train.json")
    write_coco(tmp_path / "val.json", content)
    notes = [(note.what.rpartition(" ")[2], note.place) for note in layout_of(tmp_path).notes]
    assert notes == [("train", "cow"), ("val", "dog")]


def test_pictures_that_no_file_names_are_noted(tmp_path):
    folder = coco_folder(tmp_path)
    write_picture(folder / "images" / "spare.png")
    assert [note.place for note in layout_of(folder).notes] == ["images/spare.png"]


def one_file_of_three_pictures(folder, places=("a.png", "b.png", "c.png"), **keys):
    content = coco_content()
    for row, (entry, place) in enumerate(zip(content["images"], places, strict=True)):
        write_picture(folder / "images" / place)
        entry.update({"file_name": place} | {key: values[row] for key, values in keys.items()})
    write_coco(folder / "instances.json", content)


def stems_of(layout):
    return {s: [r.image.stem for r in read().records] for s, read in layout.splits.items()}


def test_one_file_is_split_by_the_folders_of_its_pictures(tmp_path):
    one_file_of_three_pictures(tmp_path, ("train/a.png", "train/b.png", "val/c.png"))
    layout = layout_of(tmp_path)
    assert stems_of(layout) == {"train": ["a", "b"], "val": ["c"]}
    assert (layout.words, layout.notes) == ("instances.json, splits by folder", ())
    assert sum(len(record.boxes) for record in layout.splits["train"]().records) == 3


def test_one_file_is_split_by_lists(tmp_path):
    one_file_of_three_pictures(tmp_path)
    (tmp_path / "train.txt").write_text("images/b.png\nimages/gone.png\n")
    (tmp_path / "val.txt").write_text("a.png\n")
    (tmp_path / "test.txt").write_text("1.5 2.5\n")
    layout = layout_of(tmp_path)
    assert stems_of(layout) == {"train": ["b"], "val": ["a"]}
    places = [note.place for note in layout.notes]
    assert places == ["test.txt", "train.txt: images/gone.png", "c.png"]


def test_one_file_is_split_by_what_its_images_say(tmp_path):
    one_file_of_three_pictures(tmp_path, split=["train", "validation", "train"])
    assert stems_of(layout_of(tmp_path)) == {"train": ["a", "c"], "val": ["b"]}


def test_an_annotation_of_no_image_is_a_fault_of_one_split(tmp_path):
    one_file_of_three_pictures(tmp_path, split=["train", "val", "train"])
    content = json.loads((tmp_path / "instances.json").read_text())
    content["annotations"][0]["image_id"] = 99
    write_coco(tmp_path / "instances.json", content)
    faults = {split: read().faults for split, read in layout_of(tmp_path).splits.items()}
    assert [len(found) for found in faults.values()] == [1, 0]


def test_panoptic_files_alone_are_refused(tmp_path):
    segments = [{"image_id": 1, "file_name": "a.png", "segments_info": []}]
    write_coco(tmp_path / "panoptic_val2017.json", coco_content() | {"annotations": segments})
    with pytest.raises(DataError, match="COCO panoptic is not read; want instances"):
        layout_of(tmp_path)


def test_names_of_the_web_are_read_plainly_and_said(tmp_path):
    one_file_of_three_pictures(tmp_path, ("my a.png", "b.png", "c.png"))
    content = coco_content()
    content["images"][0]["file_name"] = "https://a.org/my%20a.png?sig=a%2F0"
    content["images"][1].pop("file_name")
    content["images"][1]["coco_url"] = "http://a.org/val/b.png"
    write_coco(tmp_path / "instances.json", content)
    found = read_split(tmp_path, "all")
    assert [record.image.name for record in found.records] == ["my a.png", "b.png", "c.png"]
    assert [note.place.partition(" for ")[0] for note in found.notes] == ["my a.png"]


def test_ids_written_as_words_or_numbers_are_one(tmp_path):
    content = coco_content()
    for entry in content["annotations"]:
        entry |= {"category_id": str(entry["category_id"]), "image_id": str(entry["image_id"])}
    content["annotations"][0]["ignore"] = 1
    write_coco(tmp_path / "instances.json", content)
    found = read_split(tmp_path, "all")
    assert (found.faults, len(found.records[0].ignored_boxes)) == ((), 1)
    assert any("ignore 1" in note.what for note in found.notes)


def test_a_picture_of_another_ending_is_named_in_the_fault(tmp_path):
    one_file_of_three_pictures(tmp_path)
    (tmp_path / "images" / "a.png").rename(tmp_path / "images" / "a.jpg")
    (fault,) = read_split(tmp_path, "all").faults
    assert "file_name 'a.png': no such picture, but a.jpg" in fault.what
