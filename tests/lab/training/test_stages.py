"""The stages' names are known without torch."""

from __future__ import annotations

import subprocess
import sys

from lab.training.nano_recipe import RECIPE
from lab.training.stages import Stage


def test_the_recipe_has_every_stage_but_all() -> None:
    assert {one.stage for one in RECIPE} == {*Stage} - {Stage.ALL}


def test_naming_a_stage_imports_no_torch() -> None:
    code = "import sys, lab.training.stages; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
