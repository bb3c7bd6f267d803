"""The lab's commands: demo, eval, bench, train. The entry point group `saccade.commands` adds them.

    demo.py                      saccade demo
    evaluate.py, eval_tables.py  saccade eval
    bench.py, bench_tables.py    saccade bench line, load, tracker, boxes, grounder, camera, checkpoint
    soak.py                      saccade bench soak
    training.py                  saccade train nano, tune, plot
    training_progress.py         the progress bars of a training
    ablation.py                  saccade train ablation

A command checks its options before it imports torch or Ray, which takes seconds. Tables take what `--json`
prints.
"""

from __future__ import annotations

import typer


def add_commands(app: typer.Typer) -> None:
    """Add the lab's commands to the command line. Imports neither torch nor Ray."""
    from lab.cli import ablation, bench, demo, evaluate, soak, training

    app.command()(demo.demo)
    app.command("eval")(evaluate.evaluate)
    bench.bench_app.command("soak")(soak.soak)
    app.add_typer(bench.bench_app, name="bench")
    training.train_app.command("ablation")(ablation.ablate)
    app.add_typer(training.train_app, name="train")
