"""A stage is made of its seed's chances and keeps to its level."""

from __future__ import annotations

import numpy as np
import pytest

from lab.training.world.catalogue import DRAWN, NAMELESS
from lab.training.world.composition import compose
from lab.training.world.holdout import Split
from lab.training.world.levels import LADDER, STRANGERS, Level
from lab.training.world.rendering import Stage

PLAIN = LADDER[0]


def stages(level: Level, split: Split = Split.TRAINING, count: int = 25) -> list[Stage]:
    seeds = range(split.first_seed, split.first_seed + count)
    return [compose(seed, level, (96, 96), np.random.default_rng(seed)) for seed in seeds]


@pytest.mark.parametrize("level", LADDER, ids=lambda level: level.name)
def test_a_scene_has_only_what_its_level_has(level: Level) -> None:
    for stage in stages(level):
        named = [actor for actor in stage.actors if actor.thing is not None]
        assert level.things[0] <= len(named) <= level.things[1]
        assert len(stage.actors) - len(named) <= level.props
        for actor in named:
            assert actor.thing is not None
            assert actor.thing.kind in level.kinds and actor.thing.colour in level.colours
            assert level.sizes[0] <= actor.size <= level.sizes[1]
            assert abs(actor.motion.tilt) <= min(level.tilt, DRAWN[actor.thing.kind].tilt)


def test_the_narrowest_level_has_no_props_no_shadows_and_no_moving_camera() -> None:
    for stage in stages(PLAIN):
        assert all(actor.thing for actor in stage.actors)
        assert stage.shadows == 0 and not stage.camera.moves


def test_the_back_most_is_a_thing() -> None:
    """What has no name is there to be passed behind."""
    assert all(stage.actors[0].thing is not None for stage in stages(LADDER[-1]))


def test_what_has_no_name_has_no_colour_either() -> None:
    props = [actor for stage in stages(LADDER[-1], count=60) for actor in stage.actors if actor.thing is None]
    assert len(props) > 20
    for prop in props:
        tone = np.median(prop.sprite.paint.reshape(-1, 3), axis=0)
        assert np.ptp(tone) < 45 and 50 < tone.mean() < 195


def test_only_strangers_bend() -> None:
    actors = [actor for stage in stages(STRANGERS) for actor in stage.actors]
    for actor in actors:
        assert bool(actor.bend.waves) == (actor.thing == NAMELESS)
    assert sum(actor.thing == NAMELESS for actor in actors) > 20


def test_look_alikes_look_alike() -> None:
    for stage in stages(LADDER[-1], Split.LOOK_ALIKES):
        by_thing: dict[object, list[np.ndarray]] = {}
        for actor in stage.actors:
            if actor.thing is not None:
                middle = actor.sprite.paint.reshape(-1, 3)
                by_thing.setdefault(actor.thing, []).append(np.median(middle, axis=0))
        twins = max(by_thing.values(), key=len)
        assert len(twins) >= 2
        assert np.ptp(np.array(twins), axis=0).max() < 12


def test_things_begin_in_the_picture() -> None:
    for stage in stages(LADDER[-1]):
        for actor in stage.actors:
            if actor.thing is not None:
                pose = actor.motion.at(0.0)
                assert 0 < pose.x < stage.aspect and 0 < pose.y < 1


def test_a_square_picture_is_squeezed_from_several_shapes() -> None:
    assert {round(stage.aspect, 2) for stage in stages(PLAIN)} == {1.0, 1.33, 1.78}
