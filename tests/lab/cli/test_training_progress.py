"""Progress of a training: time left, loss, and the last held-out score with its level."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from lab.cli.training_progress import TrainingView


class Terminal:
    """A terminal 120 wide, and what is on it."""

    def __init__(self) -> None:
        self._written = StringIO()
        self._console = Console(file=self._written, width=120)
        self.view = TrainingView(self._console)

    @property
    def lines(self) -> list[str]:
        """What was printed beside the bars."""
        return self._written.getvalue().splitlines()

    def bars(self) -> list[str]:
        with self._console.capture() as shown:
            self._console.print(self.view.bars.get_renderable())
        return shown.get().splitlines()


def test_a_bar_has_the_time_left_the_loss_and_the_last_score() -> None:
    terminal = Terminal()
    terminal.view.begin("tracker", 7200.0)
    terminal.view.show("tracker", {"step": 20, "elapsed_s": 1800.0, "loss": 0.6543, "j": 0.1})
    (bar,) = terminal.bars()
    assert all(word in bar for word in ("tracker", "1:30:00 left", "loss 0.654"))
    assert "J, tracked" not in bar, "a step's own score is none of held-out scenes"
    terminal.view.show("tracker", {"step": 25, "elapsed_s": 2000.0, "j": 0.758, "level": "names"})
    (bar,) = terminal.bars()
    assert all(word in bar for word in ("loss 0.654", "level names, J, tracked 0.76"))


def test_a_held_out_score_is_printed_as_a_line() -> None:
    terminal = Terminal()
    terminal.view.begin("vision", 60.0)
    terminal.view.show("vision", {"step": 50, "elapsed_s": 5.0, "loss": 4.0})
    terminal.view.show("vision", {"step": 70, "elapsed_s": 9.0, "held_out_category": 0.5, "level": "plain"})
    assert terminal.lines == ["vision, step 70: level plain, patch categories 0.50  loss 4"]


def test_every_stage_has_a_bar_and_a_finished_bar_is_marked() -> None:
    terminal = Terminal()
    terminal.view.begin("tracker", 60.0)
    terminal.view.end("tracker")
    terminal.view.begin("vision", 60.0)
    terminal.view.show("vision", {"step": 1, "elapsed_s": 70.0, "loss": 1.0})
    first, second = terminal.bars()
    assert "done" in first and "left" not in first
    assert "0:00:00 left" in second, "never less than nothing"
