#!/usr/bin/env bash
# torch 2.14.1 (2.9.0 alike), on a CPU: a fused AdamW whose state was saved and loaded trains otherwise.
#
# Guessed: an optimizer that goes on with its own loaded state moves the weights as if it had never
#          stopped, with fused=True as without; a tensor's strides change no result, only its speed.
# Seen:    weights in channels_last have moments in channels_last. Files such as safetensors hold
#          tensors row by row, so the moments come back contiguous, equal in every element. The plain
#          AdamW goes on to the same bits. The fused one walks through the memory of weight, gradient
#          and moments side by side, as if their strides were the same: it gives each weight the
#          moments of another one. Nothing is said; the weights are finite, and wrong.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from torch import nn


def trained(fused, reload, layout):
    torch.manual_seed(0)
    network = nn.Conv2d(4, 6, 3).to(memory_format=layout)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01, fused=fused)
    images = torch.randn(2, 4, 8, 10)
    for step in range(6):
        if step == 3 and reload:
            saved = optimizer.state_dict()
            for moments in saved["state"].values():
                same = {name: part.contiguous() for name, part in moments.items()}
                assert all(torch.equal(same[name], moments[name]) for name in same)
                moments.update(same)
            optimizer.load_state_dict(saved)
        optimizer.zero_grad()
        network(images).square().mean().backward()
        optimizer.step()
    return network.weight.detach().clone()


for layout in (torch.contiguous_format, torch.channels_last):
    for fused in (False, True):
        whole, resumed = (trained(fused, reload, layout) for reload in (False, True))
        difference = (whole - resumed).abs().max().item()
        print(layout, "fused" if fused else "plain", "greatest difference", round(difference, 3))
        wrong = fused and layout == torch.channels_last
        assert difference > 0.01 if wrong else difference == 0.0
PYTHON
echo "as described"
