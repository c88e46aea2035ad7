# %% [markdown]
# # 03 · Can a network point?
#
# In lesson 01 a network said *what*. In lesson 02 a box said *where*, in four numbers. A network
# can put out any four numbers. But how does it learn **which** four?
#
# **After this lesson you can** say how a network learns to place a box, choose a loss for it by
# what it does with outliers and with boxes far apart, and write two losses.
# **Needs** lesson 02. **Runs** in 45 s on two processor cores; **takes** about 50 minutes.

# %%
import torch
from matplotlib.figure import Figure

from detlab import reef
from detlab.course import exercises, notebook
from detlab.course.single_object import (
    SingleObjectNet,
    draw_single_objects,
    evaluate_single,
    fit_single,
    predict_single,
)
from detlab.draw.figures import draw_boxes, draw_image
from detlab.widgets import Commit, LossLab

seed = notebook.seed()

# %% [markdown]
# Six pictures with one animal each, and the true boxes. This is what the network shall learn to
# draw. Its pictures are small, 64 × 64 pixels, so that it learns in seconds; for you they are drawn
# larger.

# %% tags=["thumbnail"]
few = draw_single_objects(seed + 50, 6)
large = draw_single_objects(seed + 50, 6, image_size=(256, 256))  # the same six, for your eyes
figure = Figure(figsize=(9, 6), layout="constrained")
for ax, image, box in zip(figure.subplots(2, 3).flat, large.images, large.boxes, strict=True):
    draw_image(ax, image)
    draw_boxes(ax, 256 * box[None], "truth")
notebook.Show(figure, "Six underwater pictures, one animal in each, a green box tight around it.")

# %% [markdown]
# ## Four numbers for a picture
#
# To predict numbers is called **regression**; to predict boxes, **box regression**. The network is
# that of lesson 01. There we used one **head**, a last layer that gives a number per class. Its
# second head has four outputs, a box: that was the `_`.
#
# Boxes are **fractions** of the picture here, from 0 to 1, so that they mean the same at any size.

# %%
pictures = draw_single_objects(seed, 1200)
tests = draw_single_objects(seed + 100, 200)
torch.manual_seed(seed)
net = SingleObjectNet(num_classes=len(reef.CLASS_NAMES))
print("picture", list(pictures.images[0].shape), "-> box", list(net.eval()(few.images)[1][0].shape))

# %% [markdown]
# ## Commit · the first boxes
#
# The network above has not been trained. Its weights are random numbers, and its four outputs are
# whatever they make of a picture.

# %%
Commit(
    "Where are its boxes?",
    options={
        "on the animals, roughly": "Nobody has told it what an animal is, or what a box is for.",
        "anywhere, elsewhere in each picture": "Random weights, true. But they are the same"
        " random weights for each picture, and small.",
        "in the same place in each picture": "What differs between the pictures hardly reaches"
        " the four outputs. They say: somewhere in the middle, half as large as the picture.",
    },
    answer="in the same place in each picture",
    key="03-first-boxes",
)

# %% [markdown]
# The experiment: the untrained network looks at 200 pictures. How far are the centres of its
# boxes spread, and how far those of the animals? The spread is the standard deviation, in fractions
# of the picture: 0 if all centres are the same.

# %%
_, untrained = predict_single(net, tests.images)
spread = {
    "animals": (tests.boxes[:, :2] + tests.boxes[:, 2:]).std(dim=0) / 2,
    "boxes": (untrained[:, :2] + untrained[:, 2:]).std(dim=0) / 2,
}
for name, (across, down) in spread.items():
    print(f"{name:<8} spread {across:.2f} across, {down:.2f} down")
assert spread["boxes"].max() < 0.02 < 0.1 < spread["animals"].min()

# %% [markdown]
# In pictures: every box is the same. Boxes do not come out right from the start; they come out
# *equal*.
#
# Why in the middle? Small weights make four outputs near 0. This network reads 0 as "in the middle,
# half as wide and high as the picture". Lesson 04 shows how.

# %%
_, first = predict_single(net, few.images)
figure = Figure(figsize=(10, 1.9), layout="constrained")
for ax, image, box, guess in zip(
    figure.subplots(1, 6), large.images, large.boxes, first, strict=True
):
    draw_image(ax, image)
    draw_boxes(ax, 256 * box[None], "truth", scale=0.7)
    draw_boxes(ax, 256 * guess[None], "prediction", scale=0.7)
figure.suptitle("Step 0: the untrained network's box (dashed) is the same everywhere")
notebook.Show(figure, "Six animals in solid boxes; a dashed box of one size in the middle of each.")

# %% [markdown]
# A box in the middle that never looks at the picture: what is that worth?

# %%
start = evaluate_single(net, tests)["iou"]
print(f"mean IoU at step 0: about {start:.1f}")
assert 0.3 < start < 0.5

# %% [markdown]
# Remember that number. The animals are large and often near the middle, so a fixed box already
# gets this much. A network that points must do far better.
#
# ## Predict, compare, step
#
# How do four numbers become right? Take one box. **Predict**: here it is. **Compare**: a loss
# says how wrong it is, here by the four errors squared and added up. **Step**: each number moves a
# little against its gradient, to where the loss is smaller. Again.

# %%
alone = {"classes": ("turtle",), "objects": (1, 1), "object_size": (0.5, 0.62), "haze": 0.1}
scene = reef.draw_scene(7, index=6, image_size=(320, 480), empty_fraction=0.0, **alone)
truth = scene.boxes
box = torch.tensor([[20.0, 30.0, 120.0, 110.0]])
walk = [box]
for _ in range(20):
    box = walk[-1].clone().requires_grad_()
    loss = ((box - truth) ** 2).sum()  # compare
    loss.backward()
    walk.append(box.detach() - 0.1 * box.grad)  # step against the gradient
print("steps 0, 1, 2, 20:")
for step in (0, 1, 2, 20):
    print([round(number) for number in walk[step][0].tolist()])
print("truth:", [round(number) for number in truth[0].tolist()])

# %% [markdown]
# Four numbers, pulled towards four others. Nothing in this says "box". The smaller the error, the
# smaller its gradient, so the steps shrink: each goes a fifth of the way that is left.

# %%
figure = Figure(figsize=(5, 3.4), layout="constrained")
ax = figure.add_subplot()
draw_image(ax, scene.image)
draw_boxes(ax, truth, "truth")
for step in (0, 2, 5, 20):
    draw_boxes(ax, walk[step], "prediction", [f"step {step}"])
ax.set_title("A box walks to its place, with smaller and smaller steps")
notebook.Show(figure, "Dashed boxes move from the upper left onto a turtle, ever more slowly.")

# %% [markdown]
# In a network, the gradient goes on from the four numbers into its weights. Change those a little,
# for many pictures in turn, and the boxes move in all of them.
#
# ## Three ways to compare numbers
#
# The **error** is predicted minus wanted. The **L2** loss is the error squared, the **L1** loss is
# its size without sign. **Smooth L1** is a square near the goal, straight beyond.
#
# Their **slope**, the gradient, says how hard the number is pulled, against its sign. Far out,
# L1 and Smooth L1 pull alike.

# %%
error = torch.linspace(-3, 3, 241, requires_grad=True)
size = error.abs()
curves = {"L2": size**2, "L1": size, "Smooth L1": torch.where(size < 1, size**2 / 2, size - 0.5)}
looks = {"L2": {}, "L1": {"linewidth": 5, "alpha": 0.4}, "Smooth L1": {"linestyle": "--"}}
figure = Figure(figsize=(9, 3.5), layout="constrained")
values, slopes = figure.subplots(1, 2)
for name, curve in curves.items():
    (slope,) = torch.autograd.grad(curve.sum(), error, retain_graph=True)
    values.plot(error.detach(), curve.detach(), label=name, **looks[name])
    slopes.plot(error.detach(), slope, **looks[name])
values.set(title="Loss", xlabel="error", ylabel="loss", ylim=(0, 4))
slopes.set(title="Slope: how hard it pulls", xlabel="error", ylabel="slope", ylim=(-4, 4))
figure.legend(loc="outside lower center", ncols=3, frameon=False)
notebook.Show(
    figure,
    "L2 is a bowl whose slope grows without end. L1 is a V: slope −1 or 1. Smooth L1 is round at"
    " the bottom and straight outside.",
)

# %% [markdown]
# ## Commit · one wrong label
#
# Ten people wrote down the left edge, `x1`, of the same animal. Nine say about 100 pixels. One
# slipped on the keyboard: 300. Such a value far from all others is called an **outlier**.
#
# A network that must answer with *one* number chooses the one with the smallest total loss.

# %%
Commit(
    "What does it answer under the L2 loss?",
    options={
        "100": "100 would leave an error of 200, and squared that is 40 000.",
        "120": "The mean. One label in ten moves it by a tenth of its error.",
        "200": "200 is half way. But nine of ten pull the other way.",
    },
    answer="120",
    key="03-outlier",
)

# %% [markdown]
# We try every answer from 90 to 310, half a pixel apart, and keep the one with the smallest total.
# For Smooth L1, the 10.0 in the code says where its square ends: at an error of 10 pixels.

# %%
from detlab.detector.box_losses import l1_loss, smooth_l1_loss, squared_loss

labels = torch.tensor([98.0, 99, 99, 100, 100, 100, 101, 101, 102, 300])
answers = torch.arange(90, 310, 0.5)
totals = {
    "L2": squared_loss(answers[:, None], labels).sum(dim=1),
    "L1": l1_loss(answers[:, None], labels).sum(dim=1),
    "Smooth L1": smooth_l1_loss(answers[:, None], labels, 10.0).sum(dim=1),
}
best = {name: answers[total.argmin()].item() for name, total in totals.items()}
print(best)
assert best["L2"] == 120
assert abs(best["L1"] - 100) < 1
assert abs(best["Smooth L1"] - 100) < 2

# %% [markdown]
# ## Break · an outlier under L2
#
# There it is: under **L2** the answer is 120, twenty pixels beside what nine people saw. **L1**
# says 100: there an outlier pulls as hard as anybody else. **Smooth L1** stays close by: there it
# pulls no harder than an error of 10 pixels.
#
# Why not always L1, then? Look at its slope: as strong near the goal as far away. So its answer
# jumps to and fro around the goal. Smooth L1 calms down below **beta**, the error at which the
# square ends.

# %% [markdown]
# ## Build · `smooth_l1_loss`
#
# *Difficulty 2 of 5 · importance 4 of 5 · up to 10 minutes.* Two pieces that meet at an error of
# beta: `distance² / (2 · beta)` below it, `distance − beta / 2` from there on.
#
# By hand, with beta 1: predicted 1.5, wanted 1. The **distance**, the error without sign, is 0.5,
# below beta, so 0.25 / 2 = 0.125. Predicted 4, wanted 1: distance 3, so 3 − 0.5 = 2.5.
#
# For tensors, an `if` cannot choose: `torch.where(condition, here, there)` takes each number from
# `here` where the condition holds, else from `there`.


# %%
def my_smooth_l1_loss(predicted, wanted, beta=1.0):
    """Return the Smooth L1 loss of each number; predicted, wanted and result have one shape."""
    ...


exercises.smooth_l1_loss.check(my_smooth_l1_loss)

# %% [markdown]
# `exercises.smooth_l1_loss.hint()` in a new cell helps, one hint at a time;
# `exercises.smooth_l1_loss.solution()` shows the package's.
#
# ## Break · the sign of the error
#
# A classmate forgot `.abs()`. For guesses that are too high it is perfect, and training runs. But
# an error of −208 is *below* beta too, so it is squared. Here are the slopes at a guess that is 208
# too low, and at one that is 208 too high, with beta 1:

# %%
smooth_l1 = exercises.smooth_l1_loss.mine_or_reference(my_smooth_l1_loss)
signed = exercises.smooth_l1_loss.mistakes["the error kept its sign"]
pulls = {}
for name, function in {"distance": smooth_l1, "signed": signed}.items():
    guesses = torch.tensor([-200.0, 216.0], requires_grad=True)
    (pull,) = torch.autograd.grad(function(guesses, torch.tensor([8.0, 8.0])).sum(), guesses)
    pulls[name] = pull.tolist()
print(pulls)
assert pulls == {"distance": [-1, 1], "signed": [-208, 1]}

# %% [markdown]
# Outliers on one side pull as hard as they are far, as under L2, and no error message comes. Only
# a case with a guess that is too *low* shows it. The check has one.

# %% [markdown]
# ## A loss that knows what a box is
#
# L1, L2 and Smooth L1 compare four numbers. To them, five pixels beside a small fish are as bad as
# five beside a large shark. Boxes are evaluated by **IoU**, so why not learn by it? The **IoU
# loss** is `1 − IoU`: 0 for the same box, 1 for boxes apart.
#
# ## Commit · boxes apart
#
# The predicted box lies 30 pixels to the left of the animal. They do not touch.

# %%
Commit(
    "Which way does the IoU loss push the box?",
    options={
        "to the right": "A move to the right would raise the IoU, if it were large enough. But the"
        " gradient knows only very small steps.",
        "it makes the box larger": "A little larger still does not touch. IoU stays 0.",
        "nowhere": "Move the box a little in any direction: the IoU is 0 before and after.",
    },
    answer="nowhere",
    key="03-apart",
)

# %% [markdown]
# The gradient for x1, y1, x2 and y2, from the package's own function. A gap of −10 means that the
# boxes overlap by 10 pixels:

# %%
from detlab.detector.box_losses import iou_loss

animal = torch.tensor([[60.0, 20.0, 100.0, 50.0]])
for gap in (-10, 30, 300):
    guess = torch.tensor([[20.0 - gap, 20.0, 60.0 - gap, 50.0]], requires_grad=True)
    (slope,) = torch.autograd.grad(iou_loss(guess, animal).sum(), guess)
    print(f"gap {gap:4d} px: gradient", [round(value, 4) + 0.0 for value in slope[0].tolist()])
    assert slope.any() == (gap < 0)

# %% [markdown]
# Overlapping, x1 and x2 are pulled to the right, against the sign. Apart, the gradient is not small
# but **exactly zero**: a network whose boxes lie beside the animals would never learn.
#
# **GIoU**, *generalised* IoU, fixes it. Draw the smallest box around *both*, the **enclosing** box.
# What fraction of it does neither box cover? GIoU is the IoU **minus this empty fraction**. The
# farther apart, the emptier: now there is something to improve. The loss is `1 − GIoU`, from 0
# to 2.

# %% [markdown]
# ## Build · `paired_giou`
#
# *Difficulty 3 of 5 · importance 5 of 5 · up to 15 minutes.* Row with row this time: N boxes
# against N boxes give N numbers, no table. `from detlab.boxes import box_area` brings the areas,
# and the clamp of lesson 02 is needed again.
#
# By hand: `[0, 0, 4, 2]` and `[6, 0, 8, 2]`. Shared 0, so IoU 0. Union 8 + 4 = 12. The enclosing
# box is `[0, 0, 8, 2]`, area 16; of it 16 − 12 = 4 is empty. GIoU = 0 − 4 / 16 = −0.25.


# %%
def my_paired_giou(boxes_a, boxes_b):
    """Return the GIoU [N] of row with row: boxes [N, 4] as x1 y1 x2 y2, any one unit."""
    ...


exercises.paired_giou.check(my_paired_giou)

# %% [markdown]
# `exercises.paired_giou.hint()` helps.
#
# ## Play · five losses under your hand
#
# The arrows are the step that each edge would take; with the IoU loss there are none yet. Choose a
# loss and press **take a step**, or drag the orange box and watch. With which of the five can you
# solve the task, and how many steps does each take? The lab counts them; a drag or
# **reset** sets the count to 0.

# %%
lab = LossLab(
    scene.image,
    truth[0].tolist(),
    [20, 30, 120, 110],
    loss="IoU",
    task="Reach an IoU of 0.80 from here by steps alone: reset, choose a loss, take steps",
    goal=lambda lab: lab.steps > 0 and lab.iou >= 0.8,
)
lab

# %% [markdown]
# With a step length of 1, four of the five arrive, after 12 to 17 steps. The IoU loss never moves.
#
# And how hard does each loss pull at the edge that it pulls most, from where the box lies now?
# Compare these only with 0: one loss counts in pixels, another in fractions, so the lab multiplies
# each by a learning rate that suits it.

# %%
for name in lab.losses:
    print(f"{name:<10} largest gradient {lab.gradients[name].abs().max():.3g}")

# %% [markdown]
# ## Break · GIoU without the enclosing box
#
# Who forgets the enclosing box has written IoU. On boxes that overlap nobody notices. The box
# from before walks to its turtle again, 40 steps with your GIoU and 40 with the forgetful one. The
# gradient of GIoU is about a thousandth per pixel, so each step is 3000 times the gradient.

# %%
from detlab.boxes import paired_iou

giou = exercises.paired_giou.mine_or_reference(my_paired_giou)
no_enclosing = exercises.paired_giou.mistakes["the enclosing box is missing"]
arrived = {}
for name, function in {"GIoU": giou, "no enclosing box": no_enclosing}.items():
    box = torch.tensor([[20.0, 30.0, 120.0, 110.0]])
    for _ in range(40):
        box.requires_grad_()
        (slope,) = torch.autograd.grad(1 - function(box, truth).sum(), box)
        box = box.detach() - 3000 * slope
    arrived[name] = paired_iou(box, truth).item()
    print(f"{name}: moved {bool((box != walk[0]).any())}, IoU {arrived[name]:.1f}")
assert arrived["GIoU"] > 0.7
assert torch.equal(box, walk[0])

# %% [markdown]
# The forgetful one did not move it by a hair's breadth, and no error message came. A network whose
# boxes lie beside their animals learns as little.

# %% [markdown]
# ## Use · teach the network to point
#
# Now the network from the beginning, with your two losses and with L2: the same pictures, the
# same 250 steps, the same first weights. Guess the order before you run it.

# %%
# NBVAL_IGNORE_OUTPUT
losses = {
    "L2": lambda logits, boxes, labels, truth: squared_loss(boxes, truth).sum(dim=1).mean(),
    "Smooth L1": lambda logits, boxes, labels, truth: (
        smooth_l1(boxes, truth, 0.1).sum(dim=1).mean()
    ),
    "GIoU": lambda logits, boxes, labels, truth: 1 - giou(boxes, truth).mean(),
}
scores, seen = {}, {}
for name, loss in losses.items():
    torch.manual_seed(seed)
    net = SingleObjectNet(len(reef.CLASS_NAMES))
    for step in fit_single(net, pictures, loss, steps=250, seed=seed, learning_rate=6e-3):
        if name == "GIoU" and step["step"] in (1, 25, 80, 250):
            seen[step["step"]] = predict_single(net, few.images)[1]
    scores[name] = evaluate_single(net, tests)["iou"]
    print(f"{name:<10} mean IoU {start:.2f} -> {scores[name]:.2f} on pictures never seen")

# %% [markdown]
# So yes: **a network can point**. The surprise is how *little* the losses differ here: labels are
# right, and most boxes overlap their animal from the start. The loss decides where you have seen
# it decide: with outliers, and with boxes apart.

# %%
gains = [score - start for score in scores.values()]
print("every loss gains more than 0.2 of IoU:", min(gains) > 0.2)
print("their results lie within 0.08:", max(gains) - min(gains) < 0.08)
assert min(gains) > 0.2
assert max(gains) - min(gains) < 0.08

# %% [markdown]
# The boxes on their way, with GIoU. At first they are alike in all pictures, and half way some may
# fit worse than at the start: training is no straight way. At the end each picture has its own.

# %%
figure = Figure(figsize=(9, 6.6), layout="constrained")
grid = figure.subplots(len(seen), 6)
for row, (step, boxes) in zip(grid, seen.items(), strict=True):
    for ax, image, box, guess in zip(row, large.images, large.boxes, boxes, strict=True):
        draw_image(ax, image)
        draw_boxes(ax, 256 * box[None], "truth", scale=0.7)
        draw_boxes(ax, 256 * guess[None], "prediction", scale=0.7)
    row[0].set_title(f"step {step}", loc="left")
notebook.Show(
    figure, "Four rows of six pictures. The dashed boxes start equal and end close to the animals."
)

# %% [markdown]
# The real detector learns its boxes by GIoU, too. Your function goes in by an argument, and the
# detector's loss must not change; the one without the enclosing box changes it.

# %%
from functools import partial

from detlab import detection_loss
from detlab.detector.box_losses import giou_box_loss

detector, _ = notebook.shipped_detector()
scenes = [reef.draw_scene(seed + 9, index) for index in range(8)]
with torch.no_grad():
    predictions = detector(torch.stack([scene.image for scene in scenes]))
targets = [scene.target for scene in scenes]
box_losses = [
    detection_loss(predictions, targets, box_loss=partial(giou_box_loss, giou=function))["box"]
    for function in (giou, exercises.paired_giou.reference, no_enclosing)
]
print("yours like the package's:", torch.allclose(box_losses[0], box_losses[1]))
print("no enclosing box like the package's:", torch.allclose(box_losses[2], box_losses[1]))
assert torch.allclose(box_losses[0], box_losses[1])
assert not torch.allclose(box_losses[2], box_losses[1])

# %% [markdown]
# And this is how the package writes it. One thing is more than you need: `clamp(min=tiny)` keeps
# two boxes without area from dividing 0 by 0.

# %%
notebook.show_source(exercises.paired_giou.reference)

# %% [markdown]
# ## Recap
#
# - Predict, compare, step: four numbers walk to four others (*Predict, compare, step*).
# - L2 listens to the outlier; Smooth L1 does not, and is still gentle at the goal (*Break · an
#   outlier under L2*).
# - The IoU loss has no gradient for boxes apart, GIoU has (*Commit · boxes apart*, *Break · GIoU
#   without the enclosing box*).
# - With clean labels and boxes that overlap, the losses come out alike (*Use*).
# - A fixed box is worth something: know it before you praise a network (*Commit · the first
#   boxes*).

# %% [markdown]
# **Myth** "The boxes come out right from the start; training only makes them finer." At step 0
# every picture got the same box (*Commit · the first boxes*). All that you saw after 250 steps
# was learned.

# %% [markdown]
# **For experts** Smooth L1 with beta is Huber's loss divided by beta. GIoU is an IoU loss plus a
# term that grows with the gap; DIoU and CIoU add the distance of the centres and the shape. Many
# detectors add L1 and GIoU: one pulls at every number, the other at what is measured.
#
# **Connects to** lesson 06 (Smooth L1 on *deltas*), 07 and 09 (the detector's box loss).

# %% [markdown]
# The network points now. But nobody taught it to say *what* it points at. Can one network do both?

# %%
notebook.finish("03")
