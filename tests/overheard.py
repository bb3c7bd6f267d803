"""What a tracker decodes, read off on its way."""

from __future__ import annotations

from dataclasses import dataclass

from engines.backends.graph import Array, Program, Runner


@dataclass(frozen=True, eq=False)
class Overheard:
    """A program that keeps what it said."""

    program: Program
    said: list[tuple[Array, ...]]

    def runner(self) -> Runner:
        runner = self.program.runner()

        def run(*inputs: Array) -> tuple[Array, ...]:
            outputs = runner(*inputs)
            self.said.append(tuple(output.copy() for output in outputs))
            return outputs

        return run
