import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.ops import box_iou, masks_to_boxes

from detlab.checks import check_target
from detlab.reef import scene as reef
from detlab.reef.creatures import PALETTES, Part, assemble
from detlab.reef.scene import (
    CLASS_NAMES,
    CUT_FRACTION,
    MIN_VISIBLE,
    Placed,
    Plan,
    Reef,
    ReefConfig,
    Scene,
    Spot,
    draw_scene,
    find_spot,
    paint_scene,
    plan_scene,
    tight_boxes,
)
from detlab.reef.seascape import Cutout, Sea


def scenes(count: int, seed: int = 11, **dials) -> list[Scene]:
    dials = {"image_size": (64, 64), "empty_fraction": 0.0, **dials}
    return [draw_scene(seed, index, **dials) for index in range(count)]


def best_overlap(scene: Scene) -> float:
    """The largest IoU between two objects of a scene."""
    iou = box_iou(scene.boxes, scene.boxes).fill_diagonal_(0)
    return float(iou.max()) if len(iou) else 0.0


# What a scene is ------------------------------------------------------------------------------


def test_the_same_numbers_draw_the_same_picture():
    first, again = draw_scene(4, 2), draw_scene(4, 2)
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.boxes, again.boxes)
    assert torch.equal(first.masks, again.masks)


@pytest.mark.parametrize("other", [(4, 3), (5, 2), (2, 4)])
def test_another_seed_or_index_draws_another_picture(other):
    assert not torch.equal(draw_scene(4, 2).image, draw_scene(*other).image)


@pytest.mark.parametrize(("small", "large"), [((128, 128), (512, 512)), ((64, 128), (256, 512))])
def test_the_same_scene_exists_at_every_size(small, large):
    """Outlines do not depend on the size; only pixels at the rim fall either way."""
    for index in range(8):
        near, far = (
            draw_scene(21, index, image_size=size, crowding=0.0, objects=(3, 5))
            for size in (small, large)
        )
        torch.testing.assert_close(near.labels, far.labels)
        torch.testing.assert_close(near.boxes, far.boxes / 4, atol=1.5, rtol=0)
        shrunk = far.image.float().reshape(3, small[0], 4, small[1], 4).mean(dim=(2, 4))
        assert (shrunk - near.image).abs().mean() < 6


def test_boxes_are_tight_around_the_visible_pixels():
    for scene in scenes(20, crowding=0.8, objects=(4, 6)):
        expected = masks_to_boxes(scene.masks)  # torchvision's boxes end at the last pixel
        expected[:, 2:] += 1
        torch.testing.assert_close(scene.boxes, expected)


def test_a_pixel_belongs_to_one_object_at_most():
    for scene in scenes(20, crowding=1.0, objects=(5, 6)):
        assert scene.masks.sum(dim=0).max() <= 1


def test_targets_are_what_the_rest_of_the_package_wants():
    for scene in scenes(10):
        check_target(scene.target)
        assert scene.image.dtype == torch.uint8
        assert set(scene.target) == {"boxes", "labels"}


def test_an_animal_alone_in_open_water_is_all_visible():
    alone = scenes(30, objects=(1, 1), object_size=(0.3, 0.3))
    fractions = torch.cat([scene.visible for scene in alone])
    assert (fractions == 1).float().mean() > 0.7
    assert fractions.max() == 1


def test_hidden_objects_are_drawn_but_are_no_targets():
    """With everything piled up, some of the planned animals are missing from the targets."""
    dials = {"image_size": (64, 64), "crowding": 1.0, "objects": (10, 10), "empty_fraction": 0.0}
    counts = []
    for index in range(30):
        scene = draw_scene(5, index, **dials)
        planned = plan_scene(5, index, ReefConfig(**dials)).animals
        assert len(planned) == 10
        assert (scene.visible >= MIN_VISIBLE).all()
        assert (scene.visible <= 1).all()
        counts.append(len(scene.boxes))
    assert min(counts) < 10
    assert max(counts) > 3


def painted(*corners: tuple[float, float]) -> Scene:
    """Squares of side 0.5 with their upper left corners here, the farthest first, at 160 px."""

    def square(x: float, y: float) -> Cutout:
        outline = np.array([[x, y], [x + 0.5, y], [x + 0.5, y + 0.5], [x, y + 0.5]])
        return Cutout(assemble([Part(outline, "side")]), PALETTES[0])

    sea = Sea(np.zeros((8, 8, 3), dtype=np.uint8), [], [], (0, 0, 0))
    animals = [Placed(k + 1, square(*corner), 0.5) for k, corner in enumerate(corners)]
    return paint_scene(Plan(sea, animals), ReefConfig(image_size=(160, 160)))


def test_visible_counts_what_a_nearer_animal_hides():
    scene = painted((0.1, 0.1), (0.225, 0.1))
    torch.testing.assert_close(scene.visible, torch.tensor([0.25, 1.0]), atol=0.02, rtol=0)
    torch.testing.assert_close(scene.boxes[0, [0, 2]], torch.tensor([16.0, 36.0]), atol=1, rtol=0)


def test_visible_counts_what_lies_outside_the_picture():
    scene = painted((-0.25, 0.2))
    torch.testing.assert_close(scene.visible, torch.tensor([0.5]), atol=0.02, rtol=0)
    assert scene.boxes[0, 0] == 0


@pytest.mark.parametrize(("x", "labels"), [(0.18, [2]), (0.22, [1, 2])])
def test_under_a_fifth_visible_is_no_target(x, labels):
    """The nearer square leaves x - 0.1 of the farther one's width of 0.5 to be seen."""
    assert painted((0.1, 0.1), (x, 0.1)).labels.tolist() == labels


def test_foreground_plants_hide_too():
    """Pixels of a plant in front belong to nobody."""
    hidden = 0
    for index in range(60):
        plan = plan_scene(3, index, ReefConfig(objects=(6, 6), empty_fraction=0.0))
        if plan.sea.foreground:
            bare = plan._replace(sea=plan.sea._replace(foreground=[]))
            config = ReefConfig(image_size=(64, 64))
            with_plant, without = paint_scene(plan, config), paint_scene(bare, config)
            hidden += int(without.masks.sum()) - int(with_plant.masks.sum())
    assert hidden > 100


def test_tight_boxes_of_no_masks():
    assert tight_boxes(np.zeros((0, 4, 6), dtype=bool)).shape == (0, 4)


# The dials ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(128, 128), (64, 192), (190, 70), (33, 47)])
def test_any_size_and_shape(size):
    scene = draw_scene(1, 0, image_size=size, empty_fraction=0.0)
    assert scene.image.shape == (3, *size)
    assert scene.masks.shape[1:] == size
    assert (scene.boxes[:, [1, 3]] <= size[0]).all()
    assert (scene.boxes[:, [0, 2]] <= size[1]).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**63 - 1), st.integers(0, 10**9), st.integers(16, 60), st.integers(16, 60))
def test_any_seed_draws_a_sound_scene(seed, index, height, width):
    scene = draw_scene(seed, index, image_size=(height, width), crowding=0.5)
    check_target(scene.target)
    assert scene.image.shape == (3, height, width)


@pytest.mark.parametrize("count", [0, 1, 4])
def test_objects_sets_their_number(count):
    for index in range(10):
        config = ReefConfig(objects=(count, count), empty_fraction=0.0)
        assert len(plan_scene(2, index, config).animals) == count


def test_objects_is_a_range_and_all_of_it_comes():
    config = ReefConfig(objects=(2, 4), empty_fraction=0.0)
    assert {len(plan_scene(2, index, config).animals) for index in range(40)} == {2, 3, 4}


def test_object_size_is_the_longest_side_over_the_shorter_image_side():
    for scene in scenes(40, objects=(1, 1), object_size=(0.5, 0.5), image_size=(100, 150)):
        whole = scene.visible > 0.99
        sides = (scene.boxes[:, 2:] - scene.boxes[:, :2]).amax(dim=1)
        torch.testing.assert_close(
            sides[whole], torch.full_like(sides[whole], 50.0), atol=2.5, rtol=0
        )


def test_without_crowding_nothing_overlaps_and_with_it_much_does():
    apart = [best_overlap(s) for s in scenes(25, crowding=0.0, objects=(4, 5))]
    piled = [best_overlap(s) for s in scenes(25, crowding=1.0, objects=(4, 5))]
    assert max(apart) < 0.15
    assert np.median(piled) > 0.2


def test_a_spot_without_room_shrinks_no_further_than_allowed():
    config = ReefConfig(crowding=0.0, object_size=(0.4, 0.9))
    everywhere = [Spot(0.5, 0.5, 1.0)]
    spot = find_spot(np.random.default_rng(0), everywhere, (1.0, 1.0), config)
    assert spot.size == pytest.approx(0.4)


@pytest.mark.parametrize("extent", [(1.0, 1.6), (1.4, 1.0)])
def test_few_spots_reach_out_of_the_picture_and_by_a_quarter_at_the_most(extent):
    rng, config = np.random.default_rng(0), ReefConfig()
    spots = np.array([find_spot(rng, [], extent, config) for _ in range(1000)])
    places, sizes = spots[:, :2], spots[:, 2:]
    room = np.minimum(places, np.array(extent)[::-1] - places) / sizes  # sizes up to an edge
    assert room.min() >= 0.25
    assert 0.01 < (room < 0.5).any(axis=1).mean() < CUT_FRACTION


def test_classes_chooses_who_lives_here():
    some = scenes(25, classes=("eel", "turtle"))
    names = {CLASS_NAMES[label] for scene in some for label in scene.labels}
    assert names == {"eel", "turtle"}


def test_by_default_every_class_is_as_likely():
    config = ReefConfig(objects=(4, 4), empty_fraction=0.0)
    plans = [plan_scene(2, index, config) for index in range(100)]
    counts = np.bincount([a.label for plan in plans for a in plan.animals], minlength=8)
    assert counts[0] == 0
    assert counts[1:].min() > 0.6 * counts[1:].mean()


def test_haze_brings_animals_closer_to_the_murk():
    def distance(index: int, haze: float) -> float:
        config = ReefConfig(image_size=(64, 64), haze=haze, objects=(3, 3), empty_fraction=0.0)
        plan = plan_scene(9, index, config)
        scene = paint_scene(plan, config)
        seen = scene.image[:, scene.masks.any(dim=0)].float()
        return float((seen - torch.tensor(plan.sea.murk)[:, None]).abs().mean())

    for index in range(5):
        assert distance(index, 1.0) < 0.8 * distance(index, 0.0)


def test_contrast_scales_every_pixel_towards_the_mean():
    def spread(contrast: float) -> float:
        return float(draw_scene(3, 1, contrast=contrast).image.float().std(dim=(1, 2)).mean())

    assert spread(0.3) == pytest.approx(0.3 * spread(1.0), rel=0.05)
    assert spread(0.0) == 0


def test_no_dial_moves_what_another_one_sets():
    plain = draw_scene(7, 3, empty_fraction=0.0)
    for dials in ({"haze": 0.9}, {"contrast": 0.4}):
        torch.testing.assert_close(draw_scene(7, 3, empty_fraction=0.0, **dials).boxes, plain.boxes)


@pytest.mark.parametrize(("fraction", "least", "most"), [(0.0, 0, 0), (0.5, 20, 60), (1.0, 80, 80)])
def test_empty_fraction(fraction, least, most):
    drawn = scenes(80, empty_fraction=fraction, image_size=(16, 16), objects=(1, 2), crowding=0.0)
    empty = [scene for scene in drawn if len(scene.boxes) == 0]
    assert least <= len(empty) <= most
    for scene in empty:
        assert scene.boxes.shape == (0, 4)
        assert scene.masks.shape == (0, 16, 16)
        check_target(scene.target)


def test_a_config_and_single_dials_go_together():
    config = ReefConfig(image_size=(40, 40), objects=(3, 3), empty_fraction=0.0)
    scene = draw_scene(1, 0, config, image_size=(50, 60))
    assert scene.image.shape == (3, 50, 60)
    assert torch.equal(draw_scene(1, 0, config).image, draw_scene(1, 0, config, haze=0.25).image)


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"image_size": (128, 8)}, "image_size.*8"),
        ({"objects": (3, 2)}, "objects.*3, 2"),
        ({"objects": (-1, 2)}, "objects.*-1"),
        ({"object_size": (0.0, 0.5)}, "object_size.*0.0"),
        ({"object_size": (0.5, 0.2)}, "object_size.*0.2"),
        ({"object_size": (0.5, 1.5)}, "object_size.*1.5"),
        ({"classes": ()}, "classes"),
        ({"classes": ("fish", "cow")}, "classes.*cow"),
        ({"classes": ("background",)}, "classes.*background"),
        ({"crowding": 1.1}, "crowding.*1.1"),
        ({"haze": -0.1}, "haze.*-0.1"),
        ({"contrast": 2.0}, "contrast.*2.0"),
        ({"contrast": float("nan")}, "contrast.*nan"),
        ({"empty_fraction": -1.0}, "empty_fraction.*-1.0"),
    ],
)
def test_a_dial_that_means_nothing_is_refused(dials, message):
    with pytest.raises(ValueError, match=message):
        ReefConfig(**dials)
    with pytest.raises(ValueError, match=message):
        draw_scene(0, 0, **dials)


@pytest.mark.parametrize(("seed", "index"), [(-1, 0), (0, -1)])
def test_seed_and_index_count_from_0(seed, index):
    with pytest.raises(ValueError, match="count from 0"):
        draw_scene(seed, index)


# Form, not colour -----------------------------------------------------------------------------


def portraits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean colour and longest side, silhouette, and label of animals drawn one by one."""
    looks, forms, labels = [], [], []
    for scene in scenes(500, seed=31, objects=(1, 1), crowding=0.0):
        if not len(scene.labels) or scene.visible[0] < 0.95:
            continue
        mask, box = scene.masks[0], scene.boxes[0]
        side = (box[2:] - box[:2]).max()
        looks.append([*scene.image[:, mask].float().mean(dim=1).tolist(), float(side)])
        x, y = ((box[:2] + box[2:] - side) / 2).round().int().tolist()
        crop = Image.fromarray(mask.numpy()).crop((x, y, x + int(side), y + int(side)))
        forms.append(np.asarray(crop.convert("L").resize((12, 12)), dtype=float).ravel() / 255)
        labels.append(int(scene.labels[0]))
    return np.array(looks), np.array(forms), np.array(labels)


def fraction_right(known, labels, asked, answers) -> float:
    """How often the label of the nearest known example is the answer."""
    distance = ((asked[:, None] - known[None]) ** 2).sum(axis=2)
    return float((labels[distance.argmin(axis=1)] == answers).mean())


def test_form_tells_the_class_and_colour_and_size_do_not():
    """One of seven classes by chance is 0.14. Half of the portraits are known, half asked."""
    looks, forms, labels = portraits()
    looks = (looks - looks.mean(axis=0)) / looks.std(axis=0)
    known, asked = slice(None, None, 2), slice(1, None, 2)
    classes = np.arange(1, 8)
    means = np.stack([looks[known][labels[known] == k].mean(axis=0) for k in classes])

    assert fraction_right(means, classes, looks[asked], labels[asked]) < 0.27
    assert fraction_right(looks[known], labels[known], looks[asked], labels[asked]) < 0.27
    assert fraction_right(forms[known], labels[known], forms[asked], labels[asked]) > 0.6


# The data set ---------------------------------------------------------------------------------


def test_a_reef_gives_pictures_and_targets_with_their_number():
    reef = Reef(seed=6, length=4, config=ReefConfig(image_size=(32, 48)))
    assert len(reef) == 4
    image, target = reef[3]
    scene = draw_scene(6, 3, image_size=(32, 48))
    assert torch.equal(image, scene.image)
    assert torch.equal(target["boxes"], scene.boxes)
    assert torch.equal(target["labels"], scene.labels)
    assert target["image_id"].dtype == torch.int64
    assert target["image_id"].item() == 3
    assert reef.class_names == CLASS_NAMES


def test_a_picture_is_drawn_once(monkeypatch):
    reef = Reef(seed=6, length=2, config=ReefConfig(image_size=(32, 32)))
    first, _ = reef[1]
    monkeypatch.setattr("detlab.reef.scene.draw_scene", None)  # a second drawing would fail
    assert torch.equal(reef[1][0], first)


def test_a_loop_over_a_reef_ends():
    assert len(list(Reef(seed=6, length=3, config=ReefConfig(image_size=(16, 16))))) == 3


@pytest.mark.parametrize("index", [-1, 3, 10])
def test_no_picture_outside_the_reef(index):
    with pytest.raises(IndexError, match="0 to 2"):
        Reef(seed=6, length=3)[index]


def test_a_reef_of_negative_length_is_refused():
    with pytest.raises(ValueError, match=r"length.*-1"):
        Reef(seed=6, length=-1)


# The frozen set -------------------------------------------------------------------------------


@pytest.mark.usefixtures("few_files")
def test_a_large_reef_is_drawn_with_few_open_files():
    large = Reef(seed=5, length=120, config=ReefConfig(image_size=(48, 64)))
    large.draw(workers=1)
    assert len(large[119][0]) == 3


@pytest.mark.parametrize("workers", [0, 2])
def test_pictures_drawn_at_once_are_those_drawn_one_by_one(workers, monkeypatch):
    at_once, one_by_one = Reef(seed=5, length=4), Reef(seed=5, length=4)
    at_once.draw(workers)
    monkeypatch.setattr(reef, "draw_scene", None)  # nothing is left to be drawn
    drawn = [at_once[index] for index in range(4)]
    monkeypatch.undo()
    for index, (image, target) in enumerate(drawn):
        assert torch.equal(image, one_by_one[index][0])
        assert torch.equal(target["boxes"], one_by_one[index][1]["boxes"])
        assert torch.equal(target["labels"], one_by_one[index][1]["labels"])
