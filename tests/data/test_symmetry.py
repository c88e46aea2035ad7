"""Mirror images are told from objects where they differ alike in a class, and only there."""

import pytest
import torch

from detlab.data.symmetry import SIDE, measure_symmetry, object_patches, shared_part

LETTER = torch.full((12, 9), 100.0)  # an L on the ground of the picture, taller than wide
LETTER[:, :3] = LETTER[-4:] = 180.0


class Letters:
    """Pictures with six letters each, every one as `turn` has it."""

    def __init__(self, turn, pictures=20, seed=0):
        self.turn, self.pictures = turn, pictures
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self):
        return self.pictures

    def __getitem__(self, row):
        image = torch.randint(80, 120, (3, 60, 90), generator=self.generator).float()
        boxes = []
        for place in range(6):
            letter = self.turn(LETTER, self.generator)
            (height, width), (y, x) = letter.shape, (4 + 28 * (place // 3), 5 + 28 * (place % 3))
            image[:, y : y + height, x : x + width] = letter
            boxes.append([x, y, x + width, y + height])
        boxes = torch.tensor(boxes, dtype=torch.float32)
        return image.byte(), {"boxes": boxes, "labels": torch.ones(6, dtype=torch.int64)}


def stand(letter, generator):
    return letter


def stand_light_or_dark(letter, generator):
    return 200 - letter if torch.rand(1, generator=generator) < 0.5 else letter


def lean_to_either_side(letter, generator):
    return letter.flip(1) if torch.rand(1, generator=generator) < 0.5 else letter


def lie_anyhow(letter, generator):
    turned = torch.rot90(letter, int(torch.randint(4, (1,), generator=generator)))
    return lean_to_either_side(turned, generator)


@pytest.mark.parametrize("turn", [stand, stand_light_or_dark])
def test_letters_differ_from_both_mirror_images_alike(turn):
    found = measure_symmetry(Letters(turn))
    assert found.mirrored == pytest.approx(1, abs=0.02)
    assert found.upside_down == pytest.approx(1, abs=0.02)
    assert found.objects == 120


def test_what_looks_to_either_side_may_be_mirrored_and_has_an_up():
    found = measure_symmetry(Letters(lean_to_either_side))
    assert abs(found.mirrored) < 0.05
    assert found.upside_down > 0.2


@pytest.mark.parametrize("seed", range(3))
def test_what_lies_anyhow_has_no_up(seed):
    found = measure_symmetry(Letters(lie_anyhow, pictures=60, seed=seed))
    assert abs(found.mirrored) < 0.05
    assert abs(found.upside_down) < 0.05
    assert found.uprightness == pytest.approx(1, abs=0.15)


def test_turning_all_pictures_by_90_degrees_exchanges_up_and_side():
    class Turned(Letters):
        def __getitem__(self, row):
            image, target = super().__getitem__(row)
            x1, y1, x2, y2 = target["boxes"].unbind(1)
            turned = torch.stack([y1, x1, y2, x2], dim=1)
            return image.transpose(1, 2), {**target, "boxes": turned}

    as_is, turned = measure_symmetry(Letters(stand)), measure_symmetry(Turned(stand))
    assert turned.uprightness == pytest.approx(1 / as_is.uprightness, rel=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_the_shared_part_is_signal_over_signal_and_noise(seed):
    """A mean of power 1 under noise of power 4: a fifth is shared, whatever the class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(2).repeat(400)
    signs = torch.where(labels == 0, 1.0, -1.0)  # the classes differ in it
    noise = 2 * torch.randn(800, SIDE, SIDE, generator=generator)
    assert shared_part(noise + signs[:, None, None], labels) == pytest.approx(1 / 5, abs=0.02)
    assert shared_part(noise, labels) == pytest.approx(0, abs=0.01)


def test_a_class_of_few_objects_is_not_judged():
    alike = torch.ones(7, SIDE, SIDE)
    assert shared_part(alike, torch.ones(7, dtype=torch.int64)) == 0


def test_boxes_too_small_to_show_anything_are_left_out():
    image = torch.randint(256, (3, 20, 40), dtype=torch.uint8)
    boxes = torch.tensor([[1.0, 1, 9, 9], [1, 1, 3, 19]])
    patches, labels = object_patches(image, {"boxes": boxes, "labels": torch.tensor([1, 2])})
    assert patches.shape == (1, SIDE, SIDE)
    assert labels.tolist() == [1]


def test_without_objects_nothing_is_shared():
    class Empty(Letters):
        def __getitem__(self, row):
            image, _ = super().__getitem__(row)
            none = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)
            return image, dict(zip(("boxes", "labels"), none, strict=True))

    assert measure_symmetry(Empty(stand)) == (0, 0, 1, 0)


def test_so_many_pictures_are_looked_at_and_no_more():
    assert measure_symmetry(Letters(stand, pictures=20), most_pictures=6).objects == 5 * 6
