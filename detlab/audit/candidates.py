"""Which pictures may show the same scene, without comparing each with every other.

Uses distinct.py and thumbnails.py. Each picture gives some small patches, cut where it is most
striking. A patch gets a number, its key, such that patches that look alike often have the same: on
which side of some random planes it lies (Charikar, "Similarity Estimation Techniques from Rounding
Algorithms", 2002). Sorted by key, they lie side by side. So the time grows with the number of
pictures times its logarithm, not with the number of pairs.
"""

import zlib

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from detlab.audit.distinct import distinct
from detlab.audit.thumbnails import Thumbnails

FEW = 32
"""Of so few pictures every pair is a candidate."""
SIDE = 9
"""Rows and columns of a patch, in pixels of the thumbnail: a quarter of its height."""
STRIKING = 24
"""Patches of a picture."""
POOL = 3
"""Side of the squares whose mean is taken where whole pictures are compared."""
TABLES = 16
"""How often all are sorted, by other planes: those that look alike meet at least once."""
NEXT = 4
"""Those after it that one is compared with; where a key is common it says little."""
ALIKE = 0.6
"""Correlation of two patches, or two whole pictures, that look alike."""
VOTES = 2
"""Patches that must say that the camera moved the same way …"""
CELL = 4
"""… to within so many pixels of the thumbnail."""
FAVOURITES = 8
"""Partners of a picture that are compared with it: blurred pictures look a little like all."""
PICTURES = 512
"""Pictures out of which patches are cut at a time …"""
CHUNK = 2**16
"""… and pairs that are compared at a time: a bound on memory."""

Pairs = Int64[Tensor, "_ 2"]
"""Rows of pictures, the smaller one first; no pair twice."""


def candidates(thumbs: Thumbnails) -> Pairs:
    """Pairs of pictures that are worth a comparison, in order."""
    if len(thumbs.whole) <= FEW:
        return torch.combinations(torch.arange(len(thumbs.whole)))
    moved = (~thumbs.fixed).nonzero()[:, 0]
    in_place = meetings(whole_pictures(thumbs.own))
    moved_ones = moved[moved_alike(thumbs.whole[moved])]
    return distinct(torch.cat([copies(thumbs.whole), in_place, moved_ones]))[0]


def copies(thumbs: Float[Tensor, "N h w"]) -> Pairs:
    """Pairs of pictures that are equal in every pixel.

    >>> copies(torch.tensor([[[1.0, 2.0]], [[1.0, 3.0]], [[1.0, 2.0]]]))
    tensor([[0, 2]])
    """
    keys = [zlib.crc32(thumb.numpy().tobytes()) for thumb in thumbs]
    pairs = neighbours(torch.tensor(keys, dtype=torch.int64))
    return pairs[[torch.equal(thumbs[one], thumbs[other]) for one, other in pairs.tolist()]]


def whole_pictures(thumbs: Float[Tensor, "N h w"]) -> Float[Tensor, "N D"]:
    """Each picture as one vector of length 1, coarse enough to forgive a small shift."""
    return F.normalize(F.avg_pool2d(thumbs[:, None], POOL).flatten(1))


def moved_alike(thumbs: Float[Tensor, "N h w"]) -> Pairs:
    """Pairs of pictures with several patches in common that all moved the same way.

    Of each picture's partners the FAVOURITES with most of such patches; a scene that more pictures
    show hangs together by them.
    """
    if len(thumbs) < 2:
        return torch.zeros(0, 2, dtype=torch.int64)
    place, owner, vectors = all_patches(thumbs)
    found = meetings(vectors)
    blocks = (owner[found[:, 0]] // PICTURES).bincount().tolist()  # of pictures: `found` is sorted
    parts = [moved_together(part, place, owner) for part in found.split(blocks)] if blocks else []
    pairs = torch.cat([torch.zeros(0, 2, dtype=torch.int64), *(part for part, _ in parts)])
    votes = torch.cat([torch.zeros(0, dtype=torch.int64), *(part for _, part in parts)])
    return favourites(pairs, votes, FAVOURITES)


def moved_together(
    patches: Pairs, place: Int64[Tensor, "P 2"], owner: Int64[Tensor, " P"]
) -> tuple[Pairs, Int64[Tensor, " _"]]:
    """Pairs of pictures by their pairs of patches that moved the same way, and how many did.

    Args:
        patches: pairs of patches that look alike.
        place: row and column of each patch.
        owner: the picture that each patch is of.
    """
    first, second = patches.unbind(dim=1)
    other = owner[first] != owner[second]
    first, second = first[other], second[other]
    shift = place[first] - place[second]
    pairs = torch.stack([owner[first], owner[second]], dim=1)
    agreed = [  # cells that overlap by half, so that no shift lies at the edge of all
        agreeing(pairs, (shift + torch.tensor(by)) // CELL)
        for by in ((0, 0), (0, CELL // 2), (CELL // 2, 0), (CELL // 2, CELL // 2))
    ]
    votes = torch.cat([votes for _, votes in agreed])
    found, _ = distinct(torch.cat([torch.cat([pairs for pairs, _ in agreed]), votes[:, None]], 1))
    most = torch.ones(len(found), dtype=torch.bool)  # a pair's last row has its most votes
    most[:-1] = (found[1:, :2] != found[:-1, :2]).any(dim=1)
    return found[most, :2], found[most, 2]


def agreeing(pairs: Pairs, cells: Int64[Tensor, "_ 2"]) -> tuple[Pairs, Int64[Tensor, " _"]]:
    """Pairs that stand there with the same cell at least VOTES times, and how often each does.

    >>> agreeing(torch.tensor([[0, 1], [0, 1], [0, 2]]), torch.tensor([[3, 3], [3, 3], [3, 3]]))
    (tensor([[0, 1]]), tensor([2]))
    """
    found, votes = distinct(torch.cat([pairs, cells], dim=1), least=VOTES)
    return found[:, :2], votes


def favourites(pairs: Pairs, votes: Int64[Tensor, " _"], most: int) -> Pairs:
    """Those pairs that are among the `most` with most votes of one of their two pictures.

    >>> favourites(torch.tensor([[0, 1], [0, 2], [1, 2]]), torch.tensor([9, 2, 5]), most=1)
    tensor([[0, 1],
            [1, 2]])
    """
    ones, votes = torch.cat(pairs.unbind(dim=1)), votes.repeat(2)
    order = votes.argsort(descending=True, stable=True)
    order = order[ones[order].argsort(stable=True)]  # by picture, and there by votes
    owner = ones[order]
    rank = torch.arange(len(owner)) - torch.searchsorted(owner, owner)
    return pairs[(order[rank < most] % max(1, len(pairs))).unique()]


def all_patches(
    thumbs: Float[Tensor, "N h w"],
) -> tuple[Int64[Tensor, "P 2"], Int64[Tensor, " P"], Float[Tensor, "P D"]]:
    """The same as `striking_patches`, of any number of pictures."""
    parts = [striking_patches(part) for part in thumbs.split(PICTURES)]
    place, vectors = (torch.cat([part[at] for part in parts]) for at in (0, 2))
    owner = torch.cat([part[1] + PICTURES * number for number, part in enumerate(parts)])
    return place, owner, vectors


def striking_patches(
    thumbs: Float[Tensor, "N h w"],
) -> tuple[Int64[Tensor, "P 2"], Int64[Tensor, " P"], Float[Tensor, "P D"]]:
    """Cut out what stands out most: where there is more contrast than all around.

    Returns:
        Row and column of each patch's middle, the picture that it is of, and its pixels, their mean
        taken away, as a vector of length 1.
    """
    contrast = F.avg_pool2d(thumbs.square()[:, None], 3, stride=1, padding=1)[:, 0]
    peak = (contrast == F.max_pool2d(contrast, 5, stride=1, padding=2)) & (contrast > 0)
    half = SIDE // 2
    peak[:, :half], peak[:, -half:], peak[:, :, :half], peak[:, :, -half:] = (False,) * 4
    width = thumbs.shape[2]
    best, where = (contrast * peak).flatten(1).topk(STRIKING)
    owner, rank = (best > 0).nonzero(as_tuple=True)
    row, column = where[owner, rank] // width, where[owner, rank] % width
    windows = thumbs.unfold(1, SIDE, 1).unfold(2, SIDE, 1)  # a view: nothing is copied
    patches = windows[owner, row - half, column - half].flatten(1)
    vectors = F.normalize(patches - patches.mean(dim=1, keepdim=True))
    return torch.stack([row, column], dim=1), owner, vectors


def meetings(vectors: Float[Tensor, "P D"]) -> Pairs:
    """Pairs of vectors of length 1 that point nearly the same way, most of them.

    >>> meetings(torch.eye(4)[[0, 1, 2, 1]])
    tensor([[1, 3]])
    """
    generator = torch.Generator().manual_seed(0)
    number = len(vectors)
    bits = max(1, number.bit_length())  # about as many keys as vectors
    found = torch.zeros(0, dtype=torch.int64)  # a pair as one number, which takes half the memory
    for _ in range(TABLES):
        planes = torch.randn(vectors.shape[1], bits, generator=generator)
        key = ((vectors @ planes > 0) << torch.arange(bits)).sum(dim=1)
        pairs = alike_of(neighbours(key), vectors)
        found = torch.cat([found, pairs[:, 0] * number + pairs[:, 1]]).unique()
    return torch.stack([found // max(1, number), found % max(1, number)], dim=1)


def neighbours(keys: Int64[Tensor, " P"]) -> Pairs:
    """Each row with the NEXT rows after it that have the same key.

    >>> neighbours(torch.tensor([7, 5, 7, 7])).tolist()
    [[0, 2], [2, 3], [0, 3]]
    """
    keys, order = keys.sort(stable=True)
    found = [torch.zeros(0, 2, dtype=torch.int64)]
    for step in range(1, min(NEXT, len(keys) - 1) + 1):
        (at,) = (keys[step:] == keys[:-step]).nonzero(as_tuple=True)
        found.append(torch.stack([order[at], order[at + step]], dim=1))
    return torch.cat(found)


def alike_of(pairs: Pairs, vectors: Float[Tensor, "P D"]) -> Pairs:
    """Those pairs of vectors of length 1 whose product is at least ALIKE."""
    return torch.cat(
        [
            part[(vectors[part[:, 0]] * vectors[part[:, 1]]).sum(dim=1) >= ALIKE]
            for part in pairs.split(CHUNK)
        ]
    )
