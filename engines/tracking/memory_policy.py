"""What a tracker keeps of what it sees: the product's own rules, and SAM-2's.

The official predictor follows annotated clips from end to end; this product follows live pictures for days.
Where that asks for other rules they are fields of `TrackerPolicy`, so that there is one tracker and both sets
of rules are tested: `PRODUCT`, the default, with what each difference gained, and `AS_SAM2`, which gives the
logits of the package `sam2` on every frame (test: `test_parity.py`).

Where we differ from it under either policy, on purpose:

- Conditioning memories have a capacity (`TrackerShape.given_memories`); upstream keeps all of them, or,
  limited by `max_cond_frames_in_attn`, the nearest, and attends to the others as to tracked frames.
- A prompt for an object that is followed already becomes a conditioning memory, as with upstream's
  `add_all_frames_to_correct_as_cond`; a click looks without memory and without an earlier click's mask.
- A stream has no length. In clips shorter than 16 frames upstream measures the age of pointers by it.
- Pictures are shrunk bilinearly by halves, 8 bits deep; upstream's loader takes PIL's bicubic filter.
- Small holes are not filled: upstream needs a CUDA kernel for that and goes without where it is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerPolicy:
    """Rules of one tracker; the defaults are the product's."""

    remember_every: int = 4
    """One tracked frame in so many is remembered. Frames that follow each other say the same; further apart,
    as few memories reach further back: J&F 0.729, 0.736, 0.747, 0.745 and 0.737 with 1, 2, 4, 6 and 10 (24
    held-out clips of 4 s at 30 fps). It saves a seventh of the time of a frame with three objects, too."""
    keep_iou: float = 0.5
    """A frame is remembered for an object where the decoder believes its mask this good, 0..1, an object out
    of sight counting as 0; 0 remembers every frame. A doubtful mask remembered makes the next one worse, a
    frame left out makes the memory older: J&F 0.764, 0.763 and 0.743 with 0.35, 0.5 and 0.65 (8 held-out
    clips of 4 s)."""
    seen_iou: float = 0.4
    """An object counts as out of sight where the decoder believes its mask worse than this, 0..1. With 0.4
    and 0.5, 89 and 91 % of frames without an object had no mask, at J&F 0.750 and 0.743 (40 held-out clips of
    4 s); on six real films, which the decoder believes less, mean J is 0.535, 0.473 and 0.453 with 0.3, 0.4
    and 0.5."""
    rival_share: float = 0.5
    """A mask of which rivals leave less than this counts as out of sight; 0 lets all share their pixels
    (`rivals.py`). Of the frames without an object 92 % instead of 84 % had no mask, at J&F 0.753 instead of
    0.748; 47 instead of 50 of 64 hidden objects were found again (24 held-out clips of 4 s)."""
    agreed_iou: float = 0.6
    """A track that an answer corrects by more than this begins again from the answer's mask alone; 0 never
    does. Memories of its own mistakes, kept beside the good one, led it astray again within frames (one clip
    of 20 s at 10 fps, J of the red circle 0.67 against 0.55)."""
    first_stays: bool = True
    "Whether the first given mask keeps its slot for good, later ones taking turns in the others."
    pointer_ages_end: bool = True
    """Whether the age of a given pointer stops at the longest that the model was trained on. In SAM-2 it
    grows for ever, and an endless stream would leave what the model (2.1) knows."""
    given_replaces_tracked: bool = False
    "Whether a given mask takes the place of what was tracked on its frame."
    given_as_decoded: bool = False
    """Whether a given mask is remembered as the decoder would have drawn it, at a quarter of its size, or as
    it was given: nano was taught with the latter."""
    half_precision: bool = False
    "Whether memories are rounded to bfloat16, in which the official predictor stores them."
    unseen_end: bool = True
    "Whether a track ends that is not seen for long (`lifecycle.py`)."
    apart: bool = False
    "Whether published masks never overlap: each pixel belongs to the object that claims it most."


PRODUCT: Final = TrackerPolicy()

AS_SAM2: Final = TrackerPolicy(
    remember_every=1,
    keep_iou=0.0,
    seen_iou=0.0,
    rival_share=0.0,
    agreed_iou=0.0,
    first_stays=False,
    pointer_ages_end=False,
    given_replaces_tracked=True,
    given_as_decoded=True,
    half_precision=True,
    unseen_end=False,
)
