"""Sizes of a tracker's buffers, which its graphs and its memory bank share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

COND_SLOTS: Final = 2
"""Conditioning memories of an object where the checkpoint sets no limit (`max_cond_frame_num`)."""

POINTS: Final = 8
"""Point slots of a click in `graphs.PointPrompt`; a box takes two."""

EMPTY_SLOT: Final = -1e4
"""Attention bias on the keys of an empty memory slot; 0 on those of a filled slot."""


@dataclass(frozen=True, slots=True)
class TrackerShape:
    """The sizes from which every buffer's shape follows."""

    side_px: int
    "S, side of the square input image."
    feature_px: int
    "h = w, side of the stride-16 feature map."
    memory_tokens: int
    "n, tokens of one memory: one per place of the feature map, or fewer (`memory_tokens.py`)."
    channels: int
    "C, of features and object pointers."
    memory_channels: int
    "D, of a memory token."
    recent_memories: int
    "Slots for memories of tracked frames (SAM-2's num_maskmem - 1)."
    recent_obj_ptrs: int
    "Slots for object pointers of tracked frames (max_obj_ptrs_in_encoder - 1)."
    cond_memories: int = COND_SLOTS
    "Slots for conditioning memories and for their object pointers; at least 2."

    @property
    def low_res_px(self) -> int:
        """Side of the mask decoder's logits, 4h."""
        return 4 * self.feature_px

    @property
    def memories(self) -> int:
        """M, memory slots of one object."""
        return self.cond_memories + self.recent_memories

    @property
    def obj_ptrs(self) -> int:
        """P, object pointer slots of one object."""
        return self.cond_memories + self.recent_obj_ptrs
