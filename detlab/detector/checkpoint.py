"""A trained detector on disk: weights, settings and class names in one safetensors file.

Uses model.py. The file is written whole or not at all, and holds numbers and JSON only: no pickle
is ever loaded.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from detlab.detector.model import Detector, DetectorConfig, build_detector
from detlab.errors import DetlabError
from detlab.files import write_atomically

FORMAT = "detlab 2"
"""Written into every file; another number would mean another layout."""


class CheckpointError(DetlabError, ValueError):
    """A file that is no checkpoint of ours, or a damaged one; says which and what to do."""


@dataclass(frozen=True)
class CheckpointInfo:
    """What stands beside the weights."""

    config: DetectorConfig
    class_names: tuple[str, ...]
    """Background first: a label is a row of this."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """Whatever JSON holds: training settings, data, seconds, AP."""

    def __post_init__(self) -> None:
        """Refuse names that do not fit the network."""
        if len(self.class_names) != self.config.num_classes:
            raise ValueError(
                f"{self.config.num_classes} classes but {len(self.class_names)} names: "
                f"{self.class_names}"
            )


def save_checkpoint(path: Path, detector: Detector, info: CheckpointInfo) -> None:
    """Write a detector for use."""
    write_tensors(path, detector.state_dict(), asdict(info))


def load_checkpoint(
    path: Path, device: torch.device | None = None
) -> tuple[Detector, CheckpointInfo]:
    """Read a detector back, in evaluation mode.

    Raises:
        CheckpointError: missing, damaged, or not a checkpoint of this package.
    """
    tensors, said = read_tensors(path)
    try:
        config = DetectorConfig(**_tuples(said["config"]))
        info = CheckpointInfo(config, tuple(said["class_names"]), said["notes"])
        detector = build_detector(replace(config, pretrained=False))
        detector.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path}: its settings do not fit its weights: {reason}") from error
    return detector.to(device).eval(), info


def write_tensors(path: Path, tensors: Mapping[str, Tensor], said: Mapping[str, Any]) -> None:
    """Numbers and JSON to one file, atomically: an interrupted write leaves the old file."""
    metadata = {"format": FORMAT, "said": json.dumps(said)}
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, save(plain, metadata))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Numbers and JSON of one of our files.

    Raises:
        CheckpointError: missing, damaged, or written by something else.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; `detlab train --out DIR` writes one")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            # copies, for Windows replaces no file that a tensor still looks into
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a whole safetensors file ({error})") from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: wants format {FORMAT!r}, has {metadata.get('format')!r}; "
            "not a detlab checkpoint, or one of another version"
        )
    try:
        return tensors, dict(json.loads(metadata["said"]))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its settings cannot be read ({error!r})") from error


def _tuples(value: Any) -> Any:
    """JSON's lists back to the tuples they were."""
    if isinstance(value, dict):
        return {key: _tuples(part) for key, part in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
