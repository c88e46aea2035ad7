"""Lessons that are run as tests remember nothing of whoever runs them, and share the processor."""

import os
import tempfile
from pathlib import Path

os.environ["DETLAB_PROGRESS"] = str(Path(tempfile.mkdtemp()) / "progress.json")
os.environ["OMP_NUM_THREADS"] = "1"  # two lessons run at a time: threads would only wait
