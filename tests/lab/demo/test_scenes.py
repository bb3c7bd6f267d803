"""The scenes of the demo: a clip that can be played, and masks for its frames."""

from __future__ import annotations

import pytest

from lab.demo.scenes import SceneName, load_scene
from streaming.sources.clip import open_clip
from tests.lab.demo.test_footage import needs_footage


@pytest.mark.parametrize("name", [pytest.param(SceneName.BIKES, marks=needs_footage), SceneName.DRAWN])
def test_a_scene_has_masks_of_every_frame_and_phrases_for_them(name: SceneName) -> None:
    scene = load_scene(name)
    with open_clip(str(scene.clip)) as reader:
        sizes = {frame.pixels.shape[:2] for frame in reader.frames() if frame is not None}
        assert (reader.length, reader.rate) == (len(scene.truth.masks), scene.truth.fps)
    assert sizes == {mask.size for masks in scene.truth.masks for mask in masks}
    shown = {
        text: scene.truth.mask_of(text, frame).any()
        for text in scene.truth.phrases
        for frame in (20, 120, 220)
    }
    assert any(shown.values())
    assert any(not referents for referents in scene.truth.phrases.values()), "one that is absent"
