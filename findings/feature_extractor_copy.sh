#!/usr/bin/env bash
# torchvision 0.29.1 (torch 2.14.1): a deep copy of a feature extractor is in training mode.
#
# Guessed: copy.deepcopy(create_feature_extractor(body, nodes).eval()) answers as the original does,
#          as a deep copy of any other module in evaluation mode.
# Seen:    the copy says training = True, and so do its batch norms. It normalises by the batch at
#          hand, moves its running means with every call, and answers otherwise than the original.
#          A pickled and unpickled one keeps its mode. Whoever copies a network for an average of its
#          weights, or to try something on it, gets another network without a word.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 torchvision==0.29.1
"$folder/venv/bin/python" - <<'PYTHON'
import copy
import pickle

import torch
import torchvision
from torchvision.models.feature_extraction import create_feature_extractor

torch.manual_seed(0)
body = torchvision.models.resnet18(weights=None)
extractor = create_feature_extractor(body, {"layer2": "map"}).eval()
twin, pickled = copy.deepcopy(extractor), pickle.loads(pickle.dumps(extractor))
print("training: original", extractor.training, "deep copy", twin.training, "pickled", pickled.training)
assert (extractor.training, twin.training, pickled.training) == (False, True, False)
norms = [part for part in twin.modules() if isinstance(part, torch.nn.BatchNorm2d)]
assert all(part.training for part in norms)

images = torch.randn(2, 3, 64, 96)
with torch.no_grad():
    difference = (extractor(images)["map"] - twin(images)["map"]).abs().max().item()
print("greatest difference of their maps", round(difference, 2))
assert difference > 1.0
assert torch.equal(extractor(images)["map"], pickled(images)["map"])
plain = copy.deepcopy(torchvision.models.resnet18(weights=None).eval())
assert not plain.training  # any other module keeps its mode
PYTHON
echo "as described"
