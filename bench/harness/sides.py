"""The programs that work, and the talk with them: bench/work/protocol.hpp says how."""

import json
import os
import queue
import signal
import subprocess
import tempfile
import threading

# Compiling a model takes minutes on a slow machine; a program that is silent for longer than this is stuck.
PATIENCE_SECONDS = 1200


class SideError(Exception):
    """A program ended or said something unexpected."""


class Process:
    """One program. It sets up and warms up until `wait_until_ready` returns, then sleeps until `go`."""

    def __init__(self, command, environment, patience=PATIENCE_SECONDS):
        self._patience = patience
        self._errors = tempfile.TemporaryFile()
        self._command = command
        self._process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
        )
        self.info = {}
        self._lines = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def wait_until_ready(self):
        while (line := self._read()) != "ready":
            self.info.update(json.loads(line))

    def go(self):
        """One repetition's figures."""
        try:
            self._process.stdin.write("go\n")
            self._process.stdin.flush()
        except OSError:
            pass  # the read below says what happened
        return json.loads(self._read())

    def stop(self, wait_seconds=30):
        """Ends the program, and what it may have started."""
        try:
            self._process.stdin.close()
            self._process.wait(timeout=wait_seconds)
        except (OSError, subprocess.TimeoutExpired):
            pass
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        self._errors.close()

    def _listen(self):
        """Lines that belong to the protocol; libraries may print others. None at the end."""
        for line in self._process.stdout:
            line = line.strip()
            if line == "ready" or line.startswith("{"):
                self._lines.put(line)
        self._lines.put(None)

    def _read(self):
        try:
            line = self._lines.get(timeout=self._patience)
        except queue.Empty:
            raise SideError(f"{self._command[0]} said nothing for {self._patience:.0f} s") from None
        if line is not None:
            return line
        code = self._process.wait()
        self._errors.seek(0)
        tail = self._errors.read().decode(errors="replace").strip().splitlines()[-5:]
        raise SideError(f"{self._command[0]} ended with code {code}: " + " | ".join(tail))


class Workshop:
    """Knows where the programs are and how they are started."""

    def __init__(self, build, python, threads):
        self.build = build
        self.python = python
        self.threads = threads
        self.peer_environment = {}  # of a work, where calibration has chosen one

    def ours(self, name):
        return os.path.join(self.build, "bench", name)

    def start(self, case, side, environment=None):
        options = {**case.options, **side.options, "threads": self.threads}
        if not side.peer:
            return Process([self.ours("bench_work"), *flags(options)], {})
        options.pop("shipped", None)
        options["peer"] = side.peer
        if case.model and case.name != "memory":
            options["folder"] = self.model_folder(case.model)
        if environment is None:
            environment = self.peer_environment.get(case.options["work"], {})
        return Process([self.python, "bench/peers/work.py", *flags(options)], {**self.base_environment(), **environment})

    def base_environment(self):
        return {
            "TORCHINDUCTOR_CACHE_DIR": os.path.join(self.build, "inductor"),
            "TORCHINDUCTOR_COMPILE_THREADS": "1",  # the pool of compiling processes has been seen to hang
            "TQDM_DISABLE": "1",
            "PYTHONUNBUFFERED": "1",
        }

    def model_folder(self, model):
        """Where the peers find a model; ours writes those of random weights once, so that both sides have the same."""
        if model == "shipped":
            return "examples/models/base"
        folder = os.path.join(self.build, "models", model)
        if not os.path.exists(folder):
            os.makedirs(os.path.dirname(folder), exist_ok=True)
            subprocess.run([self.ours("bench_work"), "--model", model, "--write-model", folder], check=True)
        return folder

    def limits(self):
        """Ours, and the peer's where there is one."""
        found = json.loads(self._run([self.ours("bench_limits"), str(self.threads)], {}))
        if self.python:
            command = [self.python, "bench/peers/work.py", "--work", "limits", "--threads", str(self.threads)]
            peer = json.loads(self._run(command, self.base_environment()).strip().splitlines()[-1])
            found["gemm_gflops"]["torch"] = peer["gemm_gflops"]
            found["peer_versions"] = peer["versions"]
        return found

    @staticmethod
    def _run(command, environment):
        done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
        if done.returncode != 0:
            raise SideError(f"{command[0]} ended with code {done.returncode}: {done.stderr.strip()[-500:]}")
        return done.stdout


def better_limits(first, second):
    """The higher of two measurements of each limit: what else the machine does only ever lowers them."""
    best = json.loads(json.dumps(first))
    for who, shapes in second["gemm_gflops"].items():
        for shape, rate in shapes.items():
            best["gemm_gflops"][who][shape] = max(rate, best["gemm_gflops"][who][shape])
    key = "read_gbytes_per_second"
    best[key] = max(first[key], second[key])
    return best


def flags(options):
    return [part for name, value in options.items() for part in ("--" + name, str(value))]
