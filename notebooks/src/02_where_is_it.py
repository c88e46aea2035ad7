# %% [markdown]
# # 02 · Where is it?
#
# A classifier like that of lesson 01 says *turtle*, and stops there. A diver who wants to follow it
# asks **where?** Three people answered with a box each. Who is closest, and by how much? "Looks
# about right" trains no network: that takes **one number**.
#
# **After this lesson you can** write a box in three formats, compute how well two boxes agree, and
# spot three mistakes that ruin many detectors.
# **Needs** lesson 01. **Runs** in 15 s on two processor cores; **takes** about 55 minutes.

# %%
import torch
from matplotlib.figure import Figure

from detlab import reef
from detlab.boxes import box_iou, xyxy_to_xywh
from detlab.course import exercises, notebook
from detlab.draw.figures import draw_boxes, draw_image
from detlab.widgets import Commit, FormatLab, IoULab

seed = notebook.seed()

# %% [markdown]
# The true box (**ground truth**) is green and solid, the three guesses are orange and dashed.

# %% tags=["thumbnail"]
alone = {"classes": ("turtle",), "objects": (1, 1), "object_size": (0.5, 0.62), "haze": 0.1}
scene = reef.draw_scene(7, index=6, image_size=(320, 480), empty_fraction=0.0, **alone)
guesses = torch.tensor(
    [[201.0, 91.0, 385.0, 268.0], [109.0, 47.0, 385.0, 312.0], [155.0, 91.0, 247.0, 268.0]]
)
figure = Figure(figsize=(10, 2.5), layout="constrained")
for ax, name, guess in zip(figure.subplots(1, 3), "ABC", guesses, strict=True):
    draw_image(ax, scene.image)
    draw_boxes(ax, scene.boxes, "truth")
    draw_boxes(ax, guess[None], "prediction")
    ax.set_title(f"guess {name}")
notebook.Show(
    figure, "One turtle three times. Guess A is moved right, B is too large, C is its left half."
)

# %% [markdown]
# ## A box is four numbers
#
# `x1, y1` is the top left corner, `x2, y2` the bottom right one, in pixels of the picture. `x`
# grows to the right and `y` grows **downwards**. This format is called **xyxy**, and it is the
# only one inside detlab.
#
# A picture is a tensor `[3, H, W]`: there the row comes first. To cut out a box, `y` goes before
# `x`.

# %%
x1, y1, x2, y2 = scene.boxes[0].int().tolist()
print("x1 y1 x2 y2:", x1, y1, x2, y2)
print("the turtle, cut out:", list(scene.image[:, y1:y2, x1:x2].shape))

# %% [markdown]
# Coordinates are **continuous**: like a ruler, they measure from the picture's left and top edge,
# and do not count pixels. The first pixel reaches from 0 to 1. So the width is `x2 − x1`. Compare
# it with the last number above, the columns of the cut-out.

# %%
print("width ", x2 - x1)
print("height", y2 - y1)

# %% [markdown]
# ## Commit · whose box is best?
#
# Guess A has the right size, and stands a quarter of its width too far right. Guess B holds the
# whole turtle. Guess C is exact, but only for the left half.

# %% jupyter={"source_hidden": true}
Commit(
    "Which guess agrees best with the true box?",
    options={
        "A": "A loses a quarter of the turtle and pays for as much sea on the other side.",
        "B": "No part of the turtle is missing, true. But more than half of B is sea.",
        "C": "Every pixel of C is right, true. But half of the turtle is missing.",
    },
    answer="A",
    key="02-best-box",
)

# %% [markdown]
# Let us count pixels. Paint each box as a mask of yes and no. The **intersection** is what both
# boxes cover; the **union** is what at least one of them covers. The first divided by the second is
# the **IoU**, *intersection over union*: 0 for boxes apart, 1 for the same box.

# %%
painted = torch.zeros(4, 320, 480, dtype=torch.bool)
for mask, box in zip(painted, torch.cat([scene.boxes, guesses]).int().tolist(), strict=True):
    left, top, right, bottom = box
    mask[top:bottom, left:right] = True
for name, guess in zip("ABC", painted[1:], strict=True):
    shared, covered = (painted[0] & guess).sum(), (painted[0] | guess).sum()
    print(f"{name}: {shared:5d} px shared, {covered:5d} px covered: IoU {shared / covered:.2f}")

# %% [markdown]
# B misses nothing and comes last. IoU punishes **both** what is missing and what is too much, so a
# network cannot cheat by boxing the whole picture.
#
# ## Play · two boxes under your hand
#
# Drag the orange box, or pull at its handles. The fraction beside the picture follows. (The green
# box is not the turtle's this time. GIoU is for lesson 03.) When you have solved the task by
# moving, press **reset** and look for two other ways: by growing, and by shrinking.

# %%
lab = IoULab(
    scene.image,
    [150, 100, 330, 220],
    [200, 130, 380, 250],
    task="Reach an IoU of exactly 0.50, moving the orange box sideways and up or down only",
)
lab

# %% [markdown]
# The lab is an object too. Here is its present state; run the cell again after you have moved a
# box.

# %%
print(f"shared {lab.intersection:.0f} px², covered by either {lab.union:.0f} px²")
print(f"IoU {lab.iou:.3f}")

# %% [markdown]
# ## Commit · half of each
#
# Two boxes of the same size lie on each other, IoU 1. Now one of them moves to the right by
# **half its width**, so that half of *each* box is shared.

# %% jupyter={"source_hidden": true}
Commit(
    "What is their IoU now?",
    options={
        "1/2": "Half of each box, yes. But we divide by what both cover, and that has grown.",
        "1/3": "The union is one and a half boxes wide, and half a box of it is shared.",
        "1/4": "Half a width in *both* directions shares a quarter of each, and comes lower: 1/7.",
    },
    answer="1/3",
    key="02-half-moved",
)

# %% [markdown]
# The answer as a curve: a box moves sideways (solid), and another one along its diagonal, as many
# widths to the right as heights down (dashed). Look at the dot at one half.

# %%
shift = torch.linspace(0, 1.2, 49)
still = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
none = torch.zeros_like(shift)
sideways = box_iou(still, still + torch.stack([shift, none, shift, none], dim=1))[0]
diagonal = box_iou(still, still + torch.stack([shift] * 4, dim=1))[0]
figure = Figure(figsize=(6, 3.2), layout="constrained")
ax = figure.add_subplot(title="IoU falls fast: half a box away, a third is left", ylabel="IoU")
ax.plot(shift, sideways, color="#0072b2", label="moved sideways")
ax.plot(shift, diagonal, "--", color="#d55e00", label="moved along the diagonal")
ax.plot(0.5, 1 / 3, "o", color="#0072b2")
ax.set(xlabel="shift, in widths of the box")
ax.legend(frameon=False)
notebook.Show(
    figure,
    "IoU over shift. Sideways: 1 at 0, a third at half a width, 0 at one. Diagonal: steeper.",
)

# %% [markdown]
# An IoU of 0.5 is often enough for a **true positive**, a hit. As the solid curve shows, such a box
# may be off by a third of its width.

# %% [markdown]
# ## Build · `box_area`
#
# *Difficulty 1 of 5 · importance 3 of 5 · up to 5 minutes.* The first of three small steps.
#
# A list of N boxes is a tensor `[N, 4]`, one box a row. By hand: `[10, 20, 14, 30]` is 4 wide and
# 10 high, so its area is 40. All rows at once need no loop: `boxes[:, 2]` are all `x2`.


# %%
def my_box_area(boxes):
    """Return the areas [N], in square pixels, of boxes [N, 4] as x1 y1 x2 y2."""
    ...


exercises.box_area.check(my_box_area)

# %% [markdown]
# A wrong answer is no harm: the check says which case differs, and often what you did. Stuck?
# `exercises.box_area.hint()` in a new cell gives one hint at a time, and
# `exercises.box_area.solution()` the function that the detector uses.

# %% [markdown]
#
# ## Build · `intersection_area`
#
# *Difficulty 3 of 5 · importance 5 of 5 · up to 15 minutes.* Every box of the first list meets
# **every** box of the second: N boxes against M give a table `[N, M]`.
#
# Take one coordinate of each list: `a = boxes_a[:, 0]` and `b = boxes_b[:, 0]` hold all `x1`. Then
# `a[:, None]` is a column `[N, 1]` and `b[None, :]` a row `[1, M]`. `torch.maximum` of a column and
# a row is a whole table `[N, M]`, and so is `torch.minimum`.

# %% [markdown]
# By hand: `[0, 0, 4, 2]` and `[2, 1, 6, 3]`. In x, the shared patch begins at the larger of 0 and
# 2 and ends at the smaller of 4 and 6, so it is 2 wide. In y it goes from 1 to 2. It covers 2 × 1
# pixels: 2.
#
# And if the second box began at x = 9? Then the "width" would be 4 − 9 = −5. What should it count
# as? (`t.clamp(min=1)` lifts every number of `t` that is below 1 to 1.)


# %%
def my_intersection_area(boxes_a, boxes_b):
    """Return the shared areas [N, M], in square pixels, of boxes [N, 4] with boxes [M, 4]."""
    ...


exercises.intersection_area.check(my_intersection_area)

# %% [markdown]
# As before, `exercises.intersection_area.hint()` helps.
#
# ## Build · `box_iou`
#
# *Difficulty 2 of 5 · importance 5 of 5 · up to 10 minutes.* This function comes back in nearly
# every lesson, and in lesson 09 the real detector trains with yours.
#
# By hand: the two boxes above have areas 8 and 8 and share 2. Together they cover 8 + 8 − 2 = 14,
# because the shared patch must count once. IoU = 2 / 14.
#
# It is a table `[N, M]` again. And two boxes without any area? Their IoU is 0, not 0 / 0.


# %%
def my_box_iou(boxes_a, boxes_b):
    """Return the table [N, M] of IoUs, 0 to 1, of boxes [N, 4] with boxes [M, 4]."""
    ...


exercises.box_iou.check(my_box_iou)

# %% [markdown]
# Your `my_box_area` and `my_intersection_area` may be used inside. `exercises.box_iou.hint()`
# helps.
#
# From here on the lesson uses your functions where they pass their check, and the package's where
# they do not yet. Both say the same of the three guesses, and the same as the counted pixels:

# %%
area = exercises.box_area.mine_or_reference(my_box_area)
iou = exercises.box_iou.mine_or_reference(my_box_iou)
print("areas A B C:", [round(value) for value in area(guesses).tolist()])
print("IoU   A B C:", [round(value, 2) for value in iou(scene.boxes, guesses)[0].tolist()])

# %% [markdown]
# ## Break · boxes that do not touch
#
# A classmate's version has no `clamp`. On boxes that overlap it is perfect, so nobody noticed.
# Watch what it says of two pairs that do not touch, one with a gap of six pixels, one farther
# apart:

# %%
here = torch.tensor([[0.0, 0.0, 10.0, 4.0]])
apart = torch.tensor([[16.0, 10.0, 24.0, 16.0], [20.0, 30.0, 28.0, 36.0]])
broken = exercises.box_iou.mistakes["a negative overlap was not clamped"]
print("no clamp:", [round(value, 2) for value in broken(here, apart)[0].tolist()])
print("yours:   ", [round(value, 2) for value in iou(here, apart)[0].tolist()])
assert broken(here, apart)[0, 0] > 0.5
assert broken(here, apart)[0, 1] < -1

# %% [markdown]
# Minus six times minus six is *plus* 36: a patch that does not exist, and an "IoU" that many would
# count as a hit. Farther apart the "patch" is larger than both boxes together: the union is
# negative, and the number leaves the scale.

# %% [markdown]
# ## Play · four ways to write one box
#
# **xyxy** has two corners. **xywh** has the top left corner and the size. **cxcywh** has the centre
# and the size. **Normalised** coordinates are fractions of the picture, from 0 to 1, so they
# survive a resize; any format can be, here it is xyxy. Drag the box, or type four numbers and press
# Enter. The picture is 480 wide and 320 high.

# %%
formats = FormatLab(
    scene.image,
    scene.boxes[0].tolist(),
    task="Put the box's centre into the middle of the picture, 100 pixels wide and 60 high",
    goal=lambda lab: [round(number) for number in lab.values["cxcywh"]] == [240, 160, 100, 60],
)
formats

# %% [markdown]
# One of the four fields makes that task a matter of seconds. Here is the lab's box in all four:

# %%
for name, numbers in formats.values.items():
    print(f"{name:<10}", [round(number, 2) for number in numbers])

# %% [markdown]
# ## Build · `cxcywh_to_xyxy`
#
# *Difficulty 1 of 5 · importance 4 of 5 · up to 5 minutes.* Networks answer with a centre and a
# size. Everything after them wants corners, so this conversion stands between.
#
# By hand: centre (12, 25), 4 wide, 10 high. Half of the width lies on each side: from 12 − 2 to
# 12 + 2, and from 25 − 5 to 25 + 5. So `[12, 25, 4, 10]` becomes `[10, 20, 14, 30]`.
#
# `torch.stack([…, …, …, …], dim=1)` puts four columns side by side.


# %%
def my_cxcywh_to_xyxy(boxes_cxcywh):
    """Return corners x1 y1 x2 y2 [N, 4], in pixels, of boxes [N, 4] as cx cy w h."""
    ...


exercises.cxcywh_to_xyxy.check(my_cxcywh_to_xyxy)

# %% [markdown]
# `exercises.cxcywh_to_xyxy.hint()` helps.
#
# ## Commit · the wrong format
#
# COCO, the best-known collection of pictures with labelled boxes, writes its files in **xywh**.
# Somebody loads such files, forgets to convert, and hands the four numbers to a function that
# expects corners.

# %% jupyter={"source_hidden": true}
Commit(
    "What happens?",
    options={
        "an error stops the program": "Nothing in four numbers says what they mean.",
        "every box moves a little": "A size, read as a corner, can lie anywhere in the picture.",
        "most boxes turn inside out": "A width below x1 puts the right edge left of the left one.",
    },
    answer="most boxes turn inside out",
    key="02-wrong-format",
)

# %% [markdown]
# ## Break · xywh read as corners
#
# The boxes of 200 reef pictures, as COCO would write them, read as if they were corners. An
# inside-out box has `x2 ≤ x1` or `y2 ≤ y1`.

# %%
scenes = [reef.draw_scene(seed, index) for index in range(200)]
truth = torch.cat([scene.boxes for scene in scenes])
misread = xyxy_to_xywh(truth)
alive = (misread[:, 2:] > misread[:, :2]).all(dim=1)
agreement = iou(misread, truth).diagonal()
print(f"{1 - alive.float().mean():.0%} of {len(truth)} boxes are inside out")
print(f"mean IoU with the right boxes: {agreement.mean():.2f}")
assert alive.float().mean() < 0.35
assert agreement.mean() < 0.15

# %% [markdown]
# No error came, and numbers went on flowing. Those that are still boxes lie near the top left
# corner, where widths are larger than positions. Draw them once, and you know. (An inside-out box
# is drawn, too: between its two corners.)

# %%
figure = Figure(figsize=(10, 3), layout="constrained")
crowded = [index for index, scene in enumerate(scenes) if len(scene.boxes) == 4]
for ax, index in zip(figure.subplots(1, 4), crowded[:4], strict=True):
    crowd = reef.draw_scene(seed, index, image_size=(256, 256))
    draw_image(ax, crowd.image)
    draw_boxes(ax, crowd.boxes, "truth", scale=0.7)
    draw_boxes(ax, xyxy_to_xywh(crowd.boxes), "prediction", scale=0.7)
figure.suptitle("Four pictures of four animals: right (solid) and xywh read as corners (dashed)")
notebook.Show(
    figure, "Solid boxes sit on the animals; dashed ones lie anywhere, mostly towards the top left."
)

# %% [markdown]
# Two habits protect you: **draw** your boxes before you train, and **check** them where they come
# in. detlab does the second for you: whatever it loads goes through `check_boxes`.

# %%
from detlab.checks import check_boxes

try:
    check_boxes(misread, "boxes of a file")
except ValueError as error:
    print(str(error).partition(";")[0])

# %% [markdown]
# ## Break · one pixel too many
#
# Older code computes a width as `x2 − x1 + 1`: it counts the last pixel too. With whole pixels
# that is a habit. With continuous coordinates it is wrong, and wrong by *size*. Each pair below
# is two squares, one moved by half its side; the right IoU is 1/3 however large they are.

# %%
side = torch.tensor([2.0, 8.0, 32.0, 128.0])
none = torch.zeros_like(side)
squares = torch.stack([none, none, side, side], dim=1)
moved = squares + torch.stack([side / 2, none, side / 2, none], dim=1)
one_more = exercises.box_iou.mistakes["a pixel was added to each side"]
right, wrong = iou(squares, moved).diagonal(), one_more(squares, moved).diagonal()
for row in zip(side.tolist(), right.tolist(), wrong.tolist(), strict=True):
    print("side {:3.0f} px: right {:.3f}, with one pixel more {:.3f}".format(*row))
assert (wrong[0] - right[0]).item() > 0.1
assert (wrong[-1] - right[-1]).item() < 0.01

# %% [markdown]
# Large boxes hide the mistake and small ones show it. In fractions of the picture it is a
# catastrophe: the 1 that is added is then as wide as the whole picture. The pair of side 32,
# normalised in a picture of 480 × 320:

# %%
whole = torch.tensor([480.0, 320.0, 480.0, 320.0])
print(f"right: {iou(squares[2:3] / whole, moved[2:3] / whole).item():.3f}")
print(f"with one 'pixel' more: {one_more(squares[2:3] / whole, moved[2:3] / whole).item():.3f}")
assert one_more(squares[2:3] / whole, moved[2:3] / whole).item() > 0.9

# %% [markdown]
# ## Use · how well does the real detector place its boxes?
#
# The detector that you will build by lesson 09 comes with the course, trained. Here it looks at 40
# pictures that it never saw. For each animal we take the IoU of the box that fits it best, with
# your function. Where nothing is found, each animal counts as 0: to each picture's boxes we add one
# without area, which fits nothing.

# %%
# NBVAL_IGNORE_OUTPUT
from detlab import detect

detector, info = notebook.shipped_detector()
dials = {"objects": (1, 4), "empty_fraction": 0.0}
unseen = [reef.draw_scene(seed + 50, index, **dials) for index in range(40)]
found = detect(detector, [scene.image for scene in unseen], info.config.longest_side)
no_area = torch.zeros(1, 4)
boxed = [torch.cat([detection["boxes"], no_area]) for detection in found]
fits = [iou(s.boxes, boxes).amax(dim=1) for s, boxes in zip(unseen, boxed, strict=True)]
best = torch.cat(fits)
print(f"{len(best)} animals; half of them are boxed with an IoU above {best.median():.2f}")
print(f"IoU above 0.5: {(best > 0.5).sum()} of them, {(best > 0.5).float().mean():.0%}")

# %% [markdown]
# What do such numbers look like? Each dashed box carries its IoU with the animal that it fits best.

# %%
figure = Figure(figsize=(10, 3.8), layout="constrained")
for ax, animals, guess in zip(figure.subplots(1, 3), unseen, found, strict=False):
    reached = iou(guess["boxes"], animals.boxes).amax(dim=1)
    draw_image(ax, animals.image)
    draw_boxes(ax, animals.boxes, "truth", scale=0.7)
    draw_boxes(ax, guess["boxes"], "prediction", [f"{v:.2f}" for v in reached])
figure.suptitle("The trained detector's boxes and their IoU with the nearest animal")
notebook.Show(
    figure,
    "Three pictures. Dashed boxes lie close around the animals, most with an IoU of 0.8 or more.",
)

# %% [markdown]
# That is for looking. In *training*, IoU decides: the detector asks it which of its thousands of
# guesses are near enough to an animal to learn from it. Your function goes in by an argument, and
# the loss (how wrong the detector is; lesson 07 explains it) must not change. A broken one
# changes it.

# %%
from functools import partial

from detlab import detection_loss
from detlab.detector.matching import match_anchors

with torch.no_grad():
    predictions = detector(torch.stack([scene.image for scene in unseen[:8]]))
targets = [scene.target for scene in unseen[:8]]
functions = {"package": box_iou, "yours": iou, "no clamp": broken}
loss = {}
for name, function in functions.items():
    match = partial(match_anchors, iou=function)
    loss[name] = detection_loss(predictions, targets, match=match)["total"]
print("yours like the package's:", torch.allclose(loss["yours"], loss["package"]))
print("no clamp like the package's:", torch.allclose(loss["no clamp"], loss["package"]))
assert torch.allclose(loss["yours"], loss["package"])
assert not torch.allclose(loss["no clamp"], loss["package"], rtol=0.05)

# %% [markdown]
# And this is how the package writes it:

# %%
notebook.show_source(box_iou)

# %% [markdown]
# It differs from a first version in one thing: `clamp(min=tiny)` below the fraction. Two boxes
# without any area have a union of 0, and 0 / 0 is NaN, which would spread through everything that
# follows.

# %% [markdown]
# ## Recap
#
# - A box is four numbers *and* a format. Nothing in the numbers says which (*Break · xywh read as
#   corners*).
# - IoU is intersection over union. It punishes missing and surplus alike (*Commit · whose box is
#   best?*). Half a box away, a third is left (*Commit · half of each*).
# - Clamp the shared sides at 0 before you multiply (*Break · boxes that do not touch*).
# - Width is `x2 − x1`, without a pixel more (*Break · one pixel too many*).

# %% [markdown]
# **Myth** "If my boxes were in the wrong format, I would get an error." In *Break · xywh read as
# corners* most boxes turned inside out, and every function went on. Only a drawing, or a check,
# told.

# %% [markdown]
# **For experts** IoU is the Jaccard index of two sets of pixels, and 1 − IoU is a metric. It does
# not depend on scale, yet an error of a few pixels costs a small box far more than a large one.
# Boxes apart all get 0, however far: nothing there to learn from. Lesson 03 fixes that.

# %% [markdown]
#
# **Connects to** lesson 06 (which guesses cover an object?), 07 (who learns what?), 08 (which
# boxes are the same?) and 10 (which boxes count as right?): all four call `box_iou`.

# %%
notebook.finish("02")

# %% [markdown]
# **Next question:** a box is four numbers, and networks can predict numbers. Can a network
# **point**?
