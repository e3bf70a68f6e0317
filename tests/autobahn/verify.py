#!/usr/bin/env python3
"""Checks one report of Autobahn's test suite, strictly.

In every case, `behavior` and `behaviorClose` must both be "OK".
NON-STRICT, UNIMPLEMENTED, WRONG CODE, UNCLEAN, FAILED and FAILED BY CLIENT are all failures. Three
cases have no verdict: the suite always marks them INFORMATIONAL.

Exit status: 0 if all cases pass and their number is as expected, 1 if not, 2 if there is no
report to check.
"""

import argparse
import json
import pathlib
import sys

# Case 7.1.6 shows what happens to a message that is followed by a close frame at once. 7.13.1 and 7.13.2 send
# close codes of 5000 and above, for which RFC 6455 does not define the answer.
INFORMATIONAL_CASES = frozenset(["7.1.6", "7.13.1", "7.13.2"])


def is_informational(case, result):
    return case in INFORMATIONAL_CASES and verdict(result) == ("INFORMATIONAL", "INFORMATIONAL")


def verdict(result):
    return result.get("behavior"), result.get("behaviorClose")


def in_order(case):
    return [int(number) for number in case.split(".")]


def judge(results, expected):
    """Takes the results by case. Returns the lines to print, and whether all cases pass."""
    informational = [case for case, result in results.items() if is_informational(case, result)]
    failed = sorted(
        (case for case, result in results.items() if case not in informational and verdict(result) != ("OK", "OK")),
        key=in_order,
    )
    lines = []
    for case in failed:
        behavior, behavior_close = verdict(results[case])
        lines.append(
            f"case {case}: behavior {behavior}, behaviorClose {behavior_close}, "
            f"close code {results[case].get('remoteCloseCode')} ({results[case].get('reportfile')})"
        )
    if len(results) != expected:
        lines.append(f"{len(results)} cases were run, {expected} were expected")
    lines.append(f"{len(results) - len(failed)} of {expected} cases OK ({len(informational)} informational)")
    return lines, not failed and len(results) == expected


def results_of(path, agent):
    """Returns one agent's results by case, from a report's index.json."""
    agents = json.loads(path.read_text(encoding="utf-8"))
    if agent is None and len(agents) == 1:
        return next(iter(agents.values()))
    if agent not in agents:
        raise KeyError(f"it has the agents {sorted(agents)}, not {agent!r}")
    return agents[agent]


def main():
    parser = argparse.ArgumentParser(description="Judges one report of Autobahn's test suite, strictly.")
    parser.add_argument("report", type=pathlib.Path, help="index.json, or the directory it is in")
    parser.add_argument("--expect", type=int, required=True, help="how many cases there must be: 517 are all, 301 all but 12.* and 13.*")
    parser.add_argument("--agent", help="whose results to judge (default: of the only one in the report)")
    arguments = parser.parse_args()

    path = arguments.report / "index.json" if arguments.report.is_dir() else arguments.report
    try:
        results = results_of(path, arguments.agent)
    except (OSError, ValueError, KeyError) as error:
        print(f"no report to judge in {path}: {error}", file=sys.stderr)
        return 2
    lines, is_well = judge(results, arguments.expect)
    print("\n".join(lines))
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
