"""Words, folders and lists that say which split a picture belongs to."""

import pytest

from detlab.data.records import DataError
from detlab.data.splits import (
    by_folder,
    files_listed,
    in_order,
    named_lists,
    not_taken,
    our_split,
    read_list,
    split_in,
    split_of_folder,
)
from detlab.data.tree import KINDS, Names, Tree


@pytest.mark.parametrize(
    ("word", "split"),
    [
        *[(word, "train") for word in ("train", "Train", "TRAIN", "train2017", "training")],
        *[(word, "val") for word in ("val", "valid", "Validation", "dev", "val_2", "VAL2014")],
        *[(word, "test") for word in ("test", "Test", "test-2015", "testing")],
        *[(word, None) for word in ("fold1", "trainer", "2017", "", "latest", "traintest")],
    ],
)
def test_a_folders_word_for_a_split(word, split):
    assert our_split(word) == split


@pytest.mark.parametrize(
    ("words", "split"),
    [
        ("train_images", "train"),
        ("images-val", "val"),
        ("obj_train_data", "train"),
        ("training_set", "train"),
        ("testset", "test"),
        ("eval", "val"),
        ("test_tubes", None),
        ("train_test", None),
        ("dog_training", None),
    ],
)
def test_a_folder_is_a_split_if_it_says_nothing_else(words, split):
    assert split_in(words, KINDS) == split


def test_the_innermost_folder_that_names_a_split_counts():
    assert split_of_folder(("test", "Train", "images")) == "train"
    assert split_of_folder(()) is None


def tree_of(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    return Tree(folder)


def test_files_are_sorted_by_their_folders(tmp_path):
    tree = tree_of(tmp_path, "test/a.jpg", "x/train/b.jpg", "x/train/deep/c.jpg", "dev/d.jpg")
    found = by_folder(tree.pictures, tree)
    assert {split: [path.name for path in paths] for split, paths in found.items()} == {
        "train": ["b.jpg", "c.jpg"],
        "val": ["d.jpg"],
        "test": ["a.jpg"],
    }


def test_a_folder_around_the_splits_does_not_count(tmp_path):
    tree = tree_of(tmp_path, "training_data/train/a.jpg", "training_data/val/b.jpg")
    assert list(by_folder(tree.pictures, tree)) == ["train", "val"]


def test_files_beside_splits_are_in_none(tmp_path):
    tree = tree_of(tmp_path, "train/a.jpg", "b.jpg")
    assert list(by_folder(tree.pictures, tree)) == ["train"]
    assert list(by_folder(tree.pictures[1:], tree)) == ["train"]
    assert list(by_folder(tree.pictures[:1], tree)) == ["all"]


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (["train_cam1", "train_cam2", "val_cam1"], ["train", "val"]),
        (["train_cam1", "train_cam2"], ["all"]),
        (["train_cam1", "test_cam1", "cam3"], ["all"]),
        (["test_tubes", "train"], ["train"]),
    ],
)
def test_longer_names_of_folders_are_splits_where_all_have_one(tmp_path, folders, splits):
    tree = tree_of(tmp_path, *[f"images/{name}/{name}.jpg" for name in folders])
    assert list(by_folder(tree.pictures, tree)) == splits


def test_folders_called_like_a_split_or_a_fold_are_said(tmp_path):
    tree = tree_of(tmp_path, "fold1/a.jpg", "fold2/b.jpg", "test_tubes/c.jpg", "day1/d.jpg")
    places = [note.place for note in not_taken(tree.pictures, tree, ["all"])]
    assert places == ["test_tubes", "fold1", "fold2"]
    assert not_taken(tree.pictures, tree, ["train", "test"]) == []


def test_two_folders_of_one_split_are_refused(tmp_path):
    tree = tree_of(tmp_path, "val/a.jpg", "valid/b.jpg")
    with pytest.raises(DataError, match="val and valid: want one of them as the val split"):
        by_folder(tree.pictures, tree)


def lists(folder, *names):
    for name in names:
        (folder / f"{name}.txt").write_text("")
    return sorted(folder.glob("*.txt"))


@pytest.mark.parametrize(
    ("names", "found", "unused"),
    [
        (["train", "val", "trainval"], {"train": "train", "val": "val"}, ["trainval"]),
        (["trainval", "test"], {"train": "trainval", "test": "test"}, []),
        (["default"], {"all": "default"}, []),
        (
            ["Train", "Validation", "Test"],
            {"train": "Train", "val": "Validation", "test": "Test"},
            [],
        ),
        (["fold1", "fold2"], {"fold1": "fold1", "fold2": "fold2"}, []),
        (["train", "extra"], {"train": "train"}, ["extra"]),
        (["2007_train", "2007_test"], {"train": "2007_train", "test": "2007_test"}, []),
        (["train_list", "val_list"], {"train": "train_list", "val": "val_list"}, []),
        (["train", "autosplit_train"], {"train": "train"}, ["autosplit_train"]),
        ([], {}, []),
    ],
)
def test_lists_by_their_names(tmp_path, names, found, unused):
    chosen, notes = named_lists(lists(tmp_path, *names))
    assert {split: path.stem for split, path in chosen.items()} == found
    assert [note.place for note in notes] == [f"{name}.txt" for name in unused]


def test_a_list_names_files_once(tmp_path):
    tree = tree_of(tmp_path, "a/p.jpg", "b/p.jpg", "b/q.jpg")
    path = tmp_path / "train.txt"
    path.write_text("./a/p.jpg\n\nb/q.jpg\nq.jpg\np.jpg\nx.jpg\n")
    found, faults = files_listed(path, read_list(path), Names(tree.pictures), "picture")
    assert [tree.name(picture) for picture in found] == ["a/p.jpg", "b/q.jpg"]
    assert [fault.record for fault in faults] == ["q.jpg", "p.jpg", "x.jpg"]
    said = [fault.what.split(" ")[0] for fault in faults]
    assert said == ["stands", "could", "no"]


def test_splits_have_an_order():
    assert list(in_order({"test": [], "b": [], "val": [], "a": [], "train": []})) == [
        *("train", "val", "test", "a", "b")
    ]
