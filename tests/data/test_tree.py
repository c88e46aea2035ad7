"""Files of a folder, and the pictures that names mean."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detlab.data.tree import Names, Places, Tree, composed


def make(folder: Path, *names: str) -> Tree:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return Tree(folder)


def test_all_files_are_seen_but_those_that_hide(tmp_path):
    tree = make(tmp_path, "b/c.JPG", "a.txt", ".git/x", "__MACOSX/a.jpg", "b/._c.JPG", "b/d/e.png")
    assert [tree.name(path) for path in tree.files] == ["a.txt", "b/c.JPG", "b/d/e.png"]
    assert [path.name for path in tree.pictures] == ["c.JPG", "e.png"]


def test_a_link_to_a_picture_is_read_and_counted(tmp_path):
    outside = make(tmp_path / "outside", "p.png").files[0]
    make(tmp_path / "set", "a.png")
    (tmp_path / "set" / "p.png").symlink_to(outside)
    tree = Tree(tmp_path / "set")
    assert [path.name for path in tree.pictures] == ["a.png", "p.png"]
    assert [(note.what, note.place) for note in tree.notes] == [("links are followed", "p.png")]


def test_a_link_to_a_folder_is_followed_once_even_back_up(tmp_path):
    make(tmp_path / "set", "a/p.png")
    (tmp_path / "set" / "a" / "up").symlink_to(tmp_path / "set")
    (tmp_path / "set" / "again").symlink_to(tmp_path / "set" / "a")
    assert len(Tree(tmp_path / "set").pictures) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_and_a_link_to_nothing_are_left_out_with_a_word(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "lost.jpg").symlink_to(tmp_path / "nowhere.jpg")
    tree = Tree(tmp_path)
    assert tree.files == []
    assert [note.place for note in tree.notes] == ["lost.jpg", "pipe.jpg"]


def test_other_folders_are_part_of_the_tree(tmp_path):
    make(tmp_path / "one", "a.png")
    make(tmp_path / "other", "train/b.png")
    tree = Tree(tmp_path / "one", tmp_path / "other")
    assert [tree.name(path) for path in tree.pictures] == ["a.png", "train/b.png"]


@pytest.mark.parametrize(
    ("picture", "labels"),
    [
        ("a.jpg", "a.xml"),
        ("images/a.jpg", "labels/a.txt"),
        ("JPEGImages/day1/a.jpg", "Annotations/day1/a.xml"),
        ("images/train/a.jpg", "labels/train/a.txt"),
        ("train/images/x/a.jpg", "train/labels/x/a.txt"),
        ("data/train/a.jpg", "train/a.json"),
        ("images/cafe\u0301.jpg", "labels/caf\u00e9.txt"),
    ],
)
def test_a_picture_and_its_labels_share_a_key(tmp_path, picture, labels):
    tree = make(tmp_path, picture, labels)
    assert tree.key(tmp_path / picture) == tree.key(tmp_path / labels)


@pytest.mark.parametrize(
    ("picture", "labels"),
    [("images/train/a.jpg", "labels/val/a.txt"), ("a/p.jpg", "b/p.txt"), ("a.jpg", "b.txt")],
)
def test_other_places_and_other_stems_do_not(tmp_path, picture, labels):
    tree = make(tmp_path, picture, labels)
    assert tree.key(tmp_path / picture) != tree.key(tmp_path / labels)


def test_a_stem_alone_counts_only_for_what_has_no_partner_of_its_own(tmp_path):
    tree = make(tmp_path, "images/train/a.jpg", "labels/train/a.txt", "images/test/a.jpg")
    labels = Places(tree.ending(".txt"), tree.pictures, tree)
    assert labels.like(tmp_path / "images/train/a.jpg") == [tmp_path / "labels/train/a.txt"]
    assert labels.like(tmp_path / "images/test/a.jpg") == []
    tree = make(tmp_path / "other", "images/a.jpg", "labels/me/a.txt")
    labels = Places(tree.ending(".txt"), tree.pictures, tree)
    assert labels.like(tmp_path / "other/images/a.jpg") == [tmp_path / "other/labels/me/a.txt"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.jpg", ["train/a.jpg", "val/a.jpg"]),
        ("val/a.jpg", ["val/a.jpg"]),
        ("images\\val\\a.jpg", ["val/a.jpg"]),
        ("/home/me/val/A.JPG", ["val/a.jpg"]),
        ("../val/a.jpg", ["val/a.jpg"]),
        ("./b.jpg", ["train/b.jpg"]),
        ("nowhere/b.jpg", ["train/b.jpg"]),  # it was moved since
        ("set/train/b.jpg", ["train/b.jpg"]),
        ("train/images/b.jpg", ["train/b.jpg"]),
        ("/home/me/b.jpg", ["train/b.jpg"]),
        ("val/b.jpg", []),
        ("day1/d.jpg", ["x/day1/d.jpg"]),
        ("y/day1/d.jpg", []),
        ("C:\\me\\day1\\d.jpg", ["x/day1/d.jpg"]),
        ("c.jpg", []),
        ("", []),
        ("a\0.jpg", []),
    ],
)
def test_the_picture_whose_path_ends_as_a_name_does_is_meant(tmp_path, name, found):
    tree = make(tmp_path, "train/a.jpg", "val/a.jpg", "train/b.jpg", "x/day1/d.jpg")
    assert [tree.name(path) for path in Names(tree.pictures, tree).meant_by(name)] == found


@pytest.mark.parametrize("name", ["set2/images/a.jpg", "/home/me/set2/a.jpg"])
def test_a_folder_around_everything_tells_no_picture_from_another(tmp_path, name):
    tree = make(tmp_path, "set/images/a.jpg", "set/train.txt")
    assert len(Names(tree.pictures, tree).meant_by(name)) == 1


def test_of_several_the_one_that_is_written_alike_is_meant(tmp_path):
    tree = make(tmp_path, "a.jpg", "A.jpg", "x/A.JPG")
    for name in ("a.jpg", "A.jpg", "A.JPG"):
        assert [path.name for path in Names(tree.pictures).meant_by(name)] == [name]
    assert len(Names(tree.pictures).meant_by("a.Jpg")) == 3


def test_of_several_the_one_near_by_is_meant(tmp_path):
    tree = make(tmp_path, "train/a.jpg", "val/a.jpg")
    names = Names(tree.pictures)
    assert names.meant_by("a.jpg", [tmp_path / "val"]) == [tmp_path / "val/a.jpg"]
    assert len(names.meant_by("a.jpg", [tmp_path / "test"])) == 2


@given(st.text(max_size=30))
def test_any_name_means_some_pictures_or_none(name):
    pictures = [Path("x/a.jpg"), Path("y/a.jpg")]
    assert set(Names(pictures).meant_by(name)) <= set(pictures)


def test_a_folder_is_found_however_it_is_written(tmp_path):
    tree = make(tmp_path / "set", "train/x/a.jpg", "val/b.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "set")
    through = Tree(tmp_path / "link")
    assert [path.name for path in through.below((tmp_path / "set/train").resolve())] == ["a.jpg"]
    assert [path.name for path in tree.below((tmp_path / "set").resolve())] == ["a.jpg", "b.jpg"]


def test_accents_have_one_form():
    assert composed("e\u0301") == composed("\u00e9")
