"""Which frames and masks a tracker remembers, and what it publishes: the product's rules, and SAM-2's.

The official predictor tracks through annotated clips; this product tracks live video for days. Where that
calls for other rules they are fields of `TrackerPolicy`, so that one tracker is tested with both sets:
`PRODUCT`, the default, with what each difference gains, and `AS_SAM2`, which reproduces the logits of the
package `sam2` on every frame (test: `test_parity.py`).

Differences from it under either policy:

- Conditioning memories have a capacity (`TrackerShape.cond_memories`). Upstream keeps all of them, or
  with `max_cond_frames_in_attn` attends to the nearest, and to the others as to tracked frames.
- A prompt for an object that is already tracked becomes a conditioning memory, as with upstream's
  `add_all_frames_to_correct_as_cond`. A click is decoded without memory and without an earlier click's mask.
- A stream has no length. In clips shorter than 16 frames upstream scales the age of object pointers by it.
- Frames are resized bilinearly by halves, in 8 bits; upstream's loader uses PIL's bicubic filter.
- Small holes are not filled: upstream needs a CUDA kernel for it and skips it where that is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerPolicy:
    """Rules of one tracker; the defaults are the product's."""

    memory_temporal_stride: int = 4
    """One tracked frame in this many is remembered (SAM-2's `memory_temporal_stride_for_eval`). Consecutive
    frames are redundant; further apart, the same number of memories reaches further back: J&F 0.729, 0.736,
    0.747, 0.745 and 0.737 with 1, 2, 4, 6 and 10 (24 held-out clips of 4 s at 30 fps). It also saves a
    seventh of the time per frame with three objects."""
    min_memory_iou: float = 0.5
    """An object's mask is remembered if its predicted IoU is at least this, 0..1; an object out of view
    counts as 0, and 0 remembers every frame. A poor mask in memory degrades the next one, a skipped frame
    makes the memory older: J&F 0.764, 0.763 and 0.743 with 0.35, 0.5 and 0.65 (8 held-out clips of 4 s)."""
    min_visible_iou: float = 0.2
    """An object counts as not visible if its predicted IoU is below this, 0..1. With 0, 0.2 and 0.4, 93.5,
    94.1 and 95.9 % of the frames without an object had no mask, at J&F 0.820, 0.820 and 0.810 (8 held-out
    clips of 4 s). On six real clips, where predicted IoUs are lower, mean J is 0.555, 0.553 and 0.474."""
    non_overlap_min_share: float = 0.5
    """An object counts as not visible if other objects leave less than this share of its mask; 0 lets all
    masks overlap (`non_overlapping.py`). 92 instead of 84 % of the frames without an object had no mask, at
    J&F 0.753 instead of 0.748; 47 instead of 50 of 64 hidden objects were found again (24 held-out clips of
    4 s)."""
    reset_memory_iou: float = 0.6
    """A track whose mask on the keyframe has a lower IoU with the answer's mask loses its memories and keeps
    the answer's alone; 0 never resets. Memories of wrong masks, kept beside the right one, led the track
    astray again within frames (a clip of 20 s at 10 fps, J of the red circle 0.67 against 0.55)."""
    keep_first_cond: bool = True
    "Whether the first conditioning memory keeps its slot and later ones share the remaining slots."
    limit_obj_ptr_age: bool = True
    """Whether the age of a conditioning object pointer stops at the highest age seen in training. In SAM-2
    it grows without limit, which on an endless stream leaves the range that SAM 2.1 was trained on."""
    cond_replaces_recent: bool = False
    "Whether a conditioning memory replaces the tracked memory of its frame."
    cond_masks_as_decoded: bool = False
    """Whether a mask prompt is remembered as decoder output, at a quarter of its size (SAM-2's
    `_use_mask_as_output`), or at full size: nano was trained with the latter."""
    bfloat16_memories: bool = False
    "Whether memories are rounded to bfloat16, in which the official predictor stores them."
    end_unseen_tracks: bool = True
    "Whether a track that is not visible for long ends (`lifecycle.py`)."
    non_overlapping_masks: bool = False
    "Whether published masks never overlap: each pixel belongs to the object with the highest logit."


PRODUCT: Final = TrackerPolicy()

AS_SAM2: Final = TrackerPolicy(
    memory_temporal_stride=1,
    min_memory_iou=0.0,
    min_visible_iou=0.0,
    non_overlap_min_share=0.0,
    reset_memory_iou=0.0,
    keep_first_cond=False,
    limit_obj_ptr_age=False,
    cond_replaces_recent=True,
    cond_masks_as_decoded=True,
    bfloat16_memories=True,
    end_unseen_tracks=False,
)
