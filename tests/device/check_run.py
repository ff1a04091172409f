"""Tests of tests/device.sh's run, by commands that need neither a device nor a compiler."""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

import boost
import parts
import run
import running
import summary

DEVICE_SH = os.path.join(parts.ROOT, "tests", "device.sh")


def shell(text, **options):
    """A part's work: one command, whose status decides."""

    def work(step):
        done = step.command("bash", "-c", text, **options)
        if done.code == 0:
            step.passed()
        else:
            step.failed(f"status {done.code}", done.output.splitlines())

    return work


def skip(step):
    raise running.Skip("not here")


def breaks(step):
    raise ValueError("a mistake")


def alive(pid):
    """A process that has ended may wait to be reaped."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Run(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        patcher = mock.patch.object(run, "about", lambda place: {"kind": "a test"})
        patcher.start()
        self.addCleanup(patcher.stop)

    def at(self, *path):
        return os.path.join(self.folder.name, *path)

    def run_parts(self, *chosen, total=60.0, dry=True):
        """(status, what was printed, the summary)"""
        place = parts.Workplace(self.at("build"), self.at("output"), dry)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            status = run.run(list(chosen), place, total)
        with open(self.at("output", "summary.json"), encoding="utf-8") as file:
            found = json.load(file)
        with open(self.at("output", "summary.txt"), encoding="utf-8") as file:
            self.assertTrue(printed.getvalue().endswith(file.read()))
        return status, printed.getvalue(), {part["name"]: part for part in found["parts"]}

    def test_what_passes(self):
        status, printed, found = self.run_parts(running.Part("one", 60, shell("echo hello")))
        self.assertEqual(status, 0)
        self.assertEqual((found["one"]["status"], found["one"]["passed"], found["one"]["limit"]), ("passed", 1, 60))
        self.assertTrue(printed.endswith("1 passed, 0 failed, 0 skipped; parts: 1 passed\n"))
        with open(self.at("output", "log.txt"), encoding="utf-8") as file:
            self.assertIn("hello\n[status 0,", file.read())
        self.assertLessEqual(len(os.listdir(self.at("output"))), 6)

    def test_a_cut_part_ends_with_what_it_started_and_the_rest_goes_on(self):
        status, printed, found = self.run_parts(
            running.Part("slow", 2, shell(f"echo begun; sleep 600 & echo $! >'{self.at('started')}'; wait")),
            running.Part("after", 30, shell("true")))
        self.assertEqual(status, 1)
        self.assertEqual((found["slow"]["status"], found["after"]["status"]), ("cut", "passed"))
        self.assertLess(found["slow"]["seconds"], 30)
        self.assertIn("CUT slow: cut: bash ran for 2 s", printed.splitlines()[-1])
        with open(self.at("output", "log.txt"), encoding="utf-8") as file:
            self.assertIn("begun", file.read())
        with open(self.at("started"), encoding="utf-8") as file:
            self.assertFalse(alive(int(file.read())))

    def test_who_does_not_listen_is_killed(self):
        with mock.patch.object(running, "GRACE_SECONDS", 0.3):
            _, _, found = self.run_parts(running.Part("deaf", 1, shell("trap '' TERM; while :; do sleep 0.1; done")))
        self.assertEqual(found["deaf"]["status"], "cut")
        self.assertLess(found["deaf"]["seconds"], 30)

    def test_failures_come_last_and_mistakes_stay_in_their_part(self):
        status, printed, found = self.run_parts(
            running.Part("bad", 60, shell("echo the reason >&2; exit 3")), running.Part("mistake", 60, breaks),
            running.Part("away", 60, skip), running.Part("good", 60, shell("true")))
        self.assertEqual(status, 1)
        self.assertEqual([part["status"] for part in found.values()], ["failed", "failed", "skipped", "passed"])
        self.assertEqual(found["bad"]["failures"], [{"what": "status 3", "lines": ["the reason"]}])
        self.assertEqual(printed.splitlines()[-4:], ["FAILED bad: status 3", "    the reason",
                                                     "FAILED mistake: mistake broke", "    ValueError: a mistake"])
        self.assertEqual(found["away"]["message"], "not here")

    def test_a_command_of_its_own_limit(self):
        _, _, found = self.run_parts(running.Part("one", 60, shell("sleep 30", seconds=0.2)))
        self.assertEqual(found["one"]["status"], "cut")

    def test_the_whole_run_has_a_limit(self):
        status, _, found = self.run_parts(running.Part("first", 60, shell("sleep 600")),
                                          running.Part("second", 60, shell("true")), total=2.5)
        self.assertEqual(status, 1)
        self.assertEqual(found["first"]["status"], "cut")
        self.assertEqual((found["second"]["status"], found["second"]["message"]), ("skipped", "no time was left"))

    def test_without_a_device(self):
        self.assertEqual(self.run_parts(running.Part("build", 60, shell("true")), running.Part("one", 60, skip),
                                        dry=False)[0], 77)
        self.assertEqual(self.run_parts(running.Part("one", 60, skip))[0], 0)

    def test_many_failures_are_counted(self):
        def work(step):
            for number in range(summary.MOST_FAILURES + 3):
                step.failed(f"case {number}", ["x" * 1000] * 20)

        _, printed, found = self.run_parts(running.Part("many", 60, work))
        self.assertEqual(len(found["many"]["failures"]), summary.MOST_FAILURES + 3)
        self.assertTrue(printed.endswith("FAILED many: 3 more, in summary.json and log.txt\n"))
        self.assertLess(max(map(len, printed.splitlines())), 400)

    def test_who_ends_the_run_finds_a_summary(self):
        script = f"""
import sys
sys.path.insert(0, {os.path.dirname(os.path.abspath(__file__))!r})
import parts, run, running
def work(step):
    print("begun", flush=True)
    step.command("sleep", "60")
sys.exit(run.run([running.Part("one", 60, work), running.Part("two", 60, work)],
                 parts.Workplace({self.at("build")!r}, {self.at("output")!r}, True), 60))
"""
        with subprocess.Popen([sys.executable, "-B", "-c", script], stdout=subprocess.PIPE, text=True) as process:
            while "begun" not in process.stdout.readline():
                self.assertIsNone(process.poll())
            time.sleep(0.3)
            process.terminate()
            process.communicate(timeout=20)
            self.assertEqual(process.returncode, 143)
        with open(self.at("output", "summary.json"), encoding="utf-8") as file:
            found = json.load(file)["parts"]
        self.assertEqual([(p["status"], p["message"]) for p in found],
                         [("cut", "the run was ended"), ("skipped", "not reached")])


FAKE_TESTS = """
import os, sys, time
cases = ["one/first", "one/second", "two/third"]
only = [a.removeprefix("--run_test=") for a in sys.argv if a.startswith("--run_test=")]
for argument in sys.argv:
    if argument.startswith("--report_sink="):
        open(argument.removeprefix("--report_sink="), "w").write("<TestResult/>")
if "--list_content" in sys.argv:
    sys.exit("one*\\n    first*\\n    second*\\ntwo*\\n    third*")
if os.environ.get("FAKE") == "no device":
    print("Skipped: no CUDA device here (fake)")
    sys.exit(77)
chosen = [c for c in cases if not only or c.split("/")[0] == only[0].split("/")[0] and c.split("/")[1] in only[0]]
failed = False
for case in chosen:
    suite, name = case.split("/")
    print(f'f.cu(1): Entering test suite "{suite}"\\nf.cu(2): Entering test case "{name}"', flush=True)
    if name == "second" and os.environ.get("FAKE") == "crash":
        os.abort()
    if name == "second" and os.environ.get("FAKE") == "hang":
        time.sleep(60)
    if name == "second" and (os.environ.get("FAKE") == "bad" or os.environ.get("FAKE") == "together" and not only):
        print(f'f.cu(3): error: in "{case}": check 1 == 2 has failed')
        failed = True
    print(f'f.cu(2): Leaving test case "{name}"\\nf.cu(1): Leaving test suite "{suite}"')
print("12 actions drawn, 0 of them not the host's, by rounding")
sys.exit(201 if failed else 0)
"""
FAKE_BENCH = """
import os, sys
if os.environ.get("FAKE") == "no device":
    sys.exit("bench_cuda: no device") if "--host" in sys.argv else (print("bench_cuda: no device"), sys.exit(77))
folder = sys.argv[sys.argv.index("--dump") + 1]
for name in ("actions", "weights"):
    changes = os.environ.get("FAKE") == "changes" and name == "weights"
    open(os.path.join(folder, name), "wb").write(os.urandom(64) if changes else b"64")
print("ready")
"""
FAKE_EXAMPLE = """
import os, sys
if os.environ.get("FAKE") == "no device":
    print("No CUDA device here")
    sys.exit(77)
print("step 20", os.urandom(8) if os.environ.get("FAKE") == "changes" else "")
"""
FAKE_SANITIZER = """
import os, subprocess, sys
program = next(i for i, word in enumerate(sys.argv) if word.endswith("test_cuda_device"))
print("========= COMPUTE-SANITIZER")
code = subprocess.run(sys.argv[program:]).returncode
if os.environ.get("FAKE") == "finds":
    print("========= Invalid __global__ read of size 4 bytes\\n=========     at kernel+0x10")
    sys.exit(int(sys.argv[sys.argv.index("--error-exitcode") + 1]))
if os.environ.get("FAKE") == "refuses":
    print("========= Error: Device not supported. Please refer to the documentation")
    sys.exit(1)
sys.exit(code)
"""


class Parts(unittest.TestCase):
    """The parts themselves, by programs that say what those on a device would."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        for path, text in ((("build", "tests", "cuda", "device", "test_cuda_device"), FAKE_TESTS),
                           (("build", "bench", "cuda", "bench_cuda"), FAKE_BENCH),
                           (("build", "examples", "device_step"), FAKE_EXAMPLE),
                           (("bin", "compute-sanitizer"), FAKE_SANITIZER)):
            self.write_program(os.path.join(self.folder, *path), text)
        self.patch(mock.patch.object(run, "about", lambda place: {}))
        for name in ("MEMCHECK", "RACECHECK"):
            self.patch(mock.patch.object(parts, name, ["one/*", "two/third"]))
        self.patch(mock.patch.object(parts, "ACTIONS", ["two/*"]))
        self.patch(mock.patch.object(parts, "CASE_SECONDS", 4.0))
        self.patch(mock.patch.object(parts, "TOGETHER_SHARE", 0.1))
        self.cases = parts.device_cases.chosen_cases([], None, True, False, False)[:2]
        self.patch(mock.patch.object(parts.device_cases, "chosen_cases", lambda *options, **more: self.cases))

    def patch(self, patcher):
        patcher.start()
        self.addCleanup(patcher.stop)

    @staticmethod
    def write_program(path, text):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!{sys.executable} -B\n{text}")
        os.chmod(path, 0o755)

    def part(self, name, fake="", limit=40.0, dry=False):
        """The outcome of one part."""
        path = f"{os.path.join(self.folder, 'bin')}:{os.environ['PATH']}"
        place = parts.Workplace(os.path.join(self.folder, "build"), os.path.join(self.folder, "output"), dry)
        chosen = [part for part in parts.all_parts(place) if part.name == name]
        chosen[0].limit = limit
        with mock.patch.dict(os.environ, {"FAKE": fake, "PATH": path}), contextlib.redirect_stdout(io.StringIO()):
            run.run(chosen, place, 60)
        with open(os.path.join(self.folder, "output", "summary.json"), encoding="utf-8") as file:
            return json.load(file)["parts"][0]

    def counts(self, part):
        return part["status"], part["passed"], part["failed"], part["skipped"]

    def test_tests(self):
        self.assertEqual(self.counts(self.part("tests")), ("passed", 3, 0, 0))
        self.assertEqual(self.counts(self.part("tests", "no device")), ("skipped", 0, 0, 3))
        found = self.part("tests", "bad")
        self.assertEqual(self.counts(found), ("failed", 2, 1, 0))
        self.assertIn("check 1 == 2", found["failures"][0]["lines"][0])
        self.assertTrue(os.path.exists(os.path.join(self.folder, "output", "tests.xml")))

    def test_a_crash_hides_no_other_case(self):
        found = self.part("tests", "crash")
        self.assertEqual(self.counts(found), ("failed", 2, 1, 0))
        self.assertEqual(found["failures"][0]["what"], "one/second (status -6)")

    def test_a_case_that_hangs_is_cut_alone(self):
        found = self.part("tests", "hang")
        self.assertEqual(self.counts(found), ("failed", 2, 1, 0))
        self.assertEqual(found["failures"][0]["what"], "one/second")

    def test_what_fails_only_beside_others_says_so(self):
        found = self.part("tests", "together")
        self.assertEqual(found["failures"][0]["what"], "one/second, though not when it runs alone")

    def test_what_was_not_built_is_skipped(self):
        os.remove(os.path.join(self.folder, "build", "examples", "device_step"))
        found = self.part("example")
        self.assertEqual((found["status"], found["message"]), ("skipped", "device_step was not built"))

    def test_torch_is_named_or_left_out(self):
        with mock.patch.object(parts.sys, "executable", "/bin/false"):
            found = self.part("torch")
        self.assertEqual((found["status"], found["message"]), ("skipped", "no PyTorch for CUDA here"))
        self.assertEqual(parts.torch_architectures("90-real;100"), "9.0;10.0")
        with mock.patch.object(run, "run", lambda chosen, place, total: [part.name for part in chosen]):
            self.assertNotIn("torch", run.main([]))
            self.assertEqual(run.main(["torch"]), ["torch"])

    def test_sanitizers(self):
        self.assertEqual(self.counts(self.part("memcheck")), ("passed", 3, 0, 0))
        self.assertEqual(self.counts(self.part("racecheck", "no device")), ("skipped", 0, 0, 3))
        self.assertEqual(self.counts(self.part("memcheck", "refuses")), ("skipped", 0, 0, 3))
        found = self.part("racecheck", "finds")
        self.assertEqual(self.counts(found), ("failed", 0, 2, 0))  # suites
        self.assertIn("Invalid __global__ read", found["failures"][0]["lines"][0])
        self.assertEqual(self.counts(self.part("memcheck", "no device", dry=True)), ("skipped", 0, 0, 3))

    def test_a_test_with_another_name_fails_its_parts(self):
        with mock.patch.object(parts, "MEMCHECK", ["one/renamed"]):
            found = self.part("memcheck", dry=True)
        self.assertEqual(found["status"], "failed")
        self.assertIn("no test is called one/renamed", found["failures"][0]["lines"][0])

    def test_actions(self):
        found = self.part("actions")
        self.assertEqual(self.counts(found), ("passed", 1, 0, 0))
        self.assertIn("12 actions drawn", found["facts"]["two 0"])

    def test_identity(self):
        self.assertEqual(self.counts(self.part("identity")), ("passed", 2, 0, 0))
        self.assertEqual(self.counts(self.part("identity", "no device")), ("skipped", 0, 0, 2))
        found = self.part("identity", "changes")
        self.assertEqual(self.counts(found), ("failed", 0, 2, 0))
        self.assertEqual(found["failures"][0]["lines"], ["differs from run to run: weights"])

    def test_example(self):
        self.assertEqual(self.counts(self.part("example")), ("passed", 1, 0, 0))
        self.assertEqual(self.counts(self.part("example", "no device")), ("skipped", 0, 0, 1))
        self.assertEqual(self.counts(self.part("example", "changes")), ("failed", 0, 1, 0))


class BuildFolder(unittest.TestCase):
    def test_that_of_another_tree_is_forgotten(self):
        with tempfile.TemporaryDirectory() as folder:
            place = parts.Workplace(folder, folder, True)
            cache = os.path.join(folder, "CMakeCache.txt")
            for home, stays in ((parts.ROOT, True), (os.path.join(parts.ROOT, "elsewhere"), False)):
                with open(cache, "w", encoding="utf-8") as file:
                    file.write(f"//Source\nCMAKE_HOME_DIRECTORY:INTERNAL={home}\n")
                parts.forget_other_tree(place)
                self.assertEqual(os.path.exists(cache), stays)
            self.assertTrue(os.path.isdir(os.path.join(folder, "caches", "home")))
            parts.forget_other_tree(place)


class Arguments(unittest.TestCase):
    def device_sh(self, *arguments):
        done = subprocess.run(["bash", DEVICE_SH, *arguments], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def test_what_is_not_known_is_refused(self):
        for arguments in ([], ["walk"], ["prepare", "more"], ["run", "nothing"], ["run", "--fast"],
                          ["run", "--limit", "tests=soon"], ["run", "--limit", "-3"], ["run", "--limit", "nothing=3"]):
            with self.subTest(arguments=arguments):
                self.assertEqual(self.device_sh(*arguments)[0], 2)
        self.assertIn("no part is called nothing", self.device_sh("run", "nothing")[1])

    def test_help(self):
        self.assertEqual(self.device_sh("--help")[0], 0)
        code, said = self.device_sh("run", "--help")
        self.assertEqual(code, 0)
        for name in run.NAMES:
            self.assertIn(name, said)

    def test_about(self):
        about = run.about(parts.Workplace(".", ".", True))
        self.assertEqual((about["kind"], about["card"]), ("dry: nothing here ran on a device", ""))
        json.dumps(about)

    def test_limits(self):
        options = run.parse(["tests", "--limit", "tests=3", "--limit", "40", "--dry"])
        self.assertEqual((options.parts, options.limits, options.dry), (["tests"], {"tests": 3.0, "": 40.0}, True))


class Architecture(unittest.TestCase):
    """That of the device that is here, by what nvidia-smi says."""

    def chosen(self, said, code=0, **environment):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "nvidia-smi")
            with open(path, "w", encoding="utf-8") as file:
                file.write(f"#!/bin/sh\nprintf '{said}'\nexit {code}\n")
            os.chmod(path, 0o755)
            environment = {"PATH": f"{folder}:{os.environ['PATH']}", **environment}
            done = subprocess.run(["bash", "-c", "set -e; source cmake/architecture.sh; device_architecture"],
                                  cwd=parts.ROOT, env=environment, capture_output=True, text=True)
            return done.stdout.strip() if done.returncode == 0 else None

    def test_of_the_first_device(self):
        self.assertEqual(self.chosen("9.0\\n"), "90-real")
        self.assertEqual(self.chosen("12.0\\n8.0\\n"), "120-real")

    def test_of_none(self):
        self.assertIsNone(self.chosen(""))
        self.assertIsNone(self.chosen("No devices were found\\n", 6))

    def test_what_the_caller_says_goes_first(self):
        self.assertEqual(self.chosen("9.0\\n", CUDAARCHS="80-real"), "80-real")


class Boost(unittest.TestCase):
    LISTING = "one*\n    first*\n    second*\ntwo*\n    inner*\n        third*\nalone*\n"

    def test_cases(self):
        cases = boost.cases_of(self.LISTING)
        self.assertEqual(cases, ["one/first", "one/second", "two/inner/third", "alone"])
        self.assertEqual(boost.matching(cases, ["two/*", "*/first"]), ["two/inner/third", "one/first"])
        with self.assertRaises(LookupError):
            boost.matching(cases, ["*", "one/third"])
        self.assertEqual(boost.by_suite(cases[:3]), [("one", ["first", "second"]), ("two/inner", ["third"])])
        self.assertEqual(boost.run_test("one", ["first", "second"]), "--run_test=one/first,second")

    def test_results(self):
        output = '\n'.join((
            'Entering test suite "one"', 'Entering test case "first"', 'Leaving test case "first"; testing time: 3us',
            'Entering test case "second"', 'f.cu(3): error: in "one/second": check 1 == 2 has failed',
            'Leaving test case "second"', 'Entering test case "third"', 'f.cu(9): fatal error: in "one/third": gone'))
        finished, running_case, errors = boost.results(output)
        self.assertEqual(list(finished), ["one/first", "one/second"])
        self.assertEqual((finished["one/first"], len(finished["one/second"])), ([], 1))
        self.assertEqual((running_case, len(errors)), ("one/third", 1))


if __name__ == "__main__":
    unittest.main()
