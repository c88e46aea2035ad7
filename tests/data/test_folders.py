import json
from pathlib import Path

import pytest

from detlab.data.folders import layout_of, list_splits, read_share, read_split
from detlab.data.records import DataError
from tests.sample_folders import coco_content, coco_folder, voc_folder, write_picture, yolo_folder

MANY = {f"{number:02}": [("cat", 1.0, 2.0, 3.0, 4.0)] for number in range(12)}


def stems(annotations) -> list[str]:
    return [record.image.stem for record in annotations.records]


def test_each_format_is_recognised(tmp_path):
    assert layout_of(coco_folder(tmp_path / "coco")).format == "coco"
    assert layout_of(voc_folder(tmp_path / "voc")).format == "voc"
    assert layout_of(yolo_folder(tmp_path / "yolo")).format == "yolo"
    assert layout_of(yolo_folder(tmp_path / "split", "train")).format == "yolo"


@pytest.mark.parametrize(
    ("place", "split"),
    [
        ("instances_train.json", "train"),
        ("instances_valid.json", "val"),
        ("annotations/instances_val2017.json", "val"),
        ("valid/_annotations.coco.json", "val"),
        ("instances.json", "all"),
        ("annotations/instances.json", "all"),
    ],
)
def test_coco_files_are_found_where_tools_write_them(tmp_path, place, split):
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text(json.dumps(coco_content()))
    assert layout_of(tmp_path).format == "coco"
    assert list_splits(tmp_path) == [split]
    assert len(read_split(tmp_path, split).records) == 3


@pytest.mark.parametrize(
    "place", ["images", "images/val2017", "val2017", "valid", "", "images/val"]
)
def test_coco_pictures_are_found_where_tools_put_them(tmp_path, place):
    (tmp_path / "instances_val.json").write_text(json.dumps(coco_content()))
    picture = write_picture(tmp_path / place / "a.png")
    assert read_split(tmp_path, "val").records[0].image == picture


def test_voc_splits_are_the_lists_of_pictures(tmp_path):
    splits = {"train": ["a"], "val": ["b", "c"], "trainval": ["a", "b", "c"], "cat_train": ["a"]}
    folder = voc_folder(tmp_path / "voc", splits)
    assert set(list_splits(folder)) == {"train", "val"}
    assert stems(read_split(folder, "val")) == ["b", "c"]


def test_yolo_splits_are_folders(tmp_path):
    yolo_folder(tmp_path, "train")
    yolo_folder(tmp_path, "valid")
    assert list_splits(tmp_path) == ["train", "val"]
    assert len(read_split(tmp_path, "val").records) == 3


def test_a_folder_without_splits_has_one(tmp_path):
    assert list_splits(voc_folder(tmp_path / "voc")) == ["all"]
    assert list_splits(yolo_folder(tmp_path / "yolo")) == ["all"]


@pytest.mark.parametrize("make", [coco_folder, yolo_folder])
def test_a_missing_val_is_every_fifth_picture_of_train(tmp_path, make):
    folder = make(tmp_path, "train", scenes=MANY)
    assert stems(read_share(folder, "val")) == ["00", "05", "10"]
    assert stems(read_share(folder, "train")) == [s for s in MANY if s not in ("00", "05", "10")]


@pytest.mark.parametrize("spoilt", ["03.txt", "05.txt"])
def test_faults_of_a_shared_folder_are_told_by_both_halves(tmp_path, spoilt):
    folder = yolo_folder(tmp_path, "train", scenes=MANY)
    next(folder.rglob(spoilt)).write_text("7 .5 .5 .1 .1\n")
    told = {split: len(read_share(folder, split).faults) for split in ("train", "val")}
    assert told == {"train": 1, "val": 1}


def test_a_single_picture_cannot_be_shared_out(tmp_path):
    folder = coco_folder(tmp_path / "one", scenes={"a": []})
    with pytest.raises(DataError, match="one: one picture; want two or more, or a val split"):
        read_share(folder, "train")


def test_a_folder_without_splits_is_shared_out_too(tmp_path):
    folder = voc_folder(tmp_path / "voc", scenes=MANY)
    train, val = (stems(read_share(folder, split)) for split in ("train", "val"))
    assert not set(train) & set(val)
    assert sorted(train + val) == sorted(MANY)


def test_splits_that_are_there_are_read_whole(tmp_path):
    folder = coco_folder(coco_folder(tmp_path, "train", scenes=MANY), "val")
    assert stems(read_share(folder, "train")) == list(MANY)
    assert stems(read_share(folder, "val")) == ["a", "b", "c"]


def test_a_split_that_cannot_be_had_is_told_with_those_that_can(tmp_path):
    with pytest.raises(DataError, match="no test split; it has train"):
        read_share(coco_folder(tmp_path / "train"), "test")
    with pytest.raises(DataError, match="no train split; it has val"):
        read_share(coco_folder(tmp_path / "val", "val"), "train")


def test_a_missing_empty_or_foreign_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere: no such folder"):
        layout_of(tmp_path / "nowhere")
    with pytest.raises(DataError, match="the folder is empty"):
        layout_of(tmp_path)
    write_picture(tmp_path / "a.png")
    with pytest.raises(
        DataError, match="no annotations found; want a COCO file as instances_train"
    ):
        layout_of(tmp_path)
    with pytest.raises(DataError, match=r"a\.png: no such folder"):
        layout_of(Path(tmp_path / "a.png"))


def test_two_coco_files_of_one_split_are_refused(tmp_path):
    for year in ("2014", "2017"):
        coco_folder(tmp_path, f"train{year}")
    with pytest.raises(DataError, match=r"2014\.json and .*2017\.json: want one of them"):
        list_splits(tmp_path)


def test_two_lists_or_folders_of_one_split_are_refused(tmp_path):
    voc = voc_folder(tmp_path / "voc", {"train": ["a"], "train2007": ["b"]})
    yolo = yolo_folder(yolo_folder(tmp_path / "yolo", "train1"), "train2")
    for folder in (voc, yolo):
        with pytest.raises(DataError, match="want one of them as the train split"):
            list_splits(folder)


def test_folds_are_not_thrown_together(tmp_path):
    for fold in (1, 2):
        coco_folder(tmp_path, f"fold{fold}")
    assert list_splits(tmp_path) == ["fold1", "fold2"]


def test_a_year_stands_behind_the_split_of_a_yolo_folder_too(tmp_path):
    yolo_folder(tmp_path, "train2017")
    assert list_splits(tmp_path) == ["train"]
    assert stems(read_split(tmp_path, "train")) == ["a", "b", "c"]


def test_a_split_without_pictures_is_a_fault(tmp_path):
    yolo_folder(tmp_path)
    for path in (tmp_path / "images").iterdir():
        path.unlink()
    for path in (tmp_path / "labels").iterdir():
        path.unlink()
    (fault,) = read_split(tmp_path, "all").faults
    assert str(fault) == f"{tmp_path}: all: no picture in this split"


def test_what_is_in_no_split_is_noted_by_whoever_reads_one(tmp_path):
    folder = yolo_folder(tmp_path, "train", scenes=MANY)
    write_picture(folder / "spare" / "x.png")
    for split in ("train", "val"):
        places = [note.place for note in read_share(folder, split).notes]
        assert places == ["spare/x.png"]


def test_files_of_a_second_format_are_noted(tmp_path):
    folder = yolo_folder(coco_folder(tmp_path))
    notes = layout_of(folder).notes
    assert [note.place for note in notes if "YOLO is not read" in note.what] == [
        "labels/a.txt",
        "labels/b.txt",
    ]


def test_json_that_is_broken_is_noted_beside_what_can_be_read(tmp_path):
    folder = voc_folder(tmp_path / "voc")
    (folder / "more.json").write_text("{")
    (note,) = layout_of(folder).notes
    assert "more.json: not JSON" in note.place


def test_a_folder_outside_is_read_where_it_is_allowed(tmp_path):
    folder = coco_folder(tmp_path / "set")
    (folder / "images").rename(tmp_path / "elsewhere")
    (missing,) = {str(r.image.is_file()) for r in read_split(folder, "train").records}
    assert missing == "False"
    found = read_share(folder, "train", tmp_path / "elsewhere")
    assert all(record.image.is_file() for record in found.records)


def test_a_split_without_labels_is_told_from_one_that_is_not_there(tmp_path):
    folder = yolo_folder(yolo_folder(tmp_path, "train"), "test")
    for path in (folder / "labels" / "test").iterdir():
        path.unlink()
    assert layout_of(folder).unlabelled == {"test": 3}
    with pytest.raises(DataError, match="its test split has no labels"):
        read_share(folder, "test")


@pytest.mark.parametrize("make", [coco_folder, yolo_folder])
def test_a_picture_of_the_same_name_in_another_folder_is_not_meant(tmp_path, make):
    folder = make(tmp_path)
    (folder / "images").rename(folder / "cam2")
    for path in folder.glob("*.json"):
        path.write_text(path.read_text().replace('"file_name": "', '"file_name": "cam1/'))
    (folder / "train.txt").write_text("cam1/a.png\ncam2/b.png\n")
    if make is yolo_folder:
        (folder / "data.yaml").write_text("train: train.txt\nnames: [cat, dog]\n")
    read = read_split(folder, "train")
    missing = [record.image for record in read.records if not record.image.is_file()]
    assert missing or all("no picture" in f.what or "no such" in f.what for f in read.faults)
    assert missing or read.faults


def test_a_folder_like_a_split_is_said_by_whoever_reads_the_others(tmp_path):
    folder = yolo_folder(yolo_folder(tmp_path, "train"), "test_kits")
    assert [note.place for note in layout_of(folder).notes][:1] == ["test_kits"]


def test_archives_are_said(tmp_path):
    folder = yolo_folder(tmp_path / "set")
    (folder / "valid.zip").write_bytes(b"PK")
    assert [note.place for note in layout_of(folder).notes] == ["valid.zip"]
    write_picture(tmp_path / "bare" / "images" / "a.png")
    (tmp_path / "bare" / "labels.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"unpack labels\.zip first"):
        layout_of(tmp_path / "bare")
