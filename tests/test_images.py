"""Pictures of any size to one batch; nothing in them moves."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close
from torchvision.transforms.v2.functional import get_size, resize

from detlab.detector.anchors import window_boxes
from detlab.images import batch_images, cut_windows, fit_image, fitted_size, image_size

lengths = st.integers(1, 900)


@pytest.mark.parametrize(
    ("image_size", "longest", "expected"),
    [
        ((480, 640), 320, (240, 320)),
        ((640, 480), 320, (320, 240)),
        ((100, 100), 128, (128, 128)),
        ((1, 1000), 100, (1, 100)),  # never thinner than a pixel
    ],
)
def test_the_longest_side_is_as_wished(image_size, longest, expected):
    assert fitted_size(image_size, longest) == expected


@given(lengths, lengths, lengths)
def test_the_form_of_a_picture_is_kept_to_half_a_pixel(height, width, longest):
    fitted = fitted_size((height, width), longest)
    scale = longest / max(height, width)
    assert max(fitted) == longest
    assert abs(fitted[0] - height * scale) <= 0.5 or fitted[0] == 1
    assert abs(fitted[1] - width * scale) <= 0.5 or fitted[1] == 1


def test_a_fitted_image_is_torchvisions_resized_one():
    image = torch.randint(0, 256, (3, 60, 90), dtype=torch.uint8)
    fitted = fit_image(image, 45)
    assert fitted.dtype == torch.uint8
    assert_close(fitted, resize(image, [30, 45], antialias=True))


@pytest.mark.parametrize("longest", [None, 90])
def test_an_image_that_fits_already_is_left_alone(longest):
    image = torch.rand(3, 60, 90)
    assert fit_image(image, longest) is image


@pytest.mark.parametrize(
    ("image_size", "multiple", "expected"),
    [
        ((32, 64), 32, (32, 64)),
        ((33, 64), 32, (64, 64)),
        ((31, 1), 32, (32, 32)),
        ((5, 9), 4, (8, 12)),
    ],
)
def test_sides_are_filled_up_to_the_next_multiple(image_size, multiple, expected):
    batch = batch_images([torch.rand(3, *image_size)], multiple)
    assert batch.shape == (1, 3, *expected)


@given(st.lists(st.tuples(st.integers(1, 70), st.integers(1, 70)), min_size=1, max_size=4))
def test_every_pixel_stays_in_its_place_and_the_rest_is_zero(sizes):
    images = [torch.ones(3, *size) for size in sizes]
    batch = batch_images(images)
    for (height, width), padded in zip(sizes, batch, strict=True):
        assert (padded[:, :height, :width] == 1).all()
        assert padded.sum() == 3 * height * width


def test_a_batch_keeps_dtype_and_device(device):
    images = [torch.ones(3, 9, size, dtype=torch.uint8, device=device) for size in (5, 7)]
    batch = batch_images(images)
    assert batch.dtype == torch.uint8
    assert batch.device.type == device.type


@pytest.mark.parametrize(
    "images", [[], [torch.rand(40, 40)], [torch.rand(3, 8, 8), torch.rand(1, 8, 8)]]
)
def test_what_is_no_picture_is_refused_with_its_shape(images):
    with pytest.raises(ValueError, match=r"want pictures \[3, H, W\], got \["):
        batch_images(images)


def test_bytes_beside_shares_of_one_are_refused():
    images = [torch.rand(3, 8, 8), torch.zeros(3, 8, 8, dtype=torch.uint8)]
    with pytest.raises(ValueError, match="want all pictures uint8"):
        batch_images(images)


def test_a_batch_where_one_picture_is_wanted_is_refused():
    with pytest.raises(ValueError, match=r"want a picture \[3, H, W\], got \[2, 3, 8, 8\]"):
        image_size(torch.rand(2, 3, 8, 8))
    with pytest.raises(ValueError, match=r"want a picture \[3, H, W\], got \[48, 64, 3\]"):
        image_size(torch.rand(48, 64, 3))


@given(lengths, lengths)
def test_the_size_is_height_before_width_as_torchvision_says(height, width):
    image = torch.empty(3, height, width, dtype=torch.uint8)
    assert image_size(image) == (height, width) == tuple(get_size(image))


@pytest.mark.parametrize(
    ("image_size", "window", "stride"), [((20, 30), (8, 6), 5), ((9, 7), (9, 7), 3)]
)
def test_windows_see_what_lies_in_their_boxes(image_size, window, stride):
    image = torch.arange(3 * image_size[0] * image_size[1]).view(3, *image_size)
    crops = cut_windows(image, window, stride)
    boxes = window_boxes(image_size, window, stride).long().tolist()
    for (x1, y1, x2, y2), crop in zip(boxes, crops, strict=True):
        assert torch.equal(image[:, y1:y2, x1:x2], crop)


@pytest.mark.parametrize("longest_side", [0, -3])
def test_a_longest_side_below_one_pixel_is_refused(longest_side):
    with pytest.raises(ValueError, match=f"1 pixel or more, got {longest_side}"):
        fit_image(torch.zeros(3, 20, 30), longest_side)


def test_a_picture_without_pixels_is_refused():
    with pytest.raises(ValueError, match=r"one pixel or more, got \[3, 0, 9\]"):
        fit_image(torch.zeros(3, 0, 9), 32)
