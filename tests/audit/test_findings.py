"""What deserves a second look is found, and nothing else."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from PIL import Image

from detlab.audit.findings import audit
from detlab.audit.kinds import in_order
from detlab.audit.page import LINES, page
from tests.audit.sample_records import NAMES, record
from tests.fixed_camera import NAMES as PIECES
from tests.fixed_camera import faulty_boards


@pytest.fixture
def splits(tmp_path):
    """Four pictures: the same one in train and val, one of its own, one without objects."""
    generator = torch.Generator().manual_seed(3)
    noise = [torch.randint(0, 255, (12, 18, 3), generator=generator).byte() for _ in range(3)]
    for name, row in (("a", 0), ("b", 0), ("c", 1), ("d", 2)):
        picture = Image.fromarray(noise[row].numpy()).resize((90, 60))
        picture.save(tmp_path / f"{name}.png")
    box = [[10.0, 10.0, 30.0, 25.0]]
    return {
        "train": [record(box, [1], tmp_path / "a.png"), record(box, [2], tmp_path / "c.png")],
        "val": [record(box, [1], tmp_path / "b.png"), record([], [], tmp_path / "d.png")],
    }


def test_all_splits_are_looked_at_together(splits):
    found = audit(splits, NAMES)
    assert [finding.kind for finding in found.findings] == ["twins across splits", "no object"]
    assert [path.stem for path in found.findings[0].pictures] == ["a", "b"]
    assert "in train and val" in found.findings[0].what
    assert found.counts == {"cell": 2, "speck": 1}
    assert found.sizes == {"small": 3, "medium": 0, "large": 0}


def test_sizes_are_those_of_coco(splits):
    sides = [(31, 33), (32, 32), (95, 97), (96, 96)]
    boxes = [[0.0, 0.0, float(w), float(h)] for w, h in sides]
    found = audit({"train": [record(boxes, [1] * 4, splits["val"][1].image)]}, NAMES)
    assert found.sizes == {"small": 1, "medium": 2, "large": 1}


def test_one_file_in_two_splits_is_a_twin_of_itself(splits):
    shared = splits["train"][0]
    doubled = replace(shared, boxes=shared.boxes.repeat(2, 1), labels=shared.labels.repeat(2))
    doubled = replace(doubled, objects=("object 0", "object 1"))
    found = audit({"train": [doubled], "test": [shared]}, NAMES).findings
    assert [finding.kind for finding in found] == ["twins across splits", "double box"]
    assert found[0].records == (doubled, shared)
    assert "100% alike, in train and test" in found[0].what
    assert found[1].records == (doubled,)


def test_of_one_camera_each_fault_is_on_the_page_and_nothing_else(tmp_path):
    splits = faulty_boards(tmp_path)
    found = audit(splits, PIECES)
    train, val = splits["train"], splits["val"]
    kinds = {
        "twins across splits": (train[2], val[1]),
        "double box": (train[20],),
        "class missing": (train[22],),  # a rook, called a rok
        "no object": (train[21],),
        "twins": (train[0], train[10]),
    }
    assert [(finding.kind, finding.records) for finding in found.findings] == [*kinds.items()]
    about = {finding.kind: finding.what for finding in found.about_classes}
    assert about == {
        "similar names": "rok (1 box) is written nearly as rook (79)",
        "rare class": "rok has 1 box, rook has 79",
        "class without boxes": "no box in any picture is called king",
    }
    lines = page(in_order([*found.findings, *found.about_classes]))
    assert len(lines) == len(kinds) + len(about) <= LINES
    assert lines[0].startswith("twins across splits: board_00002.png, board_00061.png: the same")


@pytest.mark.parametrize("splits", [{}, {"train": []}, {"train": [], "val": []}])
def test_of_no_pictures_only_unused_classes_are_told(splits):
    found = audit(splits, NAMES)
    assert found.findings == ()
    assert Counter(each.kind for each in found.about_classes) == {"class without boxes": 2}
    assert found.counts == {"cell": 0, "speck": 0}


def test_what_matters_most_comes_first(splits):
    found = audit(splits, NAMES).findings
    assert list(found) == in_order(found)
