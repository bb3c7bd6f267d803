"""The commands of the lab: demo, eval, bench, train. Installed as a plug-in of the command `saccade`."""

from __future__ import annotations

import typer


def add_commands(app: typer.Typer) -> None:
    """Add the lab's commands to the command line. Loads neither torch nor Ray."""
    from lab.cli import ablation, bench, demo, evaluate, soak, training

    app.command()(demo.demo)
    app.command("eval")(evaluate.evaluate)
    bench.bench_app.command("soak")(soak.soak)
    app.add_typer(bench.bench_app, name="bench")
    training.train_app.command("ablation")(ablation.ablate)
    app.add_typer(training.train_app, name="train")
