"""Laws of what is said of a frame: true of the masks, and of nothing else."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from lab.training.language.expressions import ABSENT_PER_KIND, KINDS_OF_PHRASE, PER_KIND, expressions
from lab.training.world.catalogue import Thing
from lab.training.world.holdout import Split, is_held_out
from lab.training.world.levels import LADDER, Level
from lab.training.world.scenes import Clip, draw_clip
from tests.truth_of_words import judged

PLAIN = LADDER[0]

WORLD = LADDER[-1]
FRAMES = 16
SPLITS = tuple(Split)


def scene(seed: int, level: Level = WORLD) -> Clip:
    return draw_clip(seed, frames=FRAMES, size=(160, 160), stride=2.5, level=level)


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return [scene(split.first_seed + number) for split in SPLITS for number in range(14)]


def test_words_mean_exactly_their_targets(clips: list[Clip]) -> None:
    heard: Counter[str] = Counter()
    for clip in clips:
        for one in expressions(clip, FRAMES - 1, np.random.default_rng(clip.seed)):
            assert judged(one.text, clip, FRAMES - 1) == {tuple(sorted(one.targets))}, (clip.seed, one)
            heard[one.kind if one.targets else "absent"] += 1
    assert set(heard) == {*KINDS_OF_PHRASE, "absent"}
    assert min(heard.values()) > 20, heard


@pytest.mark.parametrize("level", LADDER, ids=lambda level: level.name)
def test_a_level_says_what_it_knows_and_nothing_else(level: Level) -> None:
    heard = {
        one.kind
        for number in range(30)
        for clip in [draw_clip(number, frames=8, size=(128, 128), stride=3, level=level)]
        for one in expressions(clip, 7, np.random.default_rng(number))
    }
    assert heard == set(level.phrases)


def test_a_still_picture_says_nothing_of_movement() -> None:
    for number in range(20):
        clip = draw_clip(number, frames=1, size=(128, 128), level=WORLD)
        assert "motion" not in {one.kind for one in expressions(clip, 0, np.random.default_rng(0))}


def test_a_mostly_hidden_thing_is_never_meant(clips: list[Clip]) -> None:
    for clip in clips:
        for one in expressions(clip, FRAMES - 1, np.random.default_rng(0)):
            for index in one.targets:
                assert clip.masks[-1, index].sum() >= 0.4 * clip.whole_px[-1, index]


def test_no_kind_drowns_the_others_and_a_part_is_absent(clips: list[Clip]) -> None:
    shares = []
    for clip in clips:
        said = Counter(
            one.kind if one.targets else "absent"
            for one in expressions(clip, FRAMES - 1, np.random.default_rng(0))
        )
        absent = said.pop("absent", 0)
        assert max(said.values(), default=0) <= PER_KIND
        assert absent <= max(2, sum(said.values()) // 2) and absent <= ABSENT_PER_KIND * len(WORLD.phrases)
        shares.append(absent / max(absent + sum(said.values()), 1))
    assert 0.15 < np.mean(shares) < 0.4


def test_words_have_the_order_of_chance() -> None:
    clip = scene(5)
    one, again, other = (expressions(clip, FRAMES - 1, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_training_never_hears_of_a_held_out_combination() -> None:
    """Not as what is there, not as what is not, not as what something stands beside."""
    secret = [
        f"{colour} {kind}"
        for colour in WORLD.colours
        for kind in WORLD.kinds
        if is_held_out(Thing(kind, colour))
    ]
    secret += [f"person in {one.split()[0]}" for one in secret if one.endswith(" person")]
    for split in (Split.TRAINING, Split.UNSEEN, Split.LOOK_ALIKES):
        for number in range(15):
            clip = scene(split.first_seed + number)
            for one in expressions(clip, FRAMES - 1, np.random.default_rng(number)):
                assert not [name for name in secret if f"{name} " in f"{one.text} "], one


def test_scenes_of_held_out_combinations_are_asked_about_them() -> None:
    named = 0
    for number in range(20):
        clip = scene(Split.COMBINATIONS.first_seed + number)
        for one in expressions(clip, FRAMES - 1, np.random.default_rng(number)):
            assert not one.targets or any(is_held_out(clip.things[index]) for index in one.targets)
            named += bool(one.targets)
    assert named > 100


def test_near_misses_are_preferred() -> None:
    """Most full names of what is absent share a colour or a kind with what is there."""
    shared: list[int] = []
    for number in range(60):
        clip = draw_clip(number, frames=1, level=PLAIN)
        there = {word for thing in clip.things for word in (thing.colour, thing.kind)}
        for one in expressions(clip, 0, np.random.default_rng(number)):
            _, *named = one.text.split()
            if not one.targets and len(named) == 2 and named[0] in PLAIN.colours and named[1] in PLAIN.kinds:
                shared.append(len(there & set(named)))
    assert len(shared) > 30
    assert np.mean(np.array(shared) == 2) > 0.4
    assert np.mean(np.array(shared) >= 1) > 0.8
