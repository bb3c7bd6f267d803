"""Sa2VA checkpoints on disk, in the layout in which they are published, read without anybody's remote code.

A folder holds `config.json`, a tokenizer and `model.safetensors` (or a sharded
`model.safetensors.index.json`). `config.json` names the family (`families/`), whose tensors stand beside

    text_hidden_fcs.{0,2}.*            hidden state at [SEG] → prompt
    grounding_encoder.sam2_model.*     SAM-2 (facebookresearch/sam2 names)

The grounder decodes without memory, so SAM-2's memory tensors are read past, and nano does not ship them.
Six keys of nano's `config.json` are ours: `sam2_config` (published checkpoints all use Hiera-L 2.0),
`vision_config.stem_widths` (a convolutional patch embedding), `presence_threshold`, `answers_in_words`,
`takes_regions`, and `structure`, a `RefinementKind` whose tensors are `structure.*`.
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
from safetensors.torch import save_file
from torch import Tensor
from transformers import Sam2Config

from engines.grounding.devices import choose_device, choose_dtype
from engines.grounding.families.internvl import InternVl
from engines.grounding.families.registry import choose_family
from engines.grounding.hub import fetch, is_hub_name
from engines.grounding.image_processing import Resize, as_trained_here, bicubic
from engines.grounding.model import SaModel
from engines.grounding.structure import RefinementKind
from engines.grounding.templates import Template, make_template
from engines.grounding.tokenizer_loading import open_tokenizer
from engines.grounding.weight_layout import SAM, published
from engines.grounding.weights import WEIGHTS_FILE as WEIGHTS_FILE
from engines.grounding.weights import hollow, open_weights, put
from streaming.errors import CheckpointError, NotFound

NANO_DIR: Final = Path(__file__).resolve().parent.parent / "nano" / "sa2va"
TAUGHT_ONE_ANSWER: Final = 0.5
TAUGHT_FIVE_ANSWERS: Final = 0.05
"""Presence from which a thing is there, where config.json says nothing. Published models were taught one of
five answers at random ("It is [SEG].", "Sure, it is [SEG].", …): what they are sure of, they say in these
words with a probability of about 0.2. Not yet measured on published weights."""

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
class Running:
    """How a checkpoint is to be run."""

    dtype: Literal["auto", "float32", "bfloat16"] = "float32"
    "What trains wants float32. `auto`: bfloat16 where the file has it and the machine computes in it."
    device: str = "cpu"
    "As torch names it: `cpu`, `cuda`, `cuda:1`."
    tiles: int = 1
    "Tiles that a picture without a past is cut into at most, by models that were trained on tiles."


PLAIN: Final = Running()


@dataclass(frozen=True, slots=True, eq=False)
class Sa2Va:
    """A checkpoint in memory."""

    model: SaModel
    "In eval mode, without gradients, where it was loaded from a folder."
    template: Template
    config: Mapping[str, Any]
    "The content of config.json."
    tiles: int = 1
    name: str = ""
    "`nano`, `owner/name@commit`, or the name of its folder; empty where it was never in one."

    @property
    def presence_threshold(self) -> float:
        """A thing is there where the probability of "Sure, [SEG]" reaches this."""
        usual = TAUGHT_ONE_ANSWER if self._is_of_ours else TAUGHT_FIVE_ANSWERS
        return float(self.config.get("presence_threshold", usual))

    @property
    def takes_regions(self) -> bool:
        """Whether it was taught regions that a person points at, as published InternVL ones were."""
        usual = self.template.image_tokens > 0 and not self._is_of_ours
        return bool(self.config.get("takes_regions", usual))

    @property
    def look_px(self) -> int:
        """Side of the square picture that the language model of an InternVL sees."""
        return int(self.config["vision_config"]["image_size"])

    @property
    def draw_px(self) -> int:
        """Side of the square picture that SAM-2 sees; its masks have a quarter of it."""
        sam = self.config.get("sam2_config", HIERA_LARGE)
        return int(sam["prompt_encoder_config"]["image_size"])

    @property
    def resize(self) -> Resize:
        """How SAM-2's picture is made."""
        return as_trained_here if self._is_of_ours else bicubic

    @property
    def _is_of_ours(self) -> bool:
        """Trained here: published ones have no SAM-2 of a shape of their own."""
        return "sam2_config" in self.config


def load_sa2va(name_or_dir: str | Path, running: Running = PLAIN) -> Sa2Va:
    """Read `nano` (bundled), a checkpoint folder or one on a hub, `owner/name@commit`.

    Raises NotFound where there is no such checkpoint; CheckpointError where a file cannot be read, the
    architecture is not one that is read here, or tensors are missing, surplus or misshapen (named);
    BackendUnavailable where there is no such device.
    """
    directory = _directory(str(name_or_dir))
    config, tokenizer = _config(directory), open_tokenizer(directory)
    tensors = _tensors(directory)
    with _named(directory / "config.json"):
        template = make_template(tokenizer, image_tokens(config), choose_family(config, 0).marks)
        with hollow():
            model = build(config, template.image_id)
    device = choose_device(running.device)
    put(model, tensors, choose_dtype(running.dtype, device, tensors.values()), device)
    model.eval().requires_grad_(False)
    name = str(name_or_dir)
    known = name if name == "nano" or not Path(name).exists() else Path(name).resolve().name
    return Sa2Va(model, template, config, running.tiles, known)


def _directory(name: str) -> Path:
    directory = NANO_DIR if name == "nano" else Path(name)
    if not directory.exists() and is_hub_name(name):
        directory = fetch(name)
    if not (directory / "config.json").is_file():
        raise NotFound(
            f"No Sa2VA checkpoint at {directory}.",
            remedy="It is `nano`, a folder with a config.json, or owner/name@commit on a hub.",
        )
    return directory


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
def _named(file: Path) -> Iterator[None]:
    """Translate whatever transformers raises at a configuration that it cannot build from."""
    try:
        yield
    except CheckpointError:
        raise
    except Exception as exc:
        raise CheckpointError(
            f"{file} describes no model: {type(exc).__name__}: {exc}.",
            remedy="Use the config.json of the checkpoint.",
        ) from exc


def save_sa2va(checkpoint: Sa2Va, directory: Path) -> None:
    """Write config, tokenizer and float16 weights, each renamed over the old file."""
    directory.mkdir(parents=True, exist_ok=True)
    tensors = to_published(checkpoint.model)
    weights = directory / (WEIGHTS_FILE + ".new")
    save_file({k: v.half().contiguous() for k, v in tensors.items()}, weights)
    weights.chmod(0o644)  # safetensors writes for its owner only
    (directory / "config.json.new").write_text(json.dumps(dict(checkpoint.config), indent=2) + "\n")
    checkpoint.template.tokenizer.save(str(directory / "tokenizer.json.new"))
    for name in ("config.json", "tokenizer.json", WEIGHTS_FILE):
        (directory / (name + ".new")).replace(directory / name)


# --- configuration --------------------------------------------------------------------------------


def build(config: Mapping[str, Any], image_id: int) -> SaModel:
    """An untrained model of the shape that a published `config.json` describes."""
    model = SaModel(choose_family(config, image_id), Sam2Config(**config.get("sam2_config", HIERA_LARGE)))
    if "structure" in config:
        model.refine_by(_refinement(config["structure"]))
    return model


def image_tokens(config: Mapping[str, Any]) -> int:
    """How many image tokens stand for one picture; 0 where that depends on the picture."""
    family = choose_family(config, image_id=0)
    return family.image_tokens if isinstance(family, InternVl) else 0


def _refinement(name: str) -> RefinementKind:
    try:
        return RefinementKind(name)
    except ValueError as exc:
        raise CheckpointError(
            f"config.json asks for the refinement {name!r}.", remedy=f"Known: {', '.join(RefinementKind)}."
        ) from exc


# --- tensors --------------------------------------------------------------------------------------


def to_published(model: SaModel) -> dict[str, Tensor]:
    """A model's tensors under published names."""
    return published(model.state_dict(), model.place)
