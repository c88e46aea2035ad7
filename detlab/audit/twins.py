"""Pictures of the same scene: copies, and photographs taken twice with the camera moved between.

Uses candidates.py and thumbnails.py. The question behind it: was a test picture in training?

Two pictures are laid over each other at every shift and compared where they overlap, all shifts
at once by the Fourier transform, as in Padfield, "Masked Object Registration in the Fourier
Domain", IEEE Transactions on Image Processing 2012. Where a camera does not move, they are compared
without a shift, and without their background.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from detlab.audit.candidates import Pairs, candidates
from detlab.audit.kinds import Finding
from detlab.audit.thumbnails import Album, Thumbnails, read_thumbnails
from detlab.data.records import Record

LEAST_OVERLAP = 0.3
"""Fraction of the picture that both must show."""
TWIN = 0.75
"""Correlation from which two pictures are twins. On BCCD, unlike pictures stay below 0.71."""
COPY = 0.9
"""The same where a camera does not move: the objects stand where they stood, too."""
QUIET = 0.1
"""Grey levels: where thumbnails differ by less from their surroundings, there is nothing to see."""
CHUNK = 256
"""Pairs that are laid over each other at a time: a bound on memory."""


def twins_of(splits: Mapping[str, Sequence[Record]], album: Album | None = None) -> list[Finding]:
    """Each scene that several pictures show; those in two splits first: they make a test worthless.

    "91% alike" says: of all light and dark in two small pictures, without what the whole set
    shares, so much is the same in both. Of several pictures it is the least alike pair that counts.
    """
    places = [(record, name) for name, split in splits.items() for record in split]
    places.sort(key=lambda place: place[0].image)
    pairs = find_twins([record.image for record, _ in places], album)
    least = {one: alike for one, _, alike in pairs}  # the last of a picture, so the least alike
    found = []
    for rows in groups_of((one, other) for one, other, _ in pairs):
        records = tuple(places[row][0] for row in sorted(rows))
        within = Counter(places[row][1] for row in rows)
        counts = {name: within[name] for name in splits if name in within}
        found.append(one_scene(records, counts, min(least.get(row, 1.0) for row in rows)))
    return sorted(found, key=lambda finding: finding.kind != "twins across splits")


def one_scene(records: tuple[Record, ...], counts: Mapping[str, int], alike: float) -> Finding:
    """The finding of pictures that show one scene: so many of each split, and how much alike."""
    where, number = " and ".join(counts), ""
    if len(records) > 2:
        where = " and ".join(f"{name} ({count})" for name, count in counts.items())
        number = f" in {len(records)} pictures"
    kind = "twins across splits" if len(counts) > 1 else "twins"
    what = f"the same scene{number}, {alike:.0%} alike, in {where}"
    return Finding(kind, records, (), what, alike)


def groups_of(pairs: Iterable[tuple[int, int]]) -> list[set[int]]:
    """Rows that hang together, directly or by others; in the order of their first pair.

    >>> groups_of([(4, 5), (1, 2), (2, 3)])
    [{4, 5}, {1, 2, 3}]
    """
    group_of: dict[int, set[int]] = {}
    for one, other in pairs:
        small, large = sorted((group_of.get(one, {one}), group_of.get(other, {other})), key=len)
        if small is not large:
            large |= small
        group_of.update(dict.fromkeys(small | {one, other}, large))
    groups = {id(group): group for group in group_of.values()}
    return list(groups.values())


def find_twins(paths: Sequence[Path], album: Album | None = None) -> list[tuple[int, int, float]]:
    """Pairs of pictures that show the same scene, the most alike first.

    Args:
        paths: the pictures.
        album: thumbnails that are there already.

    Returns:
        (row, row, likeness) for each pair, the first row the smaller.
    """
    thumbs = read_thumbnails(paths, album)
    pairs = candidates(thumbs)
    likeness = likenesses(thumbs, pairs)
    in_place = thumbs.fixed[pairs].all(dim=1)
    kept = likeness >= torch.where(in_place, COPY, TWIN)
    found = [
        (one, other, alike)
        for (one, other), alike in zip(pairs[kept].tolist(), likeness[kept].tolist(), strict=True)
    ]
    return sorted(found, key=lambda pair: -pair[2])


def likenesses(thumbs: Thumbnails, pairs: Pairs) -> Float[Tensor, " _"]:
    """How much the pictures of each pair are alike, −1 to 1: 1 is a copy, 0 has nothing in common.

    Where both have a background they lie as they are, elsewhere at the best of all shifts. Pictures
    that are equal in every pixel are copies, though without their background nothing may be left.
    """
    found = torch.zeros(len(pairs))
    in_place = thumbs.fixed[pairs].all(dim=1)
    for rows in parts_of(in_place.nonzero()[:, 0]):
        one, other = pairs[rows].unbind(dim=1)
        alike = correlations_in_place(thumbs.own[one], thumbs.own[other])
        equal = (thumbs.whole[one] == thumbs.whole[other]).flatten(1).all(dim=1)
        seen = thumbs.whole[one].square().mean(dim=(1, 2)) > QUIET**2
        found[rows] = alike.where(~(equal & seen), 1.0)
    for rows in parts_of((~in_place).nonzero()[:, 0]):
        one, other = pairs[rows].unbind(dim=1)
        maps = correlation_maps(thumbs.whole[one], thumbs.whole[other])
        found[rows] = maps.amax(dim=(1, 2))
    return found


def parts_of(rows: Int64[Tensor, " N"]) -> Iterator[Int64[Tensor, " n"]]:
    """CHUNK of them at a time; nothing of nothing."""
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK]


def correlations_in_place(
    ones: Float[Tensor, "P h w"], others: Float[Tensor, "P h w"]
) -> Float[Tensor, " P"]:
    """The correlation of each picture with its partner, without a shift; 0 where one is empty.

    >>> correlations_in_place(torch.tensor([[[2.0, 0.0]]]), torch.tensor([[[2.0, 2.0]]]))
    tensor([0.7071])
    """
    mine, theirs = (
        each.square().mean(dim=(1, 2)).clamp(min=QUIET**2).sqrt() for each in (ones, others)
    )
    return (ones * others).mean(dim=(1, 2)) / (mine * theirs)


def best_shift(one: Float[Tensor, "h w"], other: Float[Tensor, "h w"]) -> tuple[int, int]:
    """How far down and right, in pixels of the thumbnails, `one` shows what `other` shows.

    >>> scene = torch.rand(30, 40, generator=torch.Generator().manual_seed(1)) - 0.5
    >>> best_shift(scene[:20, :30], scene[3:23, 8:38])
    (3, 8)
    """
    (likeness,) = correlation_maps(one[None], other[None])
    shift = divmod(int(likeness.argmax()), likeness.shape[1])
    down, right = (  # the second half of the map holds the negative shifts
        by - size if by >= size // 2 else by for by, size in zip(shift, likeness.shape, strict=True)
    )
    return down, right


def correlation_maps(
    ones: Float[Tensor, "P h w"], others: Float[Tensor, "P h w"]
) -> Float[Tensor, "P 2*h 2*w"]:
    """The correlation of each picture with its partner, at every shift.

    At each shift only the overlap counts; where it is too small stands −1.
    """
    height, width = ones.shape[1:]
    padded = (2 * height, 2 * width)  # so that nothing wraps around to the other side

    def spectrum(values: Tensor) -> Tensor:
        found: Tensor = torch.fft.rfft2(values, padded)
        return found

    def at_all_shifts(a: Tensor, b: Tensor) -> Tensor:
        found: Tensor = torch.fft.irfft2(a * b.conj(), padded)
        return found

    everywhere = spectrum(torch.ones_like(ones[0]))
    enough = at_all_shifts(everywhere, everywhere) >= LEAST_OVERLAP * height * width
    mine = at_all_shifts(spectrum(ones**2), everywhere).clamp(min=1e-3)
    theirs = at_all_shifts(everywhere, spectrum(others**2)).clamp(min=1e-3)
    shared = at_all_shifts(spectrum(ones), spectrum(others))
    return (shared / (mine * theirs).sqrt()).where(enough, -1.0)
