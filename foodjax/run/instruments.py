"""What a training measures beside its epochs: the log of single steps, and the profile."""

from pathlib import Path

from foodjax.run.profiler import Profiler
from foodjax.run.wiring import Engine
from foodjax.system import hosts
from foodjax.workdir.step_log import StepLog


class Instruments:
    """The instruments of one start of a training; with the defaults of log and train.profile they do nothing."""

    def __init__(self, engine: Engine, workdir: Path, step: int, steps_per_epoch: int):
        """Opens them.

        Args:
            engine: the network.
            workdir: of the run.
            step: that it continues at, 0 for a new one.
            steps_per_epoch: number of steps of an epoch.
        """
        config, is_first = engine.config, hosts.is_first()
        self.steps = StepLog(
            workdir, step, steps_per_epoch, config=config, learning_rate=engine.learning_rate, is_first=is_first
        )
        self.profiler = Profiler(workdir, config.train.profile, is_first=is_first)

    def close(self, step: int) -> None:
        """Ends them; a trace that is being taken ends with the step `step`."""
        self.profiler.stop(step)
        self.steps.close()
