# %% [markdown]
# # The gallery
#
# All **thirteen labs** of the course on one page. Each is a picture that answers under the hand:
# drag a box, slide a threshold, press a button. By keyboard: **Tab** walks through the parts of a
# lab, **arrow keys** move what is marked, with Shift they resize a box, with Ctrl they move it
# by ten.
#
# **Runs** in 40 s on one processor core: *Run → Run All Cells*, then scroll.

# %% [markdown]
# ## A reef and a detector
#
# The pictures are drawn from a seed. The boxes come from the detector that the course ships; it
# trained for five minutes on two processor cores.

# %%
import torch

from detlab import detect, reef, widgets
from detlab.course.notebook import shipped_detector

names = reef.CLASS_NAMES
scene = reef.draw_scene(reef.VAL_SEED, index=3, image_size=(384, 512))
detector, info = shipped_detector()
side = info.config.longest_side

# %% [markdown]
# ## 1 · IoU: how well do two boxes agree?
#
# Drag the boxes, or pull at their handles. The shaded patch is what both cover; the fraction
# beside the picture is computed anew with every move. Can you reach the task?

# %%
widgets.IoULab(scene.image, [60, 90, 260, 290], [180, 60, 380, 230], task="Make IoU exactly 0.50")

# %% [markdown]
# ## 2 · Four ways to write a box
#
# Drag the box and watch its numbers, or type four numbers into any field and press Enter. A
# format is only a habit, but reading one as another puts the box somewhere else.

# %%
widgets.FormatLab(scene.image, scene.boxes[0].round().tolist())

# %% [markdown]
# ## 3 · Box losses: where does each one push?
#
# Press **apart**, then compare the losses: arrows show the step that each edge would take. One of
# the five falls silent as soon as the boxes do not touch. Which? **take a step** moves the box.

# %%
widgets.LossLab(scene.image, [250, 120, 420, 300], [60, 40, 200, 170], loss="GIoU")

# %% [markdown]
# ## 4 · Lambda: what against where
#
# Five small networks, trained right here to name one animal and to point at it. They differ only
# in lambda, the weight of the box loss.

# %%
from functools import partial

from detlab.course import single_object as single

animals = {"image_size": (48, 48), "classes": ("fish", "starfish", "jellyfish")}
pictures = single.draw_single_objects(1, 800, **animals)
unseen = single.draw_single_objects(2, 120, **animals)


def train_with(box_weight):
    torch.manual_seed(0)
    network = single.SingleObjectNet(len(names))
    loss = partial(single.single_object_loss, box_weight=box_weight)
    for _ in single.fit_single(network, pictures, loss, steps=120):
        pass
    good = single.evaluate_single(network, unseen)
    labels, boxes = single.predict_single(network, unseen.images[:6])
    return widgets.LambdaRun(box_weight, good["accuracy"], good["iou"], 48 * boxes, labels)


# %% [markdown]
# Slide through the runs. What happens to the boxes when lambda is 0, and what to the classes
# when it is very large?

# %%
# NBVAL_IGNORE_OUTPUT
runs = [train_with(box_weight) for box_weight in (0, 0.5, 5, 50, 500)]
truths = zip(48 * unseen.boxes[:6, None], unseen.labels[:6, None], strict=True)
targets = [{"boxes": boxes, "labels": labels} for boxes, labels in truths]
widgets.LambdaLab(list(unseen.images[:6]), targets, runs, names)

# %% [markdown]
# ## 5 · A classifier under the hand
#
# A classifier gives one answer for the whole picture. Here the detector plays one: its best score
# of each class, wherever it is. Drag the window over single animals; then set it to *cover*, and
# hide what the answer came from.


# %%
def best_scores(image):
    (found,) = detect(detector, [image], side, score_threshold=0.01)
    best = torch.zeros(len(names))
    return best.scatter_reduce(0, found["labels"], found["scores"], "amax")[1:]


widgets.ClassifierLab(scene.image, best_scores, names[1:], box=[75, 130, 225, 360])

# %% [markdown]
# ## 6 · Sliding window: the old way to many boxes
#
# Each window is scored by itself: does an animal fill it? Where the picture stays clear, the score
# is high. Make the stride smaller: how do the number of windows and the time grow? And how many
# good windows does one animal get?


# %%
@torch.no_grad()
def animal_score(windows):
    small = torch.nn.functional.interpolate(windows.float() / 255, (64, 64), mode="bilinear")
    largest = detector(small).logits[:, -24:]  # of the guesses that fill a window of 64 pixels
    return largest.softmax(dim=2)[:, :, 1:].amax(dim=(1, 2))


detector.eval()
widgets.WindowLab(scene.image, animal_score, size=128, stride=32)

# %% [markdown]
# ## 7 · Anchors: a grid of guesses
#
# Choose sizes, ratios and strides until every animal has a guess that fits. Click into the
# picture: the cross shows the anchors of that cell. The bars count this picture's animals and
# those of two hundred other pictures.

# %%
others = torch.cat(
    [reef.draw_scene(reef.VAL_SEED, index, image_size=(96, 128)).boxes * 4 for index in range(200)]
)
widgets.AnchorLab(scene.image, scene.target, names, all_boxes=others, size=48.0, stride=32)

# %% [markdown]
# ## 8 · Matching: who learns what?
#
# These are the detector's own anchors. Move the thresholds: blue anchors learn an animal, yellow
# ones are ignored, the rest learn background. Press **strict**: an arrow points at every animal
# that nobody learns.

# %%
from detlab.detector.anchors import pyramid_anchors

maps = ((12, 16), (6, 8), (3, 4))  # rows and columns at the size at which the detector looks
shapes = info.config.anchor_sizes, info.config.aspect_ratios
anchors = 4 * pyramid_anchors(maps, *shapes, torch.device("cpu"))
widgets.MatchLab(scene.image, scene.target, anchors, names)

# %% [markdown]
# ## 9 · NMS: one animal, many boxes
#
# What the detector says before anything is cleaned up. Press **forward** to take one decision
# after the other: the best box is taken and suppresses those that overlap it. Click a pink box to
# learn who suppressed it. Which threshold loses an animal in the crowd?

# %%
crowd = reef.draw_scene(5, index=2, image_size=(384, 512), objects=(7, 7), crowding=0.7)
raw = {"score_threshold": 0.05, "iou_threshold": 1.0, "max_detections": 300}
(candidates,) = detect(detector, [crowd.image], side, **raw)
widgets.NMSLab(crowd.image, candidates, crowd.target, names)

# %% [markdown]
# ## 10 · Score threshold: what do you gain, what do you miss?
#
# Slide the threshold. Low: every animal is found, among many false positives (false alarms). High:
# the boxes that stay are true positives, and animals are missed (false negatives). The dot walks
# along the curve of all sixty pictures.

# %%
from detlab import load_dataset

val = load_dataset("reef", "val")
images, targets = zip(*(val[index] for index in range(60)), strict=True)
found = detect(detector, images, side, score_threshold=0.02)
widgets.ThresholdLab(images, found, targets, names)

# %% [markdown]
# ## 11 · Label audit: is the truth true?
#
# Forty small reefs with their labels, as somebody might have drawn them. Five faults are planted:
# a box drawn twice, two boxes far too large, labels that got lost, and one scene in both splits.

# %%
import tempfile
from pathlib import Path

from torchvision.transforms.v2.functional import to_pil_image

from detlab.audit.findings import audit
from detlab.data.records import make_record

folder = Path(tempfile.mkdtemp())
dials = {"image_size": (240, 320), "object_size": (0.25, 0.45), "classes": ("fish", "starfish")}
reefs = [reef.draw_scene(8, index, **dials) for index in range(40)]
images, targets = [each.image for each in reefs], [each.target for each in reefs]

images[30], targets[30] = images[4] // 5 * 4, targets[4]  # one scene, in less light
targets[7] = {key: value[[0, *range(len(value))]] for key, value in targets[7].items()}
targets[7]["boxes"][0] += 1
for row in (12, 21):
    targets[row]["boxes"][0] = torch.tensor([2.0, 2.0, 318.0, 238.0])
targets[17] = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}

# %% [markdown]
# The audit lists what deserves a second look. What it lists may be right: a person decides.


# %%
def write_record(index):
    path = folder / f"reef_{index:02d}.png"
    to_pil_image(images[index]).save(path)
    boxes, labels = targets[index]["boxes"].tolist(), targets[index]["labels"].tolist()
    objects = [(f"object {row}", *pair) for row, pair in enumerate(zip(labels, boxes, strict=True))]
    return make_record(path, (240, 320), objects, path)


records = [write_record(index) for index in range(40)]
findings = audit({"train": records[:25], "val": records[25:]}, names).findings
print(*(f"{each.kind}: {each.pictures[0].stem}" for each in findings), sep="\n")

# %% [markdown]
# You are the second annotator. Press **fix** or **keep**, then **next**; the keys f, k, ← and →
# do the same. The list of planted faults answers, and at the end it counts: how many faults did
# you find, and how many sound labels would you have changed?

# %%
faulty = {"reef_04", "reef_07", "reef_12", "reef_17", "reef_21"}
faults = {index for index, each in enumerate(findings) if each.pictures[0].stem in faulty}
widgets.AuditLab(findings, names, faults)

# %% [markdown]
# ## 12 · Training, live
#
# A fresh detector sees the same six pictures again and again for eight seconds. Watch its boxes
# (dashed) settle on the animals (solid). **stop training** ends it after the step in hand.

# %%
# NBVAL_IGNORE_OUTPUT

from detlab import TrainConfig, build_detector, fit
from detlab.metrics.coco import coco_metrics

easy = [reef.draw_scene(1, index, objects=(1, 3), empty_fraction=0.0) for index in range(6)]
images, targets = [each.image for each in easy], [each.target for each in easy]
torch.manual_seed(0)
fresh = build_detector(info.config)
look = partial(detect, fresh, score_threshold=0.1, iou_threshold=0.4)
view = widgets.TrainingView(
    images, targets, look, names, lambda: coco_metrics(look(images), targets, names).coco["AP"]
)
view

# %% [markdown]
# The view passes every step through. With `async for` the kernel hears the stop button between
# two steps.

# %%
# NBVAL_IGNORE_OUTPUT
config = TrainConfig(seconds=8, batch_size=6, average_decay=0.9, negative_iou=0.4)
async for _ in view.listen(fit(fresh, list(zip(images, targets, strict=True)), config)):
    pass
view

# %% [markdown]
# ## 13 · Commit: first answer, then look
#
# Pick an option and press **Commit**. From then on the answer is locked, each option has its own
# reply, and the course remembers what you thought.

# %%
widgets.Commit(
    "Two equal boxes lie side by side and share half of each. What is their IoU?",
    {
        "1/2": "Half of each box is shared. But IoU divides by what the two cover together.",
        "1/3": "The shared half counts once: 1/2 over 1/2 + 1/2 + 1/2.",
        "1/4": "That would be a quarter of the sum of their areas. The union is one and a half.",
    },
    answer="1/3",
)
