"""Every planted fault is in the files, and an audit finds all that labels can show."""

from collections import Counter
from itertools import pairwise

import pytest
import torch
from numpy.random import default_rng
from torchvision.ops import masks_to_boxes

from detlab.audit.findings import audit, lost_to_nms
from detlab.audit.known_faults import found_faults
from detlab.audit.planted_faults import (
    FAULTS,
    FISH,
    HEIGHT,
    LENGTHS,
    NAMES,
    ROOM,
    TURTLE,
    TWINS,
    WIDTH,
    coco_content,
    draw_split,
    take_picture,
    write_faulty_reef,
)
from detlab.boxes import box_area
from detlab.data.check import check_splits
from detlab.data.datasets import load_dataset, read_splits
from detlab.reef.scene import CLASS_NAMES, Scene


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Where the set lies, and what was planted."""
    folder = tmp_path_factory.mktemp("faulty")
    return folder, write_faulty_reef(folder)


@pytest.fixture(scope="module")
def splits(written):
    return check_splits(read_splits(str(written[0])))[0]


@pytest.fixture(scope="module")
def audited(splits):
    return audit(splits, NAMES)


def records_of(splits):
    return [record for split in splits.values() for record in split]


def test_the_splits_have_their_lengths_and_classes(written, splits):
    assert {name: len(split) for name, split in splits.items()} == LENGTHS
    assert load_dataset(written[0], "test", skip_bad=True).class_names == NAMES


def test_as_many_faults_are_planted_as_are_listed(written):
    counts = Counter(fault.kind for fault in written[1])
    expected = Counter(kind for kind, *_ in FAULTS) + Counter({"twins across splits": len(TWINS)})
    assert counts == expected
    assert len({name for fault in written[1] for name in fault.pictures}) == (
        len(FAULTS) + 2 * len(TWINS)
    )  # a picture has one fault at most


def test_the_audit_finds_every_fault_that_labels_can_show(written, audited):
    found = found_faults(written[1], audited.findings)
    missed = [fault for fault in written[1] if fault not in found]
    assert {fault.kind for fault in missed} == {"no area", "no box"}


def test_strangers_of_two_splits_are_no_twins_and_other_boxes_no_doubles(written, audited):
    found = Counter(finding.kind for finding in audited.findings)
    planted = Counter(fault.kind for fault in written[1])
    for kind in ("twins across splits", "double box"):
        assert found[kind] == planted[kind]


def test_boxes_without_area_are_the_unusable_ones_by_name(written):
    _, unusable = check_splits(read_splits(str(written[0])))
    planted = [fault for fault in written[1] if fault.kind == "no area"]
    assert {fault.record for fault in unusable} == {
        f"{fault.pictures[0].removesuffix('.jpg')} {fault.objects[0]}" for fault in planted
    }


def test_a_missing_box_is_missing(written):
    right = {view.name: len(view.boxes) for view in draw_split(0, "train")}
    stored = read_splits(str(written[0]))["train"].records
    for fault in written[1]:
        if fault.kind == "no box":
            (record,) = [r for r in stored if r.image.name == fault.pictures[0]]
            assert len(record.boxes) == right[record.image.name] - 1


def test_where_a_class_was_never_boxed_none_of_it_is(written):
    right = {view.name: view.labels for view in draw_split(0, "train")}
    stored = {record.image.name: record for record in read_splits(str(written[0]))["train"].records}
    unboxed = [fault.pictures[0] for fault in written[1] if fault.kind == "class missing"]
    assert len(unboxed) == 2
    for name in unboxed:
        assert sorted(stored[name].labels) == sorted(right[name][right[name] != TURTLE])
        assert TURTLE in right[name]


def test_each_class_has_a_size_of_its_own(splits):
    labels = torch.cat([record.labels for record in splits["test"]])
    sizes = torch.cat([box_area(record.boxes) for record in splits["test"]]).sqrt()
    ranges = [sizes[labels == label].quantile(torch.tensor([0.05, 0.95])) for label in (1, 2, 3)]
    for small, large in pairwise(ranges):
        assert small[1] < large[0]


def test_crowds_are_as_in_photographs(splits):
    assert 0.01 < lost_to_nms(records_of(splits), 0.3) < 0.04


def test_an_animal_has_a_box_from_two_fifths_on():
    rng = default_rng(1)
    top, left = (int(rng.integers(room + 1)) for room in ROOM)  # where the picture begins
    masks = torch.zeros(2, HEIGHT + ROOM[0], WIDTH + ROOM[1], dtype=torch.bool)
    masks[0, 100:120, left - 11 : left + 9] = True  # 9 of 20 columns are in it
    masks[1, 150:170, left - 13 : left + 7] = True
    fish = torch.tensor([CLASS_NAMES.index("fish")] * 2)
    image = torch.zeros(3, *masks.shape[1:], dtype=torch.uint8)
    scene = Scene(image, masks_to_boxes(masks), fish, masks, torch.ones(2))
    view = take_picture(scene, "a.jpg", default_rng(1))
    assert view.boxes.tolist() == [[0, 100 - top, 9, 120 - top]]
    assert view.labels.tolist() == [FISH]


def test_a_seed_gives_the_same_pictures_and_another_seed_others():
    first, again, other = (draw_split(seed, "val")[:2] for seed in (3, 3, 4))
    assert coco_content(first) == coco_content(again)
    assert torch.equal(first[1].image, again[1].image)
    assert not torch.equal(first[1].image, other[1].image)
