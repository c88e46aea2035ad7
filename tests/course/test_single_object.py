"""One picture, one object: the pictures, the network's answers, its loss, and that it learns."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from detlab.course.single_object import (
    SingleObjectNet,
    SingleObjects,
    draw_several_objects,
    draw_single_objects,
    evaluate_single,
    fit_single,
    mirror,
    one_by_one,
    predict_single,
    raw_to_boxes,
    shuffled_batches,
    single_object_loss,
)
from detlab.detector.box_losses import giou_loss, l1_loss
from detlab.reef.scene import draw_scene
from detlab.training.loop import NonFiniteLoss


@pytest.fixture(scope="module")
def pictures():
    return draw_single_objects(seed=5, length=8)


def fresh_net(num_classes=11, seed=0):
    torch.manual_seed(seed)
    return SingleObjectNet(num_classes)


def test_pictures_are_the_reefs_and_boxes_are_fractions(pictures):
    dials = {"object_size": (0.4, 0.8), "crowding": 0.0, "haze": 0.15, "empty_fraction": 0.0}
    scene = draw_scene(5, 0, image_size=(64, 64), objects=(1, 1), **dials)
    assert_close(pictures.images[0], scene.image)
    assert_close(pictures.boxes[:1], scene.boxes / 64)
    assert pictures.labels[0] == scene.labels[0]


def test_a_wide_picture_has_fractions_of_its_own_width():
    wide = draw_single_objects(seed=1, length=3, image_size=(48, 96))
    assert wide.images.shape == (3, 3, 48, 96)
    for index, box in enumerate(wide.boxes):
        scene = draw_scene(
            1, index, image_size=(48, 96), objects=(1, 1), object_size=(0.4, 0.8),
            crowding=0.0, haze=0.15, empty_fraction=0.0,
        )  # fmt: skip
        assert_close(box * torch.tensor([96.0, 48.0, 96.0, 48.0]), scene.boxes[0])


def test_pictures_have_exactly_so_many_objects_and_dials_reach_the_reef():
    two = draw_several_objects(seed=2, length=5, num_objects=2, classes=("shark", "turtle"))
    assert two.labels.shape == (5, 2)
    assert two.boxes.shape == (5, 2, 4)
    assert len(two.labels.unique()) == 2


@pytest.mark.parametrize(("length", "num_objects"), [(0, 1), (3, 0)])
def test_no_pictures_and_no_objects_are_refused(length, num_objects):
    with pytest.raises(ValueError, match=f"{length} and {num_objects}"):
        draw_several_objects(0, length, num_objects)


@pytest.mark.parametrize("size", [(64, 64), (96, 96), (40, 70)])
def test_boxes_have_corners_in_order_whatever_the_weights(size):
    net = fresh_net()
    with torch.no_grad():
        net.boxes.weight.mul_(20)
        images = torch.randint(0, 256, (9, 3, *size), dtype=torch.uint8)
        logits, boxes = net(images)
    assert logits.shape == (9, 11)
    assert (boxes[:, 2:] > boxes[:, :2]).all()


def test_raw_numbers_are_centre_and_size():
    raw = torch.tensor([[0.2, 0.75, 0.1, 0.4]]).logit()
    assert_close(raw_to_boxes(raw), torch.tensor([[0.15, 0.55, 0.25, 0.95]]))
    assert raw_to_boxes(torch.zeros(0, 4)).shape == (0, 4)


def test_another_reading_of_the_raw_numbers_can_be_handed_in():
    images = torch.zeros(2, 3, 64, 64, dtype=torch.uint8)
    torch.manual_seed(0)
    net = SingleObjectNet(3, to_boxes=lambda raw: raw + 100).eval()
    assert (net(images)[1] > 90).all()


def test_the_network_knows_left_from_right():
    """A patch that moves changes the box: the map is not averaged over the picture."""
    images = torch.zeros(2, 3, 64, 64, dtype=torch.uint8)
    images[0, :, 24:40, 0:16] = 255
    images[1, :, 24:40, 48:64] = 255
    boxes = fresh_net().eval()(images)[1]
    assert (boxes[0] - boxes[1]).abs().max() > 1e-3


def test_the_loss_is_the_mean_over_pictures_of_both_parts():
    logits, labels = torch.randn(5, 4), torch.tensor([1, 2, 3, 1, 1])
    corner, size = torch.rand(2, 5, 2), torch.rand(2, 5, 2) + 0.1
    boxes, gt_boxes = torch.cat([corner, corner + size], dim=2)
    losses = single_object_loss(logits, boxes, labels, gt_boxes, 2.5, l1_loss)
    by_hand = [F.cross_entropy(logits[row], labels[row]) for row in range(5)]
    assert_close(losses["class"], torch.stack(by_hand).mean())
    assert_close(losses["box"], (boxes - gt_boxes).abs().sum() / 5)
    assert_close(losses["total"], losses["class"] + 2.5 * losses["box"])


def test_a_loss_per_box_is_averaged_and_not_added_up_again():
    boxes = torch.tensor([[0.0, 0.0, 4.0, 2.0], [0.0, 0.0, 1.0, 1.0]])
    gt_boxes = torch.tensor([[2.0, 0.0, 4.0, 2.0], [0.0, 0.0, 1.0, 1.0]])
    losses = single_object_loss(torch.zeros(2, 3), boxes, torch.tensor([1, 2]), gt_boxes)
    assert_close(losses["box"], torch.tensor(0.25))


def test_twice_the_batch_has_the_same_loss():
    logits, labels = torch.randn(3, 4), torch.tensor([1, 2, 3])
    boxes = torch.tensor([[0.0, 0.0, 0.5, 0.2], [0.1, 0.3, 0.5, 0.9], [0.4, 0.4, 0.8, 0.6]])
    once = single_object_loss(logits, boxes, labels, boxes + 0.1)
    twice = single_object_loss(
        logits.repeat(2, 1), boxes.repeat(2, 1), labels.repeat(2), boxes.repeat(2, 1) + 0.1
    )
    assert_close(once, twice)


def test_a_few_steps_on_one_batch_find_its_boxes_and_labels(pictures):
    net = fresh_net()
    before = evaluate_single(net, pictures)
    steps = list(fit_single(net, pictures, steps=60, batch_size=8))
    after = evaluate_single(net, pictures)
    assert [step["step"] for step in steps] == list(range(1, 61))
    assert steps[-1]["progress"] == 1
    assert set(steps[0]) == {"step", "progress", "loss_class", "loss_box", "loss_total"}
    assert steps[-1]["loss_total"] < 0.5 * steps[0]["loss_total"]
    assert after["iou"] > before["iou"] + 0.2
    assert after["accuracy"] == 1


def test_the_loss_is_an_argument_and_may_be_one_number(pictures):
    def only_boxes(logits, boxes, labels, gt_boxes):
        return giou_loss(boxes, gt_boxes).mean()

    net = fresh_net()
    classes_before = net.classes.weight.clone()
    steps = list(fit_single(net, pictures, only_boxes, steps=2, batch_size=4))
    assert set(steps[0]) == {"step", "progress", "loss_total"}
    assert_close(net.classes.weight, classes_before)


def test_the_same_seed_learns_the_same_and_another_does_not(pictures):
    def trained(seed):
        net = fresh_net()
        list(fit_single(net, pictures, steps=3, seed=seed, batch_size=4))
        return net.boxes.weight

    assert_close(trained(1), trained(1), rtol=0, atol=0)
    assert not torch.equal(trained(1), trained(2))


def test_lambda_decides_what_is_learned(pictures):
    net = fresh_net()
    boxes_before = net.boxes.weight.clone()
    list(fit_single(net, pictures, partial(single_object_loss, box_weight=0.0), 1, batch_size=8))
    assert_close(net.boxes.weight, boxes_before)


def test_a_loss_that_is_no_number_stops_training(pictures):
    def broken(logits, boxes, labels, gt_boxes):
        return boxes.sum() * float("nan")

    with pytest.raises(NonFiniteLoss, match="step 0"):
        next(fit_single(fresh_net(), pictures, broken))


def test_a_round_shows_every_picture_once_and_the_next_one_in_another_order(pictures):
    marked = SingleObjects(pictures.images, torch.arange(1, 9), pictures.boxes)
    batches = shuffled_batches(marked, 3, torch.Generator().manual_seed(0))
    rounds = [torch.cat([next(batches).labels for _ in range(3)]) for _ in range(2)]
    assert [sorted(labels.tolist()) for labels in rounds] == [list(range(1, 9))] * 2
    assert rounds[0].tolist() != rounds[1].tolist()


def test_half_of_the_batches_are_mirrored_and_boxes_with_them(pictures):
    batches = shuffled_batches(pictures, 8, torch.Generator().manual_seed(0))
    seen = [{tuple(box) for box in next(batches).boxes.tolist()} for _ in range(40)]
    straight = sum(boxes == {tuple(box) for box in pictures.boxes.tolist()} for boxes in seen)
    assert 10 <= straight <= 30


def test_a_mirror_shows_the_object_where_its_box_says(pictures):
    mirrored = mirror(pictures)
    assert_close(mirrored.images[..., 0], pictures.images[..., -1])
    assert_close(mirror(mirrored).boxes, pictures.boxes)
    assert_close(mirrored.boxes[:, 0], 1 - pictures.boxes[:, 2])


def test_one_by_one_shows_each_object_with_its_own_picture():
    two = draw_several_objects(seed=2, length=3, num_objects=2)
    one = one_by_one(two)
    for row in range(6):
        assert_close(one.images[row], two.images[row // 2])
        assert_close(one.boxes[row], two.boxes[row // 2, row % 2])
        assert one.labels[row] == two.labels[row // 2, row % 2]


def test_a_perfect_network_is_perfect_and_a_wrong_one_by_its_fraction(pictures):
    class Oracle(torch.nn.Module):
        def forward(self, images):
            labels = pictures.labels.clone()
            labels[0] = labels[0] % 10 + 1  # one of eight is wrong
            return F.one_hot(labels, 11).float(), pictures.boxes

    found = evaluate_single(Oracle(), pictures)
    assert found == {"accuracy": 7 / 8, "iou": pytest.approx(1.0)}


def test_a_look_during_training_changes_nothing(pictures):
    net = fresh_net().train()
    before = [buffer.clone() for buffer in net.buffers()]
    labels, boxes = predict_single(net, pictures.images)
    assert net.training
    assert_close(list(net.buffers()), before)
    assert not boxes.requires_grad
    assert_close(boxes, net.eval()(pictures.images)[1])
    assert not torch.equal(boxes, net.train()(pictures.images)[1])
    assert labels.shape == (8,)
