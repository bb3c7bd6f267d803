"""Masks, boxes, areas and occlusion of a rendered frame agree with its pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lab.training.scene_description import ObjectLabel
from lab.training.world.camera import CLEAN, Camera
from lab.training.world.deformation import Deformation, Wave
from lab.training.world.motion import Motion, draw_motion
from lab.training.world.parts import disc, fill, rectangle
from lab.training.world.rendering import Scene, SceneObject, render_frame
from lab.training.world.sprites import draw_sprite
from lab.training.world.textures import plain

HEIGHT, WIDTH = 100, 160
ASPECT = WIDTH / HEIGHT


def standing(x: float, y: float) -> Motion:
    rng = np.random.default_rng(0)
    motion = draw_motion("static", rng, start=(x, y), size=0.2, aspect=ASPECT, tilt=0.0)
    return replace(motion, bounds=(-9.0, -9.0, 9.0, 9.0))


def square(x: float, y: float, *, labelled: bool = True, size: float = 0.4) -> SceneObject:
    rng = np.random.default_rng(0)
    rgb = (220.0, 20.0, 20.0)
    sprite = draw_sprite([fill(rectangle((-1, -1), (1, 1)))], rgb, plain(rgb, 104, rng), rng)
    return SceneObject(ObjectLabel("square", "red") if labelled else None, sprite, standing(x, y), size)


def scene(*objects: SceneObject, camera: Camera = CLEAN, shadows: float = 0.0) -> Scene:
    return Scene(objects, np.full((HEIGHT, WIDTH, 3), 90, dtype=np.uint8), ASPECT, camera, shadows)


def test_a_mask_is_where_the_object_is_painted() -> None:
    rendered = render_frame(scene(square(0.8, 0.5)), 0.0)
    red = rendered.image[..., 0] > 155
    assert np.array_equal(rendered.masks[0], red)
    rows, columns = np.nonzero(red)
    np.testing.assert_allclose(
        (rows.min(), rows.max(), columns.min(), columns.max()), (30, 69, 60, 99), atol=1
    )


def test_amodal_area_box_and_centre_ignore_occlusion_and_the_edge_of_the_image() -> None:
    rendered = render_frame(scene(square(0.0, 0.5), square(0.1, 0.5), square(3.0, 0.5)), 0.0)
    np.testing.assert_allclose(rendered.amodal_area_px, 1600, rtol=0.04)
    np.testing.assert_allclose(rendered.boxes_px[0], (-20, 30, 20, 70), atol=0.01)
    np.testing.assert_allclose(rendered.centres_px, [(0, 50), (10, 50), (300, 50)], atol=0.01)
    assert rendered.masks[0].sum() < 0.5 * rendered.amodal_area_px[0]
    assert not rendered.masks[2].any()


def test_a_later_object_occludes_an_earlier_one() -> None:
    alone = render_frame(scene(square(0.5, 0.5)), 0.0).masks[0]
    rendered = render_frame(scene(square(0.5, 0.5), square(0.7, 0.5)), 0.0)
    assert not (rendered.masks[0] & rendered.masks[1]).any()
    assert rendered.occluded_px[0, 1] == alone.sum() - rendered.masks[0].sum() > 0
    assert rendered.occluded_px.sum() == rendered.occluded_px[0, 1]


def test_an_occluder_occludes_and_has_no_mask() -> None:
    rendered = render_frame(scene(square(0.5, 0.5), square(0.7, 0.5, labelled=False), square(1.2, 0.5)), 0.0)
    assert len(rendered.masks) == len(rendered.amodal_area_px) == 2
    assert rendered.masks[0].sum() < 0.8 * rendered.amodal_area_px[0]
    assert rendered.occluded_px.sum() == 0, "occlusion is counted between labelled objects"


def test_the_camera_moves_image_centres_and_not_world_centres() -> None:
    panned = render_frame(scene(square(0.8, 0.5), camera=Camera(pan=(0.1, 0.0))), np.pi / 2)
    np.testing.assert_allclose(panned.centres_px[0], (70, 50), atol=0.01)
    np.testing.assert_allclose(panned.world_centres_px[0], (80, 50), atol=0.01)
    zoomed = render_frame(scene(square(0.4, 0.5), camera=Camera(zoom=0.5)), np.pi / 1.4)
    np.testing.assert_allclose(zoomed.centres_px[0], (20, 50), atol=0.01)
    np.testing.assert_allclose(zoomed.amodal_area_px[0], 1600 * 2.25, rtol=0.04)


def test_the_camera_moves_background_and_objects_alike() -> None:
    """An object painted into the background stays in place on it while the camera moves."""
    spot = scene(square(0.8, 0.5))
    painted = replace(spot, objects=(), background=render_frame(spot, 0.0).image)
    moving = Camera(pan=(0.1, 0.03), zoom=0.2)
    one = render_frame(replace(spot, camera=moving), 1.0).image.astype(float)
    other = render_frame(replace(painted, camera=moving), 1.0).image.astype(float)
    assert np.abs(one - other).mean() < 0.6


def test_a_sprite_is_mirrored_while_it_moves_left() -> None:
    rng = np.random.default_rng(0)
    rgb = (220.0, 20.0, 20.0)
    sprite = draw_sprite(
        [fill(disc((0.6, 0), 0.3)), fill(rectangle((-1, -0.1), (0.6, 0.1)))], rgb, plain(rgb, 104, rng), rng
    )
    moving = replace(standing(0.8, 0.5), velocity=(-0.01, 0.0))
    for mirrors, heavy in ((False, "right"), (True, "left")):
        mask = render_frame(
            scene(SceneObject(ObjectLabel("key", "red"), sprite, moving, 0.8, faces_heading=mirrors)), 0.0
        ).masks[0]
        left, right = mask[:, :80].sum(), mask[:, 80:].sum()
        assert (left > right) == (heavy == "left")


def test_a_deformed_object_is_measured_as_it_is_painted() -> None:
    flag = Deformation((Wave(vector=(2.0, 0.0), amplitude=(0.0, 0.15), rate_rad_s=5.0, phase=0.0),))
    waving = scene(replace(square(0.8, 0.5, size=0.6), deformation=flag))
    areas = []
    for time_s in (0.0, 0.3, 0.6):
        rendered = render_frame(waving, time_s)
        rows, columns = np.nonzero(rendered.masks[0])
        x0, y0, x1, y1 = rendered.boxes_px[0]
        np.testing.assert_allclose((x0, x1), (columns.min() + 0.5, columns.max() + 0.5), atol=2)
        np.testing.assert_allclose((y0, y1), (rows.min() + 0.5, rows.max() + 0.5), atol=2)
        assert rendered.amodal_area_px[0] == pytest.approx(rendered.masks[0].sum(), rel=0.05)
        areas.append(rendered.masks[0])
    assert not np.array_equal(areas[0], areas[1])


def test_motion_blur_changes_the_image_and_not_the_masks() -> None:
    fast = replace(square(0.8, 0.5), path=replace(standing(0.8, 0.5), velocity=(3.0, 0.0)))
    sharp = render_frame(scene(fast), 0.0)
    blurred = render_frame(scene(fast, camera=Camera(shutter=1.0)), 0.0)
    assert np.array_equal(sharp.masks, blurred.masks)
    row = blurred.image[50, :, 0].astype(int)
    assert len(np.unique(row)) > len(np.unique(sharp.image[50, :, 0])) + 4


def test_a_shadow_darkens_the_background_beside_an_object() -> None:
    rendered = render_frame(scene(square(0.8, 0.5), shadows=0.5), 0.0)
    background = rendered.image[~rendered.masks[0]]
    assert background.min() < 75 and np.median(background) == 90
    inside = rendered.image[rendered.masks[0]]
    assert np.median(inside[:, 0]) == pytest.approx(220, abs=2)
