"""Pascal VOC files to records, against torchvision."""

import pytest
import torch
from torchvision.datasets import VOCDetection, wrap_dataset_for_transforms_v2

from detlab.data.folders import read_split
from detlab.data.records import in_few_words
from detlab.data.voc_format import voc_annotations
from tests.sample_folders import (
    SCENES,
    voc_folder,
    voc_xml,
    write_picture,
)


def test_voc_agrees_with_torchvision(tmp_path):
    root = tmp_path / "VOCdevkit" / "VOC2007"
    scenes = {"a": [("dog", 6, 4, 30, 20)], "b": [("cat", 12, 8, 18, 30), ("dog", 1, 1, 9, 9)]}
    voc_folder(root, {"train": ["b", "a"]}, scenes)
    for stem in scenes:
        write_picture(root / "JPEGImages" / f"{stem}.jpg")
        (root / "JPEGImages" / f"{stem}.png").unlink()
    reader = VOCDetection(tmp_path, year="2007", image_set="train")
    theirs = wrap_dataset_for_transforms_v2(reader, target_keys=("boxes", "labels"))
    ours = read_split(root, "train")
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
    assert read_split(folder, "train").class_names == ("background", "cat", "dog")


def test_labelmap_has_the_classes_in_order_and_annotations_add_theirs(tmp_path):
    folder = voc_folder(tmp_path / "voc")
    text = "# label:color_rgb:parts:actions\nbackground:0,0,0::\n\neel:1,2,3:fin:\ndog:::\n"
    (folder / "labelmap.txt").write_text(text)
    assert read_split(folder, "all").class_names == ("background", "eel", "dog", "cat")


@pytest.mark.parametrize("said", ["1", " 1 ", "true"])
def test_what_is_called_difficult_is_neither_learned_nor_counted_and_said(tmp_path, said):
    folder = voc_folder(tmp_path / "voc")
    path = folder / "Annotations" / "a.xml"
    text = path.read_text().replace("<difficult>0", f"<difficult>{said}", 1)
    path.write_text(text)
    annotations = read_split(folder, "all")
    record = annotations.records[0]
    assert record.labels.tolist() == [1]
    assert record.objects == ("object 2",)
    assert record.ignored_boxes.tolist() == [[6, 4, 30, 20]]
    assert record.ignored_labels.tolist() == [2]
    assert annotations.faults == ()
    assert in_few_words(annotations.notes) == [
        "objects called difficult are not learned, and not counted: a object 1"
    ]


@pytest.mark.parametrize("said", ["<difficult>0</difficult>", "<difficult/>", ""])
def test_what_is_not_called_difficult_is_learned(tmp_path, said):
    folder = voc_folder(tmp_path / "voc")
    path = folder / "Annotations" / "a.xml"
    path.write_text(path.read_text().replace("<difficult>0</difficult>", said))
    annotations = read_split(folder, "all")
    assert len(annotations.records[0].boxes) == 2
    assert annotations.notes == ()


def test_a_class_that_was_not_asked_for_is_a_fault(tmp_path):
    folder = voc_folder(tmp_path / "voc")
    pair = folder / "Annotations" / "a.xml", folder / "JPEGImages" / "a.png"
    (fault,) = voc_annotations([pair], ("background", "cat"), first_pixel=0).faults
    assert str(fault).endswith("a.xml: object 1: unknown class 'dog'; want one of cat")


LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><annotation>&b;</annotation>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><annotation>&a;</annotation>'


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (LAUGHS, "XML with a DTD or entities is refused"),
        (OUTSIDE, "XML with a DTD or entities is refused"),
        ("<annotation><object>", "not XML"),
        ("", "not XML"),
        ("<annotations/>", "want <annotation> as the outermost"),
    ],
)
def test_xml_that_cannot_be_read_is_a_fault_of_its_file(tmp_path, text, what):
    folder = voc_folder(tmp_path / "voc")
    (folder / "Annotations" / "a.xml").write_text(text)
    annotations = read_split(folder, "all")
    assert len(annotations.records) == 2
    (fault,) = annotations.faults
    assert fault.file == folder / "Annotations" / "a.xml"
    assert what in fault.what


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
    (fault,) = read_split(folder, "all").faults
    assert str(fault) == f"{path}: object 1: {what}"


def test_a_voc_file_need_not_say_the_picture_size(tmp_path):
    folder = voc_folder(tmp_path / "voc", scenes={"a": []})
    path = folder / "Annotations" / "a.xml"
    for xml in ("<annotation/>", voc_xml([], size=(0, 0))):
        path.write_text(xml)
        assert read_split(folder, "all").records[0].image_size is None


def test_the_names_of_a_voc_list_may_hold_spaces(tmp_path):
    scenes = {"cell 01": [("cat", 1, 1, 9, 9)], "cell 02": []}
    folder = voc_folder(tmp_path / "voc", {"train": list(scenes)}, scenes)
    annotations = read_split(folder, "train")
    assert [record.image.stem for record in annotations.records] == list(scenes)
    assert annotations.faults == ()


def test_a_picture_listed_twice_or_without_annotation_is_a_fault(tmp_path):
    folder = voc_folder(tmp_path / "voc", {"train": ["a", "a", "ghost"]})
    twice, ghost = read_split(folder, "train").faults
    assert str(twice).endswith("train.txt: a: stands there more than once")
    assert str(ghost).endswith("train.txt: ghost: no annotation of this name")


def test_torchvisions_lists_are_read_pair_by_pair(tmp_path):
    folder = voc_folder(tmp_path / "voc")
    pairs = [(folder / "Annotations" / "b.xml", folder / "JPEGImages" / "b.png")]
    (record,) = voc_annotations(pairs, ("background", "cat", "dog"), first_pixel=1).records
    assert record.boxes.tolist() == [[11, 7, 18, 30]]


def with_names(folder, names: dict[str, str]):
    """Write the <filename> of each annotation."""
    for stem, name in names.items():
        path = folder / "Annotations" / f"{stem}.xml"
        text = path.read_text()
        path.write_text(text.replace("<annotation>", f"<annotation><filename>{name}</filename>"))
    return folder


@pytest.mark.parametrize("name", ["a.jpg", "A.JPG", "C:\\photos\\a.jpg", "/home/me/a.jpg"])
def test_of_two_pictures_of_one_stem_the_named_one_is_meant(tmp_path, name):
    folder = with_names(voc_folder(tmp_path / "voc"), {"a": name})
    write_picture(folder / "JPEGImages" / "a.jpg")
    annotations = read_split(folder, "all")
    assert annotations.records[0].image.name == "a.jpg"
    assert annotations.faults == ()


def test_two_pictures_of_one_stem_are_not_chosen_between_without_a_name(tmp_path):
    folder = voc_folder(tmp_path / "voc")
    write_picture(folder / "JPEGImages" / "a.jpg")
    (fault,) = read_split(folder, "all").faults
    assert "could be JPEGImages/a.jpg, JPEGImages/a.png" in fault.what


def test_the_name_finds_a_picture_of_another_stem(tmp_path):
    folder = with_names(voc_folder(tmp_path / "voc"), {"a": "IMG_1.png"})
    (folder / "JPEGImages" / "a.png").rename(folder / "JPEGImages" / "IMG_1.png")
    assert read_split(folder, "all").records[0].image.name == "IMG_1.png"


def test_letters_with_accents_are_one_however_they_are_put_together(tmp_path):
    apart, whole = "cafe\u0301", "caf\u00e9"
    folder = voc_folder(tmp_path / "voc", scenes={whole: [("cat", 1, 1, 9, 9)]})
    (folder / "JPEGImages" / f"{whole}.png").rename(folder / "JPEGImages" / f"{apart}.png")
    (record,) = read_split(folder, "all").records
    assert record.image.is_file()


def test_two_boxes_of_one_object_are_a_fault(tmp_path):
    folder = voc_folder(tmp_path / "voc", scenes={"b": SCENES["b"]})
    path = folder / "Annotations" / "b.xml"
    path.write_text(path.read_text().replace("</bndbox>", "</bndbox><bndbox></bndbox>"))
    (fault,) = read_split(folder, "all").faults
    assert str(fault) == f"{path}: object 1: has 2 <bndbox>; want an <object> for each"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<annotation>", '<annotation xmlns="http://example.org/voc">'),
        ("<object>", "<objects><object>"),
    ],
)
def test_a_namespace_and_a_wrapper_change_nothing(tmp_path, old, new):
    folder = voc_folder(tmp_path / "voc", scenes={"b": SCENES["b"]})
    path = folder / "Annotations" / "b.xml"
    text = path.read_text().replace(old, new)
    path.write_text(
        text.replace("</object>", "</object></objects>") if "<objects>" in new else text
    )
    annotations = read_split(folder, "all")
    assert annotations.records[0].boxes.tolist() == [[12, 8, 18, 30]]
    assert annotations.class_names == ("background", "cat")


def test_boxes_outside_of_objects_are_a_fault(tmp_path):
    folder = voc_folder(tmp_path / "voc", scenes={"b": SCENES["b"]})
    path = folder / "Annotations" / "b.xml"
    path.write_text(path.read_text().replace("object>", "item>"))
    (fault,) = read_split(folder, "all").faults
    assert "has <bndbox> outside of <object>" in fault.what


POLYGON = "<polygon><pt><x>1</x><y>9</y></pt><pt><x>8</x><y>2</y></pt></polygon>"
TURNED = "<robndbox><cx>20</cx><cy>20</cy><w>4</w><h>8</h><angle>{}</angle></robndbox>"


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        (POLYGON, [1, 2, 8, 9]),
        (TURNED.format(0), [18, 16, 22, 24]),
        (TURNED.format(1.5707963267948966), [16, 18, 24, 22]),
        (TURNED.format(-0.7853981633974483), [15.757, 15.757, 24.243, 24.243]),
    ],
)
def test_other_shapes_are_read_as_the_box_around_them_with_a_word(tmp_path, shape, box):
    folder = voc_folder(tmp_path / "voc", scenes={"b": []})
    gone = f"<object><name>dog</name><deleted>1</deleted>{POLYGON}</object>"
    text = f"<annotation><object><name>cat</name>{shape}</object>{gone}</annotation>"
    (folder / "Annotations" / "b.xml").write_text(text)
    annotations = read_split(folder, "all")
    assert annotations.faults == ()
    assert annotations.records[0].boxes.tolist() == [pytest.approx(box, abs=1e-3)]
    assert sorted(note.place for note in annotations.notes) == ["b object 1", "b object 2"]


def test_xml_that_belongs_to_no_picture_is_left_out_with_a_word(tmp_path):
    folder = voc_folder(tmp_path / "voc")
    (folder / "JPEGImages" / "a.png.aux.xml").write_text("<PAMDataset/>")
    annotations = read_split(folder, "all")
    assert annotations.faults == ()
    assert in_few_words(annotations.notes) == [
        "XML files are no annotations of a picture, and are left out: JPEGImages/a.png.aux.xml"
    ]
