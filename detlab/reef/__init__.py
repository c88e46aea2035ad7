"""The drawn world: pictures with boxes and masks, as many as you like."""

from detlab.reef.scene import (
    CLASS_NAMES,
    TRAIN_SEED,
    VAL_SEED,
    Reef,
    ReefConfig,
    Scene,
    draw_scene,
)

__all__ = ["CLASS_NAMES", "TRAIN_SEED", "VAL_SEED", "Reef", "ReefConfig", "Scene", "draw_scene"]
