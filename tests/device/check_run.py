"""Tests of tests/device.sh's run by commands that need neither a device nor a compiler: python3 tests/device/check_run.py
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest

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


class Run(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

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
        status, printed, found = self.run_parts(running.Part("one", 9, shell("echo hello")))
        self.assertEqual(status, 0)
        self.assertEqual((found["one"]["status"], found["one"]["passed"], found["one"]["limit"]), ("passed", 1, 9))
        self.assertTrue(printed.endswith("1 passed, 0 failed, 0 skipped; parts: 1 passed\n"))
        with open(self.at("output", "log.txt"), encoding="utf-8") as file:
            self.assertIn("hello\n[status 0,", file.read())
        self.assertLessEqual(len(os.listdir(self.at("output"))), 6)

    def test_a_cut_part_ends_with_what_it_started_and_the_rest_goes_on(self):
        late = self.at("late")
        start = time.monotonic()
        status, printed, found = self.run_parts(
            running.Part("slow", 0.5, shell(f"echo begun; (sleep 3; touch '{late}') & sleep 30")),
            running.Part("after", 9, shell("true")))
        self.assertLess(time.monotonic() - start, 5)
        self.assertEqual(status, 1)
        self.assertEqual((found["slow"]["status"], found["after"]["status"]), ("cut", "passed"))
        self.assertIn("CUT slow: cut: bash ran for 0 s", printed.splitlines()[-1])
        with open(self.at("output", "log.txt"), encoding="utf-8") as file:
            self.assertIn("begun", file.read())
        time.sleep(max(0.0, start + 4 - time.monotonic()))
        self.assertFalse(os.path.exists(late))

    def test_who_does_not_listen_is_killed(self):
        running.GRACE_SECONDS = 0.3
        start = time.monotonic()
        _, _, found = self.run_parts(running.Part("deaf", 0.3, shell("trap '' TERM; while :; do sleep 0.1; done")))
        self.assertLess(time.monotonic() - start, 5)
        self.assertEqual(found["deaf"]["status"], "cut")

    def test_failures_come_last_and_mistakes_stay_in_their_part(self):
        status, printed, found = self.run_parts(
            running.Part("bad", 9, shell("echo the reason >&2; exit 3")), running.Part("mistake", 9, breaks),
            running.Part("away", 9, skip), running.Part("good", 9, shell("true")))
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
        status, _, found = self.run_parts(running.Part("first", 60, shell("sleep 30")),
                                          running.Part("second", 60, shell("true")), total=2.2)
        self.assertEqual(status, 1)
        self.assertEqual(found["first"]["status"], "cut")
        self.assertEqual((found["second"]["status"], found["second"]["message"]), ("skipped", "no time was left"))

    def test_without_a_device(self):
        self.assertEqual(self.run_parts(running.Part("build", 9, shell("true")), running.Part("one", 9, skip),
                                        dry=False)[0], 77)
        self.assertEqual(self.run_parts(running.Part("one", 9, skip))[0], 0)

    def test_many_failures_are_counted(self):
        def work(step):
            for number in range(summary.MOST_FAILURES + 3):
                step.failed(f"case {number}", ["x" * 1000] * 20)

        _, printed, found = self.run_parts(running.Part("many", 9, work))
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
