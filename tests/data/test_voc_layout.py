"""Where the annotation files of VOC and labelme lie, and which split they are of."""

import pytest

from detlab.data.folders import layout_of, list_splits, read_split
from tests.sample_folders import SCENES, voc_folder, voc_xml, write_picture


def write_pair(picture, boxes, annotation=None):
    write_picture(picture)
    path = annotation or picture.with_suffix(".xml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(voc_xml(boxes))


@pytest.mark.parametrize(
    ("pictures", "annotations"),
    [
        ("", ""),
        ("images", "annotations"),
        ("images", "xmls"),
        ("VOC2007/JPEGImages/day1", "VOC2007/Annotations/day1"),
        ("photos", "made by me"),
    ],
)
def test_pictures_are_found_wherever_tools_put_them(tmp_path, pictures, annotations):
    for stem, boxes in SCENES.items():
        write_pair(
            tmp_path / pictures / f"{stem}.png", boxes, tmp_path / annotations / f"{stem}.xml"
        )
    annotations = read_split(tmp_path, "all")
    assert annotations.faults == ()
    assert sorted(len(record.boxes) for record in annotations.records) == [0, 1, 2]


def test_a_folder_a_split_with_the_xml_beside(tmp_path):
    for place in ("Train", "x/valid", "test2012"):
        write_pair(tmp_path / place / "a.png", SCENES["a"])
    layout = layout_of(tmp_path)
    assert layout.words == "XML beside each picture, splits by folder"
    assert list(layout.splits) == ["train", "val", "test"]
    assert all(read().records[0].image.is_file() for read in layout.splits.values())


def test_trainval_is_train_where_there_is_neither_train_nor_val(tmp_path):
    folder = voc_folder(tmp_path / "voc", {"trainval": ["a", "b"], "test": ["c"]})
    assert list_splits(folder) == ["train", "test"]
    both = voc_folder(tmp_path / "both", {"train": ["a"], "val": ["b"], "trainval": ["a", "b"]})
    assert list_splits(both) == ["train", "val"]
    assert [n.place for n in layout_of(both).notes if "lists" in n.what] == ["trainval.txt"]


def test_lists_of_a_class_are_not_used_and_said(tmp_path):
    folder = voc_folder(tmp_path / "voc", {"train": ["a", "b", "c"]})
    (folder / "ImageSets" / "Main" / "cat_train.txt").write_text("a  1\nb -1\nc  0\n")
    layout = layout_of(folder)
    assert list(layout.splits) == ["train"]
    assert [note.place for note in layout.notes] == ["cat_train.txt"]


def test_lists_for_other_tasks_are_not_used_and_said(tmp_path):
    folder = voc_folder(tmp_path / "voc", {"train": ["a", "b"], "val": ["c"]})
    for task in ("Layout", "Segmentation"):
        (folder / "ImageSets" / task).mkdir()
        (folder / "ImageSets" / task / "train.txt").write_text("c\n")
    layout = layout_of(folder)
    assert {split: len(read().records) for split, read in layout.splits.items()} == {
        "train": 2,
        "val": 1,
    }
    assert [note.place for note in layout.notes] == ["Layout/train.txt", "Segmentation/train.txt"]


def test_lists_may_lie_anywhere(tmp_path):
    folder = voc_folder(tmp_path / "voc")
    (folder / "train.txt").write_text("a\nb\n")
    (folder / "test.txt").write_text("JPEGImages/c.png\n")
    (folder / "README.txt").write_text("hello\n")
    assert list_splits(folder) == ["train", "test"]


def test_lists_of_any_name_are_splits_by_that_name(tmp_path):
    folder = voc_folder(tmp_path / "voc", {"fold1": ["a"], "fold2": ["b", "c"]})
    assert list_splits(folder) == ["fold1", "fold2"]


def test_a_list_may_name_folders_and_endings(tmp_path):
    for day in ("day1", "day2"):
        place = tmp_path / "Annotations" / day / "a.xml"
        write_pair(tmp_path / "JPEGImages" / day / "a.png", SCENES["b"], place)
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("day1/a\n")
    (lists / "val.txt").write_text("day2/a\n")
    for split, day in (("train", "day1"), ("val", "day2")):
        annotations = read_split(tmp_path, split)
        assert annotations.faults == ()
        assert [record.image.parent.name for record in annotations.records] == [day]


def test_what_no_list_names_is_left_out_with_a_word(tmp_path):
    folder = voc_folder(tmp_path / "voc", {"train": ["a"], "val": ["b"]})
    write_picture(folder / "JPEGImages" / "bare.png")
    notes = {note.place: note.what for note in layout_of(folder).notes}
    assert "in no split" in notes["Annotations/c.xml"]
    assert "have no annotation file" in notes["JPEGImages/bare.png"]


@pytest.mark.parametrize("stem", ["a.png", "IMG_1"])
def test_a_picture_that_is_found_by_its_name_is_not_said_to_be_left_out(tmp_path, stem):
    for name in ("a", "b"):
        write_picture(tmp_path / "images" / f"{name}.png")
    (tmp_path / "annotations").mkdir()
    text = voc_xml(SCENES["a"]).replace("<annotation>", "<annotation><filename>a.png</filename>")
    (tmp_path / "annotations" / f"{stem}.xml").write_text(text)
    (record,) = read_split(tmp_path, "all").records
    assert record.image == tmp_path / "images" / "a.png"
    assert [note.place for note in layout_of(tmp_path).notes] == ["images/b.png"]


def test_an_empty_list_is_a_split_without_pictures(tmp_path):
    folder = voc_folder(tmp_path / "voc", {"train": ["a", "b", "c"], "val": []})
    (fault,) = read_split(folder, "val").faults
    assert "no picture in this split" in fault.what


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Annotations/anna", "Annotations/bob"),
        ("Annotations", "Annotations_old"),
        ("annotations", "annotations/xmls"),
    ],
)
def test_two_annotation_files_for_one_picture_are_a_fault_that_names_both(tmp_path, one, other):
    write_picture(tmp_path / "images" / "b.png")
    for place in (one, other):
        path = tmp_path / place / "a.xml"
        write_pair(tmp_path / "images" / "a.png", SCENES["a"], path)
        named = "<annotation><filename>a.png</filename>"
        path.write_text(path.read_text().replace("<annotation>", named))
    write_pair(tmp_path / "images" / "b.png", SCENES["b"], tmp_path / one / "b.xml")
    annotations = read_split(tmp_path, "all")
    assert [record.image.stem for record in annotations.records] == ["b"]
    (fault,) = annotations.faults
    assert fault.file == tmp_path / "images" / "a.png"
    assert f"has annotations in {one}/a.xml, {other}/a.xml; want one of them" in fault.what


def test_an_annotation_that_is_in_no_split_takes_no_picture(tmp_path):
    folder = voc_folder(tmp_path / "voc", {"train": ["Annotations/a"], "val": ["Annotations/b"]})
    (folder / "old").mkdir()
    (folder / "old" / "a.xml").write_text(voc_xml(SCENES["b"]))
    (record,) = read_split(folder, "train").records
    assert record.source == folder / "Annotations" / "a.xml"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("Annotations/cam1", "JPEGImages/cam2"), ("train_annotations", "val_images")],
)
def test_a_picture_in_a_folder_of_another_name_is_not_taken(tmp_path, ours, theirs):
    write_pair(tmp_path / theirs / "a.png", SCENES["a"], tmp_path / ours / "a.xml")
    faults = [f for read in layout_of(tmp_path).splits.values() for f in read().faults]
    assert [fault.file.name for fault in faults] == ["a.xml"]
    assert f"a.png; {theirs}/a.png lies in another folder" in faults[0].what


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("bboxes", "frames"), ("checked_annotations", "raw_images"), ("annotations/me", "images")],
)
def test_a_picture_in_a_folder_of_another_name_is_taken_where_that_is_said(tmp_path, ours, theirs):
    write_pair(tmp_path / theirs / "a.png", SCENES["a"], tmp_path / ours / "a.xml")
    path = tmp_path / ours / "a.xml"
    named = f"<annotation><folder>{theirs}</folder><filename>a.png</filename>"
    path.write_text(path.read_text().replace("<annotation>", named))
    annotations = read_split(tmp_path, "all")
    assert annotations.faults == ()
    assert annotations.records[0].image.is_file()
    notes = [note.place for note in annotations.notes if "of another name" in note.what]
    assert notes == (
        []
        if "images" in theirs and ours != "annotations/me"
        else [f"{theirs}/a.png in {ours}/a.xml"]
    )


def test_a_list_whose_first_picture_is_gone_is_still_the_split(tmp_path):
    folder = voc_folder(tmp_path / "voc")
    (folder / "train.txt").write_text("gone\nlost\nmissing\na\n")
    (folder / "val.txt").write_text("b\nc\n")
    (folder / "remarks.txt").write_text("dark pictures:\na\n")
    assert list_splits(folder) == ["train", "val"]
    annotations = read_split(folder, "train")
    assert [record.image.stem for record in annotations.records] == ["a"]
    assert [fault.record for fault in annotations.faults] == ["gone", "lost", "missing"]


def test_lists_with_a_number_behind_each_name_are_used(tmp_path):
    folder = voc_folder(tmp_path / "voc")
    lists = folder / "ImageSets" / "DET"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a 1\nb 2\n")
    annotations = read_split(folder, "train")
    assert [record.image.stem for record in annotations.records] == ["a", "b"]
    assert annotations.faults == ()


def test_an_empty_list_of_test_is_said_and_is_no_split(tmp_path):
    folder = voc_folder(tmp_path / "voc", {"train": ["a", "b"], "val": ["c"], "test": []})
    layout = layout_of(folder)
    assert list(layout.splits) == ["train", "val"]
    assert ("lists are empty, and are no split", "test.txt") in layout.notes


def test_folders_of_unusual_names_are_paired_with_a_word(tmp_path):
    folder = voc_folder(tmp_path)
    (folder / "JPEGImages").rename(folder / "frames")
    (folder / "Annotations").rename(folder / "bboxes")
    annotations = read_split(folder, "all")
    assert len(annotations.records) == 3
    assert annotations.faults == ()
