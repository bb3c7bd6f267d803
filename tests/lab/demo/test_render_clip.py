"""Drawing the demo's clip and its ground truth."""

from pathlib import Path

from lab.demo.ground_truth import load_ground_truth
from lab.demo.render_clip import render_clip


def test_drawing_twice_gives_the_same_ground_truth(tmp_path: Path) -> None:
    for name in ("a", "b"):
        render_clip(tmp_path / f"{name}.mp4", tmp_path / f"{name}.gz", seconds=0.2)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_another_frame_rate_draws_the_same_objects_on_more_frames(tmp_path: Path) -> None:
    render_clip(tmp_path / "clip.mp4", tmp_path / "truth.gz", fps=60, seconds=0.2)
    drawn, bundled = load_ground_truth(tmp_path / "truth.gz"), load_ground_truth()
    assert (drawn.fps, len(drawn.masks)) == (60, 12)
    assert (drawn.objects, drawn.phrases) == (bundled.objects, bundled.phrases)
    assert drawn.masks[::2] == bundled.masks[:6]
