# %% [markdown]
# # 06 · Can guesses help?
#
# One window shape fits few animals. A better idea: let every place of the map hold a few
# **guesses**, and let the network say how the nearest one must be moved and stretched. Many
# detectors are built on this.
#
# **After this lesson you can** lay a grid of anchors over any picture, turn boxes into deltas and
# back, and fit the anchors to your own data.
# **Needs** lesson 05. **Runs** in 50 s on two processor cores; **takes** about 75 minutes.

# %%
from itertools import pairwise

import torch
from torch import nn

from detlab import reef
from detlab.boxes import box_iou, cxcywh_to_xyxy, paired_iou, xyxy_to_cxcywh
from detlab.course import exercises, notebook
from detlab.detector.anchors import anchor_grid, anchor_shapes, encode_boxes
from detlab.draw.figures import Layers, draw_layers
from detlab.training.anchor_fit import shape_iou
from detlab.widgets import AnchorLab, Commit

seed = notebook.seed()

# %% [markdown]
# An **anchor** is such a guess: a box of a fixed shape on the centre of a cell of the map. On the
# left, the anchors of two cells. On the right, of all anchors of the whole grid, the one that fits
# each animal best.

# %% tags=["thumbnail"]
scene = reef.draw_scene(reef.VAL_SEED, index=31, image_size=(192, 256))
grid = anchor_grid((6, 8), 32, anchor_shapes([48.0, 80.0], [0.5, 1.0, 2.0]))
best = box_iou(grid, scene.boxes).argmax(dim=0)
some = torch.cat([grid[6 * cell : 6 * cell + 6] for cell in (10, 37)])
figure = draw_layers(
    [
        Layers(scene.image, {"ignored": some}, "six guesses at each cell (two cells shown)"),
        Layers(scene.image, {"positive": grid[best], "truth": scene.boxes}, "the best of each"),
    ],
    title="No guess is exact, and each animal has one that is near",
    meanings={"ignored": "anchors", "positive": "the best anchor of an animal"},
)
notebook.Show(figure, "A reef twice: dotted anchors of six shapes; the best anchor of each animal")

# %% [markdown]
# ## A few words for guesses
#
# As in lesson 05, a network turns the picture into a map of cells. The **stride** is the width of
# a cell in pixels of the picture. An anchor's **size** is the square root of its area, its
# **aspect ratio** is height / width: 2 is tall, 0.5 is flat. All anchors of size 32 cover as much
# as a square of 32 × 32:

# %%
for (width, height), ratio in zip(
    anchor_shapes([32.0], [0.5, 1.0, 2.0]).tolist(), (0.5, 1, 2), strict=True
):
    print(f"size 32, ratio {ratio}: {width:.1f} wide, {height:.1f} high")

# %% [markdown]
# Large animals need no fine grid, small ones do. So a detector has several maps of one picture, its
# **pyramid levels**: a fine one with small anchors, and coarser ones, each with twice the stride
# and larger anchors.
#
# ## Commit · how many guesses?
#
# The course's detector looks at pictures of 128 × 128 pixels. It has three levels, of stride 8, 16
# and 32, and in each cell 2 sizes in 3 aspect ratios.

# %%
Commit(
    "How many anchors does it lay over one picture?",
    options={
        "336": "That is the number of cells: 256 + 64 + 16. Each holds six anchors.",
        "2,016": "(256 + 64 + 16) cells, six anchors each.",
        "4,608": "That would be six anchors on three levels of 16 × 16; coarser levels have fewer.",
    },
    answer="2,016",
    key="06-how-many",
)

# %% [markdown]
# Count them, level by level, and ask the detector itself:

# %%
detector, info = notebook.shipped_detector()
for stride in (8, 16, 32):
    print(
        f"stride {stride:>2}: {(128 // stride) ** 2:>3} cells, {6 * (128 // stride) ** 2} anchors"
    )
with torch.no_grad():
    anchors = detector(torch.zeros(1, 3, 128, 128)).anchors
print("the detector:", len(anchors))
assert len(anchors) == 2016

# %% [markdown]
# Compare that with lesson 05: fewer places than the window had there, and yet six shapes at each,
# on three scales, all in **one** pass of the network.

# %% [markdown]
# ## Play · does every animal get a guess?
#
# We say that an anchor **covers** an animal if their IoU is at least 0.5. Nothing is covered yet.
# Change size, stride, levels and ratios, and keep an eye on the number of anchors: each is work.
#
# The dots are the centres of cells. A blue box is the best anchor of an animal, and an animal in
# white is not covered yet. Each level doubles stride and size. The orange box is for the next
# task; leave it where it is.

# %%
lab = AnchorLab(
    scene.image,
    scene.target,
    reef.CLASS_NAMES,
    size=16.0,
    stride=32,
    levels=1,
    task="Cover all 6 animals with at most 300 anchors",
    goal=lambda lab: lab.covered == 6 and len(lab.anchors) <= 300,
)
lab

# %% [markdown]
# Did you notice? Size alone covers the animals that are *near a centre*. Stride decides how near
# the nearest centre is. Levels give both large and small animals their size. By code, three
# settings and their price, all with size 40 on the finest level:

# %%
for stride, levels, ratios in ((32, 1, "1"), (16, 2, "1"), (8, 3, "1/3, 1/2, 1, 2, 3")):
    lab.stride, lab.levels, lab.ratios, lab.size = stride, levels, ratios, 40.0
    print(f"stride {stride:>2}, {levels} levels, ratios {ratios}: {lab.result}")
lab.preset("reset")

# %% [markdown]
# ## Build · `anchor_grid`
#
# All anchors of one level: row by row, cell by cell, and within a cell shape by shape. An anchor
# may reach beyond the picture. A map without rows has no anchors: shape `[0, 4]`. From a list of
# boxes, `torch.tensor(boxes).reshape(-1, 4)` gives four columns also where the list is empty.

# %% [markdown]
# *Difficulty 3 of 5 · importance 5 of 5 · up to 15 minutes.*
#
# By hand: a map of 1 row and 2 columns, stride 8, one shape, 8 wide and 4 high. The first cell
# covers x 0 to 8 and y 0 to 8, so its centre is (4, 4) and its anchor is `[0, 2, 8, 6]`. The second
# centre is (12, 4): `[8, 2, 16, 6]`.


# %%
def my_anchor_grid(feature_size, stride, shapes):
    """Return anchors x1 y1 x2 y2 [H * W * S, 4], in pixels of the picture.

    feature_size: (H, W), rows and columns of the map. stride: pixels per cell.
    shapes: [S, 2], width and height of each shape, in pixels.
    """
    ...


exercises.anchor_grid.check(my_anchor_grid)

# %% [markdown]
# `exercises.anchor_grid.hint()` helps; `exercises.anchor_grid.solution()` shows the package's.

# %% [markdown]
# ## Play · four numbers from a guess to an animal
#
# A guess is near, not exact. Four **offsets**, in code `deltas`, lead from an anchor to a box:
# `dx` and `dy` move the centre, counted in the anchor's own widths and heights. `dw` and `dh`
# stretch: the natural logarithm of new size / old size. So four zeros mean: the guess is right.
#
# This lab has twelve anchors, squares of 64 pixels side by side. Its deltas lead to the orange box
# from the anchor that fits it best.

# %%
four = AnchorLab(
    scene.image,
    scene.target,
    reef.CLASS_NAMES,
    size=64.0,
    stride=64,
    levels=1,
    task="Move and stretch the orange box until its four deltas are all 0.00",
    goal=lambda lab: max(abs(delta) for delta in lab.deltas) < 0.005,
)
four.ratios = "1"
four

# %% [markdown]
# The deltas stand beside or below the picture. Now by code: the anchor at the top left is the
# square from 0 to 64. What do you expect for a box moved by 16 pixels, for one twice as high, and
# for one half as high?

# %%
for words, box in {
    "the anchor itself": [0, 0, 64, 64],
    "16 px to the right": [16, 0, 80, 64],
    "twice as high": [0, -32, 64, 96],
    "half as high": [0, 16, 64, 48],
}.items():
    anchor = torch.tensor([[0.0, 0.0, 64.0, 64.0]])
    deltas = encode_boxes(torch.tensor([box], dtype=torch.float32), anchor)[0]
    print(f"{words:<18}", [round(value, 2) + 0.0 for value in deltas.tolist()])

# %% [markdown]
# Why a logarithm? Twice as high is 0.69 and half as high −0.69: equally far from 0. `exp` undoes
# it and gives only positive numbers: whatever a network says, no width comes out negative.
#
# Why divide by the anchor's size? Half a width to the right is 0.5 for a whale and for a shrimp.

# %% [markdown]
# ## Build · `encode_boxes`
#
# *Difficulty 2 of 5 · importance 5 of 5 · up to 10 minutes.* This is what the network has to learn.
#
# By hand: the anchor `[0, 0, 10, 20]` has its centre at (5, 10), the object `[5, 0, 15, 20]` at
# (10, 10). `dx = (10 − 5) / 10 = 0.5`, `dy = 0`, both sizes agree, so `dw = dh = log(1) = 0`.
# At the end the four are multiplied by `weights`, which say how loudly each counts in the loss.
# `xyxy_to_cxcywh`, imported above, gives centre and size.


# %%
def my_encode_boxes(gt_boxes, anchors, weights=(1.0, 1.0, 1.0, 1.0)):
    """Return deltas dx dy dw dh [A, 4] that lead from each anchor [A, 4] to its box [A, 4].

    Boxes are x1 y1 x2 y2 in pixels. dx = (cx − anchor_cx) / anchor_w, dw = log(w / anchor_w).
    """
    ...


exercises.encode_boxes.check(my_encode_boxes)

# %% [markdown]
# `exercises.encode_boxes.hint()` helps.
#
# ## Build · `decode_deltas`
#
# The way back: from what the network says to boxes, which is called **decoding**. One guard is
# needed. An untrained network may say 1000, and exp(1000) is infinite. So `dw` and `dh` are cut
# off at `MAX_STRETCH` *before* `exp`: `.clamp(max=MAX_STRETCH)`.

# %%
from detlab.detector.anchors import MAX_STRETCH

print(f"exp(MAX_STRETCH) = {torch.tensor(MAX_STRETCH).exp():.1f} times as wide at most")

# %% [markdown]
# *Difficulty 2 of 5 · importance 5 of 5 · up to 10 minutes.*
#
# By hand: deltas `[0.5, 0, 0, 0]` and the anchor `[0, 0, 10, 20]`, whose centre is (5, 10). The
# centre moves by 0.5 · 10 to (10, 10). The size stays, because exp(0) = 1. So the box is
# `[5, 0, 15, 20]`.


# %%
def my_decode_deltas(deltas, anchors, weights=(1.0, 1.0, 1.0, 1.0)):
    """Return boxes x1 y1 x2 y2 [A, 4]: each anchor [A, 4] moved and stretched by its deltas.

    Divide by weights first; dw and dh are clamped to MAX_STRETCH; w = anchor_w · exp(dw).
    """
    ...


exercises.decode_deltas.check(my_decode_deltas)

# %% [markdown]
# `exercises.decode_deltas.hint()` helps. Here are the deltas of the first picture, from each
# animal's best anchor to the animal. Decoded, they must lead to the animal again; the last line
# checks that.

# %%
encode = exercises.encode_boxes.mine_or_reference(my_encode_boxes)
decode = exercises.decode_deltas.mine_or_reference(my_decode_deltas)
deltas = encode(scene.boxes, grid[best])
for row, name in enumerate(scene.target["labels"].tolist()):
    print(f"{reef.CLASS_NAMES[name]:<10}", [round(value, 2) for value in deltas[row].tolist()])
assert torch.allclose(decode(deltas, grid[best]), scene.boxes, atol=1e-3)

# %% [markdown]
# ## Break · a stretch without exp
#
# A classmate multiplies by `dw` instead of `exp(dw)`. The anchor is 64 wide. The network says
# "leave it as it is", four zeros, and then "a little smaller", `dw` = −0.5:

# %%
without_exp = exercises.decode_deltas.mistakes["the exponential is missing"]
for words, numbers in {"leave it": [0, 0, 0, 0], "smaller": [0, 0, -0.5, -0.5]}.items():
    deltas = torch.tensor([numbers], dtype=torch.float32)
    wrong, right = without_exp(deltas, anchor)[0].tolist(), decode(deltas, anchor)[0].tolist()
    print(f"{words}: without exp {wrong[2] - wrong[0]:.0f} wide, right {right[2] - right[0]:.1f}")
assert wrong[2] - wrong[0] < 0 < right[2] - right[0]

# %% [markdown]
# A box of width 0, and one of width −32 that has its left edge on the right. IoU and every loss on
# it are meaningless from there on.
#
# ## Commit · coordinates or corrections?
#
# A small network says four numbers at every cell of its map. In one run it learns the box itself,
# as fractions of the picture. In the other it learns deltas from the cell's anchor. Same network,
# same pictures, same number of steps.

# %%
Commit(
    "Which boxes will be better on new pictures?",
    options={
        "coordinates": "They say it directly. But how does a cell know where in the picture it is?",
        "both alike": "It is the same information, yes. But it is not equally easy to learn.",
        "corrections": "A cell sees what lies around it, and that is what a correction is about.",
    },
    answer="corrections",
    key="06-coordinates",
)

# %% [markdown]
# The pictures: 300 small reefs of 64 × 64, the last 60 kept for the test. The map has 8 × 8 cells,
# and one anchor of 22 × 22 pixels in each. Each animal belongs to the anchor that fits it best. We
# look only there; which anchors should learn what is the question of lesson 07.

# %%
scenes = [reef.draw_scene(600 + seed, index, image_size=(64, 64)) for index in range(300)]
images = torch.stack([scene.image for scene in scenes]) / 255 - 0.5
gt_boxes = torch.cat([scene.boxes for scene in scenes])
owner = [torch.full((len(scene.boxes),), row) for row, scene in enumerate(scenes)]
picture = torch.cat(owner)  # of each animal, the picture it is in
anchors = anchor_grid((8, 8), 8, torch.tensor([[22.0, 22.0]]))
cell = torch.cat([box_iou(anchors, scene.boxes).argmax(dim=0) for scene in scenes])
guesses = anchors[cell]
train = int((picture < 240).sum())  # animals of the first 240 pictures; the others are the test

# %% [markdown]
# What each run learns. Both kinds of numbers are brought to mean 0 and standard deviation 1, so
# that neither has an easier scale.

# %%
wanted = {"coordinates": xyxy_to_cxcywh(gt_boxes) / 64, "corrections": encode(gt_boxes, guesses)}
scale = {name: (v[:train].mean(dim=0), v[:train].std(dim=0)) for name, v in wanted.items()}

# %% [markdown]
# Both trainings. Each step takes 32 animals, and compares what the network says at their cells with
# what is wanted there, by the Smooth L1 loss of lesson 03.

# %%
# NBVAL_IGNORE_OUTPUT
predicted = {}
for name, numbers in wanted.items():
    torch.manual_seed(seed)
    layers = []
    for before, after in pairwise((3, 16, 32, 64)):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after)]
        layers += [nn.ReLU()]
    network = nn.Sequential(*layers, nn.Conv2d(64, 4, 3, padding=1))
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    mean, spread = scale[name]
    for _ in range(200):
        rows = torch.randint(train, (32,))
        answers = network(images[picture[rows]]).flatten(2)[torch.arange(32), :, cell[rows]]
        loss = nn.functional.smooth_l1_loss(answers, (numbers[rows] - mean) / spread)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        predicted[name] = network.eval()(images).flatten(2)[picture, :, cell] * spread + mean
    print(f"{name}: last loss {loss:.2f}")

# %% [markdown]
# Back to boxes, and evaluated on the pictures that no run has seen. The third row is the guess
# itself, before anybody corrected it.

# %%
# NBVAL_IGNORE_OUTPUT
boxes = {
    "coordinates": cxcywh_to_xyxy(predicted["coordinates"] * 64),
    "corrections": decode(predicted["corrections"], guesses),
    "the guess": guesses,
}
iou = {name: paired_iou(found, gt_boxes)[train:] for name, found in boxes.items()}
for name, values in iou.items():
    print(
        f"{name:<12} mean IoU {values.mean():.2f}, above 0.5: {(values > 0.5).float().mean():.0%}"
    )

# %% [markdown]
# Corrections improve on the guess. Coordinates are *worse than doing nothing*. Two test pictures,
# on the left with coordinates, on the right with corrections:

# %%
shown = [row for row in range(240, 300) if len(scenes[row].boxes) >= 2][:2]
figure = draw_layers(
    [
        Layers(
            scenes[row].image,
            {"prediction": boxes[name][picture == row], "truth": scenes[row].boxes},
            name,
        )
        for name in ("coordinates", "corrections")
        for row in shown
    ],
    columns=4,
    title="Same network, same steps: coordinates miss, corrections mostly sit",
    meanings={"prediction": "what the network says"},
)
notebook.Show(
    figure, "Dashed boxes of coordinates lie beside the animals, most of corrections on them"
)

# %%
# The claim, held by every seed that tests try:
means = {name: values.mean().item() for name, values in iou.items()}
assert means["corrections"] > means["the guess"] + 0.04
assert means["coordinates"] < means["the guess"] - 0.1

# %% [markdown]
# Why? A convolution is the same function at every cell. The same fish on the left and on the right
# looks the same to it, and "a third of my width to the right" is the same answer. The coordinates
# of the two fish differ, and what a cell sees, as sand or an edge, tells its place only roughly.
#
# Lessons 03 and 04 flattened the map first, so that every place had its own weights. That works
# for one box, and has to learn each place anew.

# %% [markdown]
# ## Break · the right anchors in the wrong order
#
# The trained detector says a list of deltas: cell by cell, the six shapes of a cell together.
# Somebody lays *the same* anchors shape by shape. Somebody else keeps the order, and puts them on
# the upper left corners of their cells. No tensor changes its size. What remains of the
# detections?
#
# An animal is found if some box of its class has an IoU of 0.5 or more with it. A box is right if
# there is such an animal.

# %%
from detlab import Detector, detect, load_dataset

val = load_dataset("reef", "val")
unseen, targets = zip(*(val[index] for index in range(24)), strict=True)
levels = list(zip((8, 16, 32), info.config.anchor_sizes, strict=True))
grids = {
    "cell by cell": exercises.anchor_grid.mine_or_reference(my_anchor_grid),
    "shape by shape": exercises.anchor_grid.mistakes["all cells of one shape come first"],
    "on the corners": exercises.anchor_grid.mistakes["anchors stand on the corners of their cells"],
}

# %% [markdown]
# The anchors go into the real model by an argument, a function that lays them. The `backbone` is
# what lesson 04 called the body; body and head stay as they were trained. The first grid is yours,
# if it passes its check.

# %%
found, fraction = {}, {}
for name, lay in grids.items():
    parts = [
        lay((128 // stride, 128 // stride), stride, anchor_shapes(sizes, info.config.aspect_ratios))
        for stride, sizes in levels
    ]
    laid = torch.cat(parts)
    twin = Detector(detector.backbone, detector.head, lambda *_, laid=laid: laid, "softmax").eval()
    found[name] = detect(twin, unseen, score_threshold=0.3)
    pairs = zip(found[name], targets, strict=True)
    fits = [
        (box_iou(f["boxes"], t["boxes"]) >= 0.5) & (f["labels"][:, None] == t["labels"])
        for f, t in pairs
    ]
    fraction[name] = torch.cat([fit.any(dim=0) for fit in fits]).float().mean().item()
    right = torch.cat([fit.any(dim=1) for fit in fits]).float().mean()
    print(f"{name:<14}: {fraction[name]:.0%} of the animals found, {right:.0%} of the boxes right")

# %%
# One picture under the three grids:
figure = draw_layers(
    [
        Layers(
            unseen[5], {"prediction": found[name][5]["boxes"], "truth": targets[5]["boxes"]}, name
        )
        for name in grids
    ],
    title="The same network, its anchors in three orders and places",
)
notebook.Show(
    figure, "Cell by cell every box sits; shape by shape they lie anywhere; corners: shifted"
)

# %%
# The symptom, as an assertion:
assert fraction["cell by cell"] > 0.9
assert fraction["shape by shape"] < 0.5
assert fraction["on the corners"] < fraction["cell by cell"] - 0.2

# %% [markdown]
# No error, no warning: wrong order is silent. Boxes that are shifted up and left by half a cell are
# the mark of the corner mistake. Draw before you search.

# %% [markdown]
# ## Commit · nine by hand or three fitted?
#
# Many detectors come with sizes that double, in ratios 1/2, 1, 2, chosen for other pictures. Ours
# by hand: 32, 64, 128, so nine shapes. Against them stand *three* shapes that are fitted to the
# boxes of the reef.
#
# To compare shapes alone, put them all on the centre of the animal, and take the IoU of the one
# that fits best. The mean over all animals is the **mean best IoU**.

# %%
Commit(
    "Which set has, on average, the better IoU with the reef's animals, both put on one centre?",
    options={
        "nine by hand": "Three times as many. But most of them are made for other pictures.",
        "three fitted": "They stand where the boxes are.",
        "about equal": "Look at how many of the nine are far from every box.",
    },
    answer="three fitted",
    key="06-fitted",
)

# %% [markdown]
# ## Build · `refit_shapes`
#
# One round of **k-means** (k shapes, each a mean): every box chooses the shape with which it has
# the highest IoU, then every shape becomes the mean of the boxes that chose it. A shape that
# nobody chose stays. `shape_iou` gives the IoUs as a table `[N, S]`.

# %% [markdown]
# *Difficulty 4 of 5 · importance 3 of 5 · up to 15 minutes.*
#
# By hand: boxes 4 × 8, 6 × 10, 30 × 20, shapes 8 × 8 and 40 × 40. The first two choose 8 × 8, which
# becomes 5 × 9. The third chooses 40 × 40, which becomes 30 × 20.


# %%
def my_refit_shapes(box_shapes, shapes):
    """Return new shapes [S, 2] after one round, in the order of the old ones.

    box_shapes: [N, 2], width and height of boxes, in pixels. shapes: [S, 2], the same.
    """
    ...


exercises.refit_shapes.check(my_refit_shapes)

# %% [markdown]
# `exercises.refit_shapes.hint()` helps. Why IoU, and not the distance in pixels? Ten pixels are
# nothing to a whale and all to a shrimp.
#
# We start from the shapes of three boxes picked at random, and do twenty rounds. The boxes are
# those of the 300 reefs, at 128 pixels. We evaluate them on other pictures, the validation set.

# %%
refit = exercises.refit_shapes.mine_or_reference(my_refit_shapes)
own = 2 * xyxy_to_cxcywh(gt_boxes)[:, 2:]  # drawn at 64 pixels, so twice as large at 128
other = xyxy_to_cxcywh(torch.cat([record.boxes for record in val.records]))[:, 2:]
lot = torch.randperm(len(own), generator=torch.Generator().manual_seed(seed))
rounds = [own[lot[:3]]]
for _ in range(20):
    rounds.append(refit(own, rounds[-1]))
quality = [shape_iou(other, shapes).amax(dim=1).mean().item() for shapes in rounds]

# %%
# NBVAL_IGNORE_OUTPUT
for number in (0, 1, 2, 5, 20):
    print(f"after {number:>2} rounds: mean best IoU {quality[number]:.3f}")

# %% [markdown]
# And the two sets beside each other. Covered, as in the lab, is a box whose best IoU is 0.5 or
# more. The last line counts for the nine: sizes 32, 64 and 128, each as flat, square and tall.

# %%
by_hand = anchor_shapes([32.0, 64.0, 128.0], [0.5, 1.0, 2.0])
for name, shapes in {"nine by hand": by_hand, "three fitted": rounds[-1]}.items():
    fits = shape_iou(other, shapes).amax(dim=1)
    print(f"{name}: mean best IoU {fits.mean():.2f}, covered {(fits >= 0.5).float().mean():.0%}")
used = shape_iou(other, by_hand).argmax(dim=1).bincount(minlength=9)
print("boxes that choose each of the nine:", used.tolist())
assert quality[-1] > shape_iou(other, by_hand).amax(dim=1).mean() + 0.04
assert used.sort().values[:3].sum() < 0.01 * len(other)

# %% [markdown]
# Some of the nine are chosen by hardly any box: they cost computing in every cell and answer for
# nothing. The anchors of a detector belong to a **data set**. Refit them when the pictures change.
#
# The course's detector has eighteen shapes, six on each of three levels. Six fitted ones have
# as good a mean best IoU. `fit_shapes` does your round fifty times:

# %%
from detlab.training.anchor_fit import fit_shapes

six = fit_shapes(own, 6, torch.Generator().manual_seed(seed))
eighteen = anchor_shapes(sum(info.config.anchor_sizes, ()), info.config.aspect_ratios)
fits = {len(s): shape_iou(other, s).amax(dim=1).mean().item() for s in (six, eighteen)}
print({number: round(value, 2) for number, value in fits.items()})
assert abs(fits[6] - fits[18]) < 0.03

# %% [markdown]
# ## Use · your parts in the real detector
#
# Your `anchor_grid` was in it already, above. `decode_deltas` works in the box loss, too: it turns
# deltas into boxes, and GIoU compares them with the animals. We give the loss your decoding as an
# argument. It must come to the same number, and the one without `exp` to a larger one.

# %%
from detlab import detection_loss
from detlab.detector.box_losses import giou_loss

with torch.no_grad():
    predictions = detector(torch.stack(unseen[:8]))
loss = {"package": detection_loss(predictions, targets[:8])["box"].item()}
for name, function in {"yours": decode, "without exp": without_exp}.items():
    loss[name] = detection_loss(
        predictions,
        targets[:8],
        box_loss=lambda d, a, g, w, f=function: giou_loss(f(d, a, w), g).sum(),
    )["box"].item()
print({name: round(value, 1) for name, value in loss.items()})
assert abs(loss["yours"] - loss["package"]) < 1e-4
assert loss["without exp"] > loss["package"] + 0.3

# %% [markdown]
# And this is how the package writes the grid of one level:

# %%
notebook.show_source(anchor_grid)

# %% [markdown]
# It has no loop over cells: `expand` repeats the centres and the shapes without copying them. A
# detector lays its grid for every new picture size.

# %% [markdown]
# ## Recap
#
# - Anchors are guesses: a few shapes on the centre of every cell of every level (*A few words for
#   guesses*, *Commit · how many guesses?*).
# - Stride, size and levels decide whether every object has a guess that is near (*Play · does every
#   animal get a guess?*).
# - Deltas move in anchor sizes and stretch by a logarithm (*Play · four numbers*).
# - Order and centre are silent when wrong (*Break · the right anchors in the wrong order*).
# - Shapes belong to a data set (*Commit · nine by hand or three fitted?*).

# %% [markdown]
# **Myth** "Models predict absolute boxes, from nothing." In *Commit · coordinates or corrections?*
# the network that tried was worse than its own starting guess. What many detectors say is how to
# correct a guess.

# %% [markdown]
# **For experts** Detectors without anchors keep the idea: distances from the cell to the four sides
# are corrections, too. Where absolute coordinates do work (transformers), the cell is told its
# place. Mean best IoU on one centre is an upper bound: with a real stride the IoU is lower. And
# anchors that fit better need not make a better detector.
#
# **Connects to** lesson 02 (IoU), 03 (losses on boxes), 07 (which anchor learns what) and 08 (many
# anchors find the same animal).

# %% [markdown]
# **Next question:** 2,016 guesses and five animals. **Who learns what?**

# %%
notebook.finish("06")
