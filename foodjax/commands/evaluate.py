"""The verb evaluate: evaluates a workdir's best checkpoint."""

from pathlib import Path

from foodjax.commands.arguments import Asked, Mode
from foodjax.config.keys import Config


def evaluate(config: Config, workdir: Path, asked: Asked) -> None:
    """Evaluates, and writes the report."""
    from foodjax.report import run_report
    from foodjax.run import evaluate as run_evaluate

    run_report.write_report(run_evaluate.evaluate_workdir(config, workdir), workdir)


MODE = Mode(evaluate, "stored")
