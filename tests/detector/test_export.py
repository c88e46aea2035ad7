"""The network leaves Python: torch.export, ONNX, torch.compile and pickle give the same numbers.

Each is asked for batches and sizes that it has not seen, none of them square, and for what stays
behind in this process afterwards.
"""

import copy
import pickle
from dataclasses import replace
from functools import partial

import onnxruntime
import pytest
import torch
from torch.export import Dim
from torch.testing import assert_close
from torchvision.models.detection import retinanet_resnet50_fpn, retinanet_resnet50_fpn_v2

from detlab.detector.config import DetectorConfig
from detlab.detector.losses import detection_loss
from detlab.detector.model import Exportable, build_detector, from_torchvision
from detlab.detector.postprocess import detect

TINY = DetectorConfig(num_classes=3, channels=8)
FIVE_LEVELS = replace(TINY, anchor_sizes=tuple((16.0 * 2**level,) for level in range(5)))
DETECTORS = {
    "softmax": partial(build_detector, TINY),
    "sigmoid": partial(build_detector, replace(TINY, activation="sigmoid")),
    "five levels": partial(build_detector, FIVE_LEVELS),
    "mobilenet_v2": partial(build_detector, replace(TINY, backbone="mobilenet_v2")),
    "resnet18": partial(build_detector, replace(TINY, backbone="resnet18")),
    "retinanet": lambda: from_torchvision(untrained(retinanet_resnet50_fpn)),
    "retinanet v2": lambda: from_torchvision(untrained(retinanet_resnet50_fpn_v2)),
}
QUICK = ["softmax", "five levels"]
ALL = [
    *QUICK,
    *(pytest.param(name, marks=pytest.mark.slow) for name in DETECTORS if name not in QUICK),
]
SIZES = [(1, 160, 192), (3, 256, 160), (2, 192, 320), (5, 160, 224)]
"""Images, height, width: multiples of 32 above the coarsest stride of five levels, 128."""
DYNAMIC = [{0: Dim("batch"), 2: 32 * Dim("rows"), 3: 32 * Dim("columns")}]

pytestmark = pytest.mark.usefixtures("no_shape_checks")  # they read sizes that are not numbers yet


def untrained(retinanet):
    return retinanet(weights=None, weights_backbone=None, num_classes=4)


def example(batch=2, height=192, width=160, dtype=torch.float32):
    return torch.rand(batch, 3, height, width, dtype=dtype)


def exported(detector, images):
    return torch.export.export(Exportable(detector), (images,), dynamic_shapes=DYNAMIC).module()


def trained(detector):
    """One step, as far as gradients go."""
    target = {"boxes": torch.tensor([[10.0, 20.0, 60.0, 50.0]]), "labels": torch.tensor([1])}
    detection_loss(detector.train()(example(1)), [target])["total"].backward()
    return detector.eval()


@torch.no_grad()
@pytest.mark.parametrize("name", ALL)
def test_torch_export_follows_batch_height_and_width(name):
    detector = DETECTORS[name]().eval()
    program = exported(detector, example())
    for batch, height, width in SIZES:
        images = example(batch, height, width)
        assert_close(program(images), tuple(detector(images)[:3]), atol=1e-4, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("name", ALL)
def test_onnx_follows_batch_height_and_width(name, tmp_path):
    detector = DETECTORS[name]().eval()
    path = tmp_path / "detector.onnx"
    torch.onnx.export(
        *(Exportable(detector), (example(),), path),
        dynamo=True,
        dynamic_shapes=DYNAMIC,
        input_names=["images"],
        output_names=["logits", "deltas", "anchors"],
        verbose=False,
    )
    session = onnxruntime.InferenceSession(path)
    for batch, height, width in SIZES:
        images = example(batch, height, width)
        found = session.run(["logits", "deltas", "anchors"], {"images": images.numpy()})
        wanted = detector(images)[:3]
        assert_close(tuple(map(torch.tensor, found)), tuple(wanted), atol=1e-4, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_of_the_bits_are_exported_and_the_anchors_keep_all(dtype):
    detector = build_detector(TINY).to(dtype).eval()
    program = exported(detector, example())
    images = example(3, 96, 224)
    logits, deltas, anchors = program(images)
    assert (logits.dtype, deltas.dtype, anchors.dtype) == (dtype, dtype, torch.float32)
    assert_close((logits, deltas, anchors), tuple(detector(images)[:3]))


@torch.no_grad()
def test_bytes_are_exported_too():
    detector = build_detector(TINY).eval()
    pixels = (example() * 255).byte()
    other = (example(1, 96, 128) * 255).byte()
    assert_close(exported(detector, pixels)(other), tuple(detector(other)[:3]))


@pytest.mark.parametrize("name", ["softmax", "retinanet"])
def test_exports_leave_nothing_behind(name):
    """Tensors of an export have no numbers; one of them kept would break all that follows."""
    detector, image = DETECTORS[name]().eval(), torch.rand(3, 160, 192)
    before = detect(detector, [image], score_threshold=0.0)
    exported(detector, example(2, 160, 192))
    torch.export.export(Exportable(detector), (example(2, 160, 192),))
    assert_close(detect(detector, [image], score_threshold=0.0), before)
    gradient = next(trained(detector).head.parameters()).grad
    assert gradient.isfinite().all()


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_anchors_do_not_remember_how_they_were_first_asked_for(mode):
    """Those made in inference mode may take part in no gradient."""
    detector, images = build_detector(TINY), example(1)
    with mode():
        detector(images)
    detector(images).anchors.mul_(torch.ones(1, requires_grad=True)).sum().backward()
    assert_close(detector(images).anchors, build_detector(TINY)(images).anchors)


@pytest.mark.parametrize("name", ["softmax", "sigmoid"])
def test_torch_compile_makes_one_graph_of_the_whole_network(name):
    detector = DETECTORS[name]().eval()
    compiled = torch.compile(detector, fullgraph=True, backend="eager")
    for batch, height, width in SIZES[:2]:
        images = example(batch, height, width)
        found, wanted = compiled(images), detector(images)
        assert_close(tuple(found[:3]), tuple(wanted[:3]), atol=1e-4, rtol=0)
        assert found[3:] == wanted[3:]


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("again", [copy.deepcopy, lambda part: pickle.loads(pickle.dumps(part))])
def test_a_copy_predicts_the_same_and_shares_nothing(name, again):
    detector = DETECTORS[name]().eval()
    other, images = again(detector), example(1, 64, 96)
    with torch.no_grad():
        assert_close(tuple(other(images)[:3]), tuple(detector(images)[:3]), rtol=0, atol=0)
        for parameter in other.parameters():
            parameter.zero_()
        assert any(parameter.any() for parameter in detector.parameters())
