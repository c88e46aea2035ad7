import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.datasets import CocoDetection, VOCDetection, wrap_dataset_for_transforms_v2

from detlab.data.formats import coco_annotations, read_coco, read_voc, read_yolo, voc_annotations
from detlab.data.records import DataError
from tests.sample_folders import (
    CLASSES,
    HEIGHT,
    SCENES,
    WIDTH,
    coco_content,
    coco_folder,
    voc_folder,
    voc_xml,
    write_picture,
    yolo_folder,
)


def read_any(kind: str, folder: Path, scenes=SCENES):
    if kind == "coco":
        return read_coco(
            coco_folder(folder, scenes=scenes) / "instances_train.json", folder / "images"
        )
    if kind == "voc":
        return read_voc(voc_folder(folder, scenes=scenes))
    return read_yolo(yolo_folder(folder, scenes=scenes))


KINDS = pytest.mark.parametrize("kind", ["coco", "voc", "yolo"])


@KINDS
def test_every_format_gives_the_same_records(tmp_path, kind):
    annotations = read_any(kind, tmp_path)
    assert annotations.class_names == ("background", "cat", "dog")
    assert annotations.defects == ()
    for record in annotations.records:
        scene = SCENES[record.image.stem]
        assert record.image.is_file()
        assert record.image_size == (HEIGHT, WIDTH)
        assert record.labels.tolist() == [1 + CLASSES.index(name) for name, *_ in scene]
        wanted = torch.tensor([box for _, *box in scene]).reshape(-1, 4)
        torch.testing.assert_close(record.boxes, wanted)
    assert {record.image.stem for record in annotations.records} == set(SCENES)


side = st.floats(0, 1, width=32)
scene = st.lists(
    st.tuples(st.sampled_from(CLASSES), side, side, side, side), max_size=5
)  # any numbers at all: a reader reports what stands there


@KINDS
@settings(max_examples=20)
@given(scenes=st.fixed_dictionaries({"a": scene, "b": scene}))
def test_what_was_written_is_read(tmp_path_factory, kind, scenes):
    scale = (WIDTH, HEIGHT, WIDTH, HEIGHT)
    scenes = {
        stem: [(n, *(c * s for c, s in zip(box, scale, strict=True))) for n, *box in boxes]
        for stem, boxes in scenes.items()
    }
    scenes["z"] = [("cat", 0.0, 0.0, 1.0, 1.0), ("dog", 0.0, 0.0, 1.0, 1.0)]  # VOC collects classes
    annotations = read_any(kind, tmp_path_factory.mktemp(kind), scenes)
    assert annotations.defects == ()
    for record in annotations.records:
        wanted = torch.tensor([box for _, *box in scenes[record.image.stem]]).reshape(-1, 4)
        torch.testing.assert_close(record.boxes, wanted, atol=1e-4, rtol=0)
        names = [annotations.class_names[label] for label in record.labels]
        assert names == [name for name, *_ in scenes[record.image.stem]]


# COCO


def test_category_ids_with_gaps_become_labels_in_their_order():
    annotations = coco_annotations(coco_content(), Path("images"), Path("a.json"))
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


def test_a_crowd_is_no_object_and_no_defect():
    content = coco_content()
    content["annotations"][0]["iscrowd"] = 1
    annotations = coco_annotations(content, Path("images"), Path("a.json"))
    assert len(annotations.records[0].boxes) == 1
    assert annotations.defects == ()


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
    annotations = coco_annotations(content, Path("images"), Path("a.json"))
    assert annotations.defects[0].file == Path("a.json")
    assert annotations.defects[0].record == record
    assert what in annotations.defects[0].what


def test_the_sound_rest_of_a_coco_file_is_kept():
    annotations = coco_annotations(spoil("annotations", 0, bbox=None), Path("i"), Path("a.json"))
    assert [record.objects for record in annotations.records] == [
        ("annotation 101",),
        ("annotation 102",),
        (),
    ]


def test_two_images_of_one_file_are_a_defect():
    content = spoil("images", 1, file_name="a.png")
    (defect,) = coco_annotations(content, Path("images"), Path("a.json")).defects
    assert str(defect) == f"a.json: {Path('images/a.png')}: stands there more than once"


@pytest.mark.parametrize("key", ["images", "annotations", "categories"])
@pytest.mark.parametrize("value", [None, {}, 3])
def test_a_coco_file_without_one_of_its_lists_is_refused(key, value):
    with pytest.raises(DataError, match=f"a.json: want a COCO file with a list '{key}'"):
        coco_annotations(coco_content() | {key: value}, Path("images"), Path("a.json"))


@pytest.mark.parametrize("content", [[], None, "text"])
def test_json_that_is_no_coco_is_refused(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="want a COCO file"):
        read_coco(path, tmp_path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (coco_content() | {"images": [None]}, "want a whole number as the id"),
        (coco_content() | {"images": 3}, "want a COCO file with a list 'images'"),
        (spoil("categories", 0, name=None), "category 7: lacks 'name'"),
    ],
)
def test_a_coco_file_that_cannot_be_gone_through_is_refused(tmp_path, content, what):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"a\.json: {what}"):
        read_coco(path, tmp_path)


@pytest.mark.parametrize("entry", [None, 5, {"name": "x"}, {"id": "one"}, {"id": [1]}])
def test_an_entry_without_a_number_as_its_id_is_refused(entry):
    content = coco_content() | {"categories": [entry]}
    with pytest.raises(DataError, match="want a whole number as the id"):
        coco_annotations(content, Path("images"), Path("a.json"))


def test_what_is_not_json_is_refused(tmp_path):
    (tmp_path / "a.json").write_text('{"images": [')
    with pytest.raises(DataError, match=r"a\.json: not JSON"):
        read_coco(tmp_path / "a.json", tmp_path)


def test_pictures_are_found_in_the_folder_that_has_them(tmp_path):
    folder = coco_folder(tmp_path)
    annotations = read_coco(folder / "instances_train.json", folder, folder / "images")
    assert annotations.records[0].image == folder / "images" / "a.png"


# Pascal VOC


def test_voc_agrees_with_torchvision(tmp_path):
    root = tmp_path / "VOCdevkit" / "VOC2007"
    scenes = {"a": [("dog", 6, 4, 30, 20)], "b": [("cat", 12, 8, 18, 30), ("dog", 1, 1, 9, 9)]}
    voc_folder(root, {"train": ["b", "a"]}, scenes)
    for stem in scenes:
        write_picture(root / "JPEGImages" / f"{stem}.jpg")
        (root / "JPEGImages" / f"{stem}.png").unlink()
    reader = VOCDetection(tmp_path, year="2007", image_set="train")
    theirs = wrap_dataset_for_transforms_v2(reader, target_keys=("boxes", "labels"))
    ours = read_voc(root, "train")
    for record, (_, target) in zip(ours.records, theirs, strict=True):
        assert torch.equal(record.boxes, target["boxes"].as_subclass(torch.Tensor))
    assert [record.image.stem for record in ours.records] == ["b", "a"]


def test_files_that_count_from_1_are_moved_by_a_pixel(tmp_path):
    folder = voc_folder(tmp_path / "voc", scenes={"a": [("cat", 1, 1, 60, 40)]})
    pair = folder / "Annotations" / "a.xml", folder / "JPEGImages" / "a.png"
    (record,) = voc_annotations([pair], ("background", "cat"), first_pixel=1).records
    assert record.boxes.tolist() == [[0, 0, 60, 40]]  # the whole picture


def test_classes_are_the_same_for_every_split(tmp_path):
    folder = voc_folder(tmp_path / "voc", {"train": ["b"], "val": ["a"]})
    assert read_voc(folder, "train").class_names == ("background", "cat", "dog")


def test_difficult_objects_are_kept(tmp_path):
    folder = voc_folder(tmp_path / "voc")
    path = folder / "Annotations" / "b.xml"
    path.write_text(path.read_text().replace("<difficult>0", "<difficult>1"))
    assert len(read_voc(folder).records[1].boxes) == 1


def test_a_class_that_was_not_asked_for_is_a_defect(tmp_path):
    folder = voc_folder(tmp_path / "voc")
    pair = folder / "Annotations" / "a.xml", folder / "JPEGImages" / "a.png"
    (defect,) = voc_annotations([pair], ("background", "cat"), first_pixel=0).defects
    assert str(defect).endswith("a.xml: object 1: unknown class 'dog'; want one of cat")


LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><annotation>&b;</annotation>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><annotation>&a;</annotation>'


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (LAUGHS, "XML with a DTD or entities is refused"),
        (OUTSIDE, "XML with a DTD or entities is refused"),
        ("<annotation><object>", "not XML"),
        ("", "not XML"),
    ],
)
def test_xml_that_cannot_be_read_is_a_defect_of_its_file(tmp_path, text, what):
    folder = voc_folder(tmp_path / "voc")
    (folder / "Annotations" / "a.xml").write_text(text)
    annotations = read_voc(folder)
    assert len(annotations.records) == 2
    (defect,) = annotations.defects
    assert defect.file == folder / "Annotations" / "a.xml"
    assert what in defect.what


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("<xmin>6.0</xmin>", "", "lacks bndbox/xmin"),
        ("<xmin>6.0</xmin>", "<xmin>six</xmin>", "could not convert string to float: 'six'"),
        ("<name>dog</name>", "<name> </name>", "lacks name"),
    ],
)
def test_a_fault_in_a_voc_object_names_it(tmp_path, old, new, what):
    folder = voc_folder(tmp_path / "voc")
    path = folder / "Annotations" / "a.xml"
    path.write_text(path.read_text().replace(old, new))
    (defect,) = read_voc(folder).defects
    assert str(defect) == f"{path}: object 1: {what}"


def test_a_voc_file_need_not_say_the_picture_size(tmp_path):
    folder = voc_folder(tmp_path / "voc", scenes={"a": []})
    path = folder / "Annotations" / "a.xml"
    for xml in ("<annotation/>", voc_xml([], size=(0, 0))):
        path.write_text(xml)
        assert read_voc(folder).records[0].image_size is None


def test_the_names_of_a_voc_list_may_hold_spaces(tmp_path):
    scenes = {"cell 01": [("cat", 1, 1, 9, 9)], "cell 02": []}
    folder = voc_folder(tmp_path / "voc", {"train": list(scenes)}, scenes)
    annotations = read_voc(folder, "train")
    assert [record.image.stem for record in annotations.records] == list(scenes)
    assert annotations.defects == ()


def test_a_picture_listed_twice_or_without_annotation_is_a_defect(tmp_path):
    folder = voc_folder(tmp_path / "voc", {"train": ["a", "a", "ghost"]})
    twice, ghost = read_voc(folder, "train").defects
    assert str(twice).endswith("train.txt: a: stands there more than once")
    assert str(ghost).endswith("ghost.xml: cannot be read: No such file or directory")


def test_a_missing_list_of_a_split_is_named(tmp_path):
    with pytest.raises(DataError, match=r"val\.txt: cannot be read"):
        read_voc(voc_folder(tmp_path / "voc"), "val")


def test_torchvisions_lists_are_read_pair_by_pair(tmp_path):
    folder = voc_folder(tmp_path / "voc")
    pairs = [(folder / "Annotations" / "b.xml", folder / "JPEGImages" / "b.png")]
    (record,) = voc_annotations(pairs, ("background", "cat", "dog"), first_pixel=1).records
    assert record.boxes.tolist() == [[11, 7, 18, 30]]


# YOLO


def test_a_yolo_line_by_hand(tmp_path):
    folder = yolo_folder(tmp_path, scenes={"a": []})
    (folder / "labels").mkdir(exist_ok=True)
    (folder / "labels" / "a.txt").write_text("1 0.5 0.5 0.1 0.5\n\n")  # of 60 x 40
    (record,) = read_yolo(folder).records
    torch.testing.assert_close(record.boxes, torch.tensor([[27.0, 10.0, 33.0, 30.0]]))
    assert record.labels.tolist() == [2]
    assert record.objects == ("line 1",)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("2 0.5 0.5 0.1 0.1", "unknown class 2; want one of 0, 1"),
        ("-1 0.5 0.5 0.1 0.1", "unknown class -1; want one of 0, 1"),
        ("cat 0.5 0.5 0.1 0.1", "invalid literal for int"),
        ("0 0.5 0.5 0.1", r"want 5 numbers \(class cx cy width height\), got 4"),
        ("0 0.5 0.5 0.1 wide", "could not convert string to float: 'wide'"),
    ],
)
def test_a_fault_in_a_yolo_line_names_it(tmp_path, line, what):
    folder = yolo_folder(tmp_path)
    (folder / "labels" / "a.txt").write_text(f"0 0.5 0.5 0.1 0.1\n{line}\n")
    (defect,) = read_yolo(folder).defects
    with pytest.raises(AssertionError, match=f"a.txt: line 2: {what}"):
        raise AssertionError(str(defect))


def test_labels_without_a_picture_are_a_defect(tmp_path):
    folder = yolo_folder(tmp_path)
    (folder / "images" / "a.png").unlink()
    (defect,) = read_yolo(folder).defects
    assert "no picture a in" in str(defect)


def test_a_picture_that_cannot_be_measured_is_a_defect(tmp_path):
    folder = yolo_folder(tmp_path)
    (folder / "images" / "a.png").write_bytes(b"no picture")
    (defect,) = read_yolo(folder).defects
    assert defect.file == folder / "images" / "a.png"
    assert defect.what.startswith("not a picture")


def test_two_pictures_that_share_one_label_file_are_a_defect(tmp_path):
    folder = yolo_folder(tmp_path)
    write_picture(folder / "images" / "a.jpg")
    annotations = read_yolo(folder)
    assert len(annotations.records) == len(SCENES)
    assert ["a: stands there more than once" in str(defect) for defect in annotations.defects] == [
        True
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("data.yaml", "names: [cat, dog]"),
        ("data.yml", "names:\n- cat\n- dog\n"),
        ("set.yaml", "names:\n  1: dog\n  0: cat\n"),
        ("classes.txt", "cat\ndog\n\n"),
    ],
)
def test_class_names_stand_in_yaml_or_text(tmp_path, name, text):
    folder = yolo_folder(tmp_path)
    (folder / "data.yaml").unlink()
    (folder / name).write_text(text)
    assert read_yolo(folder).class_names == ("background", "cat", "dog")


@pytest.mark.parametrize("text", ["nc: 2\n", "names: []\n", "- cat\n"])
def test_a_folder_without_class_names_is_refused(tmp_path, text):
    folder = yolo_folder(tmp_path)
    (folder / "data.yaml").write_text(text)
    with pytest.raises(DataError, match="no class names; want"):
        read_yolo(folder)


@pytest.mark.parametrize(
    "names", ["{1: cat, 2: dog}", "{'0': cat, '1': dog}", "{0: cat, dog: 1}", "{0: cat, 2: dog}"]
)
def test_names_that_do_not_count_from_0_are_refused(tmp_path, names):
    folder = yolo_folder(tmp_path)
    (folder / "data.yaml").write_text(f"names: {names}")
    with pytest.raises(DataError, match=r"data\.yaml: want a name for each of 0 to 1, got \["):
        read_yolo(folder)


@pytest.mark.parametrize("text", ["names: [cat\n", "names: !!python/object/apply:os.getcwd []\n"])
def test_yaml_that_is_broken_or_runs_code_is_refused(tmp_path, text):
    folder = yolo_folder(tmp_path)
    (folder / "data.yaml").write_text(text)
    with pytest.raises(DataError, match=r"data\.yaml: not YAML"):
        read_yolo(folder)


def test_both_customs_of_naming_splits_are_read(tmp_path):
    one = yolo_folder(tmp_path / "one", "val")
    other = tmp_path / "other"
    for kind in ("images", "labels"):
        (other / "val").mkdir(parents=True, exist_ok=True)
        (one / kind / "val").rename(other / "val" / kind)
    (one / "data.yaml").rename(other / "data.yaml")
    assert len(read_yolo(other, "val").records) == len(SCENES)


def test_the_size_of_a_yolo_picture_is_read_from_the_picture(tmp_path):
    folder = yolo_folder(tmp_path, scenes={"a": []})
    Image.new("RGB", (7, 5)).save(folder / "images" / "a.png")
    assert read_yolo(folder).records[0].image_size == (5, 7)
