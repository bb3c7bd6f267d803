"""A program that records its outputs, to compare what a tracker decodes."""

from __future__ import annotations

from dataclasses import dataclass

from engines.backends.graph import Array, Program, Runner


@dataclass(frozen=True, eq=False)
class RecordedProgram:
    """Wraps a program; its runners append a copy of each call's outputs."""

    program: Program
    outputs: list[tuple[Array, ...]]

    def runner(self) -> Runner:
        runner = self.program.runner()

        def run(*inputs: Array) -> tuple[Array, ...]:
            outputs = runner(*inputs)
            self.outputs.append(tuple(output.copy() for output in outputs))
            return outputs

        return run
