"""EdgeTAM: our graphs, memory bank and tracker compared with transformers' model and video session.

Both have the same seeded random weights; transformers runs the backbone unfolded, ours runs it folded.
Compared once with facebookresearch/EdgeTAM 9cc44bf, on timm 1.0.31 and at full width, the logits of such a
track differed by 1.4e-5; that comparison needs torchvision and is not a test.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import EdgeTamVideoModel
from transformers.models.edgetam_video.modeling_edgetam_video import EdgeTamVideoInferenceSession

from engines.backends.openvino import OpenVinoBackend
from engines.backends.parity_check import ParityReference
from engines.backends.torch_backend import TorchBackend
from engines.geometry import to_mask_prompt
from engines.tracking.checkpoints import TrackerWeights
from engines.tracking.compilation import compile_tracker, tracker_graphs
from engines.tracking.graph_set import image_encoder_of
from engines.tracking.graphs import NO_OBJ_LOGIT, MaskPrompt
from engines.tracking.memory_policy import AS_SAM2
from engines.tracking.tracker import SamTracker
from lab.training.world.levels import CURRICULUM
from lab.training.world.scenes import Clip, draw_clip
from streaming.vocabulary import Answer, Clock, Frame, Logits, QueryId, SegPrompt, StreamId
from tests.edgetam import SIDE, edge_model
from tests.recorded_program import RecordedProgram

TOLERANCE = 1e-3
FRAMES = 12
AS_SESSION = replace(AS_SAM2, bfloat16_memories=False, cond_masks_as_decoded=False)
"""transformers stores EdgeTAM's memories in float32 and encodes mask prompts at full size."""

Outputs = list[tuple[NDArray[np.float32], NDArray[np.float32]]]
"""By frame: logits (B, 4h, 4w), blanked where the object is absent, and object scores (B,)."""


@pytest.fixture(scope="module")
def clip() -> Clip:
    return draw_clip(5, frames=FRAMES, size=(SIDE, SIDE), stride=2, level=CURRICULUM[0])


def normalised(model: EdgeTamVideoModel, clip: Clip) -> torch.Tensor:
    encode = image_encoder_of(model)
    return encode.normalised(torch.from_numpy(clip.frames))


def prompt_logits(clip: Clip, index: int) -> Logits:
    return np.where(clip.masks[0, index], 10.0, -10.0).astype(np.float32)


def with_single_mask_pointers(model: EdgeTamVideoModel) -> EdgeTamVideoModel:
    """Make transformers project a mask prompt's object pointer from the single mask's token.

    It uses the best multimask output; the official code uses the single mask (sam2_base.py,
    `_use_mask_as_output`), and so do we.
    """
    forward = model._single_frame_forward

    def single(**inputs: Any) -> Any:
        has_mask = inputs.get("input_masks") is not None
        return forward(**inputs, **({"multimask_output": False} if has_mask else {}))

    model._single_frame_forward = single
    return model


def their_run(model: EdgeTamVideoModel, clip: Clip, objects: int) -> Outputs:
    model = with_single_mask_pointers(model)
    session = EdgeTamVideoInferenceSession(None, SIDE, SIDE, dtype=torch.float32)
    for index in range(objects):
        mask = torch.from_numpy(to_mask_prompt(prompt_logits(clip, index), SIDE))
        session.add_mask_inputs(session.obj_id_to_idx(index), 0, mask[None, None])
    session.obj_with_new_inputs = list(range(objects))
    outputs = [model(session, frame=image) for image in normalised(model, clip)]
    return [(one.pred_masks[:, 0].numpy(), one.object_score_logits.flatten().numpy()) for one in outputs[1:]]


def our_run(model: EdgeTamVideoModel, clip: Clip, objects: int) -> Outputs:
    compiled = compile_tracker(TrackerWeights("edgetam", model), TorchBackend())
    recorded = RecordedProgram(compiled.track, [])
    tracker = SamTracker(replace(compiled, track=recorded), policy=AS_SESSION)
    stream = StreamId("s")
    prompts = tuple(SegPrompt(str(index), np.zeros(1, np.float32), 1.0) for index in range(objects))
    logits = np.stack([prompt_logits(clip, index) for index in range(objects)])
    answer = Answer(stream, QueryId("q"), 1, 0, "", prompts, logits)
    for index, pixels in enumerate(clip.frames):
        frame = Frame(stream, index, pixels, index / 30, 0.0, Clock.ARRIVAL)
        tracker.step(frame, [answer] if index == 1 else [])
        tracker.pin(index)
    return [
        (np.where(score[:, None, None] > 0, logits, NO_OBJ_LOGIT), score)
        for logits, _, score, _ in recorded.outputs
    ]


@torch.inference_mode()
def test_image_features_equal_transformers(clip: Clip) -> None:
    model = edge_model()
    features, high_res_s1, high_res_s0 = image_encoder_of(model)(torch.from_numpy(clip.frames[:1]))
    theirs = model.get_image_embeddings(normalised(model, clip)[:1])  # of an image without memory
    ours = (high_res_s0, high_res_s1, features + model.no_memory_embedding.reshape(1, -1, 1, 1))
    for level, other in zip(ours, theirs, strict=True):
        assert 0.1 < float(level.std()) < 10, "neither vanished nor exploded"
        torch.testing.assert_close(level, other, atol=TOLERANCE, rtol=0)


@torch.inference_mode()
def test_the_memories_of_two_mask_prompts_equal_transformers_one_by_one(clip: Clip) -> None:
    model = edge_model()
    levels = image_encoder_of(model)(torch.from_numpy(clip.frames[:1]))
    masks = torch.from_numpy(clip.masks[0, :2]).float()
    _, memory = MaskPrompt(model)(*levels, masks)
    for row, mask in enumerate(masks):
        theirs, _ = model._encode_new_memory(
            levels[0].flatten(2).permute(2, 0, 1), mask[None, None], torch.ones(1, 1), is_mask_from_pts=True
        )
        torch.testing.assert_close(memory[row : row + 1], theirs, atol=TOLERANCE, rtol=0)
    assert (memory[0] - memory[1]).abs().max() > 0.1, "the masks make a difference"


@torch.inference_mode()
@pytest.mark.parametrize(("objects", "presence", "signs"), [(1, 3.0, {True}), (2, 0.06, {True, False})])
def test_a_track_equals_that_of_transformers_session(
    clip: Clip, objects: int, presence: float, signs: set[bool]
) -> None:
    """One object that is always present, two that are sometimes absent."""
    model = edge_model(presence=presence)
    ours, theirs = our_run(model, clip, objects), their_run(model, clip, objects)
    assert len(ours) == len(theirs) == FRAMES - 1
    for (logits, score), (other, theirs_score) in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(score, theirs_score, atol=TOLERANCE, rtol=0)
        np.testing.assert_allclose(logits, other, atol=TOLERANCE, rtol=0)
    assert {bool(present) for _, score in ours for present in score > 0} == signs


def test_edgetams_graphs_on_openvino_equal_torch(tmp_path: Path) -> None:
    backend, reference = OpenVinoBackend(precision="float32", cache_dir=tmp_path), ParityReference(objects=2)
    for graph in tracker_graphs(TrackerWeights("edgetam", edge_model())):
        call = reference.call(graph)
        if graph.name in ("encode", "track", "remember"):
            found = call.differences(backend.compile(graph).runner()(*call.inputs))
            assert max(found.values()) < 1e-4, f"{graph.name}: {found}"
