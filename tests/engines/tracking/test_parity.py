"""The tracker under the policy AS_SAM2 gives the logits of the official package with the same weights.

Seeded random weights; drawn frames, eight of which are dark so that objects count as absent, and a real clip.
Ours is the product's SamTracker; its decoder output is recorded. Neither rounds memories, but in the test of
that: see `memories_in`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from engines.geometry import to_square
from engines.tracking.graphs import NO_OBJ_LOGIT
from engines.tracking.memory_policy import AS_SAM2, TrackerPolicy
from engines.tracking.network import TrackerRunners
from engines.tracking.tracker import SamTracker
from lab.training.world.levels import CURRICULUM
from lab.training.world.scenes import draw_clip
from streaming.vocabulary import Answer, Click, Clock, Frame, Pixels, QueryId, SegPrompt, StreamId

if importlib.util.find_spec("sam2") is None:
    pytest.skip("the package sam2 is not installed: `make test` does that", allow_module_level=True)

from tests.official_sam2 import Case, Pair, memories_in, paired, write_frames
from tests.recorded_program import RecordedProgram

DOG = Path(__file__).parents[3] / "../shared/data/davis/dog"
LOGIT_TOLERANCE, SCORE_TOLERANCE = 1e-3, 1e-4
UNROUNDED = replace(AS_SAM2, bfloat16_memories=False)
FRAMES, LATE = 22, 6
DARK = range(9, 17)

TINY_20 = Case("2", "tiny", seed=0, presence=(-1.0, -0.05))
TINY_21 = Case("2.1", "tiny", seed=1, presence=(1.0, -0.54))
# At this size the published windows are mostly padding; 5 and 3 still need some and take less time.
SMALLER = (8, 4, 5, 3)
BASE_21 = Case("2.1", "base_plus", seed=1, presence=(3.0, 0.21), windows=SMALLER)


@dataclass(frozen=True, eq=False)
class ObjectPrompt:
    """A prompt for an object on a frame: a mask, a box or points."""

    frame: int
    object_id: int
    mask: NDArray[np.bool_] | None = None
    box: tuple[float, float, float, float] | None = None
    points: tuple[tuple[float, float, bool], ...] = ()


Outputs = dict[tuple[int, int], tuple[NDArray[np.float32], float]]
"""By frame and object: logits, NO_OBJ_LOGIT where it is absent, and the object score."""


def official_run(pair: Pair, folder: Path, prompts: Sequence[ObjectPrompt], frames: int = FRAMES) -> Outputs:
    """Run the official predictor on the first frames of a clip; each prompt is added at its frame."""
    predictor, outputs = pair.official, Outputs()
    state = predictor.init_state(str(folder))
    # With a video of the decoder's output size it does not resize masks.
    state["video_height"] = state["video_width"] = pair.side_px // 4
    stops = sorted({one.frame for one in prompts})
    for start, end in zip(stops, [*stops[1:], frames - 1], strict=True):
        for one in prompts:
            if one.frame == start:
                _add_prompt(predictor, state, one)
        first = start if start == stops[0] else start + 1
        for frame, object_ids, masks in predictor.propagate_in_video(state, first, end - first):
            for row, object_id in enumerate(object_ids):
                stored = state["output_dict_per_obj"][row]
                out = {**stored["non_cond_frame_outputs"], **stored["cond_frame_outputs"]}[frame]
                outputs[frame, object_id] = masks[row, 0].numpy().copy(), float(out["object_score_logits"])
    return outputs


def _add_prompt(predictor: Any, state: Any, one: ObjectPrompt) -> None:
    if one.mask is not None:
        predictor.add_new_mask(state, one.frame, one.object_id, one.mask)
        return
    points = np.array([point[:2] for point in one.points], np.float32).reshape(-1, 2)
    labels = np.array([point[2] for point in one.points], np.int32)
    predictor.add_new_points_or_box(
        state, one.frame, one.object_id, points, labels, normalize_coords=False, box=one.box
    )


def our_run(
    pair: Pair, frames: Sequence[Pixels], prompts: Sequence[ObjectPrompt], policy: TrackerPolicy = UNROUNDED
) -> Outputs:
    """Run SamTracker; each prompt is an answer about the frame just stepped."""
    recorded = RecordedProgram(pair.ours.track, [])
    tracker = SamTracker(replace(pair.ours, track=recorded), policy=policy)
    outputs, object_ids = Outputs(), list(dict.fromkeys(one.object_id for one in prompts))
    for index, pixels in enumerate(frames):
        recorded.outputs.clear()
        frame = Frame(StreamId("s"), index, pixels, index / 30, 0.0, Clock.ARRIVAL)
        tracker.step(frame, [_answer(one) for one in prompts if one.frame == index - 1])
        tracker.pin(index)
        for logits, _, scores, _ in recorded.outputs:
            for row, score in enumerate(scores):
                blanked = logits[row] if score > 0 else np.full_like(logits[row], NO_OBJ_LOGIT)
                outputs[index, object_ids[row]] = blanked, float(score)
    assert tracker.counts.refused_prompts == tracker.counts.ignored_answers == 0
    return outputs


def _answer(one: ObjectPrompt) -> Answer | Click:
    stream, query = StreamId("s"), QueryId(str(one.object_id))
    if one.mask is not None:
        logits = np.where(one.mask, 10.0, -10.0).astype(np.float32)[None]
        prompt = SegPrompt(str(one.object_id), np.zeros(1, np.float32), 1.0)
        return Answer(stream, query, 1, one.frame, "", (prompt,), logits)
    points = np.array([point[:2] for point in one.points], np.float32).reshape(-1, 2)
    on_object = np.array([point[2] for point in one.points], np.bool_)
    return Click(stream, query, 1, one.frame, points, on_object, one.box)


def largest_differences(ours: Outputs, theirs: Outputs) -> tuple[float, float]:
    """Return the largest differences of logits and of object scores, over all of our outputs."""
    logits = max(float(np.abs(ours[key][0] - theirs[key][0]).max()) for key in ours)
    return logits, max(abs(ours[key][1] - theirs[key][1]) for key in ours)


def assert_same(ours: Outputs, theirs: Outputs) -> None:
    logits, score = largest_differences(ours, theirs)
    assert logits <= LOGIT_TOLERANCE and score <= SCORE_TOLERANCE, (logits, score)


def longest_absence(outputs: Outputs, object_id: int) -> int:
    longest = run = 0
    for key in sorted(key for key in outputs if key[1] == object_id):
        run = run + 1 if outputs[key][1] <= 0 else 0
        longest = max(longest, run)
    return longest


@dataclass(frozen=True, eq=False)
class Scene:
    folder: Path
    frames: list[Pixels]
    prompts: tuple[ObjectPrompt, ...]


@pytest.fixture(scope="module", autouse=True)
def whole_memories() -> Iterator[None]:
    with memories_in(torch.float32):
        yield


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Three objects, prompted by a mask, a box and, later, another mask; eight frames are dark."""
    side = TINY_20.side_px
    clip = draw_clip(7, frames=FRAMES, size=(side, side), level=CURRICULUM[0])
    frames = [frame // 4 if index in DARK else frame for index, frame in enumerate(clip.frames)]
    folder = tmp_path_factory.mktemp("drawn")
    large = np.argsort(-clip.masks[0].mean(axis=(1, 2)))
    prompts = (
        ObjectPrompt(0, 1, mask=clip.masks[0, large[0]]),
        ObjectPrompt(0, 2, box=(0.2, 0.3, 0.7, 0.8)),
        ObjectPrompt(LATE, 3, mask=clip.masks[LATE, large[1]]),
    )
    return Scene(folder, write_frames(frames, folder), prompts)


@pytest.fixture(scope="module")
def sam21() -> Pair:
    return paired(TINY_21)


@pytest.fixture(scope="module")
def official_outputs(sam21: Pair, drawn: Scene) -> Outputs:
    return official_run(sam21, drawn.folder, drawn.prompts)


def assert_complete(ours: Outputs, prompts: Sequence[ObjectPrompt], frames: int) -> None:
    """Check that every object has outputs after its first prompt, some absent and some present."""
    first = {one.object_id: one.frame for one in reversed(prompts)}
    assert set(ours) == {
        (frame, object_id) for object_id in first for frame in range(first[object_id] + 1, frames)
    }
    scores = [score for _, score in ours.values()]
    assert min(scores) < 0 < max(scores), "absent on some frames, present on others"


def test_three_objects_equal_the_official_sam_2_1(
    sam21: Pair, official_outputs: Outputs, drawn: Scene
) -> None:
    ours = our_run(sam21, drawn.frames, drawn.prompts)
    assert_complete(ours, drawn.prompts, FRAMES)
    assert longest_absence(ours, 1) >= len(DARK) and ours[FRAMES - 1, 1][1] > 0, "absent, then present again"
    assert_same(ours, official_outputs)


def test_three_objects_equal_the_official_sam_2_0(drawn: Scene) -> None:
    pair = paired(TINY_20)
    ours = our_run(pair, drawn.frames, drawn.prompts)
    assert_complete(ours, drawn.prompts, FRAMES)
    assert longest_absence(ours, 1) >= len(DARK) and ours[FRAMES - 1, 1][1] > 0, "absent, then present again"
    assert_same(ours, official_run(pair, drawn.folder, drawn.prompts))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_base_plus_equals_the_official_model(drawn: Scene) -> None:
    """The sizes differ in the image encoder, and the versions in everything else: one version will do."""
    pair, prompts, frames = paired(BASE_21), drawn.prompts[1:], DARK[2]
    ours = our_run(pair, drawn.frames[:frames], prompts)
    assert_complete(ours, prompts, frames)
    assert_same(ours, official_run(pair, drawn.folder, prompts, frames))


def test_memories_are_rounded_as_the_official_package_does(sam21: Pair, drawn: Scene) -> None:
    frames, prompts = 8, drawn.prompts[:1]
    with memories_in(torch.bfloat16):
        theirs = official_run(sam21, drawn.folder, prompts, frames)
    rounded, unrounded = (
        largest_differences(our_run(sam21, drawn.frames[:frames], prompts, policy), theirs)[0]
        for policy in (AS_SAM2, UNROUNDED)
    )
    assert unrounded > LOGIT_TOLERANCE
    assert rounded < 0.3 * unrounded


@pytest.mark.skipif(not DOG.is_dir(), reason=f"no real clip at {DOG}: ../shared/data is absent")
def test_an_object_of_a_real_clip_equals_the_official_package(sam21: Pair, tmp_path: Path) -> None:
    files = sorted((DOG / "frames").glob("*.jpg"))[:FRAMES]
    frames = write_frames([_resized(cv2.imread(str(file))[..., ::-1]) for file in files], tmp_path)
    mask = cv2.imread(str(next(iter(sorted((DOG / "masks").iterdir())))), cv2.IMREAD_GRAYSCALE)
    prompts = [
        ObjectPrompt(0, 1, mask=cv2.resize(mask, (sam21.side_px,) * 2, interpolation=cv2.INTER_AREA) > 127)
    ]
    ours = our_run(sam21, frames, prompts)
    assert len(ours) == len(files) - 1 == FRAMES - 1
    assert_same(ours, official_run(sam21, tmp_path, prompts))


def _resized(pixels: Pixels) -> Pixels:
    return to_square(np.ascontiguousarray(pixels), TINY_21.side_px)


@pytest.fixture(scope="module")
def always_present() -> Pair:
    return paired(replace(TINY_21, presence=(1.0, 3.0), cond_memories=3))


POINT_PROMPTS = {
    "one point has multimask output": ObjectPrompt(0, 1, points=((0.4, 0.5, True),)),
    "two points have a single mask": ObjectPrompt(0, 1, points=((0.4, 0.5, True), (0.8, 0.2, False))),
    "a box": ObjectPrompt(0, 1, box=(0.1, 0.2, 0.6, 0.9)),
    "a box and points": ObjectPrompt(
        0, 1, box=(0.2, 0.1, 0.7, 0.6), points=((0.4, 0.4, True), (0.6, 0.2, False))
    ),
}
SHIFTS = (0.0, 0.01, 0.02, 0.03, 0.04, 0.05)


@pytest.mark.parametrize("name", POINT_PROMPTS)
def test_points_and_boxes_equal_the_official_package(name: str, always_present: Pair, drawn: Scene) -> None:
    """On the prompted frame, and on later ones wherever both remember the same mask.

    A clicked mask is remembered as 0 and 1. A logit within rounding of 0 becomes 0 in one package and 1 in
    the other, and the two memories differ from then on. Such a prompt is moved a little and run again.
    """
    frames = 4
    for shift in SHIFTS:
        prompt = _shifted(POINT_PROMPTS[name], shift)
        theirs = official_run(always_present, drawn.folder, [prompt], frames)
        clicked = our_click(always_present, drawn.frames[0], prompt)
        assert_same({(0, 1): clicked}, theirs)
        if np.array_equal(_remembered(clicked[0]), _remembered(theirs[0, 1][0])):
            assert_same(our_run(always_present, drawn.frames[:frames], [prompt]), theirs)
            return
    pytest.fail("No prompt gave both packages the same binary mask.")


def test_each_kind_of_point_prompt_gives_another_mask(always_present: Pair, drawn: Scene) -> None:
    clicked = [our_click(always_present, drawn.frames[0], prompt)[0] for prompt in POINT_PROMPTS.values()]
    assert all(np.abs(a - b).max() > 0.1 for a, b in combinations(clicked, 2))


def _shifted(prompt: ObjectPrompt, by: float) -> ObjectPrompt:
    """Move points and box to the right by a share of the image's width."""
    box = prompt.box and (prompt.box[0] + by, prompt.box[1], prompt.box[2] + by, prompt.box[3])
    return replace(prompt, box=box, points=tuple((x + by, y, label) for x, y, label in prompt.points))


def _remembered(logits: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Binarise logits at the image's size, as `_encode_new_memory` of the package does."""
    side = TINY_21.side_px
    resized = functional.interpolate(torch.from_numpy(logits)[None, None], (side, side), mode="bilinear")
    return np.asarray(resized[0, 0].numpy() > 0)


def our_click(pair: Pair, pixels: Pixels, prompt: ObjectPrompt) -> tuple[NDArray[np.float32], float]:
    runners, click = TrackerRunners(pair.ours, AS_SAM2), _answer(prompt)
    assert isinstance(click, Click)
    decoded, _ = runners.decode_click(runners.encode_image(pixels), click)
    return decoded.logits[0], float(decoded.object_score[0])


def test_an_object_prompted_again_equals_the_official_package(always_present: Pair, drawn: Scene) -> None:
    """Several conditioning frames, each of which replaces the tracked memory of its frame."""
    frames, prompts = 14, list(drawn.prompts[:1])
    for again in (4, 9):  # most of the mask there, so that it matches the track
        tracked = our_run(always_present, drawn.frames[: again + 1], prompts)[again, 1][0] > 0
        mask = tracked.repeat(4, axis=0).repeat(4, axis=1)
        mask[::3] = False
        prompts.append(ObjectPrompt(again, 1, mask=mask))
    theirs = official_run(always_present, drawn.folder, prompts, frames)
    ours = our_run(always_present, drawn.frames[:frames], prompts)
    assert len(ours) == frames - 1
    assert_same(_without_frames(ours, 4, 9), theirs)
    beside = replace(UNROUNDED, cond_replaces_recent=False)
    other = our_run(always_present, drawn.frames[:8], prompts[:2], beside)
    assert largest_differences(_without_frames(other, 4), theirs)[0] > LOGIT_TOLERANCE


def _without_frames(outputs: Outputs, *prompted: int) -> Outputs:
    """On a prompted frame the official output is the prompt; ours was published before the prompt came."""
    return {key: output for key, output in outputs.items() if key[0] not in prompted}


OTHER_RULES = {
    "mask prompts remembered at full size": (replace(UNROUNDED, cond_masks_as_decoded=False), 8),
    "only frames with a high predicted IoU": (replace(UNROUNDED, min_memory_iou=0.8), 8),
    "ages of conditioning pointers limited to 15": (replace(UNROUNDED, limit_obj_ptr_age=True), 20),
}
"Rules of the product that differ, and within how many frames the difference appears."


@pytest.mark.parametrize(("policy", "frames"), OTHER_RULES.values(), ids=OTHER_RULES.keys())
def test_another_rule_gives_other_logits(
    sam21: Pair, official_outputs: Outputs, drawn: Scene, policy: TrackerPolicy, frames: int
) -> None:
    """The comparison is sensitive to each of these rules."""
    ours = our_run(sam21, drawn.frames[:frames], drawn.prompts[:1], policy)
    assert largest_differences(ours, official_outputs)[0] > LOGIT_TOLERANCE
