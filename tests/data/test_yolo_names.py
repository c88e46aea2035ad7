"""Classes and places of splits, as YOLO's .yaml files have them."""

import json
from pathlib import Path

import pytest

from detlab.data.folders import layout_of, read_split
from detlab.data.records import DataError
from detlab.data.tree import Tree
from detlab.data.yolo_names import class_names, find_yaml, place_of, read_yaml
from tests.sample_folders import yolo_folder


def classes_of(folder: Path) -> tuple[str, ...]:
    tree = Tree(folder)
    return class_names(tree, find_yaml(tree))


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
    assert classes_of(folder) == ("background", "cat", "dog")


@pytest.mark.parametrize("text", ["nc: 2\n", "names: []\n", "- cat\n"])
def test_a_folder_without_class_names_is_refused(tmp_path, text):
    folder = yolo_folder(tmp_path)
    (folder / "data.yaml").write_text(text)
    with pytest.raises(DataError, match="no class names; want"):
        classes_of(folder)


@pytest.mark.parametrize("names", ["{1: cat, 2: dog}", "{0: cat, dog: 1}", "{0: cat, 2: dog}"])
def test_names_that_do_not_count_from_0_are_refused(tmp_path, names):
    folder = yolo_folder(tmp_path)
    (folder / "data.yaml").write_text(f"names: {names}")
    with pytest.raises(DataError, match=r"data\.yaml: want a name for each of 0 to 1, got \["):
        classes_of(folder)


@pytest.mark.parametrize("text", ["names: [cat\n", "a: b: c\n", "[" * 3000])
def test_yaml_that_is_broken_is_refused(tmp_path, text):
    folder = yolo_folder(tmp_path)
    (folder / "data.yaml").write_text(text)
    with pytest.raises(DataError, match=r"data\.yaml: not YAML"):
        classes_of(folder)


@pytest.mark.parametrize(
    "text", ["names: !!python/object/apply:os.getcwd []\n", "names: 2026-99-99\n"]
)
def test_yaml_builds_nothing_but_words(tmp_path, text):
    (tmp_path / "data.yaml").write_text(text)
    assert read_yaml(tmp_path / "data.yaml") is None


@pytest.mark.parametrize(
    "names", ["[on, off]", "[NO, yes]", "[1, 2.50]", "[~, null]", "{0: on, 1: off}"]
)
def test_names_stay_the_words_that_were_written(tmp_path, names):
    folder = yolo_folder(tmp_path)
    (folder / "data.yaml").write_text(f"names: {names}\n")
    wanted = names.strip("[]{}").replace("0: ", "").replace("1: ", "").split(", ")
    assert classes_of(folder)[1:] == tuple(wanted)


def test_two_classes_of_one_name_are_refused(tmp_path):
    folder = yolo_folder(tmp_path)
    (folder / "data.yaml").write_text("names: [cat, dog, cat]\n")
    with pytest.raises(DataError, match="classes 0 and 2 are both called 'cat'"):
        classes_of(folder)


@pytest.mark.parametrize("place", ["", "labels", "labels/train"])
def test_classes_txt_is_found_wherever_its_tools_put_it(tmp_path, place):
    folder = yolo_folder(tmp_path)
    (folder / "data.yaml").unlink()
    (folder / place).mkdir(exist_ok=True, parents=True)
    (folder / place / "classes.txt").write_text("cat\ndog\n")
    assert classes_of(folder) == ("background", "cat", "dog")
    assert read_split(folder, "all").faults == ()


def test_files_that_disagree_on_the_order_are_shown(tmp_path):
    folder = yolo_folder(tmp_path)
    notes = {"categories": [{"id": 1, "name": "cat"}, {"id": 0, "name": "dog"}]}
    (folder / "notes.json").write_text(json.dumps(notes))
    with pytest.raises(
        DataError, match=r"data\.yaml has the classes cat, dog, notes\.json has dog, cat"
    ):
        classes_of(folder)


def test_of_several_yaml_files_the_one_whose_places_are_there_counts(tmp_path):
    folder = yolo_folder(tmp_path, "train")
    (folder / "data.yaml").write_text("train: images/train\nnames: [cat, dog]\n")
    (folder / "coco.yaml").write_text("train: ../coco/images\nnames: [person]\n")
    assert classes_of(folder) == ("background", "cat", "dog")
    (folder / "other.yaml").write_text("train: images/train\nnames: [dog, cat]\n")
    with pytest.raises(DataError, match=r"several \.yaml files"):
        classes_of(folder)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("path: .\ntrain: images/train", "images/train"),
        ("path: ../datasets/pets\ntrain: images/train", "images/train"),
        ("train: ../images/train", "../images/train"),
        ("train: ../../images/train", "../../images/train"),
        ("train: 'images\\train'", "images\\train"),
    ],
)
def test_places_are_found_as_their_tools_mean_them(tmp_path, text, word):
    folder = yolo_folder(tmp_path, "train")
    (folder / "data.yaml").write_text(f"{text}\nnames: [cat, dog]\n")
    entry = read_yaml(folder / "data.yaml")
    assert entry.splits["train"] == [word]
    assert place_of(word, entry) == (folder / "images" / "train").resolve()


def test_a_place_that_is_not_there_is_noted(tmp_path):
    folder = yolo_folder(tmp_path, "train")
    text = "train: images/train\nval: images/holdout\nnames: [cat, dog]\n"
    (folder / "data.yaml").write_text(text)
    (note,) = layout_of(folder).notes
    assert note.place == "val: images/holdout"


def test_an_empty_line_between_classes_is_refused(tmp_path):
    folder = yolo_folder(tmp_path)
    (folder / "data.yaml").unlink()
    (folder / "classes.txt").write_text("cat\n\ndog\n")
    with pytest.raises(DataError, match=r"classes\.txt: line 2 is empty, and stands for class 1"):
        classes_of(folder)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("names: [cat, dog]\nnames: [dog, cat]", "has 'names' twice; want it once"),
        ("names: {0: cat, 1: dog, 1: cow}", "has '1' twice"),
        ("names: cat, dog", "want names as a list, got 'cat, dog'"),
    ],
)
def test_yaml_that_contradicts_itself_is_refused(tmp_path, text, what):
    folder = yolo_folder(tmp_path)
    (folder / "data.yaml").write_text(text)
    with pytest.raises(DataError, match=rf"data\.yaml: {what}"):
        classes_of(folder)


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path):
    folder = yolo_folder(tmp_path, "train")
    (folder / "more").mkdir()
    (folder / "data.yaml").write_text("names: [cat, dog]\n")
    (folder / "more" / "data.yaml").write_text("names: [dog, cat]\n")
    with pytest.raises(DataError, match=r"data\.yaml has cat, dog; more/data\.yaml has dog, cat"):
        classes_of(folder)


def test_another_number_of_classes_than_names_is_said(tmp_path):
    folder = yolo_folder(tmp_path)
    (folder / "data.yaml").write_text("nc: 3\nnames: [cat, dog]")
    (note,) = layout_of(folder).notes
    assert note == ("nc says 3 classes, and names has 2, which count", "data.yaml")
