"""Sa2VA checkpoints on disk in the published layout, loaded without remote code.

A folder holds `config.json`, a tokenizer and `model.safetensors` (or a sharded
`model.safetensors.index.json`). `config.json` names the family (`families/`), whose tensors are stored
with

    text_hidden_fcs.{0,2}.*            hidden state at [SEG] → [SEG] embedding
    grounding_encoder.sam2_model.*     SAM-2 (facebookresearch/sam2 names)

The grounder decodes without memory, so SAM-2's memory tensors are skipped, and nano does not ship them. Seven
keys of nano's `config.json` are not in published ones: `sam2_config` (published checkpoints all use Hiera-L
2.0), `vision_config.stem_widths` and `stem_blocks` (a convolutional patch embedding), `presence_threshold`,
`answers_in_words`, `takes_regions`, and `structure`, a `RefinementKind` whose tensors are `structure.*`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from safetensors import SafetensorError
from torch import Tensor
from transformers import Sam2Config

from engines.grounding.checkpoint_folder import checkpoint_folder
from engines.grounding.devices import choose_device, choose_dtype
from engines.grounding.families.internvl import InternVl
from engines.grounding.families.registry import choose_family
from engines.grounding.image_processing import Resize, bicubic, halving_bilinear
from engines.grounding.model import SaModel
from engines.grounding.structure import RefinementKind
from engines.grounding.templates import Template, make_template
from engines.grounding.tokenizer_loading import load_tokenizer
from engines.grounding.weight_layout import SAM
from engines.grounding.weights import WEIGHTS_FILE as WEIGHTS_FILE
from engines.grounding.weights import load_published, on_meta_device, open_weights
from streaming.errors import CheckpointError

OWN_PRESENCE_THRESHOLD: Final = 0.5
PUBLISHED_PRESENCE_THRESHOLD: Final = 0.05
"""Default presence thresholds of models trained here and of published models. Published models were trained
on five answers at random ("It is [SEG].", "Sure, it is [SEG].", …), so that "Sure, [SEG]." has a probability
of about 0.2 for an object that is certainly there. Not yet measured on published weights."""

_MEMORY: Final = re.compile(
    re.escape(SAM) + r"(memory_|maskmem_tpos_enc|obj_ptr_|no_obj_|no_mem_pos_enc|mask_downsample)"
)

HIERA_LARGE: Final[dict[str, Any]] = {
    "vision_config": {
        "backbone_config": {
            "model_type": "sam2_hiera_det_model",
            "hidden_size": 144,
            "num_attention_heads": 2,
            "blocks_per_stage": [2, 6, 36, 4],
            "embed_dim_per_stage": [144, 288, 576, 1152],
            "num_attention_heads_per_stage": [2, 4, 8, 16],
            "window_size_per_stage": [8, 4, 16, 8],
            "global_attention_blocks": [23, 33, 43],
        },
        "backbone_channel_list": [1152, 576, 288, 144],
    },
    "prompt_encoder_config": {"image_size": 1024},
}
"""SAM-2 as in every published Sa2VA: `sam2_hiera_l.yaml` of version 2.0, 1024 px."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options for loading a checkpoint."""

    dtype: Literal["auto", "float32", "bfloat16"] = "float32"
    "Training needs float32. `auto`: bfloat16 if the file has it and the device computes in it."
    device: str = "cpu"
    "As torch names it: `cpu`, `cuda`, `cuda:1`."
    max_tiles: int = 1
    "Tiles that a keyframe without earlier frames is cut into at most, by models that were trained on tiles."


DEFAULT_OPTIONS: Final = RunOptions()


@dataclass(frozen=True, slots=True, eq=False)
class Sa2Va:
    """A Sa2VA checkpoint in memory."""

    model: SaModel
    "In eval mode and without gradients if it was loaded from disk."
    template: Template
    config: Mapping[str, Any]
    "The content of config.json."
    max_tiles: int = 1
    "As in `RunOptions`."
    name: str = ""
    "`nano`, `owner/name@commit`, or the name of the folder; empty if it was not loaded from disk."

    @property
    def presence_threshold(self) -> float:
        """Presence score, 0..1, from which an object counts as present."""
        default = OWN_PRESENCE_THRESHOLD if self._trained_here else PUBLISHED_PRESENCE_THRESHOLD
        return float(self.config.get("presence_threshold", default))

    @property
    def takes_regions(self) -> bool:
        """Whether the model was trained on visual prompts (regions); published InternVL models were."""
        default = self.template.image_tokens > 0 and not self._trained_here
        return bool(self.config.get("takes_regions", default))

    @property
    def sam_px(self) -> int:
        """Side of SAM-2's square input; mask logits have a quarter of it."""
        sam = self.config.get("sam2_config", HIERA_LARGE)
        return int(sam["prompt_encoder_config"]["image_size"])

    @property
    def resize(self) -> Resize:
        """The resizing of SAM-2's input."""
        return halving_bilinear if self._trained_here else bicubic

    @property
    def _trained_here(self) -> bool:
        """Whether it was trained here: published configurations do not describe SAM-2."""
        return "sam2_config" in self.config


def load_sa2va(name_or_dir: str | Path, options: RunOptions = DEFAULT_OPTIONS) -> Sa2Va:
    """Load `nano` (bundled), a checkpoint folder, or `owner/name@commit` from a hub.

    Raises NotFound if there is no such checkpoint; CheckpointError if a file cannot be read, the architecture
    is not supported, or tensors are missing, surplus or misshapen (named); BackendUnavailable if there is no
    such device.
    """
    directory = checkpoint_folder(name_or_dir)
    config, tokenizer = _config(directory), load_tokenizer(directory)
    tensors = _tensors(directory)
    with _config_errors(directory / "config.json"):
        template = make_template(tokenizer, image_tokens(config), choose_family(config, 0).special_tokens)
        with on_meta_device():
            model = build(config, template.image_id)
    device = choose_device(options.device)
    load_published(model, tensors, choose_dtype(options.dtype, device, tensors.values()), device)
    model.eval().requires_grad_(False)
    name = str(name_or_dir)
    display_name = name if name == "nano" or not Path(name).exists() else Path(name).resolve().name
    return Sa2Va(model, template, config, options.max_tiles, display_name)


def _config(directory: Path) -> dict[str, Any]:
    try:
        config = json.loads((directory / "config.json").read_text())
    except (OSError, ValueError) as exc:
        raise CheckpointError(f"Cannot read {directory / 'config.json'}: {exc}.") from exc
    if not isinstance(config, dict):
        raise CheckpointError(f"{directory / 'config.json'} holds no object.")
    return config


def _tensors(directory: Path) -> dict[str, Tensor]:
    try:
        tensors = open_weights(directory)
    except (OSError, ValueError, SafetensorError) as exc:
        raise CheckpointError(f"Cannot read {directory}: {exc}.", remedy="Copy the checkpoint anew.") from exc
    return {name: tensor for name, tensor in tensors.items() if not _MEMORY.match(name)}


@contextmanager
def _config_errors(file: Path) -> Iterator[None]:
    """Translate exceptions of transformers about a configuration it cannot build a model from."""
    try:
        yield
    except CheckpointError:
        raise
    except Exception as exc:
        raise CheckpointError(
            f"{file} describes no model: {type(exc).__name__}: {exc}.",
            remedy="Use the config.json of the checkpoint.",
        ) from exc


# --- configuration --------------------------------------------------------------------------------


def build(config: Mapping[str, Any], image_id: int) -> SaModel:
    """Build the untrained model that a published `config.json` describes."""
    model = SaModel(choose_family(config, image_id), Sam2Config(**config.get("sam2_config", HIERA_LARGE)))
    if "structure" in config:
        model.add_refinement(_refinement(config["structure"]))
    return model


def image_tokens(config: Mapping[str, Any]) -> int:
    """Return the number of image tokens per tile; 0 if it depends on the size of the image."""
    family = choose_family(config, image_id=0)
    return family.image_tokens if isinstance(family, InternVl) else 0


def _refinement(name: str) -> RefinementKind:
    try:
        return RefinementKind(name)
    except ValueError as exc:
        raise CheckpointError(
            f"config.json asks for the refinement {name!r}.", remedy=f"Known: {', '.join(RefinementKind)}."
        ) from exc
