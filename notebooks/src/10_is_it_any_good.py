# %% [markdown]
# # 10 · Is it any good?
#
# In lesson 09 a number called AP rose while the detector learned. Is one number enough for a diver
# who must miss nothing, and for a robot that must never grasp at water?
#
# **After this lesson you can** compute precision, recall and average precision with your own
# code, name the kind of an error and its cost, choose a threshold on purpose, and see through a
# number that misleads.
# **Needs** lesson 09. **Runs** in 30 s on two processor cores; **takes** about 70 minutes.

# %%
from collections import Counter

import torch
from matplotlib.figure import Figure

from detlab import detect, load_dataset, reef
from detlab.course import exercises, notebook
from detlab.draw.figures import add_legend, box_captions, draw_boxes, draw_image
from detlab.metrics.average_precision import class_average_precision, match_image
from detlab.metrics.coco import coco_metrics
from detlab.widgets import Commit, ThresholdLab

seed = notebook.seed()

# %% [markdown]
# One detector, one picture, three score thresholds: a box is shown if it scores that much or more.
# Green and solid is what is there. Which of the three answers is the good one? Whoever asks that
# must say what for; at the end of the lesson you can.

# %% tags=["thumbnail"]
detector, info = notebook.shipped_detector()
scene = reef.draw_scene(10, index=25, image_size=(320, 480), objects=(4, 6), empty_fraction=0.0)
figure = Figure(figsize=(10, 2.8), layout="constrained")
for ax, score in zip(figure.subplots(1, 3), (0.05, 0.5, 0.95), strict=True):
    [boxed] = detect(detector, [scene.image], info.config.longest_side, score_threshold=score)
    draw_image(ax, scene.image)
    draw_boxes(ax, scene.boxes, "truth")
    draw_boxes(ax, boxed["boxes"], "prediction", box_captions(boxed, info.class_names), 0.7)
    title = f"score from {score}: {len(boxed['boxes'])} boxes for {len(scene.boxes)} animals"
    ax.set_title(title, size=10)
add_legend(figure, ["truth", "prediction"])
notebook.Show(
    figure,
    "The same reef three times: many boxes, two or three on one animal; fewer; too few.",
)

# %% [markdown]
# ## One question, 300 times
#
# A picture proves nothing: somebody chose it. So we ask about **all** pictures of a set that the
# detector never saw in training and that never changes, the **validation set**. Everything that
# scores at least 0.01 is kept; what to throw away is decided later.

# %%
val = load_dataset("reef", "val")
images, truth = zip(*(val[row] for row in range(len(val))), strict=True)
found = []
for first in range(0, len(val), 20):
    batch = images[first : first + 20]
    found += detect(detector, batch, info.config.longest_side, score_threshold=0.01)
num_animals = sum(len(target["labels"]) for target in truth)
print(f"{len(found)} pictures with {num_animals} animals")
print(f"about {sum(len(f['boxes']) for f in found) / 1000:.0f} thousand boxes")

# %% [markdown]
# Four boxes for each animal, and an animal needs one. Most must be wrong. What *is* right?
#
# - A **true positive** (TP), also called a hit, names the class of an animal and overlaps it with
#   an IoU of at least 0.5.
# - Each animal counts once. The best score chooses first; a second box on the same animal is a
#   **duplicate**.
# - Every other detection is a **false positive** (FP), duplicates too; an animal that no detection
#   has found is missed, a **false negative** (FN).

# %% [markdown]
# ## Build · `match_detections`
#
# One picture, one class. By hand: one animal at `[0, 0, 14, 10]`. Row 0 is `[0, 3, 14, 10]`, IoU
# 0.70, score 0.9. Row 1 is `[1, 0, 14, 10]`, IoU 0.93, score 0.7.

# %% [markdown]
# *Difficulty 3 of 5 · importance 5 of 5 · up to 15 minutes.*
#
# Row 0 chooses first, and 0.70 is enough: it takes animal 0. Row 1 fits better and comes too
# late. So the answer is `[0, -1]`: for each row its animal, or −1.
#
# If its favourite is taken, a row turns to the best animal that is still free, provided that their
# IoU reaches the threshold, too.


# %%
def my_match_detections(boxes, scores, gt_boxes, iou_threshold=0.5):
    """Return for each of the boxes [N, 4] its row of gt_boxes [M, 4], or -1: int64 [N].

    Boxes are x1 y1 x2 y2 in pixels; scores are [N]. Of equal scores the first row goes first.
    """
    ...


exercises.match_detections.check(my_match_detections)

# %% [markdown]
# `exercises.match_detections.hint()` helps. Now every picture, class by class (`match_image` loops
# over the classes and calls your function). Then all detections of all pictures stand in one long
# line, the best score first.

# %%
match = exercises.match_detections.mine_or_reference(my_match_detections)
matches = [match_image(f, t, match=match) for f, t in zip(found, truth, strict=True)]
is_hit = torch.cat(matches) >= 0
scores = torch.cat([f["scores"] for f in found])
print(f"{is_hit.float().mean():.2f} of the boxes are right,", end=" ")
print(f"{is_hit.sum() / num_animals:.2f} of the animals are found")

# %% [markdown]
# Two fractions, and they have names.
#
# **Precision** is the fraction of the *detections* that are true positives, TP / (TP + FP): can I
# trust a box?
#
# **Recall** is the fraction of the *animals* that are found, TP / (TP + FN): is anything missing?
#
# ## Commit · what a threshold does
#
# So far everything from a score of 0.01 counts. Now the score threshold rises, from 0.05 to 0.98.
# Boxes go away, right ones and wrong ones.

# %%
Commit(
    "What happens on the way to precision and to recall?",
    options={
        "both rise": "Recall cannot: no box comes back, so no further animal is found.",
        "precision rises, recall falls": "Wrong boxes go first if scores are worth anything; with"
        " the last ones animals are lost, too.",
        "both fall": "Precision would fall if the right boxes scored least.",
    },
    answer="precision rises, recall falls",
    key="10-threshold",
)

# %% [markdown]
# Three thresholds on the way:

# %%
for threshold in (0.05, 0.5, 0.98):
    taken = scores >= threshold
    right, wrong = (taken & is_hit).sum(), (taken & ~is_hit).sum()
    print(f"score from {threshold}: {right / (right + wrong):.2f} of the boxes are right,", end=" ")
    print(f"{right / num_animals:.2f} of the animals are found")

# %% [markdown]
# ## Play · a point on a curve
#
# Slide. Blue boxes are true positives, red ones false positives, white ones missed animals (false
# negatives). The dot in the chart is the threshold; its place is recall to the right and precision
# upwards. The counts are of all 300 pictures, the first six are shown.

# %%
threshold_lab = ThresholdLab(
    images[:6],
    found,
    truth,
    info.class_names,
    score_threshold=0.05,
    task="Precision at least 0.95, and still a recall of 0.95",
    goal=lambda lab: lab.precision >= 0.95 and lab.recall >= 0.95,
)
threshold_lab

# %% [markdown]
# The dot runs along the **precision–recall curve**. A threshold is one point of it; the detector
# is the whole curve. To draw it, let the threshold fall past one detection after the other.
#
# ## Build · `precision_recall`
#
# *Difficulty 2 of 5 · importance 5 of 5 · up to 10 minutes.* By hand: four animals, and three
# detections that score 0.9 (TP), 0.7 (FP) and 0.5 (TP).
#
# | taken | TP | precision | recall |
# |---|---|---|---|
# | 1 | 1 | 1 / 1 | 1 / 4 |
# | 2 | 1 | 1 / 2 | 1 / 4 |
# | 3 | 2 | 2 / 3 | 2 / 4 |


# %%
def my_precision_recall(scores, is_hit, num_objects):
    """Return precision and recall, float64 [N] each, after 1, 2 … N detections, best score first.

    scores are [N], is_hit is bool [N], both in any order; num_objects is an int.
    """
    ...


exercises.precision_recall.check(my_precision_recall)

# %% [markdown]
# `exercises.precision_recall.hint()` helps. The detector's curve, all classes together:

# %%
precision_recall = exercises.precision_recall.mine_or_reference(my_precision_recall)
precision, recall = precision_recall(scores, is_hit, num_animals)
figure = Figure(figsize=(6, 3.6), layout="constrained")
ax = figure.add_subplot(title="Nine of ten animals cost little; the last ones cost dearly")
ax.plot(recall, precision, color="#0072b2")
for threshold, sign in zip((0.98, 0.5, 0.05), "os^", strict=True):
    last = int((scores >= threshold).sum()) - 1
    ax.plot(recall[last], precision[last], sign, color="#d55e00", label=f"score {threshold}")
ax.set(xlabel="recall, fraction of the animals", ylabel="precision, fraction of the boxes")
ax.set(xlim=(0, 1.02), ylim=(0, 1.05))
ax.legend(title="threshold", frameon=False, loc="lower left")
notebook.Show(
    figure,
    "Precision over recall: near 1 up to a recall of 0.9, then it falls steeply. The thresholds"
    " 0.98, 0.5 and 0.05 lie one after the other on the falling part.",
)

# %% [markdown]
# Of two detectors the one with the higher curve is better. To rank many in a table, one number must
# do, and the usual one is the area under the curve: **average precision**, **AP**.
#
# It is read at 101 **levels** of recall: 0, 0.01 … 1. At each level stands the best precision among
# all points with *at least* that much recall: who can have more of both takes it. At levels that
# the curve never reaches stands 0. AP is the mean of the 101 numbers.

# %% [markdown]
# ## Build · `average_precision`
#
# *Difficulty 4 of 5 · importance 5 of 5 · up to 15 minutes.* By hand, the table above: precision
# 1, 1/2, 2/3 at recall 1/4, 1/4, 2/4.
#
# - Levels 0 to 0.25 are 26 levels; the best precision with that recall is 1.
# - Levels 0.26 to 0.50 are 25 levels; the best is 2/3.
# - Levels 0.51 to 1 are 50 levels, never reached: 0.
#
# AP = (26 · 1 + 25 · 2/3) / 101 = 0.4224.


# %%
def my_average_precision(precision, recall):
    """Return the average precision, one float64 number as a tensor of shape [].

    precision and recall are float64 [N], best score first; N may be 0, then nothing is reached.
    """
    ...


exercises.average_precision.check(my_average_precision)

# %% [markdown]
# `exercises.average_precision.hint()` helps.
#
# ## Use · one number for each class, one for all
#
# So far all classes stood in one line. Properly, AP is computed for one class at a time: its own
# detections, its own animals. The mean over the classes is **mAP**, mean average precision. COCO,
# most papers, and this course write AP and mean mAP. Your three functions are enough for it:

# %%
average_precision = exercises.average_precision.mine_or_reference(my_average_precision)
labels = torch.cat([f["labels"] for f in found])
animals = torch.cat([target["labels"] for target in truth])
ap50 = {}
for label, name in enumerate(info.class_names[1:], start=1):
    mine, there = labels == label, int((animals == label).sum())
    ap50[name] = float(average_precision(*precision_recall(scores[mine], is_hit[mine], there)))
    print(f"{name:<10} {ap50[name]:.2f}")
mean_ap50 = sum(ap50.values()) / len(ap50)
print(f"mAP        {mean_ap50:.2f}")

# %% [markdown]
# Is that what others would measure? `coco_metrics` hands our lists to a library that counts by the
# rules of COCO, as most published tables do. (COCO is the collection of labelled photographs of
# lesson 02.) It gives twelve numbers; we look at one of them:

# %%
coco = coco_metrics(found, truth, info.class_names).coco
print(f"library {coco['AP50']:.2f}, yours {mean_ap50:.2f}")
print("they differ by less than a thousandth:", abs(coco["AP50"] - mean_ap50) < 1e-3)
assert abs(coco["AP50"] - mean_ap50) < 1e-3  # a recall right on a level may be rounded below it

# %% [markdown]
# **AP50** means that an IoU of 0.5 was enough. Is it? In lesson 02 a box moved by a third of its
# width still had 0.5. So COCO asks ten times, with IoU thresholds 0.50, 0.55 … 0.95, and the mean
# over all ten is what is called **AP** without a number.

# %%
for strict in (0.5, 0.75, 0.9):
    each = [class_average_precision(found, truth, label, strict) for label in range(1, 8)]
    print(f"IoU from {strict}: mAP {sum(each) / 7:.2f}")
print(f"mean over ten IoU thresholds: AP {coco['AP']:.2f}")
assert coco["AP50"] > coco["AP75"] + 0.05 > coco["AP"]

# %% [markdown]
# The same boxes: excellent if they may lie roughly, poor if they must fit closely. Whoever says a
# number must say its IoU. This is how the package computes one class at one IoU:

# %%
notebook.show_source(class_average_precision)

# %% [markdown]
# ## Use · how sure is that number?
#
# Another 300 pictures would give another AP. How far off? Draw 300 of our pictures by lot, *with
# repetition*, as if they were new ones, and compute AP again; ten times. This is the
# **bootstrap**. "Give or take" is the standard deviation of the ten.

# %%
lots = torch.Generator().manual_seed(seed)
again = []
for _ in range(10):
    rows = torch.randint(0, 300, (300,), generator=lots).tolist()
    drawn = [found[row] for row in rows], [truth[row] for row in rows]
    again.append(coco_metrics(*drawn, info.class_names).coco["AP"])
spread = torch.tensor(again).std()
print(f"AP {coco['AP']:.2f}, give or take {spread:.2f}")
assert 0.002 < spread < 0.02

# %% [markdown]
# So a detector that is ahead by 0.01 on 300 *other* pictures may be ahead by luck. On the same
# pictures both have the same luck: draw the same lots for both, and ask for the spread of the
# difference.
#
# ## Break · an animal found twice
#
# Somebody forgets that an animal counts only once, and every duplicate becomes a true positive. The
# mistake runs without an error, and AP goes *up*. (All classes in one line again.) One number gives
# it away:

# %%
many = exercises.match_detections.mistakes["an object was found more than once"]
twice = torch.cat([match_image(f, t, match=many) for f, t in zip(found, truth, strict=True)]) >= 0
for name, hits in (("once", is_hit), ("many times", twice)):
    curve = precision_recall(scores, hits, num_animals)
    ap = average_precision(*curve)
    print(f"an animal counts {name}: AP {ap:.2f}, recall ends at {curve[1][-1]:.2f}")
assert curve[1][-1] > 1.05
assert average_precision(*curve) > average_precision(precision, recall) + 0.01

# %% [markdown]
# More animals found than there are. A fraction above 1 is a mistake in the program that measures,
# and such programs deserve tests as much as the detector.
#
# ## Commit · copies
#
# Now the measure is right, and we attack it. Keep what scores at least 0.3, as a user would see
# it. To each box we add a **copy** with a third of its score. Every copy is a false positive: the
# animal, if there is one, is found already.

# %%
Commit(
    "What does AP say to the copies?",
    options={
        "it halves": "That is what happens to precision, if the copies are shown.",
        "it falls by a tenth": "Copies are false positives, so a price seems fair. Look at where"
        " they stand in the line.",
        "it hardly moves": "The copies come last, when recall has no more to gain.",
    },
    answer="it hardly moves",
    key="10-copies",
)

# %% [markdown]
# ## Break · the metric lies
#
# Twice: copies with a third of the score, and copies with the same score. Precision is that of
# everything shown.

# %%
shown = [{key: value[f["scores"] >= 0.3] for key, value in f.items()} for f in found]
result = {}
for name, factor in (("no copies", None), ("a third of the score", 0.33), ("the same score", 1.0)):
    boxed = shown
    if factor is not None:
        copies = [{**f, "scores": f["scores"] * factor} for f in shown]
        pairs = zip(shown, copies, strict=True)
        boxed = [{key: torch.cat([f[key], c[key]]) for key in f} for f, c in pairs]
    hits = [match_image(f, t, match=match) >= 0 for f, t in zip(boxed, truth, strict=True)]
    ap = coco_metrics(boxed, truth, info.class_names).coco["AP"]
    result[name] = ap, float(torch.cat(hits).float().mean())
    print(f"{name:<21} AP {ap:.2f}, precision {result[name][1]:.2f}")
assert abs(result["a third of the score"][0] - result["no copies"][0]) < 0.01
assert result["a third of the score"][1] < 0.51 * result["no copies"][1]
assert result["the same score"][0] < 0.6 * result["no copies"][0]

# %% [markdown]
# AP asks whether right boxes stand *before* wrong ones. Copies at the end of the line cost
# nothing. With the same score each stands next to its box: precision is a half all along.
#
# Whoever shows the whole list shows every box twice, both times. AP ranks detectors; it says
# nothing of the threshold that you choose.
#
# ## Break · everything is background
#
# Another metric lies worse: **accuracy**, the fraction of right answers. As in lesson 07, ask each
# anchor: animal or background? A detector that always says *background* finds nothing, ever.

# %%
from detlab.detector.matching import NEGATIVE, match_anchors

with torch.no_grad():
    anchors = detector(torch.stack(images[:1])).anchors
of_anchors = torch.cat([match_anchors(anchors, target["boxes"]) for target in truth])
none = {"boxes": torch.zeros(0, 4), "labels": labels[:0], "scores": scores[:0]}
accuracy = (of_anchors == NEGATIVE).sum() / (of_anchors >= NEGATIVE).sum()
silent = coco_metrics([none] * len(truth), truth, info.class_names).coco["AP"]
print(f"{len(anchors)} anchors a picture: {accuracy:.1%} answered rightly, AP {silent:.2f}")
assert accuracy > 0.985
assert silent == 0

# %% [markdown]
# ## What kind of error?
#
# To fix something, you must know *what* is wrong. Every false positive has a reason:
#
# - duplicate: right class, right place (IoU from 0.5), but a better one was first
# - **class** error: right place, wrong class
# - **location** error: right class, wrong place (IoU from 0.1 to 0.5)
# - **both**: wrong class and place, yet it touches an animal (IoU from 0.1)
# - **background**: it touches none
#
# *missed* is an animal that no detection has found, not even with a class or location error;
# *correct* is a true positive.

# %%
from detlab.metrics.error_kinds import ERRORS, error_kinds, fix_errors

kinds = [error_kinds(f, t).kinds for f, t in zip(found, truth, strict=True)]
sure = [error_kinds(f, t).kinds for f, t in zip(shown, truth, strict=True)]
counted, counted_sure = (sum(map(Counter, each), Counter()) for each in (kinds, sure))
for kind, number in counted.most_common():
    print(f"{kind:<10} {number / len(scores):4.0%} of all, ", end="")
    print(f"{counted_sure[kind] / counted_sure.total():4.0%} of those from 0.3")

# %% [markdown]
# One of each, the one with the best score. Its name and score stand above its box; the true names
# stand below theirs. In the first picture the true positives are dashed, too, so that you see what
# the duplicate doubles.

# %%
figure = Figure(figsize=(10, 2.7), layout="constrained")
reasons = ("duplicate", "class", "location", "both", "background")
for ax, reason in zip(figure.subplots(1, 5), reasons, strict=True):
    places = [
        (row, at) for row in range(300) for at, kind in enumerate(kinds[row]) if kind == reason
    ]
    row, at = max(places, key=lambda place: found[place[0]]["scores"][place[1]])
    names = box_captions(found[row], info.class_names)
    correct = [place for place, kind in enumerate(kinds[row]) if kind == "correct"]
    draw_image(ax, images[row])
    draw_boxes(ax, truth[row]["boxes"], "truth", box_captions(truth[row], info.class_names), 0.7)
    if reason == "duplicate":
        draw_boxes(ax, found[row]["boxes"][correct], "prediction", scale=0.7)
    draw_boxes(ax, found[row]["boxes"][[at]], "prediction", [names[at]], 0.7)
    ax.set_title(reason)
add_legend(figure, ["truth", "prediction"])
notebook.Show(
    figure,
    "Five pictures, each with one wrong box: a second one on an animal already found, "
    "a wrong name, a box beside its animal, a wrong name beside one, a box on nothing.",
)

# %% [markdown]
# ## Commit · what to fix first
#
# By far the most errors in that list are *class* errors. But what do they cost? We fix the errors
# of **one** kind and leave the others: wrong names get the right name, wrong places the right
# place; duplicates, *both* and *background* are removed; missed animals are taken out of the
# truth. Then AP is measured again, over all ten IoU thresholds.
#
# AP wants boxes that fit, so this time a place is right only from an IoU of **0.75**.

# %%
Commit(
    "Which kind, once fixed, raises AP most?",
    options={
        "class": "They are most in number. But where do they stand in the line?",
        "location": "Ten IoU thresholds up to 0.95 ask for boxes that fit like a glove.",
        "duplicate": "You know by now what low-ranked duplicates cost.",
        "background": "There are few of them, and nearly all score low.",
    },
    answer="location",
    key="10-mend",
)

# %% [markdown]
# The answer is the last column; from each column to the next one thing changes.
#
# - First: a place is right from 0.5, as in the list, and AP50 measures.
# - Second: the same errors are fixed, and AP measures.
# - Third: a place is right only from 0.75. Now boxes that lie roughly are location errors, too, and
#   are fixed with the others.
#
# Then the first and the last column as bars; mind that the two scales differ.

# %%
# NBVAL_IGNORE_OUTPUT
gains = {}
for place in (0.5, 0.75):
    for error in ERRORS:
        fixed = [fix_errors(f, t, error, place) for f, t in zip(found, truth, strict=True)]
        better = coco_metrics(*zip(*fixed, strict=True), info.class_names).coco
        gains[error, place] = {name: better[name] - coco[name] for name in ("AP", "AP50")}
print("gain in                AP50         AP         AP")
print("a place is right   from 0.5   from 0.5  from 0.75")
for error in ERRORS:
    rough, fitting = gains[error, 0.5], gains[error, 0.75]
    print(f"{error:<16} {rough['AP50']:>10.4f} {rough['AP']:>10.4f} {fitting['AP']:>10.4f}")
others = [gains[error, 0.75]["AP"] for error in ERRORS if error != "location"]
assert gains["location", 0.75]["AP"] > 3 * max(others)
assert gains["class", 0.5]["AP50"] > gains["location", 0.5]["AP50"]
assert gains["duplicate", 0.5]["AP"] < 0

# %%
# The same as bars:
figure = Figure(figsize=(9, 3), layout="constrained")
left, right = figure.subplots(1, 2, sharey=True)
left.barh(ERRORS, [gains[error, 0.5]["AP50"] for error in ERRORS], color="#0072b2")
right.barh(ERRORS, [gains[error, 0.75]["AP"] for error in ERRORS], color="#d55e00")
left.set(title="Rough boxes do: names cost most", xlabel="gain in AP50, place from 0.5")
right.set(title="Boxes must fit: places cost most", xlabel="gain in AP, place from 0.75")
left.invert_yaxis()
left.locator_params(axis="x", nbins=4)
notebook.Show(figure, "Left, AP50: class has the longest bar. Right, AP: location, by far.")

# %% [markdown]
# Whoever only counts errors would fix names. For AP that gains next to nothing, and better places
# gain far more, once all that lie roughly are fixed. For AP50 names do gain most. *What* you should
# fix depends on what you need: to count fish, fix names; to grasp one, fix places.
#
# The middle column holds a gain below 0: without duplicates AP falls a little. A duplicate may fit
# better than the box that came first. Where only a close fit counts, it was the true positive.

# %% [markdown]
# ## Play · what does an error cost you?
#
# A survey of rare animals: each **missed** animal (FN) costs as much as **50** false positives
# (FP, false alarms), which somebody sorts out by hand. The line *cost* adds up both: FP + 50 · FN.
# At the start there are few false positives, and yet the cost is high. Find a cheaper threshold.

# %%
cost_lab = ThresholdLab(
    images[:6],
    found,
    truth,
    info.class_names,
    score_threshold=0.95,
    task="A cost below 1,500",
    goal=lambda lab: lab.cost < 1500,
    miss_cost=50,
)
cost_lab

# %% [markdown]
# The same by code, at three thresholds. None of them is cheap enough for the task:

# %%
for threshold in (0.95, 0.5, 0.05):
    taken = scores >= threshold
    wrong, missed = (taken & ~is_hit).sum(), num_animals - (taken & is_hit).sum()
    cost = wrong + 50 * missed
    print(f"score from {threshold:.2f}: {wrong:>5,} false positives", end=" ")
    print(f"+ 50 · {missed:>2} missed = {cost:,}")
    assert cost > 1500

# %% [markdown]
# ## Use · choose on one half, evaluate on the other
#
# On the pictures on which a threshold was chosen, it looks better than it is. So choose on one half
# of the set and evaluate on the other.
#
# Without known costs people often use **F1** = 2 · precision · recall / (precision + recall): high
# only where both are. In counts, that is 2 · TP / (detections + animals).

# %%
lots = torch.Generator().manual_seed(seed)
thresholds = torch.linspace(0.02, 0.98, 49)
f1, cost = torch.zeros(2, 49), torch.zeros(2, 49)
for half, rows in enumerate(torch.randperm(300, generator=lots).view(2, 150).tolist()):
    taken = torch.cat([found[row]["scores"] for row in rows]) >= thresholds[:, None]  # [49, N]
    hits = torch.cat([matches[row] for row in rows]) >= 0
    there = sum(len(truth[row]["labels"]) for row in rows)
    right, wrong = (taken & hits).sum(dim=1), (taken & ~hits).sum(dim=1)
    f1[half] = 2 * right / (right + wrong + there)
    cost[half] = wrong + 50 * (there - right)
by_f1, by_cost, middle = int(f1[0].argmax()), int(cost[0].argmin()), 24  # 24 is 0.50

# %% [markdown]
# Three thresholds: 0.5, and the two that are best on the first half. This is what the second half
# says of them. In the plot, the two curves need not be best at the same place: that is why we
# evaluate on the second half.

# %%
# NBVAL_IGNORE_OUTPUT
for name, row in (("0.5, as many do", middle), ("best F1", by_f1), ("least cost", by_cost)):
    print(f"{name:<15} (from {thresholds[row]:.2f}): F1 {f1[1, row]:.2f},", end=" ")
    print(f"cost {cost[1, row]:.0f}")
assert f1[1, by_f1] > f1[1].max() - 0.02
assert abs(f1[1, by_f1] - f1[1, middle]) < 0.03
assert cost[1, by_cost] < min(cost[1, middle], cost[1, by_f1])
assert thresholds[by_cost] < thresholds[by_f1] - 0.1

# %%
# The whole of both halves; the grey line is the threshold chosen on the first one:
figure = Figure(figsize=(9, 3), layout="constrained")
left, right = figure.subplots(1, 2)
for half, style in ((0, "-"), (1, "--")):
    name = ("first half, chosen here", "second half, evaluated here")[half]
    left.plot(thresholds, f1[half], style, color="#0072b2", label=name)
    right.plot(thresholds, cost[half], style, color="#d55e00", label=name)
left.axvline(thresholds[by_f1], color="grey", linewidth=0.8)
right.axvline(thresholds[by_cost], color="grey", linewidth=0.8)
left.set(title="F1 is nearly level in the middle", xlabel="score threshold", ylabel="F1")
right.set(title="Costly misses want a low one", xlabel="score threshold", ylabel="cost")
left.legend(frameon=False, loc="lower right")
notebook.Show(
    figure, "F1 is nearly level from 0.4 to 0.9; cost is least near 0.15, then it climbs."
)

# %% [markdown]
# There is no *right* threshold, there are only prices; so of the three pictures at the beginning,
# the diver rather takes the left one and the robot the right one. F1 finds 0.5 as good as any near
# it, and the survey pays half as much again for it. What do the scores mean?
#
# ## Commit · sure, surer
#
# If scores were honest, half of the boxes that score about 0.5 would be right.

# %%
Commit(
    "Of the boxes that score 0.3 to 0.8, how many are right?",
    options={
        "nearly all": "Only of those that score more. Scores do rise with what is right.",
        "about half": "That is what the scores promise.",
        "about 1 in 4": "The scores in the middle promise twice what they keep.",
    },
    answer="about 1 in 4",
    key="10-scores",
)

# %% [markdown]
# Ten bins of scores: what does each bin promise (its mean score), what does it keep (its fraction
# of true positives)? A detector whose bins keep what they promise is **calibrated**. The mean gap,
# each box counting once, is the **expected calibration error**.

# %%
# NBVAL_IGNORE_OUTPUT
from detlab.metrics.calibration import calibration

bins = calibration(scores, is_hit)
for promised, kept, number in zip(*(column.tolist() for column in bins), strict=True):
    print(f"{number:>4} boxes: promised {promised:.2f}, kept {kept:.2f}")
print(f"expected calibration error {bins.error:.2f}")
middling = (scores >= 0.3) & (scores < 0.8)
print(f"score 0.3 to 0.8: {is_hit[middling].float().mean():.0%} are right")
assert is_hit[middling].float().mean() < 0.3

# %%
# As a picture, beside what honest scores would keep:
figure = Figure(figsize=(5, 3.6), layout="constrained")
ax = figure.add_subplot(title="In the middle less is kept than promised")
centres = torch.arange(10) / 10 + 0.05
ax.bar(centres, bins.fraction_correct, width=0.09, color="#0072b2", label="kept")
ax.plot([0, 1], [0, 1], "--", color="#d55e00", label="an honest score")
ax.set(xlabel="score (promised)", ylabel="precision in the bin (kept)", xlim=(0, 1), ylim=(0, 1))
ax.legend(frameon=False)
notebook.Show(figure, "Bars far below the diagonal up to 0.8; the last two bins reach it.")

# %% [markdown]
# The calibration error looks small because more than half of the boxes score below 0.1: where
# little is promised, the gap is small. In the middle the gap is large. What are the wrong boxes
# there? Ask for their kind:

# %%
all_kinds = [kind for each in kinds for kind in each]
wrong = (middling & ~is_hit).nonzero()[:, 0].tolist()
[(most, number)] = Counter(all_kinds[row] for row in wrong).most_common(1)
print(f"most of them: {most}, {number} of {len(wrong)}")
assert most == "class"

# %% [markdown]
# Right places, wrong names. Many are second names: lesson 08's NMS works class by class, so *turtle
# 0.98* and *stingray 0.35* live side by side on one animal. If that is it, suppressing across
# classes must help. We look at what scores 0.3 or more:

# %%
from detlab.detector.suppression import nms

single = []
for f in found:
    kept = nms(f["boxes"], f["scores"], 0.5)  # labels are not looked at
    single.append({key: value[kept] for key, value in f.items()})
for name, boxed in (("class by class", found), ("across classes", single)):
    visible = torch.cat([f["scores"] for f in boxed]) >= 0.3
    hits = torch.cat([match_image(f, t) for f, t in zip(boxed, truth, strict=True)]) >= 0
    ap = coco_metrics(boxed, truth, info.class_names).coco["AP"]
    print(f"{name}: AP {ap:.2f}, precision at 0.3 {hits[visible].float().mean():.2f}")
assert ap < coco["AP"] - 0.003
assert hits[visible].float().mean() > is_hit[scores >= 0.3].float().mean() + 0.02

# %% [markdown]
# Precision rises, and AP falls a little: it likes second names, low in the line, in case the first
# one was wrong. Choose by what you need, then say which number you chose.

# %% [markdown]
# ## Recap
#
# - Precision is a fraction of the boxes, recall of the animals; a threshold trades one for the
#   other (*Play · a point on a curve*).
# - AP is the area under the whole curve; without its IoU it says little (*Use · one number for
#   each class*).
# - Duplicates low in the line cost no AP (*Break · the metric lies*).
# - Count what an error costs, not how often it occurs (*Commit · what to fix first*).
# - Choose the threshold on one half, evaluate on the other (*Use · choose on one half*).

# %% [markdown]
# **Myth** "The detector with the higher AP is the better one." Copies halved its precision at the
# same AP, and suppression across classes lowered AP while precision rose.

# %% [markdown]
# **For experts** The kinds follow TIDE (2020), which grew from Hoiem's diagnosis (2012). What a
# detector would gain without one kind does not add up over the kinds. Calibration of a *detector*
# depends on the IoU and on NMS: a box may be rightly named, well placed, and a duplicate all the
# same.
#
# **Connects to** 02 (IoU), 07 (imbalance), 08 (duplicates) and 09 (the AP you trained for).
#
# **Next question:** all of this was drawn. Does it work on real pictures, with labels that people
# made, faults and all?

# %%
notebook.finish("10")
