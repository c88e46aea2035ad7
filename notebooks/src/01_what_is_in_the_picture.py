# %% [markdown]
# # 01 · What is in the picture?
#
# You name these animals at a glance. A network gets thousands of numbers and must end with **one
# word**. How, and how does it learn the right one?
#
# **After this lesson you can** turn a network's numbers into probabilities, say how wrong they
# are, train a classifier with your own loss, and name what no classifier can tell.
# **Needs** lesson 00. **Runs** in 45 s on two processor cores; **takes** about 45 minutes.

# %%
import torch
from matplotlib.figure import Figure
from torchvision.transforms.v2.functional import resize

from detlab import reef
from detlab.course import exercises, notebook
from detlab.course.single_object import (
    SingleObjectNet,
    draw_several_objects,
    draw_single_objects,
    fit_single,
)
from detlab.draw.figures import draw_image
from detlab.widgets import ClassifierLab, Commit

seed = notebook.seed()

# %% [markdown]
# Eight pictures from the drawn reef, with four of its seven animals. What is in each? (`seed` is 0.
# All that is random in a lesson begins from it, so you see what is described.)

# %% tags=["thumbnail"]
class_names = reef.CLASS_NAMES[:5]
alone = {"classes": class_names[1:], "objects": (1, 1), "empty_fraction": 0.0, "haze": 0.05}
figure = Figure(figsize=(8, 4.1), layout="constrained")
for index, ax in enumerate(figure.subplots(2, 4).flat, start=4):
    dials = {"image_size": (240, 240), "object_size": (0.6, 0.85), **alone}
    draw_image(ax, reef.draw_scene(11, index, **dials).image)
notebook.Show(
    figure, "Eight reef pictures with one animal each: fish, jellyfish, sharks and starfish."
)

# %% [markdown]
# ## From a picture to numbers
#
# A picture is a tensor `[3, H, W]` of whole numbers from 0 to 255: red, green and blue, row by row.
# Its type `uint8` is one byte a number. Below, the shape of one, and one pixel: row 5, column 10.

# %%
picture = reef.draw_scene(11, 0, image_size=(64, 64), **alone).image
print(list(picture.shape), picture.dtype, "=", picture.numel(), "numbers")
print("red, green, blue of one pixel:", picture[:, 5, 10].tolist())

# %% [markdown]
# The possible answers are **classes**, and the number of a class is its **label**. Label 0 is
# kept for **background**: nothing of interest. It has no use today, and much from lesson 05 on.

# %%
for label, name in enumerate(class_names):
    print(label, name)

# %% [markdown]
# A network turns each picture into one number per class: the **logits**. Large means "rather
# this". This network has random weights, so its logits mean nothing yet. Look at their shape
# only.

# %%
torch.manual_seed(seed)
net = SingleObjectNet(num_classes=len(class_names))
for pictures in (picture[None], torch.stack([picture] * 3)):
    logits, _ = net(pictures)
    print("pictures", list(pictures.shape), "-> logits", list(logits.shape))

# %% [markdown]
# N pictures in, `[N, K]` logits out, K the number of classes. Whatever a picture shows, its answer
# is **one row of fixed length**. Keep that in mind: all later lessons come from it.
#
# (The `_` is a box. The network can point, too, but nobody asks it to before lesson 03.)

# %% [markdown]
# ## From logits to probabilities
#
# Logits may be negative, and sum to anything. **Softmax** makes **probabilities** of them:
# positive, with sum 1. It takes e = 2.718 to the power of each logit, then divides each power by
# their sum.
#
# By hand: the logits 0, 0.693 and 1.609 have the powers 1, 2 and 5. Their sum is 8, so the
# probabilities are 1/8, 2/8 and 5/8.

# %%
logits = torch.tensor([[0.0, 0.693, 1.609]])
print("powers:       ", [round(value, 2) for value in logits.exp()[0].tolist()])
print("probabilities:", [round(value, 3) for value in logits.softmax(dim=1)[0].tolist()])

# %% [markdown]
# ## Commit · ten more for everyone
#
# Now 10 is added to each of the three logits. Each power becomes e¹⁰ times as large.

# %% jupyter={"source_hidden": true}
Commit(
    "What happens to the probabilities?",
    options={
        "nothing": "All powers grow by the same factor, and so does their sum.",
        "the largest gets nearly everything": "That happens when logits are multiplied by 10.",
        "all become alike": "That would need equal logits. Their differences are what they were.",
    },
    answer="nothing",
    key="01-ten-more",
)

# %% [markdown]
# Added, and for comparison multiplied:

# %%
for name, changed in {"as is": logits, "+ 10": logits + 10, "× 10": logits * 10}.items():
    print(f"{name:<6}", [round(value, 3) for value in changed.softmax(dim=1)[0].tolist()])

# %% [markdown]
# Only **differences** of logits count. So you may subtract the same number from a whole row.
#
# ## Build · `softmax`
#
# *Difficulty 2 of 5 · importance 4 of 5 · up to 10 minutes.* Write it for a table: a row per
# picture, and each row sums to 1. `powers.sum(dim=1, keepdim=True)` gives one sum per row as a
# column `[N, 1]`, so that a division reaches the whole row. `amax` gives the largest likewise.
#
# The check also tries logits of 1000, and e¹⁰⁰⁰ is too large for a float. What helps?


# %%
def my_softmax(logits):
    """Return the probabilities [N, K] of logits [N, K]; each row sums to 1."""
    ...


exercises.softmax.check(my_softmax)

# %% [markdown]
# If it is not right yet, the check shows the case, and often knows what you did.
# `exercises.softmax.hint()` in a new cell gives a hint, the next call a stronger one.
#
# ## Break · e to the power of 1000
#
# The formula as it stands in books, with nothing subtracted, on three rows of logits. The third is
# the second plus 1000, so both should give the same.

# %%
softmax = exercises.softmax.mine_or_reference(my_softmax)
by_the_book = exercises.softmax.mistakes["nothing was subtracted before exp"]
logits = torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0], [1010.0, 1020.0, 1030.0]])
for name, function in {"by the book": by_the_book, "yours": softmax}.items():
    print(f"{name:<12}", [[round(p, 3) for p in row] for row in function(logits).tolist()])
assert by_the_book(logits)[2].isnan().all()
assert torch.allclose(softmax(logits)[2], softmax(logits)[1])

# %% [markdown]
# e to the power of 1000 is larger than any float: it becomes `inf`, and inf / inf is **NaN**, not
# a number. One NaN spreads through the whole network. Subtract the row's largest logit first: the
# largest power is then 1. In `float16` (two bytes a number, to save memory) the limit comes early.
# (The `bfloat16` of lesson 00 reaches as far as a float, with fewer digits.)

# %%
for logit in (11.0, 12.0):
    power = torch.tensor(logit).exp().half().item()
    print(f"e to the power of {logit:.0f} in float16: {power:.0f}")

# %% [markdown]
# ## How wrong is an answer?
#
# To learn, a network needs one number that says how wrong it is, a **loss**: 0 is perfect, more
# is worse. Here are two networks. Both take a shark for a fish. The first gave the shark 10 %,
# the second only 1 %.
#
# The loss of this lesson is **cross-entropy**: −log of the probability of the *right* class. (log
# is the natural logarithm, which undoes e to the power of.)

# %% jupyter={"source_hidden": true}
Commit(
    "How much larger is the second network's cross-entropy?",
    options={
        "the same: wrong is wrong": "For counting, yes. A loss must also see which way is better.",
        "twice": "−log 0.1 is 2.3, −log 0.01 is 4.6: each tenth adds the same again.",
        "ten times": "The probability is a tenth, yes. Its log is only twice as far from 0.",
    },
    answer="twice",
    key="01-sure-and-wrong",
)

# %% [markdown]
# The curve of −log p, and the two networks on it:

# %%
probability = torch.linspace(0.005, 1, 200)
figure = Figure(figsize=(6, 3), layout="constrained")
ax = figure.add_subplot(title="Sure and wrong is punished most: −log p")
ax.plot(probability, -probability.log(), color="#0072b2")
for p in (0.1, 0.01):
    loss = -torch.tensor(p).log().item()
    ax.plot(p, loss, "o", color="#d55e00")
    ax.text(p + 0.02, loss, f"p = {p:.0%}: loss {loss:.1f}", va="center")
ax.set(xlabel="p, probability of the right class", ylabel="cross-entropy", ylim=(0, 5.3))
notebook.Show(
    figure, "A curve that falls from 5 near p = 0 to 0 at p = 1, with dots at 2.3 and 4.6."
)

# %% [markdown]
# ## Build · `cross_entropy`
#
# *Difficulty 3 of 5 · importance 5 of 5 · up to 10 minutes.* The log of a probability that was
# rounded to 0 is −inf, so do not go through probabilities. Since p = e^right / sum of all
# e^logit:
#
# −log p = log(sum of all e^logit) − right logit
#
# By hand: logits 0 and 0, label 1. log(1 + 1) − 0 = 0.693.

# %% [markdown]
# `logits.gather(1, labels[:, None])[:, 0]` picks one logit in each row: the one whose column stands
# in `labels`. And as in softmax, mind the logits of 1000: what you subtract from a row must be
# subtracted from its right logit, too.


# %%
def my_cross_entropy(logits, labels):
    """Return a loss per picture [N] from logits [N, K] and labels int64 [N]."""
    ...


exercises.cross_entropy.check(my_cross_entropy)

# %% [markdown]
# `exercises.cross_entropy.hint()` helps.
#
# ## Break · softmax twice
#
# This mistake is in many first projects: the network ends with a softmax, and the loss, which has
# one inside, takes those probabilities for logits. It still learns a little, so nobody notices.
# Here a network gets more and more **sure**, and it is **right**: one of five logits grows, the
# other four are 0.

# %%
cross_entropy = exercises.cross_entropy.mine_or_reference(my_cross_entropy)
twice = exercises.cross_entropy.mistakes["softmax was taken twice"]
right_class = torch.tensor([2])
for size in (1.0, 5.0, 20.0):
    logits = torch.tensor([[0.0, 0.0, size, 0.0, 0.0]])
    once = cross_entropy(logits, right_class).item()
    too_often = twice(logits, right_class).item()
    print(f"logit {size:4.0f}: loss {once:.3f}, softmax twice {too_often:.3f}")
assert once < 0.001
assert too_often > 0.9

# %% [markdown]
# The right loss goes to 0. The broken one stops at 0.905, for ever, because probabilities as
# logits differ by 1 at most. If a loss falls and then stands still far above 0, look for a second
# softmax.

# %% [markdown]
# ## Use · train a classifier with your loss
#
# 2000 pictures of 64 × 64 pixels, one animal each. In every **step** the network sees 32 of them,
# a **batch**; the mean of your `cross_entropy` says how wrong it is, and each weight moves a
# little to where that gets smaller. Before the first step it knows nothing. Five classes, all
# alike: what loss should that be?

# %%
world = {"object_size": (0.4, 0.85), "classes": class_names[1:], "haze": 0.05}
pictures = draw_single_objects(seed, 2000, **world)
with torch.no_grad():
    before = cross_entropy(net(pictures.images[:200])[0], pictures.labels[:200]).mean().item()
knows_nothing = cross_entropy(torch.zeros(1, 5), torch.tensor([1])).item()
print(f"all five alike: −log 1/5 = {knows_nothing:.2f}")
print("the untrained network is near that:", abs(before - knows_nothing) < 0.4)
assert abs(before - knows_nothing) < 0.4

# %% [markdown]
# Remember this check: a new network's loss is about log K. If yours is far from it, something is
# wrong before training began. Now 400 steps; "at first" and "at last" are means over 20 of them.

# %%
# NBVAL_IGNORE_OUTPUT
steps = fit_single(
    net,
    pictures,
    loss=lambda logits, boxes, labels, gt_boxes: cross_entropy(logits, labels).mean(),
    steps=400,
    seed=seed,
)
losses = torch.tensor([step["loss_total"] for step in steps])
print(f"loss at first {losses[:20].mean():.2f}, at last {losses[-20:].mean():.2f}")
assert losses[-20:].mean() < 0.5 * losses[:20].mean()

# %% [markdown]
# The loss of every step (pale), and its mean over the last 20 steps (dark). It ends far below where
# it began. It is never smooth, because every batch is another one.

# %%
# NBVAL_IGNORE_OUTPUT
figure = Figure(figsize=(6, 3), layout="constrained")
ax = figure.add_subplot(title="The loss falls from log 5 towards 0")
ax.plot(losses, color="#0072b2", alpha=0.35, linewidth=0.6)
ax.plot(range(19, 400), losses.unfold(0, 20, 1).mean(dim=1), color="#0072b2")
ax.axhline(knows_nothing, color="#d55e00", linestyle="--", label="knows nothing: log 5")
ax.set(xlabel="step", ylabel="cross-entropy", ylim=(0, 2.2))
ax.legend(frameon=False)
notebook.Show(figure, "The loss starts at about 1.6 and falls below 0.4 within 400 steps.")

# %% [markdown]
# ## Build · `accuracy`
#
# *Difficulty 1 of 5 · importance 3 of 5 · up to 5 minutes.* A loss is for the network. People
# ask: how often is it right? The network's answer is the class with the largest logit: `argmax`.
# **Accuracy** is the fraction of right answers.
#
# By hand: the rows (1, 9, 0) and (8, 2, 3) say class 1 and class 0. If both are class 1, one of two
# is right: 0.5. Yes and no have no mean in torch; `.float()` makes 1 and 0 of them.


# %%
def my_accuracy(logits, labels):
    """Return the fraction of right answers, a tensor without dimensions, 0 to 1."""
    ...


exercises.accuracy.check(my_accuracy)

# %% [markdown]
# `exercises.accuracy.hint()` helps. Now we evaluate the network, on 200 pictures that it has
# **never seen**: those that it learned from, it might know by heart. Every picture shows one of
# four animals, so a guess is right one time in four.

# %%
# NBVAL_IGNORE_OUTPUT
accuracy = exercises.accuracy.mine_or_reference(my_accuracy)
unseen = draw_single_objects(seed + 100, 200, **world)
with torch.no_grad():
    logits = net.eval()(unseen.images)[0]
reached = accuracy(logits, unseen.labels).item()
print(f"accuracy on pictures never seen: {reached:.2f}; by guessing: {1 / 4:.2f}")
assert reached > 0.7

# %% [markdown]
# Each picture carries the network's answer and its probability. Above are the six answers that it
# is surest of, below the six that it is least sure of. Where are the wrong ones?

# %%
# NBVAL_IGNORE_OUTPUT
probabilities = softmax(logits)
order = probabilities.amax(dim=1).argsort(descending=True)
figure = Figure(figsize=(9, 3.6), layout="constrained")
for ax, index in zip(figure.subplots(2, 6).flat, [*order[:6], *order[-6:]], strict=True):
    row, label = probabilities[index], unseen.labels[index]
    wrong = "" if row.argmax() == label else ", wrong"
    draw_image(ax, unseen.images[index])
    ax.set_title(f"{class_names[row.argmax()]} {row.max():.2f}{wrong}", size=9)
notebook.Show(figure, "Twelve pictures never seen, each under the class that the network names.")

# %% [markdown]
# ## Play · what does it look at?
#
# Drag the small box, or pull at its handles. What it covers turns grey for the network, too. Which
# part of the animal does it need? Find the smallest cover that makes it change its mind.
#
# Then press **reset** and set *the window* to *crop*: now the network sees only what is inside the
# box. How little of the animal is enough? (The task is for *cover*.)

# %%
# NBVAL_IGNORE_OUTPUT
starfish = {**alone, "classes": ("starfish",), "object_size": (0.6, 0.7)}
scene = reef.draw_scene(5, index=1, image_size=(256, 256), **starfish)
whole = scene.boxes[0].tolist()
cover_lab = ClassifierLab(
    scene.image,
    lambda image: softmax(net(resize(image, [64, 64])[None])[0])[0],
    class_names,
    box=[5, 5, 35, 35],
    mode="cover",
    task="Cover at most a quarter of the starfish, so that it says another animal",
    goal=lambda lab: (
        lab.mode == "cover" and lab.fraction_seen(whole) >= 0.75 and lab.top_class != "starfish"
    ),
)
cover_lab

# %% [markdown]
# ## Commit · two animals
#
# The network learned from pictures with one animal each. Now it gets pictures with **two animals
# of different kinds**, both whole and in full view.

# %% jupyter={"source_hidden": true}
Commit(
    "Where does the probability go, most of the time?",
    options={
        "about one half for each of the two": "Fair, but it was never paid for being fair.",
        "most of it for one of them": "A row has sum 1, and training taught it to choose.",
        "background": "It never saw a picture of background either, so it never says so.",
    },
    answer="most of it for one of them",
    key="01-two-animals",
)

# %% [markdown]
# ## Break · one label for two animals
#
# 200 such pictures. Of the two animals in each, one gets more of the probability, the other less.
# How much more?

# %%
# NBVAL_IGNORE_OUTPUT
couples = draw_several_objects(seed + 200, 300, 2, **{**world, "object_size": (0.4, 0.6)})
mixed = couples.labels[:, 0] != couples.labels[:, 1]
images, labels = couples.images[mixed][:200], couples.labels[mixed][:200]
with torch.no_grad():
    probabilities = softmax(net(images)[0])
both = probabilities.gather(1, labels).sort(dim=1, descending=True).values
more, less = both.median(dim=0).values.tolist()
print(f"{len(images)} pictures; in half of them the one gets {more:.2f} or more,")
print(f"and in half of them the other gets {less:.2f} or less")
assert more > 0.5
assert less < 0.2

# %% [markdown]
# And the label? It is one word. However good the network, one word names **at most one of two**
# animals: half of what is there, never more.

# %%
named = (probabilities.argmax(dim=1)[:, None] == labels).sum().item()
assert named <= len(labels)
print("at most one named per picture:", named <= len(labels))
print("answers for 1, 2 and 200 pictures:", [list(probabilities[:n].shape) for n in (1, 2, 200)])

# %% [markdown]
# The shape says it all: a row of K numbers, for one animal, for two, for a swarm. There is no place
# in it for "two", none for "which of them", and none for "**where**". Here are five of the
# pictures. The answer may even be a third animal, which is not there.

# %%
# NBVAL_IGNORE_OUTPUT
figure = Figure(figsize=(10, 2.5), layout="constrained")
for ax, image, row, pair in zip(figure.subplots(1, 5), images, probabilities, labels, strict=False):
    draw_image(ax, image)
    there = " and ".join(class_names[label] for label in pair)
    ax.set_title(f"{there}\nit says {class_names[row.argmax()]} {row.max():.2f}", size=10)
notebook.Show(
    figure, "Five pictures of two animals each; above each, both true names and the one answer."
)

# %% [markdown]
# ## Play · help it to see both
#
# One trick makes a classifier find both: show it less. Crop the picture until it names the one
# animal, then until it names the other. Keep the window about square: the network sees it
# squeezed to 64 × 64, and a jellyfish squeezed flat looks like a fish. Show it a piece without any
# animal, too: what does it say?

# %%
# NBVAL_IGNORE_OUTPUT
pair = {**alone, "objects": (2, 2), "classes": ("jellyfish", "starfish"), "crowding": 0.0}
scene = reef.draw_scene(8, index=4, image_size=(256, 256), object_size=(0.4, 0.5), **pair)
jellyfish = scene.boxes[scene.labels == class_names.index("jellyfish")][0].tolist()
crop_lab = ClassifierLab(
    scene.image,
    lambda image: softmax(net(resize(image, [64, 64])[None])[0])[0],
    class_names,
    task="Crop to most of the jellyfish, so that it says jellyfish with 80 % or more",
    goal=lambda lab: (
        lab.mode == "crop"
        and lab.fraction_seen(jellyfish) > 0.5
        and lab.top_class == "jellyfish"
        and lab.top_probability >= 0.8
    ),
)
crop_lab

# %% [markdown]
# With your hand you have done what a detector does: you chose **where** to look. Lesson 05 lets a
# program try every window, and sees what that costs.
#
# One more gap: what does it say of a picture with **no** animal?

# %%
# NBVAL_IGNORE_OUTPUT
nobody = {"objects": (0, 0), "haze": 0.05, "image_size": (64, 64)}
empty = torch.stack([reef.draw_scene(seed + 300, index, **nobody).image for index in range(50)])
with torch.no_grad():
    answer = softmax(net(empty)[0])
print(f"mean probability of its answer, where nothing is: {answer.amax(dim=1).mean():.2f}")
print("ever said background:", bool((answer.argmax(dim=1) == 0).any()))
assert answer.amax(dim=1).mean() > 0.5
assert not (answer.argmax(dim=1) == 0).any()

# %% [markdown]
# No training picture was background, so the network cannot say "nothing". Softmax divides 1 among
# the answers that the network knows. That is no proof that any of them is right.
#
# ## Use · the same functions in the real detector
#
# The detector of this course has thousands of rows of logits for a picture instead of one. Each row
# is read as yours. Only column 0 is left out of the comparison: the detector does not report
# background, so it puts a 0 there.

# %%
from detlab.detector.postprocess import to_scores

detector, _ = notebook.shipped_detector()
with torch.no_grad():
    rows = detector(resize(scene.image, [128, 128])[None]).logits[0]
print("rows of logits for one picture:", list(rows.shape))
alike = torch.allclose(softmax(rows)[:, 1:], to_scores(rows, "softmax")[:, 1:])
print("your softmax reads them as the detector does:", alike)

# %% [markdown]
# And this is the package's `cross_entropy`. The letters in its first line are **shapes**: N
# pictures, K classes. Whoever calls a function of detlab can read there what goes in and what comes
# out.

# %%
from detlab.classify import cross_entropy as package_cross_entropy

notebook.show_source(package_cross_entropy)

# %% [markdown]
# ## Recap
#
# - Softmax makes probabilities of logits. Only differences count (*Commit · ten more for
#   everyone*), so subtract the largest first (*Break · e to the power of 1000*).
# - Cross-entropy is −log p of the right class; a new network starts at log K (*Use · train a
#   classifier*).
# - A loss that stands still far above 0 may hold a second softmax (*Break · softmax twice*).
# - A classifier answers with one row of fixed length (*Break · one label for two animals*).

# %% [markdown]
# **Myth** "Detection is classification with a fancier name." In *Break · one label for two
# animals* a good classifier named at most one of two, gave most of its probability to it, and
# said nothing of where. Another kind of answer is needed, not a better classifier.

# %% [markdown]
# **For experts** A sigmoid per class instead of softmax could say "shark *and* fish". It still
# could not count two sharks, nor say where they are. And its probabilities, like softmax's, need
# not be honest: lesson 10 measures whether answers of 0.9 are right nine times in ten.

# %% [markdown]
# **Connects to** lesson 05 (the window that you moved by hand, moved by a program), 07 (thousands
# of rows, nearly all of them background) and 10 (why accuracy is the wrong measure there).

# %%
notebook.finish("01")

# %% [markdown]
# **Next question:** the network knows *what*. How do you write down **where**, and how good is a
# "where"?
