"""Where YOLO's splits stand."""

import pytest

from detlab.data.folders import layout_of, list_splits, read_split
from detlab.data.records import DataError
from tests.sample_folders import SCENES, write_picture, yolo_folder


def stems(folder, split):
    return sorted(record.image.stem for record in read_split(folder, split).records)


def roboflow(folder, *splits, yaml=""):
    """SPLIT/images and SPLIT/labels; the pictures of each have names of their own."""
    for split in splits:
        for stem, boxes in SCENES.items():
            write_picture(folder / split / "images" / f"{split}-{stem}.png")
            (folder / split / "labels").mkdir(exist_ok=True)
            line = "1 .5 .5 .1 .1\n" if boxes else ""
            (folder / split / "labels" / f"{split}-{stem}.txt").write_text(line)
    (folder / "data.yaml").write_text(f"{yaml}\nnames: [cat, dog]\n")
    return folder


def test_places_of_a_yaml_file_are_the_splits(tmp_path):
    yaml = "train: ../train/images\nval: ../test/images"
    folder = roboflow(tmp_path, "train", "test", yaml=yaml)
    assert list_splits(folder) == ["train", "val"]
    assert stems(folder, "val") == ["test-a", "test-b", "test-c"]


def test_a_split_may_be_several_folders(tmp_path):
    yaml = "train: [train/images, more/images]\nval: valid/images"
    folder = roboflow(tmp_path, "train", "more", "valid", yaml=yaml)
    assert len(stems(folder, "train")) == 6


@pytest.mark.parametrize("line", ["./images/a.png", "data/images/a.png", "/data/x/images/a.png"])
def test_a_split_may_be_a_list(tmp_path, line):
    folder = yolo_folder(tmp_path)
    (folder / "Train.txt").write_text(f"{line}\nimages/b.png\n")
    (folder / "data.yaml").write_text("Train: Train.txt\nnames: {0: cat, 1: dog}\npath: .\n")
    assert stems(folder, "train") == ["a", "b"]
    assert [n.place for n in layout_of(folder).notes] == ["images/c.png"]


def test_lists_are_splits_without_a_yaml_file_too(tmp_path):
    folder = yolo_folder(tmp_path)
    (folder / "data.yaml").rename(folder / "names.yaml")
    (folder / "train.txt").write_text("images/a.png\nimages/c.png\n")
    (folder / "valid.txt").write_text("images/b.png\nimages/x.png\n")
    assert (stems(folder, "train"), stems(folder, "val")) == (["a", "c"], ["b"])
    (fault,) = read_split(folder, "val").faults
    assert (fault.record, fault.what) == ("images/x.png", "no picture of this name")


def with_lists(folder, **lists):
    yolo_folder(folder)
    (folder / "data.yaml").unlink()
    (folder / "obj.names").write_text("cat\ndog\n")
    for name, lines in lists.items():
        (folder / f"{name}.txt").write_text(lines)
    return folder


@pytest.mark.parametrize("names", [("autosplit_train", "autosplit_val"), ("train", "2007_val")])
@pytest.mark.parametrize("ending", [".png", ""])
def test_a_list_may_have_a_longer_name_and_leave_out_endings(tmp_path, names, ending):
    train, val = names
    lines = {train: f"/x/images/a{ending}\n/x/images/c{ending}\n", val: f"./images/b{ending}\n"}
    folder = with_lists(tmp_path, **lines)
    assert (stems(folder, "train"), stems(folder, "val")) == (["a", "c"], ["b"])


def test_the_first_picture_of_a_list_may_be_gone_or_all(tmp_path):
    folder = with_lists(tmp_path, train="images/x.png\nimages/a.png\n", val="images/y.png\n")
    assert list_splits(folder) == ["train", "val"]
    gone = [
        fault.record for split in ("train", "val") for fault in read_split(folder, split).faults
    ]
    assert gone == ["images/x.png", "images/y.png"]


def test_darknets_data_file_names_the_lists(tmp_path):
    folder = with_lists(tmp_path, mine="data/images/a.png\n", other="data/images/b.png\n")
    assert [n.place for n in layout_of(folder).notes] == ["mine.txt", "other.txt"]
    (folder / "obj.data").write_text("train = data/mine.txt\nvalid=data/gone.txt\nclasses = 2\n")
    assert list_splits(folder) == ["train"]
    said = {note.what: note.place for note in layout_of(folder).notes}
    assert said["lists that obj.data names are not there"] == "valid=data/gone.txt"
    assert said["lists are not used"] == "other.txt"


def test_an_empty_list_is_said_and_no_fault(tmp_path):
    folder = with_lists(tmp_path, train="images/a.png\nimages/b.png\nimages/c.png\n", test="")
    (note,) = layout_of(folder).notes
    assert (note.what, note.place) == ("lists are empty, and no split", "test.txt")
    assert read_split(folder, "train").faults == ()


def test_a_list_that_no_yaml_file_names_is_said(tmp_path):
    folder = yolo_folder(tmp_path)
    (folder / "data.yaml").write_text("train: images\nnames: [cat, dog]\n")
    (folder / "val.txt").write_text("images/b.png\n")
    assert [note.place for note in layout_of(folder).notes] == ["val.txt"]


def test_masks_are_no_pictures_to_learn_from(tmp_path):
    folder = yolo_folder(tmp_path, "train")
    for stem in SCENES:
        write_picture(folder / "masks" / "train" / f"{stem}.png")
    assert stems(folder, "train") == ["a", "b", "c"]
    assert len([n for n in layout_of(folder).notes if n.place.startswith("masks/")]) == 3


def test_pictures_in_folders_below_a_split_are_its(tmp_path):
    folder = yolo_folder(yolo_folder(tmp_path, "train"), "train/2026-01-02")
    assert len(stems(folder, "train")) == 6
    assert sum(len(r.boxes) for r in read_split(folder, "train").records) == 6


def test_folders_of_labels_may_be_the_splits(tmp_path):
    folder = yolo_folder(tmp_path)
    for split, stem in (("train", "a"), ("val", "b")):
        (folder / "labels" / split).mkdir()
        (folder / "labels" / f"{stem}.txt").rename(folder / "labels" / split / f"{stem}.txt")
    assert (stems(folder, "train"), stems(folder, "val")) == (["a"], ["b"])
    assert "images/c.png" in [note.place for note in layout_of(folder).notes]


def test_darknets_folders_are_read(tmp_path):
    for split in ("train", "valid"):
        place = tmp_path / f"obj_{split}_data"
        write_picture(place / f"{split}.png")
        (place / f"{split}.txt").write_text("0 .5 .5 .1 .1\n")
    (tmp_path / "obj.names").write_text("cat\n")
    (tmp_path / "obj.data").write_text("classes = 1\n")
    assert list_splits(tmp_path) == ["train", "val"]
    assert len(read_split(tmp_path, "val").records[0].boxes) == 1


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ("/content/set/images/train", "are another machine's; the end of their path is here"),
        ("C:\\\\me\\\\images\\\\train", "are another machine's; the end of their path is here"),
        ("images/train/*.png", ""),
    ],
)
def test_places_of_another_machine_and_patterns_are_followed(tmp_path, train, said):
    folder = yolo_folder(yolo_folder(tmp_path, "train"), "val")
    yaml = f'train: "{train}"\nval: images/val\nnames: [cat, dog]\n'
    (folder / "data.yaml").write_text(yaml)
    assert list_splits(folder) == ["train", "val"]
    notes = [note.what for note in layout_of(folder).notes]
    assert notes == [f"places that data.yaml names {said}"] * bool(said)


@pytest.mark.parametrize("train", ["/content/day1/images", "images/x/*.png"])
def test_a_yaml_file_of_which_nothing_is_here_is_refused(tmp_path, train):
    folder = yolo_folder(tmp_path)
    (folder / "data.yaml").write_text(f"train: {train}\nnames: [cat, dog]\n")
    with pytest.raises(DataError, match=r"data\.yaml: nothing that it names is here, as train: "):
        layout_of(folder)


def test_a_path_elsewhere_is_read_where_the_yaml_file_names_it(tmp_path):
    yolo_folder(tmp_path / "elsewhere", "train")
    folder = tmp_path / "set"
    folder.mkdir()
    yaml = "path: ../elsewhere\ntrain: images/train\nnames: [cat, dog]\n"
    (folder / "data.yaml").write_text(yaml)
    assert stems(folder, "train") == ["a", "b", "c"]
    assert sum(len(r.boxes) for r in read_split(folder, "train").records) == 3


def test_a_picture_in_two_splits_is_said(tmp_path):
    folder = roboflow(tmp_path, "train", yaml="train: train/images\nval: train/images")
    notes = [
        note for note in layout_of(folder).notes if note.what == "pictures are in train and in val"
    ]
    assert len(notes) == 3


def test_labels_of_a_split_without_pictures_are_a_fault(tmp_path):
    folder = yolo_folder(yolo_folder(tmp_path, "train"), "val")
    (folder / "labels" / "val" / "x.txt").write_text("0 .5 .5 .1 .1\n")
    assert [str(f).endswith("x.txt: no picture x") for f in read_split(folder, "train").faults] == [
        True
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("labels_old/a.txt", "images/a.png has labels elsewhere, too; want one"),
        ("labels/c.png.txt", "no picture is called c.png.*; want c.txt as the labels of c.png"),
    ],
)
def test_why_a_label_file_has_no_picture_is_said(tmp_path, name, said):
    folder = yolo_folder(tmp_path)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("0 .5 .5 .1 .1\n")
    (fault,) = read_split(folder, "all").faults
    assert fault.what == said


def test_a_text_that_is_no_label_file_is_none(tmp_path):
    folder = yolo_folder(tmp_path)
    (folder / "README.roboflow.txt").write_text("This set was made by hand\n")
    (folder / "requirements.txt").write_text("torch\n")
    assert read_split(folder, "all").faults == ()


def test_labels_too_short_to_be_any_are_still_those_of_their_picture(tmp_path):
    folder = yolo_folder(tmp_path)
    (folder / "labels" / "a.txt").write_text("0\n")
    (fault,) = read_split(folder, "all").faults
    assert "want 5 numbers" in fault.what


def test_without_labels_or_names_there_is_nothing_to_read(tmp_path):
    write_picture(tmp_path / "images" / "a.png")
    with pytest.raises(DataError, match="no annotations found"):
        layout_of(tmp_path)
