"""Which optimizer moves which weights, and how fast at which moment of a run."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from detlab.training.config import TrainConfig
from detlab.training.loop import configured_loss, fit, start_run, train_step
from detlab.training.muon import Muon
from detlab.training.optimizers import make_optimizers, rate_fraction, set_learning_rate
from tests.training.test_loop import SHORT, Rectangles, batch, small_detector


@pytest.mark.parametrize(
    ("progress", "share"),
    [(0.0, 0.0), (0.05, 0.5), (0.1, 1.0), (0.55, 0.5), (1.0, 0.0)],
)
def test_the_learning_rate_warms_up_and_falls_along_a_cosine(progress, share):
    config = TrainConfig(epochs=1.0, warmup=0.1, schedule="cosine")
    optimizer = torch.optim.AdamW([nn.Parameter(torch.ones(1))], lr=0.5)
    set_learning_rate(optimizer, config, 0.05)  # whatever came before
    set_learning_rate(optimizer, config, progress)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.5 * share, abs=1e-12)


def test_no_warm_up_begins_at_the_top():
    config = TrainConfig(epochs=1.0, warmup=0.0)
    optimizer = torch.optim.AdamW([nn.Parameter(torch.ones(1))], lr=0.5)
    set_learning_rate(optimizer, config, 0.0)
    assert optimizer.param_groups[0]["lr"] == 0.5


@pytest.mark.parametrize("backbone", ["tiny", "mobilenet_v2"])
def test_the_body_learns_at_its_share_of_the_rate(backbone):
    config = replace(SHORT, optimizer="adamw", warmup=0.0, weight_decay=0.0, body_rate=0.25)
    detector = small_detector(backbone=backbone)
    before = copy.deepcopy(detector)
    run = start_run(detector, config)
    for optimizer in run.optimizers:
        set_learning_rate(optimizer, config, progress=0.0)
    train_step(run, detector.train(), *batch(), config, configured_loss(config))

    def moved(part: str) -> float:
        pairs = zip(detector.named_parameters(), before.parameters(), strict=True)
        return max(
            float((new.detach() - old.detach()).abs().max())
            for (name, new), old in pairs
            if name.startswith(part)
        )

    # Adam's first step is as long as the rate, wherever there is a gradient
    assert moved("backbone.body.") == pytest.approx(0.25 * config.learning_rate, rel=0.02)
    for part in ("backbone.pyramid.", "head."):
        assert moved(part) == pytest.approx(config.learning_rate, rel=0.02)


def test_a_body_of_rate_0_stays_as_it_is():
    detector = small_detector()
    before = [part.clone() for part in detector.backbone.body.parameters()]
    list(fit(detector, Rectangles(4), replace(SHORT, body_rate=0.0)))
    assert_close(list(detector.backbone.body.parameters()), before, rtol=0, atol=0)


def test_a_flat_rate_falls_along_a_line_in_the_last_three_fifths():
    config = TrainConfig(schedule="flat", warmup=0.05)
    fractions = [rate_fraction(config, progress) for progress in (0.02, 0.05, 0.39, 0.55, 0.7, 1.0)]
    assert fractions == pytest.approx([0.4, 1.0, 1.0, 0.75, 0.5, 0.0])


def test_without_muon_adamw_moves_every_weight():
    detector = small_detector()
    (adamw,) = make_optimizers(detector, replace(SHORT, optimizer="adamw"))
    assert type(adamw) is torch.optim.AdamW
    assert {*map(id, moved_by(adamw))} == {*map(id, detector.parameters())}


@pytest.mark.parametrize("backbone", ["tiny", "mobilenet_v2"])
def test_muon_moves_what_mixes_channels_and_adamw_the_rest(backbone):
    detector = small_detector(backbone=backbone)
    config = replace(SHORT, optimizer="muon", muon_rate=0.04, learning_rate=0.003, body_rate=0.5)
    adamw, muon = make_optimizers(detector, config)
    assert isinstance(muon, Muon)
    moved = [*moved_by(adamw), *moved_by(muon)]
    assert sorted(map(id, moved)) == sorted(map(id, detector.parameters()))  # none by both
    assert all(weight.ndim == 4 and weight.shape[1] > 1 for weight in moved_by(muon))
    assert all(weight.ndim == 1 or weight.shape[1] == 1 for weight in moved_by(adamw))
    assert [group["lr"] for group in adamw.param_groups] == [0.0015, 0.003]
    assert [group["lr"] for group in muon.param_groups] == [0.02, 0.04]


def moved_by(optimizer):
    return [weight for group in optimizer.param_groups for weight in group["params"]]
