"""The order of pictures: every picture once an epoch, whoever loads it and wherever a run began."""

import os
import signal
import sys
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.tv_tensors import BoundingBoxes, Mask

from detlab.detector.config import named_config
from detlab.detector.model import build_detector
from detlab.training import batches as module
from detlab.training.batches import (
    Batches,
    check_item,
    load_batches,
    num_classes_of,
    shuffled,
    with_arrays,
)
from detlab.training.config import TrainConfig
from detlab.training.loop import fit

CPU = torch.device("cpu")


class Numbered(Dataset):
    """Picture i is filled with i; it holds one box, as wide as i + 1, of class 1."""

    def __init__(self, length, noise=False):
        self.length, self.noise = length, noise

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        image = torch.full((3, 32, 32), index, dtype=torch.uint8)
        if self.noise:
            image = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8)
        box = torch.tensor([[0.0, 0.0, index + 1.0, 8.0]])
        return image, {"boxes": box, "labels": torch.tensor([1])}


def numbers(batch):
    """Which pictures a batch of `Numbered` holds, as seen in the pixels and in the boxes."""
    images, targets = batch
    seen = images[:, 0, 0, 0].tolist()
    assert seen == [int(target["boxes"][0, 2]) - 1 for target in targets]
    return seen


def of_process(monkeypatch, rank, world, length, batch_size, seed=0):
    monkeypatch.setattr(module, "process_rank", lambda: rank)
    monkeypatch.setattr(module, "num_processes", lambda: world)
    return Batches(Numbered(length), batch_size, seed)


@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 5))
def test_every_epoch_shows_every_picture_once(length, batch_size, seed):
    batches = Batches(Numbered(length), batch_size, seed)
    stream = [picture for step in range(3 * length) for picture in batches.pictures(step)]
    for epoch in range(3):
        assert sorted(stream[epoch * length : (epoch + 1) * length]) == list(range(length))


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = [tuple(shuffled(50, seed, epoch)) for seed in range(3) for epoch in range(3)]
    assert len(set(orders)) == 9
    assert shuffled(50, 1, 2) == list(orders[5])


def test_a_batch_larger_than_the_data_goes_round_again():
    assert sorted(Batches(Numbered(2), 6, seed=0).pictures(0)) == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("world", [2, 3])
def test_processes_together_see_what_one_sees_with_a_larger_batch(monkeypatch, world):
    alone = Batches(Numbered(17), 4 * world, seed=3)
    parts = [of_process(monkeypatch, rank, world, 17, 4, seed=3) for rank in range(world)]
    for step in range(12):
        together = [picture for part in parts for picture in part.pictures(step)]
        assert together == alone.pictures(step)


def test_a_batch_holds_the_pictures_that_it_names():
    batches = Batches(Numbered(10), 4, seed=1)
    for step in (0, 5, 2):  # in any order
        assert numbers(batches[step]) == batches.pictures(step)


def test_a_batch_depends_on_seed_and_number_only():
    batches = Batches(Numbered(10, noise=True), 4, seed=1)
    first, _ = batches[0]
    torch.rand(99)
    batches[7]
    assert_close(batches[0][0], first)
    assert not torch.equal(batches[1][0], first)
    assert not torch.equal(Batches(Numbered(10, noise=True), 4, seed=2)[0][0], first)


def test_batches_of_several_scales_repeat_and_stay_in_their_range():
    batches = Batches(Numbered(10), 4, seed=1, multiscale=4.0)
    sides = [batches[step][0].shape[-1] for step in range(40)]
    assert set(sides) == {32, 64, 96, 128}  # pictures of 32, and never below one cell
    assert sides == [batches[step][0].shape[-1] for step in range(40)]
    images, targets = batches[sides.index(96)]
    widths = torch.stack([target["boxes"][0, 2] for target in targets])
    assert_close(widths, 3 * (images[:, 0, 0, 0] + 1.0))


def test_batches_of_several_scales_become_smaller_as_well_as_larger():
    class Wide(Numbered):
        def __getitem__(self, index):
            _, target = super().__getitem__(index)
            return torch.zeros(3, 64, 96, dtype=torch.uint8), target

    batches = Batches(Wide(10), 2, seed=1, multiscale=2.0)
    sizes = {tuple(batches[step][0].shape[2:]) for step in range(60)}
    assert (min(sizes), max(sizes)) == ((32, 64), (128, 192))


def test_processes_change_their_pictures_differently(monkeypatch):
    noise = []
    for rank in range(2):
        monkeypatch.setattr(module, "process_rank", lambda rank=rank: rank)
        noise.append(Batches(Numbered(4, noise=True), 2, seed=0)[0][0])
    assert not torch.equal(*noise)


def test_loading_leaves_the_random_numbers_of_the_caller_alone():
    batches = Batches(Numbered(10, noise=True), 4, seed=1)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    batches[3]
    assert_close(torch.rand(3), expected)


def test_any_number_of_workers_loads_the_same():
    batches = Batches(Numbered(12, noise=True), 4, seed=1)
    alone, helped = (
        [images for images, _ in islice(load_batches(batches, 2, CPU, workers), 5)]
        for workers in (0, 2)
    )
    assert_close(helped, alone)
    assert_close(alone[0], batches[2][0])


class Kept(Dataset):
    """Pictures that are kept, as the reef keeps its own."""

    def __init__(self, length):
        self.kept = [Numbered(length)[index] for index in range(length)]

    def __len__(self):
        return len(self.kept)

    def __getitem__(self, index):
        return self.kept[index]


@pytest.mark.usefixtures("few_files")
def test_a_worker_leaves_no_files_open():
    loader = load_batches(Batches(Kept(160), 8, seed=0), 0, CPU, workers=1)
    assert sum(len(targets) for _, targets in islice(loader, 40)) == 320


def test_between_processes_a_batch_of_any_size_is_one_open_file():
    images, targets = with_arrays(Batches(Kept(9), 9, seed=0)[0])
    assert isinstance(images, torch.Tensor)
    assert len(targets) == 9
    parts = [part for target in targets for part in target.values()]
    assert all(isinstance(part.array, np.ndarray) for part in parts)


class Signed(Numbered):
    """Each picture says which process loaded it."""

    def __getitem__(self, index):
        image, target = super().__getitem__(index)
        return image, {**target, "process": torch.tensor(os.getpid())}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere SIGINT cannot be sent like this")
def test_an_interrupt_does_not_end_a_worker():
    loader = load_batches(Batches(Signed(12), 4, seed=0), 0, CPU, workers=1)
    process = int(next(loader)[1][0]["process"])
    assert process != os.getpid()
    os.kill(process, signal.SIGINT)
    assert {int(targets[0]["process"]) for _, targets in islice(loader, 8)} == {process}


def test_a_resumed_run_goes_on_where_it_stopped():
    batches = Batches(Numbered(12), 4, seed=1)
    whole = [numbers(batch) for batch in islice(load_batches(batches, 0, CPU), 7)]
    rest = [numbers(batch) for batch in islice(load_batches(batches, 4, CPU), 3)]
    assert whole[4:] == rest


def test_batches_arrive_on_the_device(device):
    images, targets = next(load_batches(Batches(Numbered(4), 2, seed=0), 0, device))
    assert images.dtype == torch.uint8
    parts = [images, *[part for target in targets for part in target.values()]]
    assert all(part.device.type == device.type for part in parts)


def test_pictures_have_names_where_the_data_set_gives_them():
    dataset = Numbered(3)
    assert sorted(Batches(dataset, 3, 0).names(0)) == ["picture 0", "picture 1", "picture 2"]
    dataset.names = ("a.png", "b.png", "c.png")
    batches = Batches(dataset, 3, 0)
    assert batches.names(0) == [dataset.names[row] for row in batches.pictures(0)]


def test_nothing_to_train_on_is_said():
    with pytest.raises(ValueError, match="data set is empty"):
        Batches(Numbered(0), 4, seed=0)


# Data sets of the user's own

PICTURE = torch.zeros(3, 32, 48, dtype=torch.uint8)
BOX = torch.tensor([[4.0, 6.0, 20.0, 16.0]])
CAT = torch.tensor([1])


class Own(Dataset):
    """Four pictures, number 2 of which is as a test wants it."""

    def __init__(self, item, names=("a.jpg", "b.jpg", "c.jpg", "d.jpg")):
        self.item = item
        if names:
            self.names = names

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return self.item if index == 2 else (PICTURE, {"boxes": BOX, "labels": CAT})


def one_round(dataset, workers=0, num_classes=3):
    batches = Batches(dataset, 2, seed=0, num_classes=num_classes)
    return [
        item for batch in islice(load_batches(batches, 0, CPU, workers), 2) for item in batch[1]
    ]


def with_target(boxes=BOX, labels=CAT, **others):
    return PICTURE, {"boxes": boxes, "labels": labels, **others}


NAN = float("nan")
FAULTS = {
    "inverted box": (with_target(boxes=BOX[:, [2, 3, 0, 1]]), "x2 > x1"),
    "box without area": (with_target(boxes=BOX[:, [0, 1, 0, 3]]), "x2 > x1"),
    "box of NaN": (with_target(boxes=BOX * NAN), "finite"),
    "boxes of integers": (with_target(boxes=BOX.long()), r"want a float \[N, 4\]"),
    "boxes flat": (with_target(boxes=BOX[0]), r"want a float \[N, 4\]"),
    "boxes in a list": (with_target(boxes=BOX.tolist()), "want boxes as a tensor, got list"),
    "boxes of NumPy": (with_target(boxes=BOX.numpy()), "want boxes as a tensor, got ndarray"),
    "background": (with_target(labels=CAT * 0), "labels start at 1"),
    "negative label": (with_target(labels=-CAT), "labels start at 1"),
    "label too large": (with_target(labels=CAT * 3), r"want labels from 1 to 2, .*got \[3\]"),
    "a label too few": (with_target(labels=CAT[:0]), "one per box"),
    "labels of 32 bits": (with_target(labels=CAT.int()), "want int64 labels"),
    "labels as words": (with_target(labels=["cat"]), "want labels as a tensor, got list of str"),
    "no labels": ((PICTURE, {"boxes": BOX}), "no 'labels'"),
    "target a list": ((PICTURE, [BOX, CAT]), "want an image and its target, a dict"),
    "no target": (PICTURE, "want an image and its target, a dict; got Tensor"),
    "three things": ((PICTURE, BOX, CAT), "got tuple of Tensor, Tensor, Tensor"),
    "grey image": ((PICTURE[:1], with_target()[1]), r"want an image \[3, H, W\], got \[1, 32"),
    "channels last": ((PICTURE.permute(1, 2, 0), with_target()[1]), r"got \[32, 48, 3\]"),
    "image of a batch": ((PICTURE[None], with_target()[1]), r"got \[1, 3, 32, 48\]"),
    "image without pixels": ((PICTURE[:, :0], with_target()[1]), r"got \[3, 0, 48\]"),
    "image of int64": ((PICTURE.long(), with_target()[1]), "got torch.int64"),
    "image of NaN": ((PICTURE + NAN, with_target()[1]), "want finite numbers in the image"),
    "image of NumPy": ((PICTURE.numpy(), with_target()[1]), "as a tensor .*got ndarray"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_would_train_nonsense_is_refused_with_the_name_of_its_picture(fault):
    item, what = FAULTS[fault]
    with pytest.raises(ValueError, match=rf"^c\.jpg: .*{what}"):
        one_round(Own(item))
    with pytest.raises(ValueError, match=rf"^picture 2: .*{what}"):
        one_round(Own(item, names=None))


def test_a_worker_names_the_picture_too():
    with pytest.raises(ValueError, match=r"c\.jpg: labels start at 1"):
        one_round(Own(with_target(labels=CAT * 0)), workers=2)


def test_names_of_something_else_name_no_picture():
    for names in (("cat", "dog"), {0: "cat", 1: "dog"}):
        with pytest.raises(ValueError, match=r"^picture 2:"):
            one_round(Own(with_target(labels=CAT * 0), names))


@pytest.mark.parametrize("labels", [CAT, CAT + 1])
def test_every_label_that_the_detector_knows_passes(labels):
    check_item(with_target(labels=labels), "a.jpg", num_classes=3)
    check_item(with_target(labels=labels + 9), "a.jpg")  # how many there are is not known


def test_a_picture_without_objects_passes():
    nothing = with_target(boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64))
    assert any(len(target["boxes"]) == 0 for target in one_round(Own(nothing)))


def test_the_classes_are_those_of_the_detector():
    detector = build_detector(named_config("course", 5))
    assert num_classes_of(detector) == detector(torch.zeros(1, 3, 64, 96)).logits.shape[2] == 5
    assert num_classes_of(torch.nn.Linear(2, 3)) is None


@pytest.mark.parametrize(
    ("target", "what"),
    [
        (with_target(boxes=BOX[:, [2, 3, 0, 1]])[1], "x2 > x1"),
        (with_target(labels=CAT * 0)[1], "labels start at 1"),
        (with_target(labels=CAT * 5)[1], "want labels from 1 to 4"),
    ],
)
def test_training_refuses_such_a_data_set_at_once(target, what):
    learns = fit(build_detector(named_config("course", 5)), Own((PICTURE, target)), TrainConfig())
    with pytest.raises(ValueError, match=rf"c\.jpg: .*{what}"):
        next(learns)


OTHERS = {
    "file": "a.jpg",
    "number": 7,
    "weight": 0.5,
    "nothing": None,
    "nest": [[1, "x"], {"deep": (2.5, None)}],
    "polygons": [[torch.tensor([1.0, 2.0]), torch.tensor([3.0])]],
    "array": np.arange(3),
    "tensor": torch.arange(6).reshape(2, 3),
    "half": torch.ones(2, dtype=torch.bfloat16),
    "mask": Mask(torch.ones(1, 4, 6)),
    "learns": torch.ones(2, requires_grad=True),
}


@pytest.mark.parametrize("workers", [0, 2])
def test_what_else_a_target_holds_passes_through_untouched(workers):
    others = {key: part for key, part in OTHERS.items() if key != "learns" or workers == 0}
    [target] = [t for t in one_round(Own(with_target(**others)), workers) if "file" in t]
    assert target.keys() == {"boxes", "labels", *others}
    for key, part in others.items():
        assert type(target[key]) is type(part)
        if isinstance(part, torch.Tensor | np.ndarray):
            assert target[key].dtype == part.dtype
            assert (target[key] == part).all()
        elif key == "polygons":
            assert_close(target[key], part)
        else:
            assert target[key] == part


def test_boxes_of_torchvisions_transforms_become_plain_tensors():
    boxes = BoundingBoxes(BOX, format="XYXY", canvas_size=(32, 48))
    for target in one_round(Own(with_target(boxes=boxes))):
        assert type(target["boxes"]) is torch.Tensor


class Always(Own):
    """Four times the same item."""

    def __getitem__(self, index):
        return self.item


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", ["XYWH", "CXCYWH", "XYXY"])
def test_boxes_of_torchvisions_own_kind_become_corners_whatever_their_format(kind, workers):
    corners = torch.tensor([[2.0, 4.0, 10.0, 10.0]])
    boxes = v2.functional.convert_bounding_box_format(
        corners,
        old_format=tv_tensors.BoundingBoxFormat.XYXY,
        new_format=tv_tensors.BoundingBoxFormat[kind],
    )
    boxes = tv_tensors.BoundingBoxes(boxes, format=kind, canvas_size=(20, 30))
    target = {"boxes": boxes, "labels": torch.tensor([1])}
    batches = Batches(Always((torch.zeros(3, 20, 30), target)), 2, seed=0)
    loader = load_batches(batches, 0, torch.device("cpu"), workers)
    _, targets = next(loader)
    assert type(targets[0]["boxes"]) is torch.Tensor
    assert_close(targets[0]["boxes"], corners)


def test_what_hangs_on_gradients_is_let_go_before_it_is_sent():
    image = torch.zeros(3, 20, 30, requires_grad=True)
    boxes = torch.tensor([[2.0, 4.0, 10.0, 10.0]], requires_grad=True)
    target = {"boxes": boxes, "labels": torch.tensor([1])}
    loader = load_batches(Batches(Always((image, target)), 2, seed=0), 0, torch.device("cpu"), 2)
    images, targets = next(loader)
    assert not images.requires_grad
    assert not targets[0]["boxes"].requires_grad


@pytest.mark.parametrize(
    "box", [[30.0, 2.0, 36.0, 8.0], [2.0, 20.0, 8.0, 25.0], [-9.0, 2.0, 0.0, 8.0]]
)
def test_a_box_that_does_not_show_in_its_picture_is_refused(box):
    target = {"boxes": torch.tensor([[1.0, 1.0, 5.0, 5.0], box]), "labels": torch.tensor([1, 1])}
    with pytest.raises(ValueError, match=r"a\.jpg: want boxes that show .* row 1 is \["):
        check_item((torch.zeros(3, 20, 30), target), "a.jpg")
