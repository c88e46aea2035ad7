import functools

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close
from torchvision.transforms import v2
from torchvision.tv_tensors import BoundingBoxes, Image

from detlab.data.transforms import Augmented, random_window, resize_batch, training_transforms


def square_picture(x: int, y: int, side: int = 20, image_size=(64, 96)):
    """A white square on dark grey, and its box."""
    image = torch.full((3, *image_size), 40, dtype=torch.uint8)
    image[:, y : y + side, x : x + side] = 255
    box = torch.tensor([[x, y, x + side, y + side]], dtype=torch.float32)
    return image, {"boxes": box, "labels": torch.tensor([2]), "image_id": torch.tensor(7)}


class Squares:
    class_names = ("background", "circle", "square")
    names = ("a.png", "b.png")

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return square_picture(10 + 40 * index, 30)


def white_box(image) -> torch.Tensor:
    """The box around what is brighter than anything but the square."""
    rows, columns = (image.float().mean(dim=0) > 140).nonzero().unbind(dim=1)
    return torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]).float()


@pytest.mark.parametrize("seed", range(30))
def test_boxes_stay_around_what_they_were_drawn_around(seed):
    torch.manual_seed(seed)
    image, target = Augmented(Squares(), training_transforms())[seed % 2]
    assert image.shape == (3, 64, 96)
    assert image.dtype == torch.uint8
    if len(target["boxes"]):
        torch.testing.assert_close(target["boxes"][0], white_box(image), atol=1.5, rtol=0)
        assert target["labels"].tolist() == [2]
    else:
        assert target["boxes"].shape == (0, 4)
        assert target["labels"].shape == (0,)


def test_a_seed_repeats_the_visit():
    seen = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        seen.append(Augmented(Squares(), training_transforms())[0][0])
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])


def test_pictures_and_boxes_come_back_as_plain_tensors():
    image, target = Augmented(Squares(), training_transforms())[0]
    assert type(image) is torch.Tensor
    assert type(target["boxes"]) is torch.Tensor
    assert target["boxes"].dtype == torch.float32
    assert target["image_id"] == 7


def test_the_data_set_itself_is_left_alone():
    item = square_picture(10, 30)

    class Kept(Squares):
        def __getitem__(self, index):
            return item

    for _ in range(5):
        Augmented(Kept(), training_transforms())[0]
    assert torch.equal(item[0], square_picture(10, 30)[0])
    assert item[1]["boxes"].tolist() == [[10, 30, 30, 50]]


def test_any_transform_of_torchvision_will_do():
    image, target = Augmented(Squares(), v2.RandomHorizontalFlip(1.0))[0]
    assert target["boxes"].tolist() == [[66, 30, 86, 50]]  # 96 px wide: 10..30 is mirrored
    assert white_box(image).tolist() == [66, 30, 86, 50]


def test_length_classes_and_names_are_those_of_the_data_set():
    data = Augmented(Squares(), training_transforms())
    assert len(data) == 2
    assert data.class_names == Squares.class_names
    assert data.names == Squares.names


def through(scale: float, place: float, monkeypatch, min_visible=0.3, x=0, y=0):
    """A window of a given zoom and place (0 is top left, 1 is bottom right) on a square."""
    image, target = square_picture(x, y)
    monkeypatch.setattr(torch, "rand", lambda n: torch.tensor([0.5, place, place]))
    boxes = BoundingBoxes(target["boxes"], format="XYXY", canvas_size=(64, 96))
    return random_window(
        Image(image), {**target, "boxes": boxes}, scale=(scale, scale), min_visible=min_visible
    )


def test_a_window_at_the_top_left_of_half_the_size_doubles(monkeypatch):
    image, target = through(2.0, 0.0, monkeypatch)
    assert target["boxes"].tolist() == [[0, 0, 40, 40]]
    torch.testing.assert_close(white_box(image), torch.tensor([0.0, 0, 40, 40]), atol=1, rtol=0)


def test_a_window_of_twice_the_size_halves_and_fills_with_black(monkeypatch):
    image, target = through(0.5, 0.0, monkeypatch)
    assert target["boxes"].tolist() == [[0, 0, 10, 10]]
    assert image[:, 40:, :].max() == 0
    _, target = through(0.5, 1.0, monkeypatch)
    assert target["boxes"].tolist() == [[48, 32, 58, 42]]


def test_no_zoom_changes_nothing(monkeypatch):
    image, target = through(1.0, 0.7, monkeypatch, x=33, y=21)
    assert torch.equal(image.as_subclass(torch.Tensor), square_picture(33, 21)[0])
    assert target["boxes"].tolist() == [[33, 21, 53, 41]]


@pytest.mark.parametrize(("x", "kept"), [(28, 1), (43, 1), (44, 0), (60, 0)])
def test_an_object_with_too_little_left_is_none(monkeypatch, x, kept):
    _, target = through(2.0, 0.0, monkeypatch, min_visible=0.25, x=x, y=0)  # window: 0 to 48
    assert len(target["boxes"]) == len(target["labels"]) == kept
    if kept:
        assert target["boxes"][0, 2] <= 96


def test_an_object_outside_the_window_is_none_however_little_is_asked_for(monkeypatch):
    _, target = through(2.0, 0.0, monkeypatch, min_visible=0.0, x=60, y=0)  # window: 0 to 48
    assert len(target["boxes"]) == len(target["labels"]) == 0
    _, target = through(2.0, 0.0, monkeypatch, min_visible=0.0, x=47, y=0)
    assert target["boxes"].tolist() == [[94, 0, 96, 40]]


def test_a_picture_without_objects_passes():
    image, target = square_picture(0, 0)
    target = {**target, "boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}

    class Empty(Squares):
        def __getitem__(self, index):
            return image, target

    for seed in range(10):
        torch.manual_seed(seed)
        assert Augmented(Empty(), training_transforms())[0][1]["boxes"].shape == (0, 4)


@pytest.mark.parametrize(("size", "kept"), [((30, 44), 1), ((100, 120), 1), ((20, 20), 0)])
def test_a_window_can_have_another_size_than_the_picture(monkeypatch, size, kept):
    """Rolls of 1 put it at the bottom right, or all of the picture at the top left of a larger."""
    monkeypatch.setattr(torch, "rand", lambda n: torch.tensor([0.5, 1.0, 1.0]))
    image, target = square_picture(60, 34)
    seen, target = random_window(Image(image), target, (1.0, 1.0), 0.3, size)
    assert seen.shape == (3, *size)
    assert len(target["boxes"]) == kept
    if kept:
        assert_close(target["boxes"][0], white_box(seen))


def test_a_picture_can_be_turned_upside_down():
    still = functools.partial(training_transforms, flip=0.0, scale=(1.0, 1.0), light=0.0)
    image, target = Augmented(Squares(), still(vertical_flip=1.0))[0]
    assert target["boxes"].tolist() == [[10, 14, 30, 34]]
    assert_close(target["boxes"][0], white_box(image))


def test_crops_have_one_size_whatever_the_pictures_have():
    images = [Augmented(Squares(), training_transforms(crop=48))[row % 2][0] for row in range(8)]
    assert {tuple(image.shape) for image in images} == {(3, 48, 48)}


def test_halfway_between_half_and_twice_as_large_is_no_zoom(monkeypatch):
    image, target = square_picture(40, 24)
    monkeypatch.setattr(torch, "rand", lambda number: torch.tensor([0.5, 0.0, 0.0]))
    _, seen = random_window(Image(image), target, (0.5, 2.0), 0.3)
    assert_close(seen["boxes"].as_subclass(torch.Tensor), target["boxes"])


def test_a_picture_can_be_mirrored_and_its_light_changed():
    still = functools.partial(training_transforms, flip=0.0, scale=(1.0, 1.0), light=0.0)
    image, target = Augmented(Squares(), still(flip=1.0))[0]
    assert target["boxes"].tolist() == [[66, 30, 86, 50]]
    assert_close(target["boxes"][0], white_box(image))
    torch.manual_seed(0)
    lit = Augmented(Squares(), still(light=0.9))
    assert len({int(lit[0][0][0, 0, 0]) for _ in range(10)}) > 2


def test_an_object_of_which_too_little_is_left_is_none():
    torch.manual_seed(0)
    counts = set()
    for least in (0.05, 0.99):
        zoomed = Augmented(Squares(), training_transforms(scale=(2.0, 2.0), min_visible=least))
        counts.add(sum(len(zoomed[0][1]["boxes"]) for _ in range(60)))
    assert len(counts) == 2


@pytest.mark.parametrize(("x", "kept"), [(41, 1), (43, 0)])  # 7 of 20 pixels are left, or 5
def test_unasked_an_object_needs_three_tenths_of_its_box(monkeypatch, x, kept):
    window = torch.tensor([0.5, 0.0, 0.0])  # at the top left
    monkeypatch.setattr(torch, "rand", lambda n: window if n == 3 else torch.ones(n))
    image, target = square_picture(x, 0)
    boxes = BoundingBoxes(target["boxes"], format="XYXY", canvas_size=(64, 96))
    look = training_transforms(scale=(2.0, 2.0))
    _, seen = look(Image(image), {**target, "boxes": boxes})
    assert len(seen["boxes"]) == kept


def test_zoom_covers_its_range():
    torch.manual_seed(0)
    image, target = square_picture(40, 24, side=16)
    boxes = BoundingBoxes(target["boxes"], format="XYXY", canvas_size=(64, 96))
    look = functools.partial(random_window, scale=(0.5, 2.0), min_visible=0.99)
    widths = []
    for _ in range(300):
        _, seen = look(Image(image), {**target, "boxes": boxes})
        widths += [(b[2] - b[0]) / 16 for b in seen["boxes"].tolist()]
    assert min(widths) == pytest.approx(0.5, rel=0.1)
    assert max(widths) == pytest.approx(2.0, rel=0.1)


def test_unasked_objects_become_up_to_1_4_times_larger_and_0_7_times_smaller():
    torch.manual_seed(0)
    seen = Augmented(Squares(), training_transforms(min_visible=0.99))
    widths = [(b[2] - b[0]) / 20 for _ in range(300) for b in seen[0][1]["boxes"].tolist()]
    assert min(widths) == pytest.approx(0.7, rel=0.05)
    assert max(widths) == pytest.approx(1.4, rel=0.05)


def test_a_resized_batch_keeps_its_boxes_on_their_objects():
    images = torch.zeros(2, 3, 64, 96, dtype=torch.uint8)
    images[0, :, 16:32, 48:96] = 255
    box = torch.tensor([[48.0, 16.0, 96.0, 32.0]])
    targets = [
        {"boxes": box, "labels": torch.tensor([2])},
        {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)},
    ]
    resized, moved = resize_batch(images, targets, factor=2.2)
    assert resized.shape == (2, 3, 128, 224)  # 140.8 and 211.2, to multiples of 32
    assert_close(moved[0]["boxes"], torch.tensor([[112.0, 32.0, 224.0, 64.0]]))
    x1, y1, x2, y2 = moved[0]["boxes"][0].int().tolist()
    assert resized[0, 0, y1 + 2 : y2 - 2, x1 + 2 : x2 - 2].min() > 250
    assert resized[0, 0, :, : x1 - 2].max() < 5
    assert moved[1]["boxes"].shape == (0, 4)
    assert_close(targets[0]["boxes"], box)  # the argument is left alone


def test_a_batch_made_smaller_is_averaged_and_not_thinned_out():
    images = torch.rand(2, 3, 96, 192)
    resized, _ = resize_batch(images, [], factor=1 / 3)
    expected = F.interpolate(images, (32, 64), mode="bilinear", antialias=True)
    assert_close(resized, expected)


def test_a_batch_never_shrinks_below_one_cell():
    resized, _ = resize_batch(torch.zeros(1, 3, 64, 96), [], factor=0.1)
    assert resized.shape == (1, 3, 32, 32)


def with_a_crowd():
    image, target = square_picture(10, 30)
    return image, target | {
        "areas": torch.tensor([300.0]),
        "ignored_boxes": torch.tensor([[0.0, 0.0, 30.0, 20.0]]),
        "ignored_labels": torch.tensor([1]),
    }


def test_no_other_view_keeps_what_only_evaluation_uses():
    """Its areas and regions are those of the picture as it was."""
    image, target = with_a_crowd()

    class Crowded(Squares):
        def __getitem__(self, index):
            return with_a_crowd()

    _, augmented = Augmented(Crowded(), lambda *item: item)[0]
    _, seen = random_window(Image(image), target, (1.0, 2.0), min_visible=0.3)
    _, (resized,) = resize_batch(image[None], [target], factor=2.0)
    for view in (augmented, seen, resized):
        assert view.keys() == {"boxes", "labels", "image_id"}
    assert "areas" in target  # the argument is as it was


@pytest.mark.parametrize("seed", range(6))
def test_flips_are_torchvisions(seed):
    options = {"scale": (1.0, 1.0), "light": 0.0, "flip": 0.4, "vertical_flip": 0.6}
    theirs = v2.Compose([v2.RandomHorizontalFlip(0.4), v2.RandomVerticalFlip(0.6)])
    seen = []
    for transforms in (training_transforms(**options), theirs):
        torch.manual_seed(seed)
        seen.append((*Augmented(Squares(), transforms)[1], torch.rand(1)))
    assert_close(seen[0], seen[1], atol=0, rtol=0)


@pytest.mark.parametrize("name", ["flip", "vertical_flip"])
def test_a_chance_outside_0_to_1_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} lies between 0 and 1, got 1.5"):
        training_transforms(**{name: 1.5})
