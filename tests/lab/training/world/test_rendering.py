"""What is painted is where the truth says, exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lab.training.world.camera import CLEAN, Camera
from lab.training.world.catalogue import Thing
from lab.training.world.deformation import Bend, Wave
from lab.training.world.motion import Motion, draw_motion
from lab.training.world.parts import disc, fill, slab
from lab.training.world.rendering import Actor, Stage, shoot
from lab.training.world.sprites import draw_sprite
from lab.training.world.textures import plain

HEIGHT, WIDTH = 100, 160
ASPECT = WIDTH / HEIGHT


def standing(x: float, y: float) -> Motion:
    rng = np.random.default_rng(0)
    still = draw_motion("still", rng, start=(x, y), size=0.2, aspect=ASPECT, tilt=0.0)
    return replace(still, room=(-9.0, -9.0, 9.0, 9.0))


def actor(x: float, y: float, *, named: bool = True, size: float = 0.4) -> Actor:
    rng = np.random.default_rng(0)
    rgb = (220.0, 20.0, 20.0)
    sprite = draw_sprite([fill(slab((-1, -1), (1, 1)))], rgb, plain(rgb, 104, rng), rng)
    return Actor(Thing("square", "red") if named else None, sprite, standing(x, y), size)


def stage(*actors: Actor, camera: Camera = CLEAN, shadows: float = 0.0) -> Stage:
    return Stage(actors, np.full((HEIGHT, WIDTH, 3), 90, dtype=np.uint8), ASPECT, camera, shadows)


def test_a_mask_is_where_the_paint_is() -> None:
    still = shoot(stage(actor(0.8, 0.5)), 0.0)
    red = still.picture[..., 0] > 155
    assert np.array_equal(still.masks[0], red)
    rows, columns = np.nonzero(red)
    np.testing.assert_allclose(
        (rows.min(), rows.max(), columns.min(), columns.max()), (30, 69, 60, 99), atol=1
    )


def test_whole_area_box_and_centre_do_not_care_who_is_in_front_or_where_the_picture_ends() -> None:
    still = shoot(stage(actor(0.0, 0.5), actor(0.1, 0.5), actor(3.0, 0.5)), 0.0)
    np.testing.assert_allclose(still.whole_px, 1600, rtol=0.04)
    np.testing.assert_allclose(still.boxes[0], (-20, 30, 20, 70), atol=0.01)
    np.testing.assert_allclose(still.centres, [(0, 50), (10, 50), (300, 50)], atol=0.01)
    assert still.masks[0].sum() < 0.5 * still.whole_px[0]
    assert not still.masks[2].any()


def test_a_later_actor_takes_pixels_from_an_earlier_one() -> None:
    alone = shoot(stage(actor(0.5, 0.5)), 0.0).masks[0]
    still = shoot(stage(actor(0.5, 0.5), actor(0.7, 0.5)), 0.0)
    assert not (still.masks[0] & still.masks[1]).any()
    assert still.covered_px[0, 1] == alone.sum() - still.masks[0].sum() > 0
    assert still.covered_px.sum() == still.covered_px[0, 1]


def test_who_has_no_name_hides_and_has_no_mask() -> None:
    still = shoot(stage(actor(0.5, 0.5), actor(0.7, 0.5, named=False), actor(1.2, 0.5)), 0.0)
    assert len(still.masks) == len(still.whole_px) == 2
    assert still.masks[0].sum() < 0.8 * still.whole_px[0]
    assert still.covered_px.sum() == 0, "only things with a name are said to hide"


def test_a_camera_moves_the_ground_and_the_things_but_not_their_paths() -> None:
    panned = shoot(stage(actor(0.8, 0.5), camera=Camera(pan=(0.1, 0.0))), np.pi / 2)
    np.testing.assert_allclose(panned.centres[0], (70, 50), atol=0.01)
    np.testing.assert_allclose(panned.paths[0], (80, 50), atol=0.01)
    zoomed = shoot(stage(actor(0.4, 0.5), camera=Camera(zoom=0.5)), np.pi / 1.4)
    np.testing.assert_allclose(zoomed.centres[0], (20, 50), atol=0.01)
    np.testing.assert_allclose(zoomed.whole_px[0], 1600 * 2.25, rtol=0.04)


def test_ground_and_things_move_as_one() -> None:
    """A thing painted on the ground stays on it while the camera moves."""
    spot = stage(actor(0.8, 0.5))
    painted = replace(spot, actors=(), ground=shoot(spot, 0.0).picture)
    moving = Camera(pan=(0.1, 0.03), zoom=0.2)
    one = shoot(replace(spot, camera=moving), 1.0).picture.astype(float)
    other = shoot(replace(painted, camera=moving), 1.0).picture.astype(float)
    assert np.abs(one - other).mean() < 0.6


def test_the_mirrored_look_the_other_way() -> None:
    rng = np.random.default_rng(0)
    rgb = (220.0, 20.0, 20.0)
    sprite = draw_sprite(
        [fill(disc((0.6, 0), 0.3)), fill(slab((-1, -0.1), (0.6, 0.1)))], rgb, plain(rgb, 104, rng), rng
    )
    going = replace(standing(0.8, 0.5), velocity=(-0.01, 0.0))
    for turns, heavy in ((False, "right"), (True, "left")):
        mask = shoot(stage(Actor(Thing("key", "red"), sprite, going, 0.8, turns=turns)), 0.0).masks[0]
        left, right = mask[:, :80].sum(), mask[:, 80:].sum()
        assert (left > right) == (heavy == "left")


def test_what_bends_is_measured_as_it_is_seen() -> None:
    flag = Bend((Wave(vector=(2.0, 0.0), sway=(0.0, 0.15), rate=5.0, phase=0.0),))
    waving = stage(replace(actor(0.8, 0.5, size=0.6), bend=flag))
    areas = []
    for moment in (0.0, 0.3, 0.6):
        still = shoot(waving, moment)
        rows, columns = np.nonzero(still.masks[0])
        x0, y0, x1, y1 = still.boxes[0]
        np.testing.assert_allclose((x0, x1), (columns.min() + 0.5, columns.max() + 0.5), atol=2)
        np.testing.assert_allclose((y0, y1), (rows.min() + 0.5, rows.max() + 0.5), atol=2)
        assert still.whole_px[0] == pytest.approx(still.masks[0].sum(), rel=0.05)
        areas.append(still.masks[0])
    assert not np.array_equal(areas[0], areas[1])


def test_shutter_smears_the_paint_and_not_the_truth() -> None:
    fast = replace(actor(0.8, 0.5), motion=replace(standing(0.8, 0.5), velocity=(3.0, 0.0)))
    sharp = shoot(stage(fast), 0.0)
    smeared = shoot(stage(fast, camera=Camera(shutter=1.0)), 0.0)
    assert np.array_equal(sharp.masks, smeared.masks)
    row = smeared.picture[50, :, 0].astype(int)
    assert len(np.unique(row)) > len(np.unique(sharp.picture[50, :, 0])) + 4


def test_a_shadow_darkens_the_ground_beside_a_thing() -> None:
    still = shoot(stage(actor(0.8, 0.5), shadows=0.5), 0.0)
    ground = still.picture[~still.masks[0]]
    assert ground.min() < 75 and np.median(ground) == 90
    lit = still.picture[still.masks[0]]
    assert np.median(lit[:, 0]) == pytest.approx(220, abs=2)
