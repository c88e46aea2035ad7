# %% [markdown]
# # 09 · The real thing
#
# Boxes, anchors, matching, losses, NMS: you have met every part. Now they become **one detector**,
# which you assemble, train from nothing, and debug. No error message tells when a detector learns
# nonsense. What does?
#
# **After this lesson you can** put a detector together, write its loss, read boxes from its
# output, find a mistake by overfitting one batch, and stop and resume a training.
# **Needs** lesson 08. **Runs** in 60 s on two processor cores; **takes** about 60 minutes.

# %%
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch.testing import assert_close
from torch.utils.data import Subset

from detlab import Detector, TrainConfig, detect, fit, load_dataset, reef
from detlab.boxes import clip_boxes
from detlab.course import exercises, notebook
from detlab.course.your_parts import suspects
from detlab.detector import losses
from detlab.detector.anchors import decode_deltas
from detlab.detector.config import named_config
from detlab.detector.postprocess import select_detections, to_scores
from detlab.draw.figures import Layers, Picture, draw_grid, draw_layers
from detlab.metrics.evaluation import evaluate, evaluate_images
from detlab.training.loop import configured_loss, load_run, save_run, start_run
from detlab.widgets import Commit, NMSLab, TrainingView

seed = notebook.seed()

# %% [markdown]
# One network, twice. On the left its weights are random. On the right it has trained for five
# minutes on two processor cores. Between them lies this lesson.

# %% tags=["thumbnail"]
trained, info = notebook.shipped_detector()
torch.manual_seed(0)
untrained = notebook.collect().detector(info.config)
scene = reef.draw_scene(reef.VAL_SEED, index=35, image_size=(192, 256))
[before] = detect(untrained, [scene.image], 128, score_threshold=0.0, max_detections=40)
[after] = detect(trained, [scene.image], 128, score_threshold=0.5)
figure = draw_layers(
    [
        Layers(scene.image, {"prediction": before["boxes"]}, "random weights: 40 best boxes"),
        Layers(scene.image, {"truth": scene.boxes, "prediction": after["boxes"]}, "5 minutes on"),
    ],
    title="What a training is for",
)
notebook.Show(figure, "A reef twice: forty boxes all over it; then one box around each animal")

# %% [markdown]
# ## Assemble
#
# Small pictures first, so that everything runs in seconds: 96 × 96 pixels. `four` holds four of
# them: one **batch**.

# %%
sea = reef.ReefConfig((96, 96), empty_fraction=0.0)
four = reef.Reef(seed + 100, 4, sea)
images, targets = zip(*four, strict=True)
batch = torch.stack(images)
print(list(batch.shape), batch.dtype)

# %% [markdown]
# The **body** is a stack of convolutions that makes the map coarser step by step. It leaves three
# maps: stride 8, 16 and 32. The **pyramid** then tells each fine map what the coarser ones have
# seen. Body and pyramid together are the **backbone**.
#
# A map is `[pictures, channels, rows, columns]`; the **channels** are what the network has found
# out about a cell, in 64 numbers. `normalise` first turns bytes into small numbers around 0.

# %%
config = replace(named_config("course", len(reef.CLASS_NAMES)), longest_side=96)
torch.manual_seed(seed)
detector = notebook.collect().detector(config)
maps = detector.backbone(detector.normalise(batch))
for level, features in enumerate(maps):
    print(f"level {level}, stride {8 * 2**level:>2}: {list(features.shape)}")

# %% [markdown]
# The **head** slides over every map, the same head over all three. It has two branches: one gives
# each anchor a logit per class, the other four deltas. The order is that of your anchor grid: row
# by row, cell by cell, shape by shape.
#
# How many anchors? The maps have 144 + 36 + 9 cells, with six shapes each: 1,134. How many logits?
# Seven animals and background: 8.

# %%
predictions = detector(batch)
print("logits ", list(predictions.logits.shape))
print("deltas ", list(predictions.deltas.shape))
print("anchors", list(predictions.anchors.shape))
print("weights", sum(weights.numel() for weights in detector.parameters()))

# %% [markdown]
# That is all a detector does: it **predicts**. The loss and the boxes are made from its predictions
# outside of it, by functions that you have written or are about to write.

# %%
notebook.show_source(Detector.forward)

# %% [markdown]
# ## Your parts
#
# `notebook.collect()` gathers what passed its check in lessons 02 to 08. Each is checked once more.
# What is right goes into the detector; the rest stays detlab's, and the table says why.
#
# Two class losses and two box losses stand in it. A training takes one of each: here *softmax*,
# with hard negatives, and *GIoU*. The other two are alternatives.

# %%
notebook.collect()

# %% [markdown]
# ## Build · `matched_loss`
#
# Matching has told every anchor what to learn. From there on, L = Lcls + lambda · Lbox. By hand:
# four anchors; one learns a turtle, two learn background, one is ignored. The class losses of the
# three that count add up to 1.2, the turtle's box loss is 0.5, lambda is 5.
#
# One positive: class 1.2 / 1, box 0.5 / 1, total 1.2 + 5 · 0.5 = 3.7.
#
# A mask `[B, A]` picks rows: `gt_boxes[labels > 0]` is `[P, 4]`. All pictures share their anchors:
# `anchors.expand(B, -1, -1)` is `[B, A, 4]`.

# %% [markdown]
# *Difficulty 4 of 5 · importance 5 of 5 · up to 20 minutes.*
#
# - every counted anchor learns a class; `class_loss` takes the anchors of **one** picture;
# - positive anchors (label above 0) also learn a box, those of all pictures together;
# - both sums are divided by the number of positives in the batch, at least 1;
# - a network may answer in bfloat16, so take `.float()` of logits and deltas first (*Which
#   device? Which precision?* shows why).


# %%
def my_matched_loss(predictions, labels, gt_boxes, counted, class_loss, box_loss, box_weight):
    """Return {"class": ..., "box": ..., "total": ...}, the loss of B pictures, A anchors each.

    predictions: .logits [B, A, K], .deltas [B, A, 4], .anchors [A, 4], and .delta_weights: four
    factors that box_loss wants to know, handed on as they are.
    labels: [B, A], 0 is background. gt_boxes: [B, A, 4], pixels; zeros where label is 0.
    counted: [B, A], False where an anchor is ignored. box_weight: the lambda.
    class_loss(logits [N, K], labels [N]): the sum over N anchors of one picture.
    box_loss(deltas [P, 4], anchors [P, 4], gt_boxes [P, 4], delta_weights): the sum over P.
    """
    ...


exercises.matched_loss.check(my_matched_loss)

# %% [markdown]
# Stuck? `exercises.matched_loss.hint()` gives one hint at a time; after the third,
# `exercises.matched_loss.solution()` shows the function that every training of this course uses.
#
# ## Build · `select_candidates`
#
# The other way out: from predictions to raw boxes, which then go into NMS. Its tools, each on one
# anchor: `to_scores` makes scores of logits, by `"softmax"` or `"sigmoid"`; background, column 0,
# gets the score 0. `decode_deltas` moves and stretches; its last argument is the `weights` of
# lesson 06. `clip_boxes` cuts off at the picture's edge, (height, width).

# %%
print("scores ", to_scores(torch.tensor([[0.0, 2.0, 1.0]]), "softmax"))
anchor, deltas = torch.tensor([[40.0, 0.0, 80.0, 20.0]]), torch.tensor([[0.75, 0.0, 0.0, 0.0]])
moved = decode_deltas(deltas, anchor, (1.0, 1.0, 1.0, 1.0))
print("decoded", moved)
print("clipped", clip_boxes(moved, (60, 96)))

# %% [markdown]
# *Difficulty 3 of 5 · importance 5 of 5 · up to 15 minutes.*
#
# By hand: two anchors, three classes, threshold 0.3. Scores `[0, .4, .5]` and `[0, .1, .2]`. Above
# 0.3 are class 1 and class 2 of the *first* anchor. So there are two raw boxes, both decoded from
# that anchor: labels `[2, 1]`, scores `[.5, .4]`, best first.
#
# Steps: scores, threshold, sort, keep the best `max_candidates`, decode, clip.
# `predictions.activation` is the word that `to_scores` wants.


# %%
def my_select_candidates(predictions, row, image_size, score_threshold, max_candidates):
    """Return boxes [N, 4], labels [N], scores [N] of one picture, best score first.

    predictions: .logits [B, A, K], .deltas [B, A, 4], .anchors [A, 4], .activation,
    .delta_weights. row: which of the B pictures. image_size: (height, width), pixels.
    An anchor gives a box for every class above the threshold.
    """
    ...


exercises.select_candidates.check(my_select_candidates)

# %% [markdown]
# `exercises.select_candidates.hint()` helps, `exercises.select_candidates.solution()` shows ours.
#
# Now the detector has all its parts, yours first. `parts.detector(config)` builds it, with fresh
# weights. `parts.loss` is the loss to train it with, and `parts.detect` finds boxes. `find` is the
# same with a low score threshold.

# %%
mine = {"matched_loss": my_matched_loss, "select_candidates": my_select_candidates}
parts = notebook.collect(**mine)
find = partial(parts.detect, score_threshold=0.05)
print("yours:", *(parts.yours or ["none yet, detlab's go in"]))

# %% [markdown]
# ## Commit · the first training
#
# Do not train on thousands of pictures first. Train on **one batch**, again and again, until the
# detector knows it by heart. It is called **overfitting**, and here it is wanted: who cannot learn
# four pictures by heart will not learn four thousand.
#
# **AP**, average precision, is one number for a whole list of boxes: 0 is nothing found; 1 is all
# found, placed well, and no false positive (a false alarm) that scores above them. Lesson 10 builds
# it.

# %%
Commit(
    "How many steps until it finds the animals of these four pictures (AP above 0.5)?",
    options={
        "8": "In eight steps it hardly learns to be silent about water.",
        "80": "A minute of work at most, and you know whether the parts fit together.",
        "8,000": "That is more than the five-minute training of the course's detector has.",
    },
    answer="80",
    key="09-overfit-steps",
)

# %% [markdown]
# ## Play · boxes that snap into place
#
# Run this cell and the next, and watch the dashed boxes. Which is learned first, *what* or *where*:
# which loss is the first to fall to a twentieth of where it began? (Class begins at about 9, box
# below 1, so box lies low from the start.) **stop training** ends it early.

# %% [markdown]
# An **epoch** is one round through the pictures. Here all four are one batch, so each epoch is one
# step. Positive from 0.4, negative below 0.4: no anchor is ignored. `quality=0.0` leaves the loss
# as you wrote it; *Commit · what bought most* says what a quality above 0 asks for.

# %%
# NBVAL_IGNORE_OUTPUT
overfit = TrainConfig(
    epochs=80.0, batch_size=4, negative_iou=0.4, average_decay=0.9, quality=0.0, seed=seed
)
view = TrainingView(
    images,
    targets,
    partial(parts.detect, detector),
    reef.CLASS_NAMES,
    lambda: evaluate_images(partial(find, detector), four, reef.CLASS_NAMES).coco["AP"],
)
view

# %% [markdown]
# `fit` gives a dict of numbers after every step, and the view shows them. The total is what you
# wrote, with lambda 5: class loss + 5 · box loss. What detects in the end is a mean of the weights
# of the last ten steps or so (`average_decay`), which calms the boxes.

# %%
# NBVAL_IGNORE_OUTPUT
async for _ in view.listen(fit(detector, four, overfit, loss=parts.loss(overfit))):
    pass
view

# %%
# NBVAL_IGNORE_OUTPUT
learned = evaluate_images(partial(find, detector), four, reef.CLASS_NAMES).coco["AP"]
print(f"AP on the four pictures after {len(view.history)} steps: {learned:.2f}")
assert view.stopped or learned > 0.3

# %% [markdown]
# ## Play · keep one box for each animal
#
# *What* came first: the class loss fell to nearly nothing, while the boxes were still settling.
#
# Here are the raw boxes of one of the four pictures, as `select_candidates` gives them, before any
# suppression. Move the two thresholds, score and IoU, until one box is left on each animal.

# %%
# NBVAL_IGNORE_OUTPUT
row = max(range(4), key=lambda row: len(targets[row]["boxes"]))
with torch.no_grad():
    predictions = detector.eval()(batch)
found = parts["select_candidates"](predictions, row, (96, 96), 0.02, 200)
raw = dict(zip(("boxes", "labels", "scores"), found, strict=True))
lab = NMSLab(
    images[row],
    raw,
    targets[row],
    reef.CLASS_NAMES,
    score_threshold=0.02,
    iou_threshold=1.0,
    task="Keep one box for each animal, and miss none",
    goal=lambda lab: lab.num_kept == len(targets[row]["boxes"]) and not lab.missed.any(),
)
lab

# %% [markdown]
# By code, at a score above 0.3:

# %%
# NBVAL_IGNORE_OUTPUT
for iou_threshold in (1.0, 0.9, 0.4):
    lab.score_threshold, lab.iou_threshold = 0.3, iou_threshold
    print(f"suppress above IoU {iou_threshold}: {lab.result}, {int(lab.missed.sum())} missed")
lab.preset("reset")

# %% [markdown]
# The detector does the same for each picture of a batch: your raw boxes, then NMS per class.

# %%
notebook.show_source(select_detections)

# %% [markdown]
# ## Break · one of three has a mistake
#
# Three students wrote the loss. All three run without an error, but **one has a mistake**. Each
# trains the same detector (same seed, same four pictures, same 80 steps).

# %%
detectors, histories = {}, {}
for letter, loss in suspects(parts, overfit).items():
    torch.manual_seed(seed)
    detectors[letter] = parts.detector(config)
    histories[letter] = list(fit(detectors[letter], four, overfit, loss=loss))
print(*detectors, "trained for", len(histories["A"]), "steps each")

# %% [markdown]
# Here is what most people look at first: the losses. The scale is logarithmic: from one mark to the
# next it is ten times as much.

# %%
figure = Figure(figsize=(10, 3.2), layout="constrained")
kinds = {"class": "class loss", "box": "box loss", "total": "total"}
for ax, (key, name) in zip(figure.subplots(1, 3), kinds.items(), strict=True):
    for letter, style in zip("ABC", ("-", "--", ":"), strict=True):
        ax.plot([step[f"loss_{key}"] for step in histories[letter]], style, label=letter)
    ax.set(title=name, xlabel="step", yscale="log")
    ax.legend(frameon=False)
figure.suptitle("All losses of all three fall")
notebook.Show(figure, "Three curves for A, B and C in each of three plots; all of them fall")

# %% [markdown]
# ## Commit · which one?
#
# C's box loss ends far below the others, B's class loss is the lowest all the way, and A's total
# ends highest.

# %%
Commit(
    "Which one has the mistake?",
    options={
        "A": "Its total is the largest, yes, but it falls, and it asks for all there is to learn.",
        "B": "Its class loss is the smallest of all: it leaves the hardest part out.",
        "C": "Its box loss is far smaller: it is another formula, Smooth L1. Losses of different"
        " formulas cannot be compared.",
    },
    answer="B",
    key="09-planted-fault",
)

# %% [markdown]
# Losses of different formulas cannot be compared, and a small loss may be small because it asks for
# little. So look at the **boxes**. (A box too many on one animal is a duplicate that NMS has let
# pass: the loss is not to blame.)

# %%
pictures = []
for letter, each in detectors.items():
    [found] = parts.detect(each, [images[row]], score_threshold=0.4)
    title = f"{letter}: {len(found['boxes'])} boxes"
    pictures.append(Picture(images[row], targets[row], found, title))
figure = draw_grid(pictures, reef.CLASS_NAMES, columns=3, title="B shouts everywhere")
notebook.Show(figure, "One picture three times: B has boxes all over it, A and C a few that fit")

# %% [markdown]
# Now all four pictures, and **precision**: the fraction of the boxes that are right, as in
# lesson 08.

# %%
# NBVAL_IGNORE_OUTPUT
from detlab.metrics.average_precision import match_image

precision = {}
for letter, each in detectors.items():
    found = parts.detect(each, images, score_threshold=0.4)
    right = torch.cat([match_image(*pair) >= 0 for pair in zip(found, targets, strict=True)])
    precision[letter] = right.float().mean()
    print(f"{letter}: {int(right.sum())} of {len(right)} boxes are right")
assert precision["B"] < 0.2 < min(precision["A"], precision["C"])

# %% [markdown]
# B finds most animals, among hundreds of boxes on water. Its class loss takes in the positive
# anchors only: nobody teaches background, so every anchor learns to shout. (`detect` keeps the best
# 100 boxes of a picture, else there would be more.) Its loss *begins* lower than the others', since
# it asks for less. Here is what the check says of this mistake:

# %%
first = {letter: history[0]["loss_total"] for letter, history in histories.items()}
assert first["B"] < 0.7 * min(first["A"], first["C"])
assert histories["B"][-1]["loss_total"] < 0.3 * first["B"]
print(exercises.matched_loss.mistakes["only the positives entered the class loss"].hint)

# %% [markdown]
# ## Break · a mistake that one batch forgives
#
# Overfitting finds what stops learning. Another student averaged both losses over **all** anchors
# instead of the positives. In lesson 07 an average over all anchors found next to nothing. Will the
# four pictures tell?

# %%
mistake = exercises.matched_loss.mistakes["both losses were averaged over all anchors"]
torch.manual_seed(seed)
forgiven = parts.detector(config)
wrong = parts.exchange("matched_loss", mistake.function).loss(overfit)
history = list(fit(forgiven, four, overfit, loss=wrong))
assert history[0]["loss_total"] < first["A"] / 10
assert evaluate_images(partial(find, forgiven), four, reef.CLASS_NAMES).coco["AP"] > 0.3
print("its loss is ten times smaller at least, and it learns the four pictures all the same")

# %% [markdown]
# In lesson 07 only the *class* loss was averaged over all, so the box loss was far louder. Here
# both shrink by the same factor. And the optimizers at work (Muon and AdamW, see *Commit · what
# bought most*) measure each gradient by its own size, so such a factor changes little. With plain
# gradient descent you would need another learning rate for each picture size.
#
# That is why parts are checked **one by one**, and then all together on one batch: each finds what
# the other forgives.

# %% [markdown]
# ## Use · a training with your parts
#
# Now pictures that it has never seen, in an easier world, so that a short training is enough: three
# kinds of animals, at most three in a picture, none tiny. First: is the loss with your parts the
# same as with the package's, step by step?

# %%
animals = ("turtle", "shark", "jellyfish")
world = replace(sea, classes=animals, objects=(1, 3), object_size=(0.3, 0.6))
training = TrainConfig(epochs=8.0, batch_size=8, average_decay=0.98, quality=0.0, seed=seed)
many = reef.Reef(seed + 200, 300, world)
totals = {}
for name, loss in {"yours": parts.loss(training), "package": configured_loss(training)}.items():
    torch.manual_seed(seed)
    steps = fit(parts.detector(config), many, training, loss=loss)
    totals[name] = torch.tensor([next(steps)["loss_total"] for _ in range(4)])
assert_close(totals["yours"], totals["package"], rtol=0.02, atol=0.02)
print("four steps with your parts lose what four steps with the package's lose")

# %% [markdown]
# Then 300 steps on 300 pictures, and AP on 40 others that it never trains on (**held out**).
# **AP50** is AP for boxes that may lie roughly: an IoU of 0.5 is enough. AP wants more, up to 0.95.

# %%
# NBVAL_IGNORE_OUTPUT
held_out = reef.Reef(reef.VAL_SEED, 40, world)
shown, truths = zip(*(held_out[row] for row in range(6)), strict=True)
torch.manual_seed(seed)
detector = parts.detector(config)
view = TrainingView(
    shown,
    truths,
    partial(parts.detect, detector),
    reef.CLASS_NAMES,
    lambda: evaluate_images(partial(find, detector), held_out, reef.CLASS_NAMES).coco["AP"],
)
view

# %%
# NBVAL_IGNORE_OUTPUT
# The training itself; with two quiet cores it takes some fifteen seconds.
async for _ in view.listen(fit(detector, many, training, loss=parts.loss(training))):
    pass
view

# %%
# NBVAL_IGNORE_OUTPUT
metrics = evaluate_images(partial(find, detector), held_out, reef.CLASS_NAMES).coco
print(f"held out: AP {metrics['AP']:.2f}, AP50 {metrics['AP50']:.2f}")
assert view.stopped or metrics["AP50"] > 0.3

# %% [markdown]
# From nothing to that in 300 steps. The course's detector trained longer: all seven animals, 4,000
# pictures, 128 × 128. It was made by one command:
#
# `detlab train --out runs/course`

# %%
notes = info.notes
print(f"{notes['steps']} steps in {notes['seconds']:.0f} s")
print(f"AP on 300 pictures, as written beside it: {notes['metrics']['AP']:.2f}")
some = Subset(load_dataset("reef", "val"), range(60))
measured = evaluate(trained, some, info.config.longest_side, info.class_names).coco["AP"]
print(f"AP on the first 60 of them, measured now: {measured:.2f}")
assert measured > 0.6

# %% [markdown]
# ## Commit · what bought most
#
# The same five minutes once gave AP 0.71. What lies between is a **ladder**: each rung is the one
# below it with one change more. The lowest is AdamW, whose rate falls along half a cosine.

# %% [markdown]
# 1. **Muon.** AdamW chooses a step for each *number* of a weight. Muon takes a weight as a whole,
#    a matrix, and moves it equally far in all directions, also in those where the gradient is
#    small. It moves what mixes channels, above all kernels; AdamW moves the rest.
# 2. **A flat rate.** The learning rate stays at its top for 40 % of the run and then falls along a
#    line.

# %% [markdown]
# 3. **Quality.** A positive anchor is not asked for a score of 1, but for one half way to its box's
#    IoU. Of two boxes on one animal the better one then scores higher, and NMS keeps it.
# 4. **1 × 1.** The last kernel of the head looks at one cell, not at nine. So a step is shorter.
# 5. **Zoom.** Each picture is shown up to 1.1 times larger or smaller, with black around it where
#    that leaves room.

# %%
Commit(
    "Which change buys the most AP in two minutes?",
    options={
        "Muon": "More than all others together, although each of its steps takes longer.",
        "the flat rate": "Two minutes are hardly better for it.",
        "quality": "It asks for scores that say how well a box fits. AP hardly moves.",
        "1 × 1": "It comes second.",
    },
    answer="Muon",
    key="09-what-bought-most",
)

# %% [markdown]
# Each cell is a training of its own, on two processor cores: AP, and behind the comma AP75, for
# boxes that fit well; where there are several seeds, their median, with lowest and highest. It
# takes hours, so it was done once, by `make speedrun`, and is read from a file.

# %%
from IPython.display import Markdown

from detlab.course.records import ladder, newest, read_record

trials = newest(read_record("speedrun"))
rungs = list(dict.fromkeys(trial["rung"] for trial in trials))
Markdown(ladder(trials, rungs, goal=0.7))

# %% [markdown]
# Zoom costs AP in a short training, since it makes the pictures harder, and gains in a longer one.
# It also prepares for pictures of other shapes, which come with black edges.
#
# One change can be tried here: your training from above once more, with AdamW in place of Muon.

# %%
# NBVAL_IGNORE_OUTPUT
torch.manual_seed(seed)
slower = parts.detector(config)
without = replace(training, optimizer="adamw")
for _ in fit(slower, many, without, loss=parts.loss(without)):
    pass
ap = evaluate_images(partial(find, slower), held_out, reef.CLASS_NAMES).coco["AP"]
print(f"held out: AP {ap:.2f} by AdamW alone, {metrics['AP']:.2f} with Muon")

# %% [markdown]
# ## Which device? Which precision?
#
# From here to the recap it is about long trainings; no later lesson needs it. This lesson's network
# is so small that a processor is fast enough. For large ones, `detlab train --device auto` takes a
# GPU where there is one. Network, pictures and targets must lie on the same **device**. New tensors
# take theirs from an argument (`torch.zeros_like(boxes)`), so that a function runs anywhere.
#
# **AMP** (automatic mixed precision) runs convolutions in bfloat16: half the memory, faster. The
# price is digits:

# %%
one = torch.tensor(256.0)
print("float32 :", (one + 1).item())
print("bfloat16:", (one.bfloat16() + 1).item())
print("the network answers in", trained(batch).logits.dtype)
with torch.autocast("cpu", torch.bfloat16):
    print("and under AMP in      ", trained(batch).logits.dtype)

# %% [markdown]
# Adding up thousands of small losses in bfloat16 would lose most of them, hence your `.float()`.
#
# ## Stop and resume
#
# A battery dies, a job is ended. What must be kept so that the training goes on **exactly**? The
# weights are not enough. The optimizer remembers past gradients, the averaged weights remember past
# ones, and the order of pictures depends on the step. All of it together is a **run**. First eight
# steps without a break:

# %%
short = TrainConfig(epochs=8.0, batch_size=4, quality=0.0, seed=seed)
torch.manual_seed(seed)
whole = parts.detector(config)
unbroken = [step["loss_total"] for step in fit(whole, four, short, loss=parts.loss(short))]
print(len(unbroken), "steps")

# %% [markdown]
# Then four steps, a file, and four more in a detector with *other* weights, as in another process.

# %%
file = Path(tempfile.mkdtemp()) / "resume.safetensors"
torch.manual_seed(seed)
run = start_run(parts.detector(config), short)
for step in fit(run.detector, four, short, run, parts.loss(short)):
    if step["step"] == 4:
        save_run(file, run)
        break
torch.manual_seed(seed + 1)
run = load_run(file, parts.detector(config), short)
resumed = [step["loss_total"] for step in fit(run.detector, four, short, run, parts.loss(short))]
print(len(resumed), "steps more")

# %% [markdown]
# Nothing may differ from the training without a break, not even in the last digit:

# %%
assert resumed == unbroken[4:]
assert_close(run.detector.state_dict(), whole.state_dict(), rtol=0, atol=0)
print("the same losses and the same weights, to the last bit")

# %% [markdown]
# On the command line, Ctrl-C saves, as SIGTERM and SIGHUP do, and
# `detlab train --out runs/course --resume` goes on.
#
# ## Commit · two processes
#
# With two GPUs, `torchrun --nproc-per-node 2 -m detlab train` starts two processes. Each sees half
# of the batch, and before the weights move they take the mean of their gradients.

# %%
Commit(
    "Each process divides its losses by its own positives. Is the mean of both the loss of the"
    " whole batch?",
    options={
        "yes": "Only if both halves happen to have the same number of positives.",
        "no": "The half with few objects weighs as much as the half with many.",
    },
    answer="no",
    key="09-two-processes",
)

# %% [markdown]
# Two pictures with one animal each for the first process, two with three each for the second. We
# compare the box loss:

# %%
scenes = [reef.draw_scene(5, row, world, objects=(n, n)) for row, n in enumerate((1, 1, 3, 3))]
truths = [each.target for each in scenes]
with torch.no_grad():
    predictions = trained(torch.stack([each.image for each in scenes]))
loss = parts.loss(training)
whole = loss(predictions, truths)["box"]
halves = []
for h in (slice(0, 2), slice(2, 4)):
    logits, deltas = predictions.logits[h], predictions.deltas[h]
    halves.append(loss(predictions._replace(logits=logits, deltas=deltas), truths[h])["box"])
print(f"whole batch {whole:.3f}, mean of the halves {sum(halves) / 2:.3f}")
assert not torch.isclose(whole, sum(halves) / 2, rtol=0.01)

# %% [markdown]
# So the processes first agree on their **mean** number of positives, and all divide by that. Then
# the mean of their losses is the loss of the whole batch:

# %%
from detlab.detector.matching import match_anchors

match = partial(match_anchors, positive_iou=training.positive_iou, negative_iou=0.3)
labels = losses.match_batch(predictions.anchors, truths, match)[0]
counts = (labels > 0).reshape(2, -1).sum(dim=1)
agreed = [half * count / counts.float().mean() for half, count in zip(halves, counts, strict=True)]
print("positives a process:", counts.tolist())
print(f"whole batch {whole:.3f}, mean of the halves now {sum(agreed) / 2:.3f}")
assert_close(sum(agreed) / 2, whole)

# %% [markdown]
# In the package, `mean_over_processes` takes that mean, and `num_processes` says how many there
# are:

# %%
notebook.show_source(losses.positives_to_divide_by)

# %% [markdown]
# ## Recap
#
# - A detector predicts; loss and boxes are functions of what it predicts (*Assemble*).
# - Everything is divided by the positives, once for the batch (*Build · `matched_loss`*,
#   *Commit · two processes*).
# - Overfit one batch first, and look at boxes (*Break · one of three has a mistake*).
# - One batch forgives some mistakes, so parts are checked alone as well (*Break · a mistake that
#   one batch forgives*).
# - Weights alone resume nothing: optimizer, average and step belong to a run (*Stop and resume*).

# %% [markdown]
# **Myth** "The loss falls, so it learns." In *Break · one of three has a mistake* the loss of B
# fell from the first step to the last, and B found everything everywhere.

# %% [markdown]
# **For experts** Hard negatives choose three background anchors for each positive, so the loss says
# nothing about the many easy ones; focal loss counts all. Batch norm sees each process's pictures
# alone unless it is synchronised (`SyncBatchNorm`). float16 needs a scaled loss, bfloat16 does not:
# it has float32's range.
#
# **Connects to** lesson 04 (lambda), 07 (who learns what) and 08 (NMS): all run inside this one.
# **Next question:** it finds animals. But is it any good?

# %%
notebook.finish("09")
