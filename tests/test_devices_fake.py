"""What runs on a GPU that is not there: the same code, and the same numbers, as on the processor.

Asked: that nothing is left in the processor's memory on the way from pictures to a step of training
and to detections; that it works without float64, which Apple's GPUs lack; that no device is written
into code. Not asked, since only a real GPU can tell: its own kernels, their speed and memory, mixed
precision and the scaling of gradients, copies that do not wait, SyncBatchNorm, several processes.
"""

import ast
import contextlib
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close
from torch.utils._pytree import tree_map

import detlab
from detlab.detector.anchors import decode_deltas
from detlab.detector.box_losses import giou_box_loss, smooth_l1_box_loss
from detlab.detector.config import DetectorConfig
from detlab.detector.losses import detection_loss, focal_loss
from detlab.detector.matching import IGNORED, NEGATIVE, match_anchors
from detlab.detector.model import build_detector, from_torchvision
from detlab.detector.postprocess import detect, select_detections, to_scores
from detlab.detector.suppression import nms, nms_per_class, soft_nms, suppressed_by
from detlab.hardware import any_process, first_process_says, mean_over_processes
from detlab.training.config import TrainConfig
from detlab.training.loop import configured_loss, start_run, train_step
from tests.pretend_gpu import OnGpu, pretend_gpu

SOFTMAX = DetectorConfig(num_classes=3, channels=8)
SIGMOID = replace(SOFTMAX, activation="sigmoid")
FIVE_LEVELS = replace(SIGMOID, anchor_sizes=tuple((16.0 * 2**level,) for level in range(5)))
CONFIG = TrainConfig(epochs=1.0, precision="float32")
BOXES = torch.tensor([[4.0, 8.0, 40.0, 30.0], [5.0, 8.0, 42.0, 31.0], [50.0, 10.0, 70.0, 60.0]])
TARGETS = [
    {"boxes": BOXES, "labels": torch.tensor([1, 2, 2])},
    {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)},
]


def move(parts, device):
    """Tensors in lists and dicts, to a device."""
    return tree_map(lambda part: part.to(device) if isinstance(part, torch.Tensor) else part, parts)


def twins(function, *given):
    """What it gives on the processor, and on the GPU without float64."""
    wanted = function(*given)
    with pretend_gpu(without=torch.float64) as gpu:
        found = function(*move(given, gpu))
        assert all_on_gpu(found)
        return wanted, move(found, "cpu")


def all_on_gpu(parts):
    kinds = [type(part) for part in torch.utils._pytree.tree_leaves(parts)]
    return all(kind is OnGpu for kind in kinds if issubclass(kind, torch.Tensor))


def test_what_is_left_behind_is_an_error_and_a_single_number_is_not():
    with pretend_gpu() as gpu:
        here, there = torch.ones(2, 3), torch.ones(2, 3, device=gpu)
        assert (there.device, here.device) == (gpu, torch.device("cpu"))
        for mix in (
            lambda: there + here,
            lambda: torch.cat([here, there]),
            lambda: there[here > 0],
        ):
            with pytest.raises(RuntimeError, match="devices mix"):
                mix()
        assert (there * torch.tensor(2.0)).sum().item() == 12.0
        assert there.to("cpu").sum() + here.sum() == 12.0
        assert here.copy_(there).device == torch.device("cpu")
        assert type(there.new_tensor([1.0])) is type(torch.tensor([1.0], device=gpu)) is OnGpu


def test_a_gpu_without_float64_refuses_it():
    with (
        pretend_gpu(without=torch.float64) as gpu,
        pytest.raises(TypeError, match="this GPU has no"),
    ):
        torch.ones(2, device=gpu).double()


@torch.no_grad()
@pytest.mark.parametrize("config", [SOFTMAX, SIGMOID, FIVE_LEVELS])
def test_pictures_become_the_same_predictions_losses_and_detections(config):
    detector, images = build_detector(config).eval(), torch.rand(2, 3, 64, 96)
    pictures = [torch.rand(3, 50, 90), torch.rand(3, 96, 64)]

    def everything(detector, images, targets):
        predictions = detector(images)
        low = {"score_threshold": 0.005, "iou_threshold": 0.3}
        return (
            tuple(predictions[:3]),
            detection_loss(predictions, targets),
            select_detections(predictions, [(64, 96), (60, 90)], **low),
            select_detections(predictions, [(64, 96)] * 2, **low, per_class=False, soft_sigma=0.5),
            detect(detector, pictures, 128, **low),
        )

    wanted = everything(detector, images, TARGETS)
    assert sum(len(found["boxes"]) for found in wanted[-1]) > 0
    with pretend_gpu(without=torch.float64) as gpu:
        found = everything(detector.to(gpu), images.to(gpu), move(TARGETS, gpu))
        assert all_on_gpu(found)
        assert_close(move(found, "cpu"), wanted)


def test_a_retinanet_of_torchvision_moves_as_a_whole():
    from torchvision.models.detection import retinanet_resnet50_fpn

    retinanet = retinanet_resnet50_fpn(weights=None, weights_backbone=None, num_classes=3)
    with torch.no_grad(), pretend_gpu() as gpu:
        assert all_on_gpu(
            tuple(from_torchvision(retinanet).to(gpu)(torch.rand(1, 3, 64, 96, device=gpu)))
        )


@pytest.mark.parametrize("config", [SOFTMAX, SIGMOID])
def test_a_step_moves_every_weight_to_the_same_place(config, monkeypatch):
    """Forward, matching, loss, backward, clipping, AdamW and the average of the weights."""
    # "meta" is no device of autocast's, and in float32 it does nothing
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
    settings = replace(CONFIG, clip_norm=0.5)
    images = torch.rand(2, 3, 64, 96)

    def stepped(device):
        torch.manual_seed(3)
        detector = build_detector(config).to(device)
        run = start_run(detector, settings)
        given = (images.to(device), move(TARGETS, device), settings, configured_loss(settings))
        losses = [train_step(run, detector.train(), *given) for _ in range(2)]
        return losses, detector.state_dict(), run.average.module.state_dict()

    wanted = stepped(torch.device("cpu"))
    with pretend_gpu(without=torch.float64) as gpu:
        found = stepped(gpu)
        assert all_on_gpu(found)
        found = move(found, "cpu")
    assert_close(found, wanted, atol=1e-3, rtol=1e-4)  # two steps move a weight by 6e-3


@pytest.mark.parametrize("force_best", [True, False])
def test_anchors_find_the_same_objects(force_best):
    anchors = build_detector(SOFTMAX)(torch.zeros(1, 3, 64, 96)).anchors
    wanted, found = twins(
        lambda *given: match_anchors(*given, force_best=force_best), anchors, BOXES
    )
    assert_close(found, wanted)
    assert {NEGATIVE, IGNORED} < set(wanted.tolist()) or not force_best


@pytest.mark.parametrize(
    "suppress",
    [
        soft_nms,
        lambda boxes, scores: nms_per_class(boxes, torch.ones_like(scores).long(), scores, 0.5),
    ],
)
def test_the_same_boxes_are_suppressed(suppress):
    wanted, found = twins(suppress, BOXES, torch.tensor([0.7, 0.9, 0.8]))
    assert_close(found, wanted)


@pytest.mark.parametrize("function", [nms, suppressed_by])
def test_lessons_own_nms_needs_float64_and_no_more(function):
    scores = torch.tensor([0.7, 0.9, 0.8])
    with pretend_gpu() as gpu:
        found = function(BOXES.to(gpu), scores.to(gpu), 0.5).to("cpu")
    assert_close(found, function(BOXES, scores, 0.5))


def test_one_process_alone_asks_itself():
    with pretend_gpu(without=torch.float64) as gpu:
        assert any_process(True, gpu)
        assert first_process_says(1e12 + 0.25, gpu) == 1e12 + 0.25
        assert mean_over_processes(torch.tensor(2.5, device=gpu)).item() == 2.5


def test_torchs_own_pretence_agrees_where_nothing_depends_on_numbers():
    """Its tensors say cuda, and it raises where devices mix; but it has no numbers to loop over."""
    try:
        from torch._subclasses import FakeTensorMode
        from torch.fx.experimental.symbolic_shapes import ShapeEnv
    except ImportError as error:
        pytest.fail(f"torch moved FakeTensorMode or ShapeEnv, which are not public: {error}")
    shapes = ShapeEnv(allow_scalar_outputs=True, allow_dynamic_output_shape_ops=True)
    with FakeTensorMode(shape_env=shapes), torch.no_grad():
        try:
            torch.empty(2, device="cuda").uniform_()
        except RuntimeError as error:
            pytest.skip(f"this torch's FakeTensorMode asks a real GPU for random numbers: {error}")
        for config in (SOFTMAX, SIGMOID, FIVE_LEVELS):
            with torch.device("cuda"):  # weights only
                detector = build_detector(config)
            logits, deltas, anchors, activation, weights = detector(
                torch.ones(2, 3, 64, 96, device="cuda")
            )
            boxes = decode_deltas(deltas[0], anchors, weights)
            labels = torch.ones(len(anchors), dtype=torch.int64, device="cuda")
            parts = [
                *(logits, deltas, anchors, boxes, to_scores(logits[0], activation)),
                focal_loss(logits[0], labels),
                giou_box_loss(deltas[0], anchors, boxes, weights),
                smooth_l1_box_loss(deltas[0], anchors, boxes, weights),
            ]
            assert {part.device.type for part in parts} == {"cuda"}
        with pytest.raises(RuntimeError, match="device"):
            torch.ones(2, device="cuda") + torch.ones(2)


DEVICE_NAME = re.compile(r"(cpu|cuda|mps)(:\d+)?")
FLOAT64 = ("torch.float64", "torch.double")
MOVES = ("cpu", "cuda", "double", "numpy")
ALLOWED = {
    ("hardware", "a device by name"): "chooses the device, and how processes of it speak",
    ("batches", "a device by name"): "workers and pinned memory serve a GPU only",
    ("batches", ".numpy()"): "workers hand over arrays; the loader brings them to the device",
    ("run_folder", "a device by name"): "writes down which GPU it was",
    ("commands", "a device by name"): "the names that a user may give",
    ("checkpoint", ".cpu()"): "files hold no device",
    ("checkpoint", ".numpy()"): "a checksum of what is written to a file",
    ("checkpoint", "a device by name"): "meta: shapes alone, before weights are made",
    ("model", ".cpu()"): "anchors are laid out on the processor, then moved",
    ("evaluation", ".cpu()"): "detections are counted on the processor",
    ("coco", ".cpu()"): "detections are counted on the processor",
    ("coco", "float64"): "on the processor, see .cpu()",
    ("writers", "float64"): "boxes of records, to be written to text",
    ("missing_labels", "float64"): "counts of boxes, of records",
    ("candidates", ".numpy()"): "thumbnails of picture files, sorted by numpy",
    ("average_precision", "float64"): "detections are counted on the processor, see coco",
    ("calibration", "float64"): "detections are counted on the processor, see coco",
    ("suppression", "float64"): "the lessons' own NMS; the detector's is torchvision's",
    ("figures", ".cpu()"): "matplotlib draws arrays",
    ("figures", ".numpy()"): "matplotlib draws arrays",
    ("figures", "float64"): "curves of a table, not of tensors on a device",
    ("scene", ".numpy()"): "pictures drawn by numpy",
    ("frozen", ".numpy()"): "pictures drawn by numpy",
    ("planted_faults", ".numpy()"): "pictures drawn by numpy",
}
"""Module and what stands in it; the reason why it may."""


def devices_in(source):
    """What binds code to one device: its name, a move to the processor, numbers that one lacks."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if DEVICE_NAME.fullmatch(node.value):
                yield node.lineno, "a device by name"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in MOVES:
                yield (
                    node.lineno,
                    "float64" if node.func.attr == "double" else f".{node.func.attr}()",
                )
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in FLOAT64:
            yield node.lineno, "float64"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("x = torch.zeros(3, device='cuda:1')", "a device by name"),
        ("x = y.to('mps')", "a device by name"),
        ("x = torch.device('cpu')", "a device by name"),
        ("x = y.cuda()", ".cuda()"),
        ("x = y[0].detach().cpu()", ".cpu()"),
        ("x = (y > 0).double()", "float64"),
        ("x = y.to(torch.float64)", "float64"),
        ("x = y.numpy()", ".numpy()"),
    ],
)
def test_the_search_finds_what_binds_code_to_a_device(source, found):
    assert [what for _, what in devices_in(source)] == [found]


def test_no_device_is_written_into_the_package():
    """Exercises, widgets and figures compute on the processor."""
    folder = Path(detlab.__file__).parent
    paths = [path for path in folder.rglob("*.py") if not {"exercises", "widgets"} & {*path.parts}]
    assert len(paths) > 30
    found = {
        f"{path.relative_to(folder)}:{line}: {what}"
        for path in paths
        for line, what in devices_in(path.read_text(encoding="utf-8"))
        if (path.stem, what) not in ALLOWED
    }
    assert found == set()
