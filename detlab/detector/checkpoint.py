"""A trained detector on disk: weights, settings and class names in one safetensors file.

Uses model.py. The file is written whole or not at all, and holds numbers and JSON only: no pickle
is ever loaded.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from detlab.detector.config import DetectorConfig
from detlab.detector.model import Detector, build_detector
from detlab.errors import DetlabError
from detlab.files import write_atomically

FORMAT = "detlab 3"
"""Written into every file; another number would mean another layout."""
READABLE = ("detlab 1", "detlab 2", FORMAT)
"""The first one called the longest side image_size; neither it nor the second had a checksum."""
LARGEST = 2**16
"""Pixels of a side, channels, classes: a detector with more would fill any memory."""
UNREADABLE = (KeyError, TypeError, ValueError, RuntimeError, OverflowError)
"""What JSON that was changed or nested thousands deep (RecursionError) leads to."""


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


def save_checkpoint(path: str | Path, detector: Detector, info: CheckpointInfo) -> None:
    """Write a detector for use.

    Raises:
        CheckpointError: a weight is infinite or no number; nothing is written.
    """
    write_tensors(Path(path), detector.state_dict(), asdict(info))


def load_checkpoint(
    path: str | Path, device: torch.device | None = None
) -> tuple[Detector, CheckpointInfo]:
    """Read a detector back, in evaluation mode; weights stored in half precision become float32.

    They lie in memory as `channels_last` lays them, which convolutions read faster.

    Raises:
        CheckpointError: missing, damaged, or not a checkpoint of this package.
    """
    tensors, said = read_tensors(Path(path))
    try:
        info = read_info(said)
        if info.config.head_depth > len(tensors):
            raise ValueError(f"head_depth {info.config.head_depth}, but {len(tensors)} tensors")
        config = replace(info.config, pretrained=False)
        with torch.device("meta"):  # shapes alone: nothing large is made before it is known to fit
            check_fit(tensors, build_detector(config).state_dict())
        detector = build_detector(config)
        detector.load_state_dict(tensors)
    except UNREADABLE as error:
        reason = str(error).splitlines()[0][:300]
        raise CheckpointError(f"{path}: its settings do not fit its weights: {reason}") from error
    return detector.to(device).to(memory_format=torch.channels_last).eval(), info


def read_info(said: Mapping[str, Any]) -> CheckpointInfo:
    """What a header says beside the weights.

    Raises:
        ValueError, KeyError, TypeError: it is not as `save_checkpoint` writes it.
    """
    settings, names, notes = said["config"], said["class_names"], said["notes"]
    if not isinstance(settings, dict) or not isinstance(notes, dict):
        raise ValueError(f"config and notes are dicts, got {settings!r} and {notes!r}")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"class_names is a list of texts, got {names!r}")
    config = DetectorConfig(**_tuples(with_longest_side(settings)))
    check_numbers(config)
    return CheckpointInfo(config, tuple(names), notes)


def with_longest_side(config: Mapping[str, Any]) -> dict[str, Any]:
    """A detector's settings under the names of today.

    >>> with_longest_side({"num_classes": 2, "image_size": 128})
    {'num_classes': 2, 'longest_side': 128}
    """
    return {"longest_side" if key == "image_size" else key: config[key] for key in config}


def check_numbers(config: DetectorConfig) -> None:
    """Refuse settings that are no numbers, or numbers that no detector has.

    Raises:
        ValueError: says which, and what it may be.
    """
    for name in ("num_classes", "channels", "head_depth", "last_kernel", "longest_side"):
        value = getattr(config, name)
        if type(value) is not int or not 0 <= value <= LARGEST:
            raise ValueError(f"{name} is a whole number up to {LARGEST}, got {value!r}")
    for number in (*config.aspect_ratios, *sum(config.anchor_sizes, ())):
        if type(number) not in (int, float) or not math.isfinite(number):
            raise ValueError(f"anchors have finite sizes and aspect ratios, got {number!r}")


def check_fit(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Refuse weights that are not those of a detector; floating point may be of any precision.

    Raises:
        ValueError: names a tensor that is missing, too many, or of another shape or kind.
    """
    if strange := min(tensors.keys() ^ wanted.keys(), default=""):
        raise ValueError(f"{strange} is {'missing' if strange in wanted else 'unknown'}")
    for name, want in wanted.items():
        seen = tensors[name]
        floating = seen.is_floating_point() and want.is_floating_point()
        if seen.shape != want.shape or not (floating or seen.dtype == want.dtype):
            raise ValueError(
                f"{name} is {seen.dtype} {list(seen.shape)}, want {want.dtype} {list(want.shape)}"
            )


def write_tensors(path: Path, tensors: Mapping[str, Tensor], said: Mapping[str, Any]) -> None:
    """Numbers and JSON to one file, atomically: an interrupted write leaves the old file.

    Raises:
        CheckpointError: a number is infinite or none; the old file stays, too.
    """
    words = json.dumps(said)
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    check_finite(path, plain)
    metadata = {"format": FORMAT, "said": words, "sha256": checksum(plain, words)}
    write_atomically(path, save(plain, metadata))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Numbers and JSON of one of our files.

    Raises:
        CheckpointError: missing, damaged, or written by something else.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "no such file"
        raise CheckpointError(f"{path}: {what}; `detlab train --out DIR` writes one")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            # copies, for Windows replaces no file that a tensor still looks into
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a whole safetensors file ({error})") from error
    said = read_words(path, metadata)
    check_finite(path, tensors)
    has_sum = metadata["format"] == FORMAT or "sha256" in metadata
    if has_sum and metadata.get("sha256") != checksum(tensors, metadata["said"]):
        raise CheckpointError(f"{path}: damaged: its numbers are not those that were written")
    return tensors, said


def read_words(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """The JSON in the header of one of our files.

    Raises:
        CheckpointError: there is none, or the file is not ours.
    """
    if metadata.get("format") not in READABLE:
        raise CheckpointError(
            f"{path}: wants format {FORMAT!r}, has {metadata.get('format')!r}; "
            "not a detlab checkpoint, or one of another version"
        )
    try:
        return dict(json.loads(metadata["said"]))
    except UNREADABLE as error:
        raise CheckpointError(f"{path}: its settings cannot be read ({error!r})") from error


def checksum(tensors: Mapping[str, Tensor], words: str) -> str:
    """SHA-256 of all that a file holds, tensor by tensor in the order of their names."""
    total = hashlib.sha256(words.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def check_finite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Refuse weights that would find nothing for ever.

    Raises:
        CheckpointError: names a tensor with a number that is infinite or none.
    """
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise CheckpointError(f"{path}: {name} holds a number that is infinite or none")


def _tuples(value: Any) -> Any:
    """JSON's lists back to the tuples they were."""
    if isinstance(value, dict):
        return {key: _tuples(part) for key, part in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
