"""How a folder is understood."""

from pathlib import Path

from detlab.data.layout import Layout, unlisted, with_faults
from detlab.data.records import Annotations, Fault, Note
from detlab.data.tree import Tree
from tests.sample_folders import write_picture


def test_faults_of_a_list_stand_before_those_of_what_it_names():
    one, other = (Fault(Path("a.txt"), name, "is missing") for name in ("1", "2"))
    read = with_faults(lambda: Annotations((), ("background",), (other,)), [one])
    assert read.faults == (one, other)


def test_pictures_in_no_split_are_noted(tmp_path):
    for name in ("a", "b", "c"):
        write_picture(tmp_path / "x" / f"{name}.png")
    tree = Tree(tmp_path)
    notes = unlisted(tree, [[tmp_path / "x/a.png"], [tmp_path / "x/c.png"]])
    assert [note.place for note in notes] == ["x/b.png"]
    assert unlisted(tree, [tree.pictures]) == []


def test_a_layout_reads_nothing_before_it_is_asked():
    def read() -> Annotations:
        raise AssertionError

    layout = Layout("coco", "a.json", {"train": read}, (Note("x", "y"),))
    assert list(layout.splits) == ["train"]
    assert layout.unlabelled == {}
