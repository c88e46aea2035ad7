# %% [markdown]
# # Start here
#
# What can you build in this course? Below, a detector that trained for five minutes on two
# processor cores looks at pictures that it never saw, and says **what** is **where**. In ten
# lessons you will write what makes a network into one.
#
# **After this lesson you can** find your way through the course, check this machine, and have a
# function of yours checked.
#
# **Runs** in 20 s on two processor cores; **takes** about 15 minutes. Run the cells one by one with
# Shift + Enter.

# %%
from detlab import detect, load_dataset, reef
from detlab.cli import doctor
from detlab.course import exercises, notebook
from detlab.draw.figures import Picture, draw_alone
from detlab.widgets import Commit, ThresholdLab

detector, info = notebook.shipped_detector()
print("it knows:", ", ".join(info.class_names[1:]))

# %% [markdown]
# ## A picture
#
# The **reef** is drawn from a seed, a number that decides everything in it. So it needs no
# download, and there are as many pictures as we like. How many animals do you see?

# %%
scene = reef.draw_scene(reef.VAL_SEED, index=3, image_size=(512, 512))
notebook.Show(
    draw_alone(Picture(scene.image), info.class_names),
    "a drawn reef: a small turtle on the left, a blue starfish above, a large jellyfish below",
)

# %% [markdown]
# ## Commit · how many will it find?
#
# Decide before you scroll on. Pick an answer, then press **Commit**: it is locked from then on.
# Every lesson asks like this, *before* the evidence, because a guess that you stand by makes the
# evidence stick.

# %%
Commit(
    "How many of the animals will the detector find and name?",
    options={
        "none": "It trained for only five minutes. But look below.",
        "some": "A fair guess. The next cell counts.",
        "all of them": "You trust it. On the pictures further down it will err.",
    },
    answer="all of them",
    key="00-how-many",
)

# %% [markdown]
# Here is what it says. A dashed orange box is a **detection**: a **class** (what it is), a place,
# and a **score** from 0 to 1 that says how sure the detector is. The solid green boxes are what is
# really there, the **ground truth**.

# %% tags=["thumbnail"]
[found] = detect(detector, [scene.image], info.config.longest_side, score_threshold=0.5)
notebook.Show(
    draw_alone(Picture(scene.image, scene.target, found), info.class_names),
    "the same reef; a dashed box with a name and a score lies on each of the animals",
)

# %%
# In words, and counted:
for label, score in zip(found["labels"].tolist(), found["scores"].tolist(), strict=True):
    print(f"{info.class_names[label]:<10} score {score:.1f}")
print(f"{len(found['boxes'])} boxes for {len(scene.labels)} animals")

# %% [markdown]
# ## Play · when is a detection good enough?
#
# The slider *score from* sets the lowest score that counts: detections below it are dropped.
#
# - **True positive** (TP), a hit (long dashes, blue): on an animal, with its right name.
# - **False positive** (FP), a false alarm (short dashes, red): on nothing, with a wrong name, or
#   second on the same animal.
# - **False negative** (FN), a missed animal (white): no detection has found it.
#
# The task: no false positive, and yet most animals found. (The curve beside it is for lesson 10.)

# %%
val = load_dataset("reef", "val")
images, targets = zip(*(val[row] for row in range(24, 30)), strict=True)
detections = detect(detector, images, info.config.longest_side, score_threshold=0.05)
animals = sum(len(target["boxes"]) for target in targets)
threshold_lab = ThresholdLab(
    images,
    detections,
    targets,
    info.class_names,
    score_threshold=0.05,
    task=f"No false positives, and 14 or more true positives on the {animals} animals",
    goal=lambda lab: lab.false_positives == 0 and lab.true_positives >= 14,
)
threshold_lab

# %% [markdown]
# Low, and water becomes fish. High, and animals are missed. There is no setting without a price,
# and lesson 10 is about choosing it. The labs in this course can all be moved by mouse, by keyboard
# and from a cell. Here three scores are set, and the detections are counted:

# %%
for score in (0.05, 0.5, 0.9):
    threshold_lab.score_threshold = score
    print(f"score from {score:.2f}: {threshold_lab.true_positives:>3} right", end=", ")
    print(f"{threshold_lab.false_positives:>3} wrong, {threshold_lab.recall:.0%} of animals found")

# %% [markdown]
# ## Is this machine ready?
#
# Every line should begin with `ok`. A line that begins with `FIX` ends with the command that fixes
# it. The last line times a few training steps, and says how many pictures the whole detector would
# see here in its five minutes. (`bfloat16` is a way to store a number in two bytes.) The course
# needs no GPU, and uses one if there is one.

# %%
# NBVAL_IGNORE_OUTPUT
for check in doctor.examine():
    print(check)

# %% [markdown]
# ## Build · `image_size`
#
# *Difficulty 1 of 5 · importance 2 of 5 · up to 3 minutes.*
#
# An **image** is a tensor of shape [3, height, width]: three colours, each a table of rows and
# columns. Write a function that gives its size, two numbers. By hand first: for a tensor of shape
# [3, 480, 640] the answer is `(480, 640)`. A size names the height first, everywhere in this
# course.
#
# Replace the `...` and run the cell. Then make it wrong on purpose, and read what the check says.


# %%
def my_image_size(image):
    """Return (height, width) of an image [3, H, W], in pixels."""
    ...


exercises.image_size.check(my_image_size)

# %% [markdown]
# Stuck? `exercises.image_size.hint()` in a new cell gives one hint at a time, and
# `exercises.image_size.solution()` shows the function of `detlab`, the course's own package. Each
# exercise has both.
#
# What you write is used. Until it passes its check, the package's function stands in, so every
# lesson runs from top to bottom. `mine_or_reference` chooses:

# %%
image_size = exercises.image_size.mine_or_reference(my_image_size)
print("the reef picture is", image_size(scene.image), "and those in the lab", image_size(images[0]))

# %% [markdown]
# ## The way
#
# Each lesson asks a question, lets you guess, play, build and break, and then uses what you built.
# Answers and solved exercises are remembered on this machine alone. In a terminal,
# `detlab progress` prints them, and `detlab reset 02` brings back lesson 02 as it was and keeps
# yours beside it.

# %%
notebook.course_map()

# %% [markdown]
# ## If something goes wrong
#
# - *A name is not defined*: the kernel was restarted, or a cell was skipped. **Run → Run All Above
#   Selected Cell**.
# - *A lab does not show*: run its cell again. If it stays away, `detlab doctor` in a terminal says
#   what is missing.
# - *A cell runs for ever*: the ■ button interrupts it.

# %% [markdown]
# ## Words of lessons 01 to 04
#
# - **class**: what an object is; its number is the **label**; 0 is background (01)
# - **logits**, **scores**: what a network says, before and after it is squeezed into 0 to 1 (01)
# - **box**: four numbers that say where, in pixels (02)
# - **ground truth**: the right boxes and labels, to compare with
# - **IoU**: how well two boxes agree, 0 to 1 (02)
# - **loss**: how wrong an answer is, to be made small (01)
# - **head**: the last layers of a network, one per kind of answer (04)

# %% [markdown]
# ## Words of lessons 05 to 10
#
# - **feature map**: the picture as a coarse grid of numbers; **stride**: pixels per cell (06)
# - **anchor**: a guess to begin with; **deltas**: how to move it onto a box (06)
# - **positive**, **negative**, **ignored** anchors learn an object, background, nothing (07)
# - **NMS**: of many boxes on one object, keep the best (08)
# - **precision**: the fraction of the detections that are right (10)
# - **recall**: the fraction of the objects that are found (10)
# - **AP**, average precision: both in one number; **mAP**: the mean over classes (10)

# %% [markdown]
# ## Words of lesson 11
#
# - **train**, **val**, **test**: pictures to learn from, to choose by, to look at once
# - **twins**: two pictures of one scene; in two splits they make the test worthless
# - **pretraining**: training for something else first; **fine-tuning**: training on from there
# - **augmentation**: a picture looks a little different at every visit
# - **tile**: a part of a large picture, shown on its own
# - **blind** detector: a baseline that never looks at the picture

# %% [markdown]
# ## Next
#
# Lesson 01 begins with less than this detector can do: one picture, one word.

# %%
notebook.finish("00")
