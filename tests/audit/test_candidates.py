"""Pictures of one scene are candidates; of strangers hardly any."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from detlab.audit.candidates import (
    FEW,
    NEXT,
    SIDE,
    agreeing,
    candidates,
    favourites,
    meetings,
    moved_alike,
    moved_together,
    neighbours,
    striking_patches,
)
from detlab.audit.thumbnails import Thumbnails, thumbnail, without_backgrounds


def wide_scenes(number, seed=0):
    """Blobs of all sizes, wider and higher than a picture of 180 x 240."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(number, 3, 22, 30, generator=generator) * 255
    return F.interpolate(noise, (250, 330), mode="bicubic").clamp(0, 255).byte()


def seen(scene, top=0, left=0):
    return thumbnail(scene[:, top : top + 180, left : left + 240])


def test_of_few_pictures_all_pairs_are_candidates():
    none = torch.zeros(FEW, 36, 48)
    found = candidates(Thumbnails(none, none, torch.zeros(FEW, dtype=torch.bool)))
    assert len(found) == FEW * (FEW - 1) // 2
    for number in (0, 1):
        few = Thumbnails(none[:number], none[:number], torch.zeros(number, dtype=torch.bool))
        assert candidates(few).shape == (0, 2)


@pytest.mark.parametrize("place", [(0, 0), (50, 0), (0, 80), (40, 60)])
def test_a_moved_camera_is_found_among_many_pictures_and_few_others_are_tried(place):
    scenes = wide_scenes(300)
    thumbs = torch.stack([*map(seen, scenes), *(seen(scene, *place) for scene in scenes[:20])])
    pairs = {tuple(pair) for pair in candidates(without_backgrounds(thumbs)).tolist()}
    found = {(row, 300 + row) for row in range(20)} & pairs
    assert len(found) >= 18
    assert len(pairs) < 320 * 319 // 2 / 20


def test_the_number_of_candidates_grows_with_the_number_of_pictures():
    counts = [len(moved_alike(torch.stack([*map(seen, wide_scenes(n))]))) for n in (100, 200, 400)]
    assert counts[2] < 6 * counts[0] + 100  # of pairs there are 16 times as many


def test_patches_lie_where_the_contrast_is():
    thumbs = torch.zeros(2, 36, 48)
    thumbs[1, 20, 30] = 50.0
    place, owner, vectors = striking_patches(thumbs)
    assert owner.unique().tolist() == [1]
    assert (place - torch.tensor([20, 30])).abs().max() <= 1
    assert vectors.shape[1] == SIDE**2
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(vectors)))


def test_nothing_at_the_edge_is_cut_out():
    thumbs = torch.zeros(1, 36, 48)
    thumbs[0, 1, 1] = thumbs[0, 34, 20] = 9.0
    assert len(striking_patches(thumbs)[1]) == 0
    assert moved_alike(thumbs.repeat(2, 1, 1)).shape == (0, 2)


def test_vectors_meet_that_point_the_same_way():
    generator = torch.Generator().manual_seed(3)
    vectors = F.normalize(torch.randn(500, 100, generator=generator))
    near = F.normalize(vectors[:50] + 0.02 * torch.randn(50, 100, generator=generator))
    pairs = {tuple(pair) for pair in meetings(torch.cat([vectors, near])).tolist()}
    assert pairs == {(row, 500 + row) for row in range(50)}


@given(st.lists(st.integers(0, 3), max_size=12))
def test_neighbours_have_one_key_and_lie_close(keys):
    found = {tuple(pair) for pair in neighbours(torch.tensor(keys, dtype=torch.int64)).tolist()}
    for key in set(keys):
        rows = [row for row, each in enumerate(keys) if each == key]
        expected = {
            (rows[a], rows[b])
            for a in range(len(rows))
            for b in range(a + 1, len(rows))
            if b - a <= NEXT
        }
        assert {pair for pair in found if keys[pair[0]] == key} == expected


def test_one_vote_is_not_enough():
    pairs = torch.tensor([[0, 1], [0, 1], [0, 2], [0, 2]])
    cells = torch.tensor([[3, 3], [3, 3], [3, 3], [3, 4]])
    found, votes = agreeing(pairs, cells)
    assert (found.tolist(), votes.tolist()) == ([[0, 1]], [2])


def test_pictures_that_moved_together_have_the_votes_of_their_best_cell():
    owner = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2])
    place = torch.tensor([[5, 5], [9, 9], [20, 30], [7, 8], [11, 12], [1, 1], [5, 5], [9, 20]])
    patches = torch.tensor([[0, 1], [0, 3], [0, 6], [1, 4], [1, 7], [2, 5]])
    pairs, votes = moved_together(patches, place, owner)
    assert (pairs.tolist(), votes.tolist()) == ([[0, 1]], [2])  # both moved by (-2, -3)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 9)), max_size=12),
    st.integers(1, 3),
)
def test_favourites_are_among_the_first_of_one_of_both(rows, most):
    table = {(min(a, b), max(a, b)): votes for a, b, votes in rows if a != b}
    pairs = torch.tensor(sorted(table), dtype=torch.int64).view(-1, 2)
    votes = torch.tensor([table[pair] for pair in sorted(table)], dtype=torch.int64)
    found = {tuple(pair) for pair in favourites(pairs, votes, most).tolist()}
    for pair, its in table.items():
        better = [
            sum(other > its for with_it, other in table.items() if one in with_it) for one in pair
        ]
        as_good = [
            sum(other >= its for with_it, other in table.items() if one in with_it) for one in pair
        ]
        if min(as_good) <= most:
            assert pair in found
        if min(better) >= most:
            assert pair not in found


def test_blurred_pictures_that_look_like_all_are_compared_with_a_few(monkeypatch):
    """Without a bound four times as many of these are candidates."""
    monkeypatch.setattr("detlab.audit.candidates.FAVOURITES", 1)
    generator = torch.Generator().manual_seed(1)
    blurred = F.interpolate(
        torch.randn(400, 1, 5, 6, generator=generator), (36, 48), mode="bicubic"
    )
    pairs = moved_alike(20 * blurred[:, 0])
    assert 200 <= len(pairs) <= 400
