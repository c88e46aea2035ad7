"""Training: it learns, repeats itself and resumes exactly, and several processes act as one."""

import copy
import math
import os
import socket
import time
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import pytest
import torch
import torch.multiprocessing
from torch import nn
from torch.testing import assert_close
from torch.utils.data import Dataset

from detlab.detector.box_losses import l1_box_loss
from detlab.detector.checkpoint import (
    CheckpointError,
    CheckpointInfo,
    read_tensors,
    save_checkpoint,
    write_tensors,
)
from detlab.detector.config import DetectorConfig
from detlab.detector.losses import detection_loss
from detlab.detector.model import build_detector
from detlab.detector.postprocess import detect
from detlab.hardware import (
    any_process,
    mean_over_processes,
    one_after_the_other,
    process_group,
)
from detlab.training import loop as train
from detlab.training.batches import load_batches
from detlab.training.config import TrainConfig
from detlab.training.loop import (
    NonFiniteLoss,
    configured_loss,
    distribute,
    fit,
    load_run,
    save_run,
    start_run,
    train_step,
)

SMALL = DetectorConfig(
    num_classes=3,
    channels=8,
    anchor_sizes=((16.0,), (32.0,), (48.0,)),
    activation="sigmoid",
    longest_side=64,
)
SHORT = TrainConfig(epochs=3.0, batch_size=4, precision="float32", workers=0)


class Rectangles(Dataset):
    """Red and blue rectangles on grey, at most three a picture; every fourth picture is empty."""

    def __init__(self, length=8, empty=False, flip=False):
        self.length, self.empty, self.flip = length, empty, flip

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        image = torch.full((3, 64, 64), 90, dtype=torch.uint8)
        count = 0 if self.empty else index % 4
        corners = torch.randint(0, 36, (count, 2), generator=generator)
        sizes = torch.randint(10, 28, (count, 2), generator=generator)
        labels = torch.randint(1, 3, (count,), generator=generator)
        boxes = torch.cat([corners, corners + sizes], dim=1)
        for (x1, y1, x2, y2), label in zip(boxes.tolist(), labels.tolist(), strict=True):
            image[:, y1:y2, x1:x2] = 0
            image[0 if label == 1 else 2, y1:y2, x1:x2] = 255
        boxes = boxes.float()
        if self.flip and torch.rand(()) < 0.5:  # as an augmentation would
            x1, y1, x2, y2 = boxes.unbind(dim=1)
            image, boxes = image.flip(dims=[2]), torch.stack([64 - x2, y1, 64 - x1, y2], dim=1)
        return image, {"boxes": boxes, "labels": labels}


def small_detector(seed=0, **settings):
    torch.manual_seed(seed)
    return build_detector(replace(SMALL, **settings))


def batch(device=None):
    images, targets = zip(*[Rectangles()[row] for row in range(8)], strict=True)
    moved = [{key: part.to(device) for key, part in target.items()} for target in targets]
    return torch.stack(images).to(device), moved


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_score_of_steps_on_one_batch_cuts_the_loss_by_half(activation, optimizer, device):
    detector = small_detector(activation=activation).to(device)
    config = replace(SHORT, learning_rate=4e-3, muon_rate=0.03, optimizer=optimizer)
    run, (images, targets) = start_run(detector, config), batch(device=device)
    args = run, detector.train(), images, targets, config, configured_loss(config)
    totals = [train_step(*args)["total"] for _ in range(20)]
    assert totals[-1] < totals[0] / 2


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_pictures_without_objects_train_and_silence_the_detector(activation):
    detector, dataset = small_detector(activation=activation), Rectangles(4, empty=True)
    steps = list(fit(detector, dataset, replace(SHORT, epochs=6.0, warmup=0.0)))
    assert all(math.isfinite(step["loss_total"]) and step["loss_box"] == 0 for step in steps)
    assert steps[-1]["loss_class"] < steps[0]["loss_class"]
    assert all(parameter.isfinite().all() for parameter in detector.parameters())


def test_a_trained_detector_finds_a_rectangle():
    detector, dataset = small_detector(channels=16), Rectangles(8)
    config = replace(SHORT, epochs=60.0, batch_size=8, learning_rate=5e-3, average_decay=0.9)
    for _ in fit(detector, dataset, config):
        pass
    image, target = dataset[1]
    (found,) = detect(detector, [image])
    assert found["labels"][0] == target["labels"][0]
    assert_close(found["boxes"][0], target["boxes"][0], atol=4.0, rtol=0)


def test_a_run_learns_by_its_settings(monkeypatch):
    run = start_run(small_detector(), replace(SHORT, weight_decay=0.3))
    assert {group["weight_decay"] for group in run.optimizers[0].param_groups} == {0.3}
    anchors, workers = set(), []

    def loss(predictions, targets):
        anchors.add(len(predictions.anchors))
        return detection_loss(predictions, targets)

    def load(batches, first_step, device, number):
        workers.append(number)
        return load_batches(batches, first_step, device, 0)

    monkeypatch.setattr(train, "load_batches", load)
    config = replace(SHORT, epochs=10.0, multiscale=2.0, workers=3)
    list(fit(small_detector(), Rectangles(), config, loss=loss))
    assert len(anchors) > 1
    assert workers == [3]


def test_a_run_is_as_long_as_its_epochs():
    steps = list(fit(small_detector(), Rectangles(8), replace(SHORT, epochs=1.5)))
    assert [step["step"] for step in steps] == [1, 2, 3]
    assert [step["progress"] for step in steps] == pytest.approx([0, 1 / 3, 2 / 3])


def test_a_run_is_as_long_as_its_seconds_and_the_caller_costs_none(monkeypatch):
    clock = [0.0]

    def tick():
        clock[0] += 1.0
        return clock[0]

    monkeypatch.setattr(train.time, "perf_counter", tick)
    config, seconds = replace(SHORT, seconds=3.0, epochs=None), []
    for step in fit(small_detector(), Rectangles(), config):
        seconds.append(step["seconds"])
        assert step["images_per_second"] == 4.0
        clock[0] += 1000.0
    assert seconds == [1.0, 2.0, 3.0]


def test_a_step_reports_the_parts_of_its_loss():
    step = next(fit(small_detector(), Rectangles(), SHORT))
    total = step["loss_class"] + SHORT.box_weight * step["loss_box"]
    assert step["loss_total"] == pytest.approx(total, rel=1e-5)


def test_the_same_seed_gives_the_same_result_and_another_another():
    def trained(seed):
        detector = small_detector()
        list(fit(detector, Rectangles(flip=True), replace(SHORT, epochs=1.0, seed=seed)))
        return detector.state_dict()

    first, again, other = trained(0), trained(0), trained(1)
    assert_close(first, again, rtol=0, atol=0)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("stop", [0, 1, 4])
def test_an_interrupted_run_ends_bit_equal_to_an_uninterrupted_one(stop, optimizer, tmp_path):
    config = replace(SHORT, body_rate=0.5, optimizer=optimizer)
    dataset, path = Rectangles(flip=True), tmp_path / "run"
    whole = small_detector()
    expected = list(fit(whole, dataset, config))

    detector = small_detector()
    run = start_run(detector, config)
    if stop == 0:
        save_run(path, run)
    for step in fit(detector, dataset, config, run):
        if step["step"] == stop:
            save_run(path, run)
        if step["step"] > stop:  # the process is killed a step later
            break

    resumed = small_detector(seed=99)
    run = load_run(path, resumed, config)
    rest = list(fit(resumed, dataset, config, run))
    assert [step["step"] for step in rest] == list(range(stop + 1, 7))
    for there, here in zip(expected[stop:], rest, strict=True):
        assert there["loss_total"] == here["loss_total"]
        assert there["learning_rate"] == here["learning_rate"]
    assert_close(resumed.state_dict(), whole.state_dict(), rtol=0, atol=0)


def test_a_run_in_half_precision_resumes_with_its_loss_scale(tmp_path):
    config = replace(SHORT, precision="float16")
    run = start_run(small_detector(), config)
    run.scaler.load_state_dict(run.scaler.state_dict() | {"scale": 128.0})
    save_run(tmp_path / "run", run)
    resumed = load_run(tmp_path / "run", small_detector(), config)
    assert resumed.scaler.get_scale() == 128.0


def test_a_run_goes_on_where_half_precision_is_chosen_only_now(tmp_path):
    before, now = replace(SHORT, precision="float32"), replace(SHORT, precision="float16")
    save_run(tmp_path / "run", start_run(small_detector(), before))
    assert load_run(tmp_path / "run", small_detector(), now).scaler.get_scale() > 1


def test_a_run_of_another_detector_is_refused(tmp_path):
    path = tmp_path / "run"
    save_run(path, start_run(small_detector(), SHORT))
    for other in (small_detector(channels=16), small_detector(num_classes=5)):
        with pytest.raises(CheckpointError, match="run: does not fit this detector"):
            load_run(path, other, SHORT)


@pytest.mark.parametrize("kind", ["last.bias", "running_var"])
def test_a_run_with_a_number_that_is_none_is_not_saved_over_one_that_is_whole(tmp_path, kind):
    run, path = start_run(small_detector(), SHORT), tmp_path / "run"
    name = next(name for name in run.detector.state_dict() if name.endswith(kind))
    save_run(path, run)
    before = path.read_bytes()
    run.detector.state_dict()[name].view(-1)[0] = math.nan
    with pytest.raises(CheckpointError, match=rf"run: detector\.{name} holds a number"):
        save_run(path, run)
    assert path.read_bytes() == before


@pytest.mark.parametrize("step", [None, "three", [3]])
def test_a_run_that_says_no_step_is_refused(tmp_path, step):
    run, path = start_run(small_detector(), SHORT), tmp_path / "run"
    save_run(path, run)
    tensors, said = read_tensors(path)
    write_tensors(path, tensors, {**said, "step": step})
    with pytest.raises(CheckpointError, match="run: does not fit"):
        load_run(path, small_detector(), SHORT)


def test_what_is_no_run_is_refused(tmp_path):
    detector, path = small_detector(), tmp_path / "finished"
    save_checkpoint(path, detector, CheckpointInfo(SMALL, ("background", "red", "blue")))
    with pytest.raises(CheckpointError, match="finished: does not fit"):
        load_run(path, detector, SHORT)
    path.write_bytes(path.read_bytes()[:-99])
    with pytest.raises(CheckpointError, match="finished: not a whole"):
        load_run(path, detector, SHORT)
    with pytest.raises(CheckpointError, match="none: no such file"):
        load_run(tmp_path / "none", detector, SHORT)


def floats(detector):
    """All weights, and what the batch norms have counted."""
    return [part for part in detector.state_dict().values() if part.is_floating_point()]


def test_at_the_end_the_detector_holds_its_averaged_weights_and_batch_norms():
    detector, expected = small_detector(), None
    config = replace(SHORT, epochs=2.0, average_decay=0.27)
    for count, _ in enumerate(fit(detector, Rectangles(), config)):
        weights = [part.clone() for part in floats(detector)]
        past = min(0.27, (1 + count) / (10 + count)) if expected else 0.0
        expected = [
            past * old + (1 - past) * new
            for old, new in zip(expected or weights, weights, strict=True)
        ]
    assert count == 3  # so that the share of the past grew, and stopped growing
    for found, wanted in zip(floats(detector), expected, strict=True):
        assert_close(found, wanted, atol=1e-6, rtol=1e-4)


def test_your_own_loss_really_trains():
    detector, seen = small_detector(), []

    def my_loss(predictions, targets):
        seen.append(len(targets))
        return detection_loss(predictions, targets, box_loss=l1_box_loss)

    before = {name: part.clone() for name, part in detector.state_dict().items()}
    (mine, plain) = (
        next(fit(detector, Rectangles(), SHORT, loss=loss)) for loss in (my_loss, None)
    )
    assert seen == [4]
    assert mine["loss_box"] != plain["loss_box"]
    assert any(not torch.equal(part, before[name]) for name, part in detector.state_dict().items())


def test_the_settings_reach_the_loss():
    predictions = small_detector()(batch()[0])
    targets = batch()[1]
    plain = configured_loss(SHORT)(predictions, targets)
    heavy = configured_loss(replace(SHORT, box_weight=7.0))(predictions, targets)
    assert_close(heavy["total"], plain["class"] + 7.0 * plain["box"])
    for thresholds in ({"positive_iou": 0.9}, {"negative_iou": 0.0}):
        other = configured_loss(replace(SHORT, **thresholds))(predictions, targets)
        assert other["class"] != plain["class"]


def test_a_loss_that_is_no_number_names_its_pictures_and_moves_nothing():
    class Named(Rectangles):
        names = tuple(f"{row}.png" for row in range(8))

    def broken(predictions, targets):
        losses = detection_loss(predictions, targets)
        return losses | {"total": losses["total"] * math.nan}

    detector = small_detector()
    before = [parameter.detach().clone() for parameter in detector.parameters()]
    with pytest.raises(NonFiniteLoss, match=r"step 0: .*nan.*\.png.*\.png"):
        list(fit(detector, Named(), SHORT, loss=broken))
    assert_close([parameter.detach() for parameter in detector.parameters()], before)


class InfiniteGradient(torch.autograd.Function):
    """Passes a loss on unchanged, and sends an infinite gradient back."""

    @staticmethod
    def forward(context, value):
        return value.clone()

    @staticmethod
    def backward(context, gradient):
        return gradient * math.inf


def broken_loss(predictions, targets, broken):
    losses = detection_loss(predictions, targets)
    total = losses["total"]
    return losses | {"total": InfiniteGradient.apply(total) if broken else total}


def everything(run):
    """All that a step may move, copied."""
    parts = [run.detector, run.average, *run.optimizers, run.scaler]
    return copy.deepcopy([part.state_dict() for part in parts])


@pytest.mark.parametrize("steps_before", [0, 2])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_step_whose_loss_is_no_number_moves_nothing(value, steps_before):
    detector, (images, targets) = small_detector().train(), batch()
    run = start_run(detector, SHORT)
    for _ in range(steps_before):
        train_step(run, detector, images, targets, SHORT, detection_loss)
    before = everything(run)
    with pytest.raises(NonFiniteLoss, match=str(value)):
        train_step(run, detector, images, targets, SHORT, lambda *_: {"total": torch.tensor(value)})
    assert_close(everything(run), before, rtol=0, atol=0)


@pytest.mark.parametrize("steps_before", [0, 2])
def test_a_step_whose_gradient_is_infinite_moves_nothing(steps_before):
    detector, (images, targets) = small_detector().train(), batch()
    run = start_run(detector, SHORT)
    for _ in range(steps_before):
        train_step(run, detector, images, targets, SHORT, detection_loss)
    before = everything(run)
    with pytest.raises(NonFiniteLoss, match=r"the gradient of .*'total': .* is infinite"):
        train_step(run, detector, images, targets, SHORT, partial(broken_loss, broken=True))
    assert_close(everything(run), before, rtol=0, atol=0)
    train_step(run, detector, images, targets, SHORT, detection_loss)
    assert all(part.isfinite().all() for part in run.average.state_dict().values())


def test_an_infinite_gradient_names_its_step_and_pictures_and_leaves_what_was_learned():
    class Named(Rectangles):
        names = tuple(f"{row}.png" for row in range(8))

    detector, calls = small_detector(), []

    def loss(predictions, targets):
        calls.append(len(targets))
        return broken_loss(predictions, targets, broken=len(calls) == 3)

    with pytest.raises(NonFiniteLoss, match=r"step 2: the gradient .*\.png.*\.png"):
        list(fit(detector, Named(), SHORT, loss=loss))
    assert all(part.isfinite().all() for part in detector.state_dict().values())


HALF = replace(SHORT, precision="float16", warmup=0.0)


def test_in_float16_an_infinite_gradient_lowers_the_scale_and_training_goes_on():
    detector, (images, targets) = small_detector().train(), batch()
    run = start_run(detector, HALF)
    assert run.scaler.is_enabled()
    before, scale = everything(run)[:3], run.scaler.get_scale()
    train_step(run, detector, images, targets, HALF, partial(broken_loss, broken=True))
    assert run.scaler.get_scale() == scale / 2
    assert_close(everything(run)[:3], before, rtol=0, atol=0)
    train_step(run, detector, images, targets, HALF, detection_loss)
    assert run.scaler.get_scale() == scale / 2
    assert run.average.n_averaged == 1
    assert not torch.equal(
        everything(run)[0]["head.boxes.last.bias"], before[0]["head.boxes.last.bias"]
    )


def test_in_float16_a_gradient_that_stays_infinite_is_told_at_last():
    detector, (images, targets) = small_detector().train(), batch()
    run = start_run(detector, HALF)
    args = run, detector, images, targets, HALF, partial(broken_loss, broken=True)
    for _ in range(16):  # the scale falls from 2**16 to 1
        train_step(*args)
    with pytest.raises(NonFiniteLoss, match="the gradient of"):
        train_step(*args)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_score_of_steps_in_float16_cuts_the_loss_by_half(optimizer):
    detector, (images, targets) = small_detector().train(), batch()
    config = replace(HALF, learning_rate=4e-3, muon_rate=0.03, optimizer=optimizer, quality=0.0)
    run = start_run(detector, config)
    args = run, detector, images, targets, config, configured_loss(config)
    totals = [train_step(*args)["total"] for _ in range(20)]
    assert totals[-1] < totals[0] / 2


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_long_gradients_are_shortened(precision):
    detector, (images, targets) = small_detector().train(), batch()
    config = replace(SHORT, clip_norm=0.01, precision=precision)
    train_step(start_run(detector, config), detector, images, targets, config, detection_loss)
    gradients = [parameter.grad for parameter in detector.parameters()]
    assert_close(nn.utils.get_total_norm(gradients), torch.tensor(0.01), rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)]
)
def test_the_network_computes_in_the_precision_asked_for(precision, dtype, device):
    detector, (images, targets) = small_detector().to(device).train(), batch(device=device)
    config, seen = replace(SHORT, precision=precision), []
    detector.register_forward_hook(lambda *call: seen.append(call[2].logits.dtype))
    run = start_run(detector, config)
    losses = train_step(run, detector, images, targets, config, detection_loss)
    assert seen == [dtype]
    assert math.isfinite(losses["total"])
    assert all(parameter.dtype == torch.float32 for parameter in detector.parameters())


def test_the_learning_rate_of_a_run_never_rises_after_the_warm_up():
    config = replace(SHORT, epochs=5.0, warmup=0.3)
    rates = [step["learning_rate"] for step in fit(small_detector(), Rectangles(4), config)]
    assert rates[0] == 0
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_a_run_computes_with_channels_last():
    detector = small_detector()
    start_run(detector, SHORT)
    weights = [part for part in detector.parameters() if part.ndim == 4 and part.shape[2] > 1]
    assert all(part.is_contiguous(memory_format=torch.channels_last) for part in weights)


def test_compile_reaches_the_two_halves_of_the_network(monkeypatch):
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda module: compiled.append(module))
    detector = small_detector()
    assert distribute(detector, SHORT) is detector
    assert compiled == []
    distribute(detector, replace(SHORT, compile=True))
    assert compiled == [detector.backbone, detector.head]


def gradients_of_one_step(activation, dataset, batch_size):
    """All gradients of one step of `fit`, with batch norms that keep their statistics."""
    detector = small_detector(activation=activation)
    for norm in (part for part in detector.modules() if isinstance(part, nn.BatchNorm2d)):
        norm.eval()
        norm.train = lambda mode=True, norm=norm: norm  # deaf to train(): it keeps its statistics
    config = replace(SHORT, batch_size=batch_size, clip_norm=1e9)
    next(fit(detector, dataset, config))
    return torch.cat([parameter.grad.flatten() for parameter in detector.parameters()])


def one_of_two(rank, port, folder):
    """What each process does: join the other, take a step, write down what it saw."""
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2"}
    with process_group(torch.device("cpu")):
        seen = {}
        with one_after_the_other():
            if rank == 0:
                time.sleep(0.5)
                Path(folder, "fetched").touch()
            seen["fetched"] = torch.tensor(Path(folder, "fetched").exists())
        for case in CASES:
            seen[" ".join(case)] = gradients_of_one_step(case[0], DATASETS[case[1]], batch_size=2)
        detector = small_detector()
        next(fit(detector, DATASETS["objects"], replace(SHORT, optimizer="muon", warmup=0.0)))
        weights = torch.cat([weight.flatten() for weight in detector.parameters()])
        seen["muon's weights"] = weights.detach()
        run = start_run(small_detector(), SHORT)
        run.seconds = 10.0 + 20.0 * rank
        clock = replace(SHORT, seconds=100.0, epochs=None)
        seen["progress"] = torch.tensor(run.progress(clock, 1.0))
        seen["mean"] = mean_over_processes(torch.tensor(1.0 + rank))
        seen["any"] = torch.tensor(
            [any_process(answer, torch.device("cpu")) for answer in (False, rank == 1)]
        )
    torch.save(seen, f"{folder}/{rank}.pt")


DATASETS = {"objects": Rectangles(), "no objects": Rectangles(empty=True)}
CASES = list(product(["sigmoid", "softmax"], DATASETS))


def join_within(seconds, spawned):
    """Wait for processes; those that wait for one another for ever are ended."""
    deadline = time.monotonic() + seconds
    while not spawned.join(timeout=1):
        if time.monotonic() > deadline:
            for process in spawned.processes:
                process.kill()
            pytest.fail(f"the processes have not ended within {seconds} seconds")


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """What two processes saw that trained together, by rank."""
    folder = tmp_path_factory.mktemp("two")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    both = torch.multiprocessing.spawn(one_of_two, (port, str(folder)), nprocs=2, join=False)
    join_within(120, both)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("case", CASES)
def test_two_processes_have_the_gradients_of_one_with_the_double_batch(two_processes, case):
    expected = gradients_of_one_step(case[0], DATASETS[case[1]], batch_size=4)
    for seen in two_processes:
        error = (seen[" ".join(case)] - expected).norm() / expected.norm()
        assert error < 1e-4


def test_two_processes_with_muon_keep_the_same_weights(two_processes):
    one, other = (seen["muon's weights"] for seen in two_processes)
    assert_close(one, other, rtol=0, atol=0)
    before = torch.cat([weight.flatten() for weight in small_detector().parameters()])
    assert ((one - before).abs() > 0).float().mean() > 0.9


def test_all_processes_learn_what_the_others_have(two_processes):
    assert [seen["mean"].item() for seen in two_processes] == [1.5, 1.5]
    assert [seen["any"].tolist() for seen in two_processes] == [[False, True]] * 2


def test_all_processes_go_by_the_clock_of_the_first(two_processes):
    assert [seen["progress"].item() for seen in two_processes] == pytest.approx([0.1, 0.1])


def test_the_first_process_fetches_before_the_others_look(two_processes):
    assert all(seen["fetched"] for seen in two_processes)
