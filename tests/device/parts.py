"""What a run on a device does, part by part."""

import filecmp
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import boost
from running import Cut, Done, Part, Skip

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path += [os.path.join(ROOT, "bench"), os.path.join(ROOT, "bench", "cuda")]

import device_cases  # noqa: E402
from harness.sides import flags  # noqa: E402

NO_DEVICE = 77
FOUND_BY_SANITIZER = 86
TOGETHER_SHARE = 0.6  # of the part's time, for all tests in one program
CASE_SECONDS = 30  # of one test case that runs alone
NAMED_ONLY = ("torch",)  # parts that do not run unasked
TOTAL_SECONDS = 465  # of a run on a device, where minutes count; what is cut needs some seconds to end
DRY_SECONDS = 7200

# Small enough for compute-sanitizer, which is some ten to a hundred times slower. Most telling ones first.
MEMCHECK = ["device_scalarization/as_on_the_host", "device_statistics/small_groups_*", "device_loss/every_setting_*",
            "device_core/*", "device_conductor/runs_as_the_host_does", "device_toolkit/streams_*",
            "device_toolkit/a_layer_that_*", "device_conductor/bfloat16_*"]
# Without those that run cuBLASLt's kernels, whose hazards are not ours.
RACECHECK = ["device_scalarization/as_on_the_host", "device_statistics/small_groups_*", "device_loss/every_setting_*",
             "device_core/every_member_*", "device_core/sums_*", "device_core/scratch_is_*", "device_core/moments_*",
             "device_core/replays_repeat", "device_conductor/runs_as_the_host_does"]
ACTIONS = ["device_conductor/draws_the_actions_*", "device_conductor/runs_as_the_host_does"]


class Workplace:
    """Where things are, and what all parts share."""

    def __init__(self, build, output, dry):
        self.build = os.path.abspath(build)
        self.output = os.path.abspath(output)
        self.dry = dry
        self.about = {}
        self.table = ""
        self._cases = None

    def program(self, *path):
        """@raises Skip where it is not there"""
        found = os.path.join(self.build, *path)
        if not os.path.exists(found):
            raise Skip(f"{path[-1]} was not built")
        return found

    @property
    def tests(self):
        return self.program("tests", "cuda", "device", "test_cuda_device")

    @property
    def bench(self):
        return self.program("bench", "cuda", "bench_cuda")

    @property
    def example(self):
        return self.program("examples", "device_step")

    def cases(self, step, patterns=("*",)):
        """Of the device's tests; known without a device."""
        if self._cases is None:
            self._cases = boost.cases_of(step.command(self.tests, "--list_content").output)
        return boost.matching(self._cases, patterns)

    def environment(self):
        """For all commands. Makes caches and a home folder inside of the build folder: a machine may have none that can
        be written."""
        caches = {"HOME": "home", "XDG_CACHE_HOME": "cache", "CUDA_CACHE_PATH": "cuda", "TRITON_CACHE_DIR": "triton",
                  "TORCHINDUCTOR_CACHE_DIR": "inductor", "CCACHE_DIR": "ccache"}
        found = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        for name, folder in caches.items():
            found[name] = os.path.join(self.build, "caches", folder)
            os.makedirs(found[name], exist_ok=True)
        if self.dry:
            found["CUDA_VISIBLE_DEVICES"] = ""  # a dry run is the same everywhere
        return found


def all_parts(place):
    """In the order in which they run: what says most in the least time comes first."""
    works = [("build", 150, build), ("example", 15, example), ("tests", 80, tests), ("actions", 30, actions),
             ("identity", 45, identity), ("memcheck", 60, memcheck), ("racecheck", 60, racecheck),
             ("bench", 230, bench),  # more than is left where all others need their limits: the whole run has one too
             ("torch", 420, torch_extension)]
    return [Part(name, DRY_SECONDS if place.dry else limit, lambda step, work=work: work(step, place))
            for name, limit, work in works]


# build


def build(step, place):
    forget_other_tree(place)
    architectures = chosen_architectures(step, place)
    configured = step.command(*configuration(place.build, architectures))
    if configured.code != 0:
        step.failed("the configuration", error_lines(configured.output))
        return
    jobs = os.environ.get("BUILD_JOBS") or job_count()
    keep_going = ["--", "-k0"] if os.path.exists(os.path.join(place.build, "build.ninja")) else ["--", "-k"]
    try:
        built = step.command("cmake", "--build", place.build, "-j", jobs, *keep_going)
    finally:
        step.outcome.facts["jobs"] = f"{jobs} at once"
        step.outcome.facts["slowest files, seconds"] = slowest_files(place.build)
    for name in ("tests", "bench", "example"):
        try:
            getattr(place, name)
            step.passed()
        except Skip as missing:
            step.failed(str(missing), error_lines(built.output))
    if built.code != 0 and not step.outcome.failed:
        step.failed("the build", error_lines(built.output))
    if not place.dry:
        describe_device(step, place)


def describe_device(step, place):
    """The device as our own program sees it."""
    try:
        done = step.command(place.bench, "--describe")
        found = json.loads(done.output) if done.code == 0 else {}
    except (Skip, ValueError):
        return
    if found:
        place.about["device"] = (f"{found['name']}, compute capability {found['compute_capability']}, "
                                 f"{found['memory_bytes'] / 2**30:.0f} GiB, CUDA {found['cuda_runtime']}, "
                                 f"driver for {found['cuda_driver']}")


def forget_other_tree(place):
    """A copy of the tree may have brought a build folder along, whose paths are those of the original."""
    cache = os.path.join(place.build, "CMakeCache.txt")
    if not os.path.exists(cache):
        return
    with open(cache, encoding="utf-8") as file:
        home = re.search(r"^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$", file.read(), re.MULTILINE)
    if not home or os.path.realpath(home[1]) != os.path.realpath(ROOT):
        shutil.rmtree(place.build)
        place.environment()


def chosen_architectures(step, place):
    """Of the device that is here; where there is none, those that the projects are most likely to meet."""
    found = step.command("bash", "-c", f"source '{ROOT}/cmake/architecture.sh' && device_architecture")
    architectures = found.output.strip() if found.code == 0 else "90"
    place.about["compiled for"] = architectures + ("" if found.code == 0 else ", since no device says what it is")
    return architectures


def configuration(build, architectures):
    needs = os.path.join(ROOT, "build", "device-needs")
    found_before = ("Eigen3_DIR", "nlohmann_json_DIR", "CXXOPTS_INCLUDE_DIR", "MAESTRO_BOOST_INCLUDE_DIR")
    return ["cmake", "-S", ROOT, "-B", build, *(["-G", "Ninja"] if shutil.which("ninja") else []),
            *(f"-U{name}" for name in found_before),
            "-DCMAKE_BUILD_TYPE=Release", "-DMAESTRO_DEVICE_ONLY=ON", "-DMAESTRO_BUILD_BENCH=ON",
            "-DMAESTRO_TEST_INCLUDED=ON", "-DMAESTRO_INSTALL=OFF",
            "-DMAESTRO_WARNINGS_AS_ERRORS=OFF",  # another compiler's new warning must not cost a run
            "-DCMAKE_CXX_COMPILER_LAUNCHER=", f"-DCMAKE_CUDA_ARCHITECTURES={architectures}",
            f"-DCMAKE_PREFIX_PATH={needs if os.path.isdir(needs) else ''}"]


def job_count():
    """One compile of a .cu file wants about 1.5 GB."""
    with open("/proc/meminfo", encoding="utf-8") as file:
        memory = int(re.search(r"MemAvailable: *([0-9]+)", file.read())[1])
    return max(1, min(os.cpu_count(), memory // 1500000))


def slowest_files(build):
    path = os.path.join(build, ".ninja_log")
    if not os.path.exists(path):
        return []
    seconds = {}
    with open(path, encoding="utf-8") as file:
        for fields in (line.split("\t") for line in file if not line.startswith("#")):
            if fields[3].endswith(".o"):
                name = re.sub(r"CMakeFiles/[^/]*/", "", fields[3]).removesuffix(".o")
                seconds[name] = (int(fields[1]) - int(fields[0])) / 1000
    slowest = sorted(seconds, key=seconds.get, reverse=True)[:6]
    return [f"{seconds[name]:6.1f}  {name}" for name in slowest]


def error_lines(output):
    lines = [line for line in output.splitlines() if re.search(r"\berror\b|FAILED|Error:|fatal", line, re.IGNORECASE)]
    return lines or output.splitlines()[-3:]


# the device's tests


def tests(step, place):
    """All in one program, as ctest does; where that fails, every case that has not passed once more by itself, so that
    one that breaks the device does not hide the others."""
    cases = place.cases(step)
    report = os.path.join(place.output, "tests.xml")
    try:
        done = step.command(place.tests, "--color_output=no", "--log_level=test_suite", "--report_level=detailed",
                            "--report_format=XML", f"--report_sink={report}", seconds=TOGETHER_SHARE * step.left())
    except Cut as cut:
        step.outcome.facts["all together"] = str(cut)
        done = Done(None, cut.output)
    if done.code == NO_DEVICE:
        raise no_device(done, step, cases)
    finished, _, _ = boost.results(done.output)
    good = [case for case in cases if finished.get(case) == []]
    step.passed(len(good))
    if done.code != 0 and len(good) == len(cases):
        step.failed(f"test_cuda_device ended with status {done.code}", done.output.splitlines()[-3:])
    for case in cases:
        if case not in good:
            alone(step, place, case, finished.get(case))


def alone(step, place, case, errors_together):
    suite, _, name = case.rpartition("/")
    try:
        done = step.command(place.tests, "--color_output=no", "--log_level=test_suite", boost.run_test(suite, [name]),
                            seconds=min(CASE_SECONDS, step.left()))
    except Cut as cut:
        if step.left() < 1:
            raise
        step.failed(case, [str(cut)])
        return
    finished, _, errors = boost.results(done.output)
    if done.code == 0 and errors_together:
        step.failed(f"{case}, though not when it runs alone", errors_together)
    elif done.code == 0:
        step.passed()
    else:
        step.failed(f"{case} (status {done.code})", finished.get(case) or errors or done.output.splitlines()[-3:])


def no_device(done, step, cases):
    """What to raise where the tests skip themselves."""
    step.skipped(len(cases))
    return Skip(done.output.strip().splitlines()[-1] if done.output.strip() else "no device")


def actions(step, place):
    selected(step, place, ACTIONS, [place.tests], "--log_level=message")


def memcheck(step, place):
    # Some tests ask for what must fail, and look at the error themselves.
    sanitizer(step, place, MEMCHECK, ["--tool", "memcheck", "--report-api-errors", "no"])


def racecheck(step, place):
    sanitizer(step, place, RACECHECK, ["--tool", "racecheck"])


def sanitizer(step, place, patterns, options):
    program = found_sanitizer()
    if not program and not place.dry:
        place.cases(step, patterns)
        raise Skip("no compute-sanitizer here")
    command = [program, *options, "--error-exitcode", FOUND_BY_SANITIZER, "--print-limit", "10"] if program else []
    selected(step, place, patterns, [*([] if place.dry else command), place.tests])


def found_sanitizer():
    nvcc = shutil.which("nvcc")
    beside = os.path.dirname(os.path.realpath(nvcc)) if nvcc else None
    return shutil.which("compute-sanitizer") or (beside and shutil.which("compute-sanitizer", path=beside))


def selected(step, place, patterns, command, *options):
    """Suite by suite, so that a cut leaves what was done."""
    cases = place.cases(step, patterns)
    for suite, names in boost.by_suite(cases):
        done = step.command(*command, "--color_output=no", *(options or ["--log_level=error"]),
                            boost.run_test(suite, names))
        if done.code == NO_DEVICE:
            raise no_device(done, step, cases)
        if "Device not supported" in done.output:
            step.skipped(len(cases))
            raise Skip("compute-sanitizer does not support this device here")
        said = [line for line in done.output.splitlines() if "actions drawn" in line]
        step.outcome.facts.update({f"{suite} {at}": line.strip() for at, line in enumerate(said)})
        if done.code == 0:
            step.passed(len(names))
        else:
            step.failed(f"{suite}: {', '.join(names)} (status {done.code})", complaint(done.output))


def complaint(output):
    """What the sanitizer or the test says first."""
    lines = [line for line in output.splitlines() if line.startswith("=========") and len(line) > 12]
    lines = [line for line in lines if "COMPUTE-SANITIZER" not in line]
    errors = [line for line in output.splitlines() if "error: in" in line]
    return (errors[:2] + lines[:3]) or output.splitlines()[-3:]


# the same bits


def identity(step, place):
    """Every work of the benchmark twice, in a program of its own each time: all results have the same bytes."""
    host = ["--host"] if place.dry else []
    cases = device_cases.chosen_cases([], None, quick=True, peers=False, self_test=place.dry)
    for case in cases:
        if "copies" in case.options:
            case.options["copies"] = 1  # of the inputs; only times want more
        with tempfile.TemporaryDirectory(dir=place.build) as folder:
            folders = [os.path.join(folder, name) for name in ("first", "second")]
            for to in folders:
                os.makedirs(to)
                done = step.command(place.bench, *flags({**case.options, "dump": to}), *host)
                if done.code == NO_DEVICE:
                    step.skipped(len(cases))
                    raise Skip(done.output.strip())
                if done.code != 0:
                    step.failed(case.title, done.output.splitlines()[-3:])
                    break
            else:
                compare(step, case.title, *folders)


def compare(step, title, first, second):
    names = sorted(os.listdir(first))
    same, different, missing = filecmp.cmpfiles(first, second, names, shallow=False)
    if names and len(same) == len(names):
        step.passed()
    else:
        step.failed(title, [f"differs from run to run: {', '.join(different + missing) or 'nothing was written'}"])


def example(step, place):
    """Twice: it runs, and says the same."""
    first = step.command(place.example)
    if first.code == NO_DEVICE:
        step.skipped()
        raise Skip(first.output.strip())
    if first.code != 0:
        step.failed(f"device_step (status {first.code})", first.output.splitlines()[-3:])
        return
    step.outcome.facts["device_step"] = first.output.splitlines()
    second = step.command(place.example)
    if second.output == first.output:
        step.passed()
    else:
        step.failed("device_step says something else the second time", second.output.splitlines())


# beside PyTorch


def bench(step, place):
    program = place.bench
    described = step.command(program, "--describe")
    if described.code == NO_DEVICE and not place.dry:
        raise Skip(described.output.strip())
    peers = peers_here(step, place)
    folder = os.path.join(place.build, "measured")
    shutil.rmtree(folder, ignore_errors=True)
    options = ["--build", place.build, "--output", folder, "--quick", *(["--host"] if place.dry else [])]
    options += ["--python", sys.executable] if peers else ["--no-peers"]
    options += ["--max-seconds", f"{max(5.0, step.left() - 45):.0f}"]
    try:
        done = step.command(sys.executable, os.path.join(ROOT, "bench", "cuda", "measure.py"), *options)
    finally:
        keep_results(step, place, folder)
    if done.code != 0 and not step.outcome.failed:
        step.failed(f"measure.py (status {done.code})", done.output.splitlines()[-3:])


def peers_here(step, place):
    """Whether PyTorch works here. It warms the files up, too."""
    wanted = "True" if place.dry else "torch.cuda.is_available()"
    done = step.command(sys.executable, "-c", f"import numpy, torch; assert {wanted}; print(torch.__version__)")
    step.outcome.facts["PyTorch"] = done.output.strip().splitlines()[-1] if done.output.strip() else "none"
    return done.code == 0


def keep_results(step, place, folder):
    """Also of a run that was cut."""
    for name, kept in (("results.json", "bench.json"), ("table.md", "bench.md")):
        if os.path.exists(os.path.join(folder, name)):
            shutil.copy(os.path.join(folder, name), os.path.join(place.output, kept))
    path = os.path.join(folder, "results.json")
    if not os.path.exists(path):
        return
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    with open(os.path.join(folder, "table.md"), encoding="utf-8") as file:
        place.table = file.read()
    for entry in found["cases"]:
        errors = [f"{side['label']}: {side['error']}" for side in entry.get("sides", []) if "error" in side]
        errors += [entry["error"]] if "error" in entry else []
        if "left_out" in entry:
            step.skipped()
        elif errors:
            step.failed(entry["title"], errors)
        else:
            step.passed()


# the extension for PyTorch


def torch_extension(step, place):
    """Builds it for the PyTorch that is here, and compares CUDA tensors with the CPU. Minutes of compiling."""
    asked = "import setuptools, torch; assert torch.version.cuda; print(torch.__version__)"
    found = step.command(sys.executable, "-c", asked)
    if found.code != 0:
        raise Skip("no PyTorch for CUDA here")
    step.outcome.facts["PyTorch"] = found.output.strip().splitlines()[-1]
    source = os.path.join(ROOT, "examples", "torch")
    work, library = (os.path.join(place.build, "torch", name) for name in ("work", "lib"))
    headers = [os.path.join(ROOT, "build", "device-needs", "include"), os.environ.get("CPLUS_INCLUDE_PATH", "")]
    built = step.command("bash", "-c", 'cd "$1" && exec "$2" setup.py build --build-base "$3" --build-lib "$4"', "bash",
                         source, sys.executable, work, library,
                         environment={"MAESTRO_TORCH_CUDA": "1", "CPLUS_INCLUDE_PATH": ":".join(filter(None, headers)),
                                      "TORCH_CUDA_ARCH_LIST": torch_architectures(chosen_architectures(step, place))})
    if built.code != 0:
        step.failed("the build of maestro_torch", error_lines(built.output))
        return
    step.passed()
    done = step.command(sys.executable, os.path.join(source, "test_cuda.py"), "-v",
                        environment={"PYTHONPATH": library})
    ran = re.search(r"^Ran (\d+) tests?", done.output, re.MULTILINE)
    left_out = re.search(r"^OK \(skipped=(\d+)\)", done.output, re.MULTILINE)
    if done.code != 0 or not ran:
        step.failed(f"test_cuda.py (status {done.code})", done.output.splitlines()[-12:])
        return
    skipped = int(left_out[1]) if left_out else 0
    step.skipped(skipped)
    step.passed(int(ran[1]) - skipped)


def torch_architectures(architectures):
    """90-real;100 by CMake is 9.0;10.0 to torch."""
    return ";".join(f"{name[:-1]}.{name[-1]}" for name in re.findall(r"\d+", architectures))


# what the results depend on


def last_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        return next((line.strip() for line in reversed(done.stdout.splitlines()) if line.strip()), "")
    except (OSError, subprocess.SubprocessError):
        return ""


def commit():
    """Of git, or what `prepare` has noted for a copy without it."""
    here = last_line("git", "-C", ROOT, "rev-parse", "HEAD")
    if here:
        return here + (", modified" if last_line("git", "-C", ROOT, "status", "--porcelain") else "")
    try:
        with open(os.path.join(ROOT, "build", "device-needs", "commit"), encoding="utf-8") as file:
            return file.read().strip() + " when it was prepared"
    except OSError:
        return ""
