"""A trace of some training steps, `train.profile`, which Perfetto and TensorBoard open."""

import contextlib
import time
from pathlib import Path
from typing import Any

import jax

from foodjax.config.keys import Config
from foodjax.system.console import say
from foodjax.system.errors import UserError, first_line

FOLDER = "profile"


def check(config: Config, num_steps: int) -> None:
    """Checks that a training reaches the steps of train.profile.

    Args:
        config: the experiment.
        num_steps: of the whole training, at most.

    Raises:
        UserError: it ends before.
    """
    if config.train.profile and config.train.profile[1] > num_steps:
        first, last = config.train.profile
        raise UserError(
            f"train.profile is {first},{last}, but the training has {num_steps} steps: needs steps up to {num_steps}"
        )


class Profiler:
    """Traces the steps from + 1, ..., to of train.profile=(from, to), where from steps were taken before.

    JAX writes the trace to profile/plugins/profile/TIME/ in the workdir: *.xplane.pb for TensorBoard, and
    perfetto_trace.json.gz, whose form is that of Chrome's trace viewer. A run that continues within these steps traces
    the rest. A program that uses JAX's profiler itself goes before: then the trace is left out, with a line.
    """

    def __init__(self, workdir: Path, span: tuple[int, ...], *, is_first: bool = True):
        """Does nothing yet.

        Args:
            workdir: of the run.
            span: train.profile.
            is_first: whether this process traces; of several the first one does.
        """
        self.folder, self._span, self._is_on = workdir / FOLDER, span if is_first else (), False
        self._bounds = span

    def next_bound(self, step: int, stop: int) -> int:
        """Returns the step, `stop` at most, before which a dispatch that begins after `step` has to end.

        In all processes alike, since they take one step together.
        """
        return min(stop, *(bound for bound in self._bounds if bound > step), stop)

    def named(self, step: int) -> contextlib.AbstractContextManager:
        """Names a dispatch "train" in a trace that is being taken, with the steps taken before it."""
        return jax.profiler.StepTraceAnnotation("train", step_num=step) if self._is_on else contextlib.nullcontext()

    def at(self, step: int, total: Any) -> None:
        """Begins or ends the trace where it is due.

        Args:
            step: steps taken.
            total: an array of the last of them; the trace waits for it, so that it has its own steps alone.
        """
        if not self._span:
            return
        first, last = self._span
        if self._is_on and step >= last:
            jax.block_until_ready(total)
            self.stop(step)
        elif not self._is_on and first <= step < last:
            jax.block_until_ready(total)
            self._start(step)

    def _start(self, step: int) -> None:
        options = jax.profiler.ProfileOptions()
        options.python_tracer_level = 0  # a line for each call of Python would fill the trace
        try:
            jax.profiler.start_trace(str(self.folder), create_perfetto_trace=True, profiler_options=options)
        except Exception as error:  # another profile of this process is on
            say(f"train.profile is left out: {first_line(error)}", flush=True)
            self._span = ()
            return
        self._is_on, self._began, self._first = True, time.monotonic(), step + 1

    def stop(self, step: int) -> None:
        """Writes the trace, if one is being taken.

        Args:
            step: steps taken.
        """
        if not self._is_on:
            return
        self._is_on, self._span = False, ()
        seconds = time.monotonic() - self._began
        try:
            jax.profiler.stop_trace()
        except Exception as error:  # a full disk must not end a run
            say(f"train.profile is left out: {first_line(error)}", flush=True)
        else:
            say(f"profile of the steps {self._first} to {step} ({seconds:.1f} s) in {self.folder}", flush=True)
