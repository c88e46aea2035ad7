"""Lesson 01, What is in the picture? Probabilities, how wrong they are, and how often right."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from torch import Tensor

from detlab import classify
from detlab.course.exercises.exercise import Case, Exercise
from detlab.draw.roles import find_role


def logits_of(*rows: Sequence[int | float]) -> Tensor:
    """Logits, a picture a row."""
    return torch.tensor(rows, dtype=torch.float32)


def labels_of(*labels: int) -> Tensor:
    """The right classes, one a picture."""
    return torch.tensor(labels, dtype=torch.int64)


def seeded_logits(pictures: int, classes: int, seed: int) -> Tensor:
    """Logits of many sizes, no two alike."""
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(pictures, classes, generator=generator)


def draw_bars(axes: Axes, case: Case, got: object, wanted: Tensor) -> None:
    """A bar for each right number, and a hatched one for the learner's beside it; none for NaN."""
    right = wanted.flatten().tolist()
    axes.bar(range(len(right)), right, width=0.4, color=find_role("truth").colour, label="right")
    if isinstance(got, Tensor) and got.shape == wanted.shape:
        mine = got.detach().flatten().nan_to_num().clamp(-1e3, 1e3).tolist()
        places = [place + 0.4 for place in range(len(mine))]
        colour = find_role("prediction").colour
        axes.bar(places, mine, width=0.4, color=colour, hatch="//", label="yours")
    names = [
        f"row {row[0]}" + "".join(f"\nclass {k}" for k in row[1:]) for row in places_of(wanted)
    ]
    axes.set_xticks([place + 0.2 for place in range(len(right))], names, size=7)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)


def places_of(table: Tensor) -> list[list[int]]:
    """Row and column of each number, in the order of reading.

    >>> places_of(torch.zeros(1, 2))
    [[0, 0], [0, 1]]
    """
    return torch.ones(table.shape).nonzero().tolist()


def draw_table(axes: Axes, case: Case, got: object, wanted: Tensor) -> None:
    """The logits as a table; the right class of each row has a frame, the largest logit a dot."""
    logits, labels = case
    low, high = logits.min().item(), logits.max().item()
    pale = {"vmin": low, "vmax": high + 2 * (high - low) + 1}  # so that letters are read on it
    axes.imshow(logits.numpy(), cmap="Blues", aspect="auto", **pale)
    for row, column in places_of(logits):
        value = logits[row, column].item()
        axes.text(column, row + 0.3, f"{value:.3g}", ha="center", color="#3b4653", size=8)
    rows, right, predicted = range(len(labels)), labels.tolist(), logits.argmax(dim=1).tolist()
    frame = axes.scatter(right, rows, 500, marker="s", lw=2, label="right")
    frame.set(facecolors="none", edgecolors="#009e73")
    axes.scatter(predicted, rows, s=40, color="#d55e00", label="largest logit")
    axes.set(xlabel="class", ylabel="picture", xticks=range(logits.shape[1]), yticks=rows)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)


# ---------------------------------------------------------------- softmax


def softmax_unshifted(logits: Tensor) -> Tensor:
    """The formula as it stands in books."""
    powers = logits.exp()
    return powers / powers.sum(dim=1, keepdim=True)


def softmax_shifted_by_all(logits: Tensor) -> Tensor:
    """One maximum for the whole table."""
    return softmax_unshifted(logits - logits.max()) if len(logits) else logits.clone()


def softmax_down_the_columns(logits: Tensor) -> Tensor:
    """Pictures compete instead of classes."""
    return torch.softmax(logits, dim=0)


def softmax_over_everything(logits: Tensor) -> Tensor:
    """All numbers of the table sum to 1."""
    powers = (logits - logits.amax(dim=1, keepdim=True)).exp()
    return powers / powers.sum()


def softmax_twice(logits: Tensor) -> Tensor:
    """Probabilities taken for logits."""
    return classify.softmax(classify.softmax(logits))


def softmax_of_base_two(logits: Tensor) -> Tensor:
    """2 to the power of the logits."""
    powers = 2 ** (logits - logits.amax(dim=1, keepdim=True))
    return powers / powers.sum(dim=1, keepdim=True)


def softmax_by_the_largest(logits: Tensor) -> Tensor:
    """Divided by the largest power: the best class always gets 1."""
    return (logits - logits.amax(dim=1, keepdim=True)).exp()


def softmax_by_the_mean(logits: Tensor) -> Tensor:
    """Divided by the mean of the powers: each row sums to its number of classes."""
    powers = (logits - logits.amax(dim=1, keepdim=True)).exp()
    return powers / powers.mean(dim=1, keepdim=True)


def one_by_one(logits: Tensor) -> Tensor:
    """A sigmoid for each logit."""
    return logits.sigmoid()


def log_of_softmax(logits: Tensor) -> Tensor:
    """Logs of probabilities."""
    return logits.log_softmax(dim=1)


softmax = Exercise(
    reference=classify.softmax,
    cases={
        "one picture, powers 1, 2 and 5": (logits_of((0.0, 0.6931472, 1.6094379)),),
        "two pictures of three classes": (logits_of((1, 3, -2), (0, -1, 4)),),
        "all logits alike": (logits_of((2, 2, 2, 2)),),
        "a single class": (logits_of((3,), (-2,)),),
        "logits of 1000": (logits_of((1000, 998, -1000), (5, 1000, 1001)),),
        "logits of −1000": (logits_of((-1000, -1001, -999)),),
        "one row far above the other": (logits_of((900, 901, 899), (-3, -2, -5)),),
        "no pictures": (torch.zeros(0, 4),),
        "five pictures of seven classes": (seeded_logits(5, 7, seed=0),),
    },
    mistakes={
        "nothing was subtracted before exp": (
            softmax_unshifted,
            "e to the power of 1000 is more than a float can hold: it becomes inf, and inf / inf is"
            " NaN. Subtract the row's largest logit first; no probability changes.",
        ),
        "the largest logit of the whole table was subtracted": (
            softmax_shifted_by_all,
            "A row far below it becomes all zeros, and 0 / 0 is NaN. Each row has its own largest:"
            " logits.amax(dim=1, keepdim=True).",
        ),
        "the sum went down the columns": (
            softmax_down_the_columns,
            "Row 0 is one picture. Its classes compete, not the pictures: dim=1.",
        ),
        "one sum was taken over all pictures": (
            softmax_over_everything,
            "Each picture has its own probabilities, which sum to 1. Add up along dim=1.",
        ),
        "softmax was taken twice": (
            softmax_twice,
            "The second softmax takes probabilities for logits: all classes come out nearly alike.",
        ),
        "the base is 2": (
            softmax_of_base_two,
            "Softmax takes powers of e = 2.718…: logits.exp().",
        ),
        "the division was by the largest power, not by the sum": (
            softmax_by_the_largest,
            "The best class always gets 1 that way, however close the second is.",
        ),
        "the division was by the mean, not by the sum": (
            softmax_by_the_mean,
            "Add up a row of yours: it gives the number of classes, not 1. Divide by"
            " powers.sum(dim=1, keepdim=True).",
        ),
        "each logit went through its own sigmoid": (
            one_by_one,
            "Then the classes do not compete, and their sum is not 1.",
        ),
        "the answer is the log of the probabilities": (
            log_of_softmax,
            "Probabilities lie between 0 and 1; these are their logs.",
        ),
    },
    hints=[
        "powers = logits.exp() are all positive. What must they be divided by to sum to 1?",
        "powers.sum(dim=1, keepdim=True) has the shape [N, 1], so each row is divided by its own.",
        "Before exp, subtract logits.amax(dim=1, keepdim=True): then the largest power is 1.",
    ],
    draw=draw_bars,
)

# ---------------------------------------------------------------- cross_entropy


def right_probability(logits: Tensor, labels: Tensor) -> Tensor:
    """What softmax gives to the right class."""
    return classify.softmax(logits).gather(1, labels[:, None])[:, 0]


def log_of_a_probability(logits: Tensor, labels: Tensor) -> Tensor:
    """First a probability, then its log."""
    return -right_probability(logits, labels).log()


def entropy_unshifted(logits: Tensor, labels: Tensor) -> Tensor:
    """The sum of powers, as large as they are."""
    return logits.exp().sum(dim=1).log() - logits.gather(1, labels[:, None])[:, 0]


def entropy_shifted_in_the_sum(logits: Tensor, labels: Tensor) -> Tensor:
    """The largest is subtracted in the powers, and not from the right logit."""
    shifted = logits - logits.amax(dim=1, keepdim=True)
    return shifted.exp().sum(dim=1).log() - logits.gather(1, labels[:, None])[:, 0]


def entropy_of_base_two(logits: Tensor, labels: Tensor) -> Tensor:
    """Counted in bits."""
    return classify.cross_entropy(logits, labels) / torch.tensor(2.0).log()


def entropy_with_plus(logits: Tensor, labels: Tensor) -> Tensor:
    """The sign forgotten."""
    return -classify.cross_entropy(logits, labels)


def entropy_without_log(logits: Tensor, labels: Tensor) -> Tensor:
    """One minus the probability."""
    return 1 - right_probability(logits, labels)


def entropy_of_all_classes(logits: Tensor, labels: Tensor) -> Tensor:
    """A mean over all classes."""
    return -logits.log_softmax(dim=1).mean(dim=1)


def entropy_as_mean(logits: Tensor, labels: Tensor) -> Tensor:
    """One number for the whole batch."""
    return classify.cross_entropy(logits, labels).mean()


def entropy_of_softmax(logits: Tensor, labels: Tensor) -> Tensor:
    """Softmax inside and outside."""
    return F.cross_entropy(classify.softmax(logits), labels, reduction="none")


def entropy_of_the_best(logits: Tensor, labels: Tensor) -> Tensor:
    """The class that won, right or wrong."""
    return classify.cross_entropy(logits, logits.argmax(dim=1))


def entropy_of_the_class_before(logits: Tensor, labels: Tensor) -> Tensor:
    """Labels counted from 1."""
    return classify.cross_entropy(logits, (labels - 1) % logits.shape[1])


cross_entropy = Exercise(
    reference=classify.cross_entropy,
    cases={
        "two classes, undecided": (logits_of((0, 0)), labels_of(1)),
        "three pictures of four classes": (
            logits_of((2, 0, -1, 1), (0, 3, 1, 1), (-2, 1, 0, 4)),
            labels_of(0, 2, 3),
        ),
        "the same logits, three right classes": (
            logits_of((1, 2, 4), (1, 2, 4), (1, 2, 4)),
            labels_of(0, 1, 2),
        ),
        "very sure and right": (logits_of((1000, 0, -1000), (-1000, -900, -1000)), labels_of(0, 1)),
        "very sure and wrong": (logits_of((1000, 0, -1000)), labels_of(2)),
        "no pictures": (torch.zeros(0, 3), labels_of()),
        "six pictures of five classes": (
            seeded_logits(6, 5, seed=1),
            labels_of(4, 0, 2, 2, 1, 3),
        ),
    },
    mistakes={
        "the log was taken of a probability that had become 0": (
            log_of_a_probability,
            "Right, but for one case: a tiny probability is rounded to 0, and log 0 is −inf."
            " log(sum of powers) − the right logit never comes to that.",
        ),
        "nothing was subtracted before exp": (
            entropy_unshifted,
            "e to the power of 1000 is inf. Subtract the row's largest logit from all first, or"
            " let logits.logsumexp(dim=1) do it.",
        ),
        "the largest logit was subtracted in the sum only": (
            entropy_shifted_in_the_sum,
            "Subtract it from the right logit, too, or add it back after the log: then it cancels."
            " As it is, a loss can be negative.",
        ),
        "the log has base 2": (
            entropy_of_base_two,
            "That counts in bits. Cross-entropy in networks takes the natural log: .log().",
        ),
        "the sign is missing": (
            entropy_with_plus,
            "The log of a probability is negative, and a loss must grow with the error.",
        ),
        "the log was left out": (
            entropy_without_log,
            "1 − p hardly tells a bad answer from a terrible one. Take −log p.",
        ),
        "the mean was taken over all classes": (
            entropy_of_all_classes,
            "Only the right class's probability counts: its column stands in labels.",
        ),
        "one mean was taken over all pictures": (
            entropy_as_mean,
            "Here each picture keeps its number: [N]. Whoever trains takes the mean.",
        ),
        "softmax was taken twice": (
            entropy_of_softmax,
            "Logits come in, so one softmax is enough. torch's F.cross_entropy has one inside.",
        ),
        "the winner was taken instead of the right class": (
            entropy_of_the_best,
            "Then a wrong answer costs nothing as long as the network is sure of it. Use labels.",
        ),
        "labels were counted from 1": (
            entropy_of_the_class_before,
            "Column 0 is background, so label 1 is column 1: no − 1 here.",
        ),
    },
    hints=[
        "Softmax gives each class a probability. Which one matters? How does it become a loss?",
        "logits.gather(1, labels[:, None])[:, 0] picks the right class's logit in each row.",
        "−log(e^right / sum of e^all) = log(sum of e^all) − right; logits.logsumexp(dim=1) is the"
        " first part.",
    ],
    draw=draw_bars,
)

# ---------------------------------------------------------------- accuracy


def accuracy_of_columns(logits: Tensor, labels: Tensor) -> Tensor:
    """The best picture of each class."""
    return (logits.argmax(dim=0) == labels).float().mean()


def number_right(logits: Tensor, labels: Tensor) -> Tensor:
    """A count."""
    return (logits.argmax(dim=1) == labels).sum()


def fraction_wrong(logits: Tensor, labels: Tensor) -> Tensor:
    """The error rate."""
    return (logits.argmax(dim=1) != labels).float().mean()


def accuracy_in_percent(logits: Tensor, labels: Tensor) -> Tensor:
    """0 to 100."""
    return 100 * classify.accuracy(logits, labels)


def accuracy_of_the_worst(logits: Tensor, labels: Tensor) -> Tensor:
    """The smallest logit."""
    return (logits.argmin(dim=1) == labels).float().mean()


def accuracy_of_the_sure(logits: Tensor, labels: Tensor) -> Tensor:
    """Right only with more than half of the probability."""
    return (right_probability(logits, labels) > 0.5).float().mean()


def mean_probability(logits: Tensor, labels: Tensor) -> Tensor:
    """How sure, not how often."""
    return right_probability(logits, labels).mean()


def accuracy_with_ties(logits: Tensor, labels: Tensor) -> Tensor:
    """Right if no logit is larger."""
    right = logits.gather(1, labels[:, None])[:, 0]
    return (right >= logits.amax(dim=1)).float().mean()


def accuracy_without_background(logits: Tensor, labels: Tensor) -> Tensor:
    """Column 0 cut off, and labels not moved with it."""
    return (logits[:, 1:].argmax(dim=1) == labels).float().mean()


accuracy = Exercise(
    reference=classify.accuracy,
    cases={
        "one of two right": (logits_of((1, 9, 0), (8, 2, 3)), labels_of(1, 1)),
        "two of three right, none of them sure": (
            logits_of((0.3, 0.2, 0.1, 0.2), (1.0, 1.1, 1.2, 1.0), (0.5, 0.1, 0.4, 0.6)),
            labels_of(0, 2, 2),
        ),
        "as many pictures as classes": (
            logits_of((0, 5, 1, 2), (3, 9, 2, 1), (1, 0, 4, 2), (7, 2, 3, 1)),
            labels_of(1, 1, 2, 3),
        ),
        "all logits negative": (logits_of((-3, -1, -2), (-1, -5, -9)), labels_of(1, 2)),
        "equal logits: the first counts": (logits_of((2, 2, 1), (0, 3, 3)), labels_of(0, 2)),
        "all right": (logits_of((4, 1, 2), (0, 1, 2), (0, 3, 2)), labels_of(0, 2, 1)),
        "nine pictures of five classes": (
            seeded_logits(9, 5, seed=2),
            labels_of(4, 0, 2, 2, 1, 3, 0, 1, 4),
        ),
    },
    mistakes={
        "the best picture of each class was asked for": (
            accuracy_of_columns,
            "argmax(dim=0) goes down the columns. Each picture is a row: argmax(dim=1).",
        ),
        "right answers were counted, not averaged": (
            number_right,
            "A fraction lies between 0 and 1, however many pictures there are: take the mean.",
        ),
        "wrong answers were counted": (
            fraction_wrong,
            "That is the error rate: 1 − accuracy.",
        ),
        "the answer is in percent": (
            accuracy_in_percent,
            "Right, times 100. As a fraction it lies between 0 and 1.",
        ),
        "the smallest logit was taken": (
            accuracy_of_the_worst,
            "The network's answer is the class with the largest logit.",
        ),
        "only answers with more than half of the probability counted": (
            accuracy_of_the_sure,
            "Accuracy asks which class is largest, not how sure the network is of it.",
        ),
        "the mean probability was taken": (
            mean_probability,
            "That says how sure the network is. Accuracy counts: right or wrong.",
        ),
        "a tie counted as right": (
            accuracy_with_ties,
            "One label is the answer. Of equal logits argmax takes the first.",
        ),
        "the first column was left out": (
            accuracy_without_background,
            "Without column 0 all other columns have moved by one, and labels have not.",
        ),
    },
    hints=[
        "Which class does the network say? The one with the largest logit in its row.",
        "logits.argmax(dim=1) gives one class per picture; == labels says yes or no.",
        "yes and no become 1 and 0 by .float(); their mean is the accuracy.",
    ],
    draw=draw_table,
)
