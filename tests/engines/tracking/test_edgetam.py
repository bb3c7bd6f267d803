"""EdgeTAM through our graphs, our bank and our tracker against transformers' own model and session.

The same seeded random weights on both sides; transformers computes with the backbone as it was trained, ours
with the folded one. Against facebookresearch/EdgeTAM 9cc44bf itself, on timm 1.0.31 and at full width, the
logits of such a track differed by 1.4e-5; it wants torchvision, so that was measured once and is no test.
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
from engines.backends.parity_check import Reference
from engines.backends.torch_backend import TorchBackend
from engines.geometry import to_prompt
from engines.tracking.checkpoints import TrackerWeights
from engines.tracking.compilation import compile_tracker, tracker_graphs
from engines.tracking.graph_set import encoder_of
from engines.tracking.graphs import NO_OBJECT, MaskPrompt
from engines.tracking.memory_policy import AS_SAM2
from engines.tracking.tracker import SamTracker
from lab.training.world.levels import LADDER
from lab.training.world.scenes import Clip, draw_clip
from streaming.vocabulary import Answer, Clock, Frame, Logits, Prompt, QueryId, StreamId
from tests.edgetam import SIDE, edge_model
from tests.overheard import Overheard

TOLERANCE = 1e-3
FRAMES = 12
AS_SESSION = replace(AS_SAM2, half_precision=False, given_as_decoded=False)
"""transformers rounds no memory of EdgeTAM, and remembers a given mask as it was given."""

Seen = list[tuple[NDArray[np.float32], NDArray[np.float32]]]
"""By frame: logits (B, 4h, 4w), blanked where the object is absent, and scores (B,)."""


@pytest.fixture(scope="module")
def clip() -> Clip:
    return draw_clip(5, frames=FRAMES, size=(SIDE, SIDE), stride=2, level=LADDER[0])


def normalised(model: EdgeTamVideoModel, clip: Clip) -> torch.Tensor:
    encode = encoder_of(model)
    return encode.normalised(torch.from_numpy(clip.frames))


def drawn(clip: Clip, thing: int) -> Logits:
    return np.where(clip.masks[0, thing], 10.0, -10.0).astype(np.float32)


def single_minded(model: EdgeTamVideoModel) -> EdgeTamVideoModel:
    """transformers reads a given mask's pointer off the best of three masks. The official code reads it off
    the single one (sam2_base.py, `_use_mask_as_output`), and so do we."""
    forward = model._single_frame_forward

    def single(**inputs: Any) -> Any:
        given = inputs.get("input_masks") is not None
        return forward(**inputs, **({"multimask_output": False} if given else {}))

    model._single_frame_forward = single
    return model


def their_run(model: EdgeTamVideoModel, clip: Clip, things: int) -> Seen:
    model = single_minded(model)
    session = EdgeTamVideoInferenceSession(None, SIDE, SIDE, dtype=torch.float32)
    for thing in range(things):
        mask = torch.from_numpy(to_prompt(drawn(clip, thing), SIDE))
        session.add_mask_inputs(session.obj_id_to_idx(thing), 0, mask[None, None])
    session.obj_with_new_inputs = list(range(things))
    outputs = [model(session, frame=picture) for picture in normalised(model, clip)]
    return [(one.pred_masks[:, 0].numpy(), one.object_score_logits.flatten().numpy()) for one in outputs[1:]]


def our_run(model: EdgeTamVideoModel, clip: Clip, things: int) -> Seen:
    compiled = compile_tracker(TrackerWeights("edgetam", model), TorchBackend())
    overheard = Overheard(compiled.track, [])
    tracker = SamTracker(replace(compiled, track=overheard), policy=AS_SESSION)
    stream = StreamId("s")
    prompts = tuple(Prompt(str(thing), np.zeros(1, np.float32), 1.0) for thing in range(things))
    logits = np.stack([drawn(clip, thing) for thing in range(things)])
    answer = Answer(stream, QueryId("q"), 1, 0, "", prompts, logits)
    for index, picture in enumerate(clip.frames):
        frame = Frame(stream, index, picture, index / 30, 0.0, Clock.ARRIVAL)
        tracker.step(frame, [answer] if index == 1 else [])
        tracker.pin(index)
    return [
        (np.where(score[:, None, None] > 0, logits, NO_OBJECT), score)
        for logits, _, score, _ in overheard.said
    ]


@torch.inference_mode()
def test_the_features_of_a_picture_are_transformers_own(clip: Clip) -> None:
    model = edge_model()
    features, mid, fine = encoder_of(model)(torch.from_numpy(clip.frames[:1]))
    theirs = model.get_image_embeddings(normalised(model, clip)[:1])  # as for a picture without a past
    ours = (fine, mid, features + model.no_memory_embedding.reshape(1, -1, 1, 1))
    for level, other in zip(ours, theirs, strict=True):
        assert 0.1 < float(level.std()) < 10, "neither dead nor blown up"
        torch.testing.assert_close(level, other, atol=TOLERANCE, rtol=0)


@torch.inference_mode()
def test_the_memory_of_two_given_masks_is_transformers_own_of_each(clip: Clip) -> None:
    model = edge_model()
    levels = encoder_of(model)(torch.from_numpy(clip.frames[:1]))
    masks = torch.from_numpy(clip.masks[0, :2]).float()
    _, memory = MaskPrompt(model)(*levels, masks)
    for row, mask in enumerate(masks):
        theirs, _ = model._encode_new_memory(
            levels[0].flatten(2).permute(2, 0, 1), mask[None, None], torch.ones(1, 1), is_mask_from_pts=True
        )
        torch.testing.assert_close(memory[row : row + 1], theirs, atol=TOLERANCE, rtol=0)
    assert (memory[0] - memory[1]).abs().max() > 0.1, "the masks matter"


@torch.inference_mode()
@pytest.mark.parametrize(("things", "presence", "signs"), [(1, 3.0, {True}), (2, 0.06, {True, False})])
def test_a_whole_track_is_that_of_transformers_session(
    clip: Clip, things: int, presence: float, signs: set[bool]
) -> None:
    """One object that is there throughout, two that come and go."""
    model = edge_model(presence=presence)
    ours, theirs = our_run(model, clip, things), their_run(model, clip, things)
    assert len(ours) == len(theirs) == FRAMES - 1
    for (logits, score), (other, theirs_score) in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(score, theirs_score, atol=TOLERANCE, rtol=0)
        np.testing.assert_allclose(logits, other, atol=TOLERANCE, rtol=0)
    assert {bool(there) for _, score in ours for there in score > 0} == signs


def test_its_own_graphs_give_on_openvino_what_they_give_on_torch(tmp_path: Path) -> None:
    backend, reference = OpenVinoBackend(precision="float32", cache_dir=tmp_path), Reference(objects=2)
    for graph in tracker_graphs(TrackerWeights("edgetam", edge_model())):
        call = reference.call(graph)
        if graph.name in ("encode", "track", "remember"):
            found = call.differences(backend.compile(graph).runner()(*call.inputs))
            assert max(found.values()) < 1e-4, f"{graph.name}: {found}"
