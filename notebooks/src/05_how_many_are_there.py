# %% [markdown]
# # 05 · How many are there?
#
# Lesson 04 ended with a network that has one box to give, and a picture with two animals: it
# answered with the box in between. How can a network, whose output has a fixed size, answer *none*,
# *three* or *eleven*?
#
# **After this lesson you can** find any number of objects with a window, say why that is slow, and
# handle lists of boxes in batches.
# **Needs** lesson 04. **Runs** in 40 s on two processor cores; **takes** about 65 minutes.

# %%
import time

import torch
from torch import nn
from torchvision.transforms.v2.functional import resize

from detlab import reef
from detlab.boxes import box_iou
from detlab.course import exercises, notebook
from detlab.detector.anchors import window_boxes
from detlab.draw.figures import Layers, draw_layers
from detlab.images import cut_windows
from detlab.widgets import Commit, WindowLab

seed = notebook.seed()

# %% [markdown]
# Four pictures of one sea. Which single output fits all of them?

# %% tags=["thumbnail"]
sizes = {"object_size": (0.22, 0.3), "classes": ("turtle", "starfish", "jellyfish")}
counts = (0, 1, 3, 6)
shown = [
    reef.draw_scene(51, index, image_size=(192, 192), objects=(n, n), crowding=0.0, **sizes)
    for index, n in enumerate(counts)
]
figure = draw_layers(
    [
        Layers(scene.image, {"truth": scene.boxes}, f"animals: {len(scene.boxes)}")
        for scene in shown
    ],
    columns=4,
    title="The answer has as many boxes as there are animals",
)
notebook.Show(figure, "Four drawn reefs with no, one, three and six animals, each in its box")

# %% [markdown]
# ## A window that slides
#
# One old idea needs nothing new. A **window** is a small frame. Put it in the top left corner, cut
# out what it shows, and ask a classifier: *what is in here, or is it background?* Move it a few
# pixels, the **stride**, and ask again. A window whose answer is an animal **fires**: it becomes a
# box.
#
# So the network answers with one row of fixed length for each window, as in lesson 01, and the
# *number of windows that fire* is free.

# %% [markdown]
# ## Commit · how many windows?
#
# The picture is 128 × 128 pixels, the window 32 × 32, the stride 4. The window must lie in the
# picture as a whole.

# %%
Commit(
    "At how many places does the window stand?",
    options={
        "576": "24 × 24: there are 24 *steps* of 4 pixels in 96, and one place more than steps.",
        "625": "25 × 25: (128 − 32) / 4 steps, and the place where it begins.",
        "1024": "32 × 32: then the last seven windows of each row would hang over the edge.",
    },
    answer="625",
    key="05-how-many-windows",
)

# %% [markdown]
# Count them:

# %%
windows = window_boxes((128, 128), window=(32, 32), stride=4)
print(len(windows), "windows; the first:", windows[0].tolist(), "the last:", windows[-1].tolist())
assert len(windows) == 625

# %% [markdown]
# ## Build · `window_boxes`
#
# *Difficulty 2 of 5 · importance 3 of 5 · up to 10 minutes.* All places of the window, row by row.
# A step that leaves the picture is not taken.
#
# By hand: a picture 8 high and 12 wide, a window 8 × 8, stride 4. There is one row of places,
# because 8 − 8 = 0 leaves no step down. To the right, 12 − 8 = 4 leaves one step. So the windows
# are `[0, 0, 8, 8]` and `[4, 0, 12, 8]`. Sizes: height first. Boxes: x first.


# %%
def my_window_boxes(image_size, window, stride):
    """Return boxes x1 y1 x2 y2 [N, 4], float, in pixels, row by row.

    image_size and window: (height, width), in pixels. stride: pixels from place to place.
    """
    ...


exercises.window_boxes.check(my_window_boxes)

# %% [markdown]
# `exercises.window_boxes.hint()` gives one hint at a time, `exercises.window_boxes.solution()` the
# package's function.
#
# ## A classifier for windows
#
# Now the classifier, trained on pictures whose boxes we know. A window learns the class of an
# animal if their IoU is at least 0.5, and background (label 0) if its IoU with every animal is
# less than 0.3. What lies between is left out. There is far more background than anything, so we
# take 50 such windows a picture. 150 pictures are for training, 30 are kept to evaluate it.

# %%
scenes = [
    reef.draw_scene(500 + seed, index, objects=(0, 6), crowding=0.0, **sizes)
    for index in range(180)
]
crops, labels = [], []
torch.manual_seed(seed)
for scene in scenes[:150]:
    cut = cut_windows(scene.image, (32, 32), stride=4)  # [625, 3, 32, 32]
    iou = torch.cat([box_iou(windows, scene.boxes), torch.zeros(625, 1)], dim=1)
    best, row = iou.max(dim=1)  # the last column stands for no animal
    label = torch.cat([scene.labels, torch.zeros(1, dtype=torch.int64)])[row]
    background = (best < 0.3).nonzero()[:, 0]
    background = background[torch.randperm(len(background))[:50]]
    crops += [cut[best >= 0.5], cut[background]]
    labels += [label[best >= 0.5], torch.zeros_like(background)]
crops, labels = torch.cat(crops), torch.cat(labels)

# %% [markdown]
# What a window cuts out is a **crop**. Every crop is one small classification, as in lesson 01:

# %%
# NBVAL_IGNORE_OUTPUT
print(f"{len(crops)} crops, {(labels > 0).float().mean():.0%} of them show an animal")

# %% [markdown]
# The network is four **convolutions**. A convolution makes numbers of a small patch, 3 × 3 say,
# then moves on and does so *with the same weights*. That makes a new map. We add no zeros
# around the maps, so a window shrinks: 32 × 32, 15 × 15, 7 × 7, 5 × 5, 1 × 1. In that last cell
# stand eight logits: background and all seven kinds of the reef, though only three swim here.
#
# (`BatchNorm2d` and `ReLU` between them change, after training, each number by itself.) A few
# seconds of training:

# %%
# NBVAL_IGNORE_OUTPUT
layers = []
for before, after, kernel, stride in ((3, 16, 4, 2), (16, 32, 3, 2), (32, 64, 3, 1)):
    layers += [nn.Conv2d(before, after, kernel, stride), nn.BatchNorm2d(after), nn.ReLU()]
network = nn.Sequential(*layers, nn.Conv2d(64, len(reef.CLASS_NAMES), 5))
optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
for _ in range(200):
    rows = torch.randint(len(crops), (64,))
    logits = network(crops[rows] / 255 - 0.5).flatten(1)
    loss = nn.functional.cross_entropy(logits, labels[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
network.eval()
print(f"last loss {loss:.2f}")

# %% [markdown]
# ## Play · slide it
#
# A picture that it never saw, twice as large; so is the window. A window's **score** is the
# probability that it does *not* show background. The lab darkens the picture where scores are low.
# Change the window's size and the stride, and watch the number of windows and the time.
#
# For the task, a window is an animal's if their IoU is above 0.4.

# %%
look = reef.draw_scene(52, 3, image_size=(256, 256), objects=(4, 4), crowding=0.0, **sizes)
lab = WindowLab(
    look.image,
    lambda seen: 1 - network(resize(seen, [32, 32]) / 255 - 0.5)[:, :, 0, 0].softmax(1)[:, 0],
    size=64,
    stride=64,
    task="Give every animal a window that scores 0.8 or more, with at most 100 windows",
    goal=lambda lab: (
        lab.num_windows <= 100
        and ((box_iou(lab.boxes, look.boxes) > 0.4) & (lab.scores[:, None] >= 0.8)).any(0).all()
    ),
)
print(lab.num_windows, "windows at first")

# %%
# NBVAL_IGNORE_OUTPUT
lab

# %% [markdown]
# With a coarse stride an animal between two places is seen by nobody. With a fine one everything is
# seen, and paid for. Here is the bill: one picture of 128 × 128 pixels, windows of 32 × 32, and a
# stride that gets finer and finer; each time is the shortest of three.

# %%
# NBVAL_IGNORE_OUTPUT
picture = scenes[150].image
seconds, number = {}, {}
for stride in (16, 8, 4, 2):
    cut, times = cut_windows(picture, (32, 32), stride), []
    for _ in range(3):
        began = time.perf_counter()
        with torch.no_grad():
            network(cut / 255 - 0.5)
        times.append(time.perf_counter() - began)
    seconds[stride], number[stride] = min(times), len(cut)
    print(f"stride {stride:>2}: {len(cut):>4} windows, {1000 * seconds[stride]:6.1f} ms")

# %%
# Half the stride is nearly four times as many windows, and this is one size of window:
for stride in (16, 8, 4):
    times_more = number[stride // 2] / number[stride]
    print(f"stride {stride} to {stride // 2}: {times_more:.1f} times as many windows")
assert number[2] > 14 * number[8]

# %% [markdown]
# Large animals need large windows, flat ones flat windows. Each further shape is the whole bill
# again.
#
# ## Commit · how many windows fire?
#
# Stride 4, new pictures. Say that a window fires if its score is above 0.5: background gets less
# than half of the probability.

# %%
Commit(
    "How many windows fire on one animal, on average?",
    options={
        "one": "A window 4 pixels to the right shows nearly the same picture. Why should it not?",
        "two or three": "The neighbours, yes. But to the left, above and along the diagonals, too.",
        "more than ten": "All that show enough of the animal, and at stride 4 these are many.",
    },
    answer="more than ten",
    key="05-how-many-fire",
)

# %% [markdown]
# We count, for each animal of the 30 pictures that were kept, the windows that fire and overlap it
# with an IoU of 0.3 or more. (Below 0.3, a window was background in training.)

# %%
fires = []
for scene in scenes[150:]:
    cut = cut_windows(scene.image, (32, 32), stride=4)
    with torch.no_grad():
        logits = network(cut / 255 - 0.5)[:, :, 0, 0]
    score = 1 - logits.softmax(dim=1)[:, 0]
    fires.append(((box_iou(windows, scene.boxes) >= 0.3) & (score > 0.5)[:, None]).sum(dim=0))
fires = torch.cat(fires).float()

# %%
# NBVAL_IGNORE_OUTPUT
print(f"windows that fire on an animal: {fires.mean():.0f}; animals without: {(fires == 0).sum()}")

# %%
# The claim, held by every seed that tests try:
print("more than ten on average:", (fires.mean() > 10).item())
assert fires.mean() > 10
assert (fires == 0).float().mean() < 0.15

# %% [markdown]
# Nearly every animal is found, and found again and again: **duplicates**. Counting boxes does not
# count animals yet. Lesson 08 removes duplicates; here we want the list itself.
#
# ## Commit · one by one, or all at once?
#
# 625 windows are 625 crops to look at, and neighbours share most of their pixels. Our network is
# made of convolutions. What if it sees the *whole* picture, once?

# %%
Commit(
    "What comes out for a picture of 128 × 128 pixels?",
    options={
        "an error: it learned windows of 32 × 32": "A convolution takes any size, and slides.",
        "scores that are near those of the windows": "Near is not all; the cell below compares.",
        "the same 625 scores": "A convolution *is* a window that slides.",
    },
    answer="the same 625 scores",
    key="05-at-once",
)

# %% [markdown]
# We try both ways on one picture. `flatten(1).T` lists the cells of the 25 × 25 map row by row, as
# the windows are listed. "The same" means that no two logits differ by more than about a
# thousandth.

# %%
with torch.no_grad():
    one_by_one = network(cut_windows(picture, (32, 32), 4) / 255 - 0.5)  # [625, K, 1, 1]
    at_once = network(picture[None] / 255 - 0.5)  # [1, K, 25, 25]
print("one by one:", list(one_by_one.shape), "at once:", list(at_once.shape))
print("the same:", torch.allclose(at_once[0].flatten(1).T, one_by_one[:, :, 0, 0], atol=1e-3))
assert torch.allclose(at_once[0].flatten(1).T, one_by_one[:, :, 0, 0], atol=1e-3)

# %%
# NBVAL_IGNORE_OUTPUT
# The window that is most in doubt, in numbers:
both = {"one by one": one_by_one[:, :, 0, 0], "at once": at_once[0].flatten(1).T}  # [625, K]
place = (both["one by one"].softmax(dim=1)[:, 0] - 0.5).abs().argmin()
for name, logits in both.items():
    score = 1 - logits[place].softmax(dim=0)[0]
    print(f"{name:<10}: logit of background {logits[place, 0]:.3f}, score {score:.3f}", end=", ")
    print("fires" if score > 0.5 else "stays silent")

# %%
# NBVAL_IGNORE_OUTPUT
# And the time, each the shortest of three:
times = {"one by one": [], "at once": []}
with torch.no_grad():
    for _ in range(3):
        for name, pictures in (
            ("one by one", cut_windows(picture, (32, 32), 4)),
            ("at once", picture[None]),
        ):
            began = time.perf_counter()
            network(pictures / 255 - 0.5)
            times[name].append(time.perf_counter() - began)
for name, values in times.items():
    print(f"{name}: {1000 * min(values):.1f} ms")
assert min(times["one by one"]) > 4 * min(times["at once"])

# %% [markdown]
# That is the **grid of cells**: the network turns the picture into a **map** (a *feature map*), 25
# rows and 25 columns here, and each **cell** of the map answers for one window. Two of its
# convolutions move on by 2, not by 1. So from cell to cell it is 2 · 2 = 4 pixels, the **stride**
# of the map. What neighbours share is computed once.
#
# A third way is **region proposals**: something cheap first names hundreds of places, or thousands,
# that may hold an animal; only these are classified.

# %% [markdown]
# What remains is the shape. Each cell answers for one square of 32 × 32. How well could it box an
# animal at best? For each animal we take the IoU of the window that fits it best, whatever the
# network says. First for animals of the size that we had, then for larger ones.

# %%
for name, size in {"as before": (0.22, 0.3), "larger": (0.5, 0.6)}.items():
    others = [reef.draw_scene(53, index, objects=(1, 2), object_size=size) for index in range(30)]
    animals = torch.cat([scene.boxes for scene in others])
    longest = (animals[:, 2:] - animals[:, :2]).amax(dim=1)
    best = box_iou(windows, animals).amax(dim=0)
    print(f"{name}: longest side {longest.min():.0f} to {longest.max():.0f} px", end=", ")
    print(f"best possible mean IoU {best.mean():.2f}")
assert best.mean() < 0.35

# %% [markdown]
# For most of the large ones, none of the 625 windows is good enough. More shapes, or a network
# that *corrects* the window? That is lesson 06.
#
# ## Build · `to_detection`
#
# First the form in which lists of boxes travel from here on. One dict for each picture: `boxes`
# `[N, 4]`, `labels` `[N]` (int64, from 1) and `scores` `[N]`, best score first. N may be 0.

# %% [markdown]
# *Difficulty 3 of 5 · importance 4 of 5 · up to 15 minutes.*
#
# By hand: two windows, scores of background, fish and crab, threshold 0.5. In `[0.9, 0.1, 0.0]`
# the best animal has 0.1: no box. `[0.2, 0.1, 0.7]` is a crab, label 2, because column 0 is
# background and fish is 1. One box remains, with the score 0.7.
#
# Background does not compete: with a threshold of 0.2, `[0.6, 0.1, 0.3]` is a crab of 0.3. Where
# nothing remains, `boxes` still has four columns: `[0, 4]`.


# %%
def my_to_detection(boxes, scores, score_threshold=0.5):
    """Return {"boxes": [N, 4], "labels": [N], "scores": [N]}, best score first.

    boxes: [A, 4]. scores: [A, K], column 0 is background. A box stays if the score of its best
    class, background apart, is above the threshold.
    """
    ...


exercises.to_detection.check(my_to_detection)

# %% [markdown]
# `exercises.to_detection.hint()` helps. Now four pictures in one pass, and a list of four dicts.
# The threshold is 0.8 here, so that the drawing stays readable.

# %%
to_detection = exercises.to_detection.mine_or_reference(my_to_detection)
test = sorted(scenes[150:], key=lambda scene: len(scene.boxes))[::9]
with torch.no_grad():
    maps = network(torch.stack([scene.image for scene in test]) / 255 - 0.5)  # [4, K, 25, 25]
scores = maps.flatten(2).transpose(1, 2).softmax(dim=2)  # [4, 625, K]
detections = [to_detection(windows, score, score_threshold=0.8) for score in scores]
print("a list of", len(detections), "dicts with", list(detections[0]))

# %% [markdown]
# Drawn. The number of boxes differs, as it should. Most animals lie under a bundle of windows. One
# that has none was not found at this threshold (a **false negative**, a miss); a box on plants or
# sand is a **false positive**, a false alarm.

# %%
figure = draw_layers(
    [
        Layers(
            scene.image,
            {"prediction": found["boxes"], "truth": scene.boxes},
            f"{len(found['boxes'])} boxes, {len(scene.boxes)} animals",
        )
        for scene, found in zip(test, detections, strict=True)
    ],
    columns=4,
    title="Any number of boxes, and too many of them",
)
notebook.Show(figure, "Four reefs; around most animals lies a bundle of dashed windows")

# %% [markdown]
# ## Lists, or padding?
#
# The truth comes as a list, too. To train on several pictures at once, we stack them to one tensor
# `[B, 3, H, W]`. Smaller pictures are filled up with zeros: **padding**. But boxes? One picture
# has one, the next has six. Some code fills them up as well, with boxes of zeros, so that they
# stack, too.

# %% [markdown]
# ## Commit · what padding teaches
#
# Suppose a network can give only one box for everything. Under L2 it learns the *mean* of all
# rows, as you saw in lesson 03. Somebody counts the rows of padding, too.

# %%
Commit(
    "Where does that box go, compared with the mean of the real boxes?",
    options={
        "it stays": "Every row counts in a mean, rows of zeros as well.",
        "it shrinks towards the top left corner": "Zeros pull all four numbers down.",
        "it grows over the whole picture": "Then the rows would have to be large. They are zeros.",
    },
    answer="it shrinks towards the top left corner",
    key="05-padding",
)

# %% [markdown]
# ## Break · padding counted as an object
#
# The same thirty pictures, joined in two ways: with lists, as detlab does, and by a classmate who
# filled up the boxes.

# %%
from detlab.data.datasets import collate

batch = [(scene.image, scene.target) for scene in scenes[150:]]
joined = {
    "lists": collate(batch)[1],
    "padded": exercises.collate.mistakes["padding counted as an object"](batch)[1],
}
means = {}
for name, targets in joined.items():
    rows = torch.cat([target["boxes"] for target in targets])
    means[name] = rows.mean(dim=0)
    x1, y1, x2, y2 = means[name].tolist()
    print(f"{name}: {len(rows)} 'animals', mean box {x2 - x1:.0f} × {y2 - y1:.0f} px", end=", ")
    print(f"its corner at {x1:.0f}, {y1:.0f}")

# %%
# The symptom, as assertions: a smaller box, farther up and left, and too many animals.
width = {name: (box[2] - box[0]).item() for name, box in means.items()}
assert width["padded"] < 0.8 * width["lists"]
assert (means["padded"] < means["lists"]).all()
rows = [len(target["boxes"]) for target in joined["padded"]]
print("animals a picture, says the padding:", set(rows), "in each of", len(rows))
assert len(set(rows)) == 1

# %% [markdown]
# No error anywhere; and every picture has as many "animals" as the fullest. Who pads has to carry
# a mask along, yes or no for each row: is it real? Lists need none. And a check at the door finds
# the padding: detlab sends every target that it loads through this one.

# %%
from detlab.checks import check_target

try:
    check_target(joined["padded"][0], "picture 0")
except ValueError as error:
    print(error)

# %% [markdown]
# ## Build · `collate`
#
# From a list of pairs (picture, target) to one tensor of pictures and one list of targets. Why a
# `multiple` of 32? So wide is a cell of the detector's coarsest map.

# %% [markdown]
# *Difficulty 3 of 5 · importance 4 of 5 · up to 15 minutes.*
#
# By hand: pictures of 20 × 40 and 36 × 10 (height × width), multiple 32. The largest height is 36,
# rounded up to 64; the largest width is 40, rounded up to 64. (A 64 would stay 64.) Both are
# filled up on the right and below, so that no pixel moves and every box stays true. Pictures stay
# uint8; the targets pass as they are, in a list.


# %%
def my_collate(batch, multiple=32):
    """Return images [B, 3, H, W] and a list of B targets, for a list of (image, target).

    Images [3, h, w] are filled up with zeros on the right and below. H and W are the largest
    height and width, rounded up to a multiple of `multiple`, the network's coarsest stride.
    """
    ...


exercises.collate.check(my_collate)

# %% [markdown]
# `exercises.collate.hint()` helps.
#
# ## Use · pictures of three sizes in the real detector
#
# The course's detector gets its training batches from this function; its own pictures all have one
# size. Here are three of three sizes. Its **box loss** (how wrong its boxes are; more in lesson 07)
# must be the same with your function, and grow with that of a classmate who pads on the left and
# above.

# %%
from detlab import detection_loss

detector, info = notebook.shipped_detector()
frames = [
    reef.draw_scene(54, index, image_size=size, objects=(2, 3))
    for index, size in enumerate([(96, 160), (128, 128), (150, 110)])
]
batch = [(scene.image, scene.target) for scene in frames]
functions = {
    "package": collate,
    "yours": exercises.collate.mine_or_reference(my_collate),
    "left and above": exercises.collate.mistakes["the padding is on the left and above"],
}
loss = {}
for name, function in functions.items():
    images, targets = function(batch)
    with torch.no_grad():
        loss[name] = detection_loss(detector(images), targets)["box"].item()
    print(f"{name:<14} {list(images.shape)}, box loss {loss[name]:.1f}")
assert loss["yours"] == loss["package"]
assert loss["left and above"] > loss["package"] + 0.2

# %% [markdown]
# And what the detector answers is the list that you know by now, a dict for each picture. Six
# pictures of its **validation set**, pictures that are kept apart from training:

# %%
from detlab import detect, load_dataset

val = load_dataset("reef", "val")
images, targets = zip(*(val[index] for index in range(6)), strict=True)
for found, target in zip(detect(detector, images), targets, strict=True):
    print(f"{len(target['boxes'])} animals, {len(found['boxes'])} boxes")

# %% [markdown]
# About as many boxes as animals, no more bundles: how it does that is the story of the next
# lessons.
#
# One warning. Padding leaves the boxes true, and yet the network *sees* it. A detector that learned
# from pictures without black edges "finds" animals where a picture meets the black. This one was
# shown pictures with black around them in training. Did it learn to pass that over? The three
# pictures of three sizes again, each alone and then in one padded batch:

# %%
from detlab.detector.postprocess import select_detections
from detlab.images import batch_images

pictures = [scene.image for scene in frames]
with torch.no_grad():
    predictions = detector(batch_images(pictures))
together = select_detections(predictions, [image.shape[1:] for image in pictures])
alone = detect(detector, pictures)
for name, found in (("each alone", alone), ("in one padded batch", together)):
    print(f"{name}: {sum(len(one['boxes']) for one in found)} boxes")
assert [len(one["boxes"]) for one in together] == [len(one["boxes"]) for one in alone]

# %% [markdown]
# It did. The detector that this course shipped before had seen whole pictures only: alone it
# reported 10 boxes on these three, too, and 55 in the padded batch. `detect` does not know how a
# detector was trained, so it lets only pictures of one size share a batch.
#
# The package's `collate`:

# %%
notebook.show_source(collate)

# %% [markdown]
# It leaves the pictures to `batch_images`, which the detector calls at work, too. The rest is one
# line: `list(targets)`.

# %% [markdown]
# ## Recap
#
# - A window that slides turns one answer of fixed size into any number of boxes (*A window that
#   slides*).
# - Half the stride is nearly four times the work (*Play · slide it*), and many windows fire on an
#   animal (*Commit · how many windows fire?*).
# - Convolutions give all windows in one pass: a grid of cells (*Commit · one by one, or all at
#   once?*).
# - Boxes travel as a list of dicts; no padding counts (*Break · padding counted as an object*).
# - Pictures are padded on the right and below (*Use*).

# %% [markdown]
# **Myth** "Sliding a window means running the network once per window." In *Commit · one by one, or
# all at once?* one pass gave the same 625 scores, many times faster.

# %% [markdown]
# **For experts** A convolution that pads its maps with zeros makes the two ways differ at the
# edges: a window is padded at *its* border, a cell sees what really lies there. Sharing one pass
# over all places is what made detectors fast; region proposals do the same when they pool from one
# map.
#
# **Connects to** lesson 06 (cells get guesses of several shapes), 07 (most cells are background)
# and 08 (duplicates).

# %% [markdown]
# **Next question:** one square per cell fits few animals. **Can guesses help?**

# %%
notebook.finish("05")
