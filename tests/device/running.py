"""Runs parts one after the other. Each has its own time limit; what overruns is cut, with all that it started, and the
rest goes on."""

import os
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field

GRACE_SECONDS = 5  # between asking a program to end and killing it
LONGEST_LOG = 100_000  # characters of one command's output that the log keeps


class Skip(Exception):
    """The part cannot run here; says why."""


class Cut(Exception):
    """The time is over; `output` is what was said until then."""

    def __init__(self, message, output=""):
        super().__init__(message)
        self.output = output


class Ended(BaseException):
    """Someone ends the whole run."""


def raise_ended(signal_number, frame):
    raise Ended


@dataclass
class Part:
    name: str
    limit: float  # seconds
    work: object  # called with a Step; counts there; may raise Skip


@dataclass
class Outcome:
    name: str
    limit: float
    status: str = "skipped"  # passed, failed, cut, skipped
    seconds: float = 0.0
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    message: str = ""
    failures: list = field(default_factory=list)  # {"what", "lines"}
    facts: dict = field(default_factory=dict)


@dataclass
class Done:
    code: int
    output: str


class Step:
    """What a part's work is given: it runs commands within the part's time, and counts."""

    def __init__(self, outcome, deadline, environment, log):
        self.outcome = outcome
        self._deadline = deadline
        self._environment = environment
        self._log = log

    def left(self):
        return max(0.0, self._deadline - time.monotonic())

    def passed(self, count=1):
        self.outcome.passed += count

    def skipped(self, count=1):
        self.outcome.skipped += count

    def failed(self, what, lines=()):
        self.outcome.failed += 1
        self.outcome.failures.append({"what": what, "lines": [line.strip()[:300] for line in lines][:5]})

    def command(self, *command, seconds=None, environment=None):
        """Its status and output; a negative status is the signal that ended it. @raises Cut where it needs longer than
        `seconds` or the part's time"""
        limit = min(self.left(), seconds or self.left())
        with tempfile.TemporaryFile() as output:
            start = time.monotonic()
            code = None
            process = subprocess.Popen(
                [str(word) for word in command],
                env={**self._environment, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = process.wait(timeout=limit)
            except subprocess.TimeoutExpired:
                pass
            finally:
                end_group(process)
                text = text_of(output)
                ended = "cut" if code is None else f"status {code}"
                self._log(f"$ {' '.join(map(str, command))}\n{text}[{ended}, {time.monotonic() - start:.1f} s]\n\n")
        if code is None:
            raise Cut(f"{os.path.basename(str(command[0]))} ran for {limit:.0f} s", text)
        return Done(code, text)


def end_group(process):
    """Ends a program where it still runs, and whatever it has started in its group."""
    try:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                pass
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def text_of(file):
    file.seek(0)
    text = file.read().decode(errors="replace")
    if len(text) > LONGEST_LOG:
        half = LONGEST_LOG // 2
        text = f"{text[:half]}\n[... {len(text) - LONGEST_LOG} characters ...]\n{text[-half:]}"
    return text


class Runner:
    """`after` is called with all outcomes whenever one has changed, so that a run that is ended leaves them."""

    def __init__(self, parts, total_seconds, environment, log, after):
        self._parts = parts
        self._total = total_seconds
        self._environment = environment
        self._log = log
        self._after = after
        self.outcomes = [Outcome(part.name, part.limit, message="not reached") for part in parts]
        self.ended = False

    def run(self):
        deadline = time.monotonic() + self._total
        try:
            for part, outcome in zip(self._parts, self.outcomes):
                self._run_part(part, outcome, deadline)
                self._after(self.outcomes)
        except (Ended, KeyboardInterrupt):
            self.ended = True
            self._after(self.outcomes)

    def _run_part(self, part, outcome, deadline):
        start = time.monotonic()
        outcome.message = ""
        if deadline - start < 2:
            outcome.message = "no time was left"
            return
        self._log(f"==== {part.name}\n")
        step = Step(outcome, min(deadline, start + part.limit), self._environment, self._log)
        try:
            part.work(step)
            outcome.status = status_of(outcome)
        except Skip as reason:
            outcome.message = str(reason)
            outcome.status = "failed" if outcome.failed else "skipped"
        except Cut as cut:
            outcome.message = f"cut: {cut}"
            outcome.status = "cut"
        except (Ended, KeyboardInterrupt):
            outcome.message = "the run was ended"
            outcome.status = "cut"
            raise
        except Exception as error:  # a mistake in one part must not take the others' results along
            step.failed(f"{part.name} broke", [f"{type(error).__name__}: {error}"])
            outcome.status = "failed"
        finally:
            outcome.seconds = time.monotonic() - start


def status_of(outcome):
    if outcome.failed:
        return "failed"
    return "passed" if outcome.passed else "skipped"
