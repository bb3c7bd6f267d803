"""The categories of everything that nano may be asked for: of the drawn world, then of photographs."""

from __future__ import annotations

from typing import Final

from lab.training.language.real_names import REAL_CATEGORIES
from lab.training.world.catalogue import CATEGORIES

NAMES: Final = tuple(dict.fromkeys((*CATEGORIES, *REAL_CATEGORIES)))
"Weights of class heads number categories by this order: append, do not insert."
