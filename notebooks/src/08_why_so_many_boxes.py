# %% [markdown]
# # 08 · Why so many boxes?
#
# In lesson 07 many anchors learned the same animal. Now the detector is trained, and all of them
# shout. A robot that counts fish, or a car that counts people, cannot use that: it needs each
# object once.
#
# **After this lesson you can** remove the duplicates from the raw output of a detector in three
# ways, and say what each of their settings costs. **Needs** lesson 07.
# **Runs** in 20 s on two processor cores; **takes** about 60 minutes.

# %%
import torch

from detlab import detect, reef
from detlab.boxes import box_iou, scale_boxes
from detlab.course import exercises, notebook
from detlab.detector import suppression
from detlab.detector.postprocess import select_candidates, select_detections
from detlab.draw.figures import Layers, Picture, draw_grid, draw_layers
from detlab.metrics.average_precision import count_found, match_image
from detlab.widgets import Commit, NMSLab

seed = notebook.seed()

# %% [markdown]
# ## Commit · how many boxes?
#
# Five animals live in the reef that is drawn further down. The course's trained detector looks at
# it, and we ask for every box with a score above 0.3, before anything is cleaned up.

# %%
Commit(
    "How many boxes does a good detector give for five animals?",
    options={
        "5, one for each": "That is what one hopes for. But who would keep the neighbours silent?",
        "about 10": "There are some more. Think of how many anchors learned each animal.",
        "about 100": "Every anchor near an animal has learned it, and every one of them says so.",
    },
    answer="about 100",
    key="08-how-many-boxes",
)

# %% [markdown]
# `select_candidates` gives the **raw boxes** of one picture: all classes of all anchors whose score
# is above the threshold, decoded to boxes.

# %%
# NBVAL_IGNORE_OUTPUT
detector, info = notebook.shipped_detector()
names = info.class_names
dials = {"objects": (4, 6), "crowding": 0.5, "empty_fraction": 0.0}
scene = reef.draw_scene(reef.VAL_SEED, 485, image_size=(512, 512), **dials)
with torch.no_grad():
    predictions = detector(
        reef.draw_scene(reef.VAL_SEED, 485, **dials).image[None]
    )  # 128 × 128 pixels
boxes, labels, scores = select_candidates(predictions, 0, (128, 128), 0.3, max_candidates=1000)
boxes = scale_boxes(boxes, (128, 128), (512, 512))
print(f"{len(boxes)} raw boxes for {len(scene.boxes)} animals")
assert len(boxes) > 10 * len(scene.boxes)

# %% [markdown]
# On the left, all of them. On the right, what you will have made of them at the end of this lesson.

# %% tags=["thumbnail"]
[clean] = select_detections(predictions, [(128, 128)])
figure = draw_layers(
    [
        Layers(scene.image, {"suppressed": boxes}, f"{len(boxes)} raw boxes"),
        Layers(scene.image, {"prediction": 4 * clean["boxes"]}, f"{len(clean['boxes'])} remain"),
    ],
    title="Every animal is found many times",
    meanings={"suppressed": "raw boxes", "prediction": "what remains"},
)
notebook.Show(figure, "A reef twice: five animals under bundles of boxes, and under one box each")

# %% [markdown]
# Is this one picture, or is it always so? We count on forty other reefs. A raw box is *on* an
# animal if it has its class and an IoU of 0.5 or more with it.

# %%
# NBVAL_IGNORE_OUTPUT
reefs = [reef.draw_scene(300 + seed, index) for index in range(40)]
with torch.no_grad():
    raw = detector(torch.stack([each.image for each in reefs]))
targets = [each.target for each in reefs]
on_animals, animals = 0, sum(len(each.boxes) for each in reefs)
for row, each in enumerate(reefs):
    places, kinds, _ = select_candidates(raw, row, (128, 128), 0.3, 1000)
    same_class = kinds[:, None] == each.labels
    on_animals += int(((box_iou(places, each.boxes) >= 0.5) & same_class).any(dim=1).sum())
print(f"{animals} animals, {on_animals:,} raw boxes on them: {on_animals / animals:.0f} for each")
assert on_animals > 10 * animals

# %% [markdown]
# Nothing is broken here. Each anchor answers for itself and never hears what its neighbour said.
# The network has no way to say "she has it already". So somebody else must.

# %% [markdown]
# ## Play · one decision at a time
#
# **Non-maximum suppression**, in short **NMS**: *take the best box; throw away all boxes that
# overlap it by more than a threshold; go on with the best of the rest.*
#
# **Task**: press *forward* until every decision is made. Yellow boxes wait, orange ones are taken,
# pink ones were suppressed in this step; at the end all pink ones come back. Below the picture
# stands what each step did. Click a pink box: who suppressed it, and why?

# %%
# NBVAL_IGNORE_OUTPUT
candidates = {"boxes": boxes, "labels": labels, "scores": scores}
stepper = NMSLab(
    scene.image,
    candidates,
    scene.target,
    names,
    task="Go forward, one decision at a time, to the last",
    goal=lambda lab: lab.step == len(lab.decisions),
)
stepper.step = 0
stepper

# %% [markdown]
# The same decisions as a list. One box speaks for a whole bundle. The last one finds fewer to
# suppress: some boxes on the second jellyfish overlapped the *first* one's box, too, and went with
# it.

# %%
# NBVAL_IGNORE_OUTPUT
for number, decision in enumerate(stepper.decisions, start=1):
    name, score = names[stepper.labels[decision.taken]], stepper.scores[decision.taken]
    print(f"{number}. {name:<8} {score:.1f} is taken, suppresses {len(decision.suppressed)}")

# %% [markdown]
# ## Commit · a chain
#
# Three boxes in a row. The left one scores 0.9, the middle one 0.8, the right one 0.7. Left and
# middle overlap, middle and right overlap, left and right hardly do.

# %%
chain = torch.tensor([[0.0, 0.0, 16.0, 6.0], [6.0, 0.0, 22.0, 6.0], [12.0, 1.0, 28.0, 7.0]])
for pair in ((0, 1), (1, 2), (0, 2)):
    first, second = chain[[pair[0]]], chain[[pair[1]]]
    print(f"boxes {pair[0]} and {pair[1]}: IoU {box_iou(first, second).item():.2f}")

# %% [markdown]
# The threshold is 0.3.

# %%
Commit(
    "Who stays?",
    options={
        "left": "The middle one would have suppressed the right one. But is it still there?",
        "left and right": "The middle one is gone before it could do anything to the right one.",
        "all three": "Left and middle overlap by more than 0.3.",
    },
    answer="left and right",
    key="08-chain",
)

# %% [markdown]
# A suppressed box suppresses nobody:

# %%
kept = suppression.nms(chain, torch.tensor([0.9, 0.8, 0.7]), iou_threshold=0.3)
print("rows kept:", kept.tolist())
assert kept.tolist() == [0, 2]

# %% [markdown]
# ## Build · `nms`
#
# *Difficulty 3 of 5 · importance 5 of 5 · up to 15 minutes.* NMS as above; it is called **greedy**,
# because it takes the best at once and never thinks again. A box stays if its IoU with every box
# taken before is `iou_threshold` or less. Return row numbers, best score first.
#
# By hand: scores 0.6, 0.9, 0.8; rows 1 and 2 overlap by 0.7, row 0 lies alone. At 0.5: take row 1,
# row 2 goes, take row 0. Answer: `[1, 0]`.


# %%
def my_nms(boxes, scores, iou_threshold):
    """Return the rows kept, int64 [K], best score first; of equal scores the earlier row.

    boxes [N, 4] are x1 y1 x2 y2 in pixels, scores [N]. box_iou(a, b) gives the [N, M] table.
    """
    ...


exercises.nms.check(my_nms)

# %% [markdown]
# `exercises.nms.hint()` helps, `exercises.nms.solution()` shows the package's.
#
# ## Break · suppression left out
#
# What is it worth? We count on the forty reefs. **Precision** is the fraction of the boxes that are
# right, the **true positives**. **Recall** is the fraction of the animals that are found; an animal
# that is missed is a **false negative**. An animal counts once: a second box on it is a
# **duplicate**, and wrong, a **false positive**. So is a box that is on no animal of its class (*no
# such animal*).

# %%
# NBVAL_IGNORE_OUTPUT
nms = exercises.nms.mine_or_reference(my_nms)
suppressions = {
    "none": lambda boxes, scores, threshold: scores.argsort(descending=True),
    "NMS": nms,
}
precision = {}
print("      boxes  right  duplicates  no such animal  precision  recall")
for name, suppress in suppressions.items():
    found = select_detections(raw, [(128, 128)] * 40, max_detections=1000, nms=suppress)
    total = sum(len(guess["boxes"]) for guess in found)
    right, duplicates = count_found(found, targets)
    precision[name] = right / total
    print(f"{name:<4} {total:>6,} {right:>6} {duplicates:>11,}", end=" ")
    print(f"{total - right - duplicates:>15} {right / total:>10.2f} {right / animals:>7.2f}")
assert precision["none"] < 0.1
assert precision["NMS"] > 0.5

# %% [markdown]
# Without it most boxes are duplicates. With it, recall hardly moves: the best box of a bundle
# stands for all. Of *no such animal* some are left: most give an animal another's name. NMS leaves
# them: soon you see why.
#
# ## Break · left to right
#
# Does it matter who goes first? A classmate takes boxes from left to right instead of by score. As
# many animals may be found. But how well do the boxes sit? We take the mean IoU of those that found
# an animal.

# %%
# NBVAL_IGNORE_OUTPUT
sideways = exercises.nms.mistakes["boxes were taken from left to right"]
fit = {}
for name, suppress in {"best score first": nms, "left to right": sideways}.items():
    found = select_detections(raw, [(128, 128)] * 40, nms=suppress)
    ious = []
    for guess, each in zip(found, reefs, strict=True):
        matches = match_image(guess, each.target)
        right = matches >= 0
        ious += box_iou(guess["boxes"][right], each.boxes[matches[right]]).diagonal().tolist()
    fit[name] = sum(ious) / len(ious)
    print(f"{name:<17} {len(ious)} of {animals} animals found, mean IoU {fit[name]:.2f}")
assert fit["best score first"] > fit["left to right"] + 0.03

# %% [markdown]
# The score is what tells a good box from its neighbours. NMS trusts it blindly.

# %% [markdown]
# ## Commit · one animal before another
#
# A fish swims in front of a turtle. The detector boxed both, and the IoU of the two boxes is 0.8.
# The threshold of NMS is 0.5.

# %%
Commit(
    "What should happen to the one with the lower score?",
    options={
        "it goes, as any box that overlaps too much": "Then one of two animals is not found.",
        "it stays, because it is of another class": "A fish's box is no duplicate of a turtle's.",
        "it stays if its score is high enough": "Greedy NMS never asks that. Soft-NMS does, below.",
    },
    answer="it stays, because it is of another class",
    key="08-two-classes",
)

# %% [markdown]
# ## Play · fish before turtle
#
# There it is. Press *across classes*: now every box may suppress every other, whatever their
# classes. Press *usual*: each class is suppressed by itself. Watch "missed objects".
#
# **Task**: switch *each class by itself* off, and try to save all four animals by *IoU above*
# alone, the threshold. What does it cost in duplicates?

# %%
# NBVAL_IGNORE_OUTPUT
before = {"objects": (4, 6), "crowding": 0.7, "empty_fraction": 0.0}
pair = reef.draw_scene(5, 10, image_size=(512, 512), **before)
with torch.no_grad():
    heard = detector(reef.draw_scene(5, 10, **before).image[None])
found = select_candidates(heard, 0, (128, 128), 0.05, max_candidates=1000)
found = dict(zip(("boxes", "labels", "scores"), found, strict=True))
found["boxes"] = scale_boxes(found["boxes"], (128, 128), (512, 512))
across = NMSLab(
    pair.image,
    found,
    pair.target,
    names,
    task="Each class by itself: off. All 4 animals found",
    goal=lambda lab: not lab.per_class and not lab.missed.any(),
)
across

# %% [markdown]
# The same by code. Without the switch an animal is lost. A threshold of 0.8 brings it back, and
# duplicates with it: where one animal is in front of another, NMS across classes has to be so
# patient that it lets them pass.

# %%
# NBVAL_IGNORE_OUTPUT
for per_class, iou_threshold in ((True, 0.5), (False, 0.5), (False, 0.8)):
    across.per_class, across.iou_threshold = per_class, iou_threshold
    print(f"per class {per_class!s:<5}, IoU above {iou_threshold:.2f}: {across.result}", end=", ")
    print(f"{int(across.missed.sum())} missed, {across.duplicates} duplicates")
across.preset("reset")

# %% [markdown]
# ## Build · `nms_per_class`
#
# *Difficulty 2 of 5 · importance 4 of 5 · up to 10 minutes.* NMS of every class by itself. Return
# rows of *all* boxes, best score first.
#
# By hand: three equal boxes, labels 1, 1, 2, scores 0.7, 0.8, 0.9. Row 1 suppresses row 0; row 2
# has no rival. Answer: `[2, 1]`.


# %%
def my_nms_per_class(boxes, labels, scores, iou_threshold):
    """Return the rows kept, int64 [K], best score first; only boxes of one label are rivals.

    boxes [N, 4] are x1 y1 x2 y2 in pixels, labels int64 [N], scores [N]. Use suppression.nms or
    your own.
    """
    ...


exercises.nms_per_class.check(my_nms_per_class)

# %% [markdown]
# `exercises.nms_per_class.hint()` helps.
#
# ## Break · across classes, in a crowd
#
# Forty crowded reefs, suppressed in both ways:

# %%
# NBVAL_IGNORE_OUTPUT
crowded = {"objects": (5, 8), "crowding": 0.8, "empty_fraction": 0.0}
crowds = [reef.draw_scene(900 + seed, index, **crowded) for index in range(40)]
with torch.no_grad():
    heard = detector(torch.stack([each.image for each in crowds]))
living = sum(len(each.boxes) for each in crowds)
num_found = {}
for name, per_class in {"per class": True, "across classes": False}.items():
    found = select_detections(heard, [(128, 128)] * 40, per_class=per_class)
    total = sum(len(guess["boxes"]) for guess in found)
    num_found[name], _ = count_found(found, [each.target for each in crowds])
    print(f"{name:<15} {num_found[name]} of {living} animals found, by {total} boxes")
assert num_found["per class"] > num_found["across classes"] + 8

# %% [markdown]
# Across classes, animals are lost that the network had found. (Most of those that are missed both
# times have no raw box on them: the crowd hides them.) It is not all bad: look at the number of
# boxes. Per class, a shark that the network half takes for a fish keeps a box for each name.

# %% [markdown]
# ## Break · too eager in a crowd
#
# Now all are of one class: a shoal. Doing each class by itself cannot help here. Which IoU
# threshold is best?

# %%
# NBVAL_IGNORE_OUTPUT
shoals = [reef.draw_scene(900 + seed, i, classes=("fish",), **crowded) for i in range(40)]
with torch.no_grad():
    heard = detector(torch.stack([each.image for each in shoals]))
fish = sum(len(each.boxes) for each in shoals)
counts = {}
for iou_threshold in (0.1, 0.3, 0.5, 0.7, 0.9):
    found = select_detections(heard, [(128, 128)] * 40, 0.3, iou_threshold)
    counts[iou_threshold] = count_found(found, [each.target for each in shoals])
    right, duplicates = counts[iou_threshold]
    print(f"IoU above {iou_threshold}: {right} of {fish} fish found, {duplicates} duplicates")
assert counts[0.1][0] < counts[0.5][0] - 20
assert counts[0.9][1] > counts[0.5][1] + 200

# %% [markdown]
# None is best at both. Low, fish behind fish are lost. High, duplicates come back. Which price is
# lower depends on how crowded the pictures are, so choose the threshold on pictures like those that
# it will meet.
#
# By eye: the reef of the beginning, with its two jellyfish.

# %%
pictures = []
for name, threshold in {"too eager, 0.1": 0.1, "usual, 0.5": 0.5, "too patient, 0.9": 0.9}.items():
    [guess] = select_detections(predictions, [(128, 128)], iou_threshold=threshold)
    guess["boxes"] = scale_boxes(guess["boxes"], (128, 128), (512, 512))
    pictures.append(Picture(scene.image, scene.target, guess, name))
notebook.Show(
    draw_grid(pictures, names, columns=3, title="One reef, three IoU thresholds"),
    "A reef three times: one of two jellyfish has no box; each animal has one; each has a bundle",
)

# %% [markdown]
# ## Build · `soft_nms`
#
# *Difficulty 4 of 5 · importance 2 of 5 · up to 15 minutes.* **Soft-NMS** throws nothing away. The
# best box is taken and *lowers the scores* of those that wait: by the factor `exp(−IoU² / sigma)`.
# Then the best of those that wait *now*, and so on, until none waits. A larger sigma is gentler.
# The score threshold decides at the end.
#
# By hand: scores 1.0 and 0.8, IoU 0.5, sigma 0.5. The second becomes
# 0.8 · exp(−0.25 / 0.5) = 0.485.


# %%
def my_soft_nms(boxes, scores, sigma=0.5):
    """Return the new scores [N], row by row as the boxes stand.

    boxes [N, 4] are x1 y1 x2 y2 in pixels. A box that was taken keeps its score from then on.
    """
    ...


exercises.soft_nms.check(my_soft_nms)

# %% [markdown]
# `exercises.soft_nms.hint()` helps. The package's `soft_nms` loops over the steps below and returns
# the scores after the last. They are a function of their own, because the labs above show them one
# by one: set *method* to *soft*.

# %%
notebook.show_source(suppression.soft_nms_steps)

# %% [markdown]
# Does it help the shoals? Against greedy NMS at two IoU thresholds, all with scores above 0.3:

# %%
# NBVAL_IGNORE_OUTPUT
soft = exercises.soft_nms.mine_or_reference(my_soft_nms)
found = []
for row in range(len(shoals)):
    places, kinds, before = select_candidates(heard, row, (128, 128), 0.3, 1000)
    after = soft(suppression.separate_classes(places, kinds), before)  # each class by itself
    stay = after > 0.3
    found.append({"boxes": places[stay], "labels": kinds[stay], "scores": after[stay]})
right, duplicates = count_found(found, [each.target for each in shoals])
for threshold in (0.3, 0.5):
    print(f"greedy, {threshold}: {counts[threshold][0]} found, {counts[threshold][1]} duplicates")
print(f"soft        : {right} found, {duplicates} duplicates")
assert right > counts[0.3][0]

# %% [markdown]
# More fish than greedy at 0.3. But greedy at 0.5 does as well, with as few duplicates: no miracle.
# Soft-NMS moves the choice to two other numbers, sigma and the score threshold. It does
# not make it go away.

# %% [markdown]
# ## Use · in the real detector
#
# `detect` and `select_detections` take your NMS by argument. On the forty reefs and the forty
# crowded ones it must give the very same detections as the fast one that comes with torchvision. If
# not, `assert_close` raises an error:

# %%
# NBVAL_IGNORE_OUTPUT
images = [each.image for each in (*reefs, *crowds)]
mine = detect(detector, images, nms=nms)
package = detect(detector, images)
torch.testing.assert_close(mine, package)
print(sum(len(guess["boxes"]) for guess in mine), "boxes, the same from both")

# %% [markdown]
# And your `nms_per_class`, on the raw boxes of the first picture, against the detector's own
# answer:

# %%
per_class = exercises.nms_per_class.mine_or_reference(my_nms_per_class)
rows = per_class(boxes, labels, scores, 0.5)
print(*(f"{names[labels[row]]} {scores[row]:.1f}" for row in rows.tolist()), sep=", ")
torch.testing.assert_close(scores[rows], clean["scores"])

# %% [markdown]
# The package needs no loop over classes: it moves each class to its own place, where no other can
# overlap it, and suppresses once.

# %%
notebook.show_source(suppression.separate_classes)

# %% [markdown]
# ## Recap
#
# - Every anchor near an animal finds it (*Commit · how many boxes?*).
# - NMS keeps the best of a bundle; a suppressed box suppresses nobody (*Commit · a chain*).
# - Any other order keeps worse boxes (*Break · left to right*).
# - Only boxes of one class are rivals (*Break · across classes, in a crowd*).
# - The threshold trades missed animals against duplicates (*Break · too eager in a crowd*).
#
# **Myth** "A good detector finds every object once." Ours gave more than ten boxes for each
# animal (*Commit · how many boxes?*); NMS makes it one.

# %% [markdown]
# **For experts** torchvision's `batched_nms` moves classes apart by the largest coordinate, so a
# box with negative corners can reach into another class: clip first. A score says how sure the
# class is, not how well the box sits; detectors that predict IoU too suppress better. Matching one
# to one (DETR) needs no NMS.
#
# **Connects to** lesson 07 (why neighbours agree) and lesson 10 (what duplicates cost).
#
# **Next** You have every part. Lesson 09 puts them together and trains.

# %%
notebook.finish("08")
