"""The showcase shows something."""

from __future__ import annotations

from engines.training.world.demo import PHRASES, demo_things, draw_demo
from engines.training.world.holdout import is_held_out
from engines.training.world.levels import KNOWN


def test_something_leaves_and_comes_back() -> None:
    seen = [bool(still.masks[-1].any()) for still in draw_demo(24, 2, size=(90, 160))]
    gone = seen.index(False)
    assert any(seen[:gone])
    assert any(seen[gone:])


def test_things_hide_each_other() -> None:
    hidden = [
        float((still.masks.sum(axis=(1, 2)) < 0.6 * still.whole_px)[:3].any())
        for still in draw_demo(20, 2, size=(90, 160))
    ]
    assert sum(hidden) >= 2


def test_it_shows_what_the_bundled_weights_know() -> None:
    for thing in demo_things():
        assert thing.kind in KNOWN.kinds and thing.colour in KNOWN.colours
        assert not is_held_out(thing)
    assert next(draw_demo(1, 2, size=(90, 160))).masks.shape == (len(demo_things()), 90, 160)


def test_what_is_offered_names_its_things_and_one_that_is_not_there() -> None:
    for text, meaning in PHRASES.items():
        assert all({*text.split()} & {thing.kind, thing.colour} for thing in meaning)
    assert () in PHRASES.values()
