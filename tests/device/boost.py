"""What Boost.Test's programs print."""

import fnmatch
import re

ENTERED = re.compile(r'Entering test case "([^"]+)"')
LEFT = re.compile(r'Leaving test case "([^"]+)"')
SUITE = re.compile(r'(Entering|Leaving) test suite "([^"]+)"')
ERROR = re.compile(r'(?:fatal )?error: in "([^"]+)"')


def cases_of(listing):
    """["suite/case", ...] of what --list_content prints: one name a line, indented by its depth, a star where it is
    enabled."""
    found, above = [], []
    lines = [line for line in listing.splitlines() if line.strip()]
    for at, line in enumerate(lines):
        depth = indent(line) // 4
        above[depth:] = [line.strip().split("*")[0]]
        if at + 1 == len(lines) or indent(lines[at + 1]) <= indent(line):
            found.append("/".join(above))
    return found


def indent(line):
    return len(line) - len(line.lstrip())


def matching(cases, patterns):
    """In the order of the patterns. @raises LookupError where one names no case: the test has another name by now"""
    found = []
    for pattern in patterns:
        some = [case for case in cases if fnmatch.fnmatchcase(case, pattern)]
        if not some:
            raise LookupError(f"no test is called {pattern}")
        found += [case for case in some if case not in found]
    return found


def by_suite(cases):
    """[(suite, [case, ...]), ...]"""
    suites = {}
    for case in cases:
        suite, _, name = case.rpartition("/")
        suites.setdefault(suite, []).append(name)
    return list(suites.items())


def run_test(suite, names):
    """The option that selects these cases alone."""
    return f"--run_test={suite + '/' if suite else ''}{','.join(names)}"


def results(output):
    """({case: [its errors]} of those that were left; the case that was entered and not left, or None; its errors), by
    the output of --log_level=test_suite."""
    finished, errors, suites, running = {}, [], [], None
    for line in output.splitlines():
        if match := SUITE.search(line):
            suites = [*suites, match[2]] if match[1] == "Entering" else suites[:-1]
        elif match := ENTERED.search(line):
            running, errors = "/".join([*suites, match[1]]), []
        elif LEFT.search(line):
            finished[running] = errors
            running, errors = None, []
        elif running and (ERROR.search(line) or "fatal error" in line):
            errors.append(line)
    return finished, running, errors
