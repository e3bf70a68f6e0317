"""Tests of verify.py: `python3 -m unittest discover tests/autobahn`."""

import unittest

from verify import judge


def report(**changes):
    """Returns four good results, three of them informational, with changes as `c1_2=(behavior, behaviorClose)`."""
    verdicts = {"1.1.1": ("OK", "OK")}
    verdicts.update((case, ("INFORMATIONAL", "INFORMATIONAL")) for case in ("7.1.6", "7.13.1", "7.13.2"))
    verdicts.update((case[1:].replace("_", "."), verdict) for case, verdict in changes.items())
    return {
        case: {"behavior": behavior, "behaviorClose": behavior_close, "remoteCloseCode": 1000, "reportfile": "x.json"}
        for case, (behavior, behavior_close) in verdicts.items()
    }


class Judge(unittest.TestCase):
    def test_a_strict_report_passes(self):
        self.assertEqual(judge(report(), 4), (["4 of 4 cases OK (3 informational)"], True))

    def test_every_other_verdict_fails_in_either_place(self):
        for other in ("NON-STRICT", "UNIMPLEMENTED", "FAILED", "WRONG CODE", "UNCLEAN", "FAILED BY CLIENT", "INFORMATIONAL", "", None):
            for verdict in ((other, "OK"), ("OK", other), (other, other)):
                with self.subTest(verdict=verdict):
                    lines, is_well = judge(report(c1_1_1=verdict), 4)
                    self.assertFalse(is_well)
                    self.assertIn("case 1.1.1:", lines[0])
                    self.assertEqual(lines[-1], "3 of 4 cases OK (3 informational)")

    def test_an_informational_case_may_be_ok_but_not_failed(self):
        self.assertTrue(judge(report(c7_1_6=("OK", "OK")), 4)[1])
        self.assertFalse(judge(report(c7_1_6=("FAILED", "OK")), 4)[1])
        self.assertFalse(judge(report(c7_1_6=("INFORMATIONAL", "FAILED")), 4)[1])

    def test_a_case_without_a_verdict_fails(self):
        self.assertFalse(judge({"1.1.1": {}}, 1)[1])

    def test_another_number_of_cases_fails(self):
        for expected in (0, 3, 5):
            with self.subTest(expected=expected):
                self.assertFalse(judge(report(), expected)[1])
        self.assertFalse(judge({}, 4)[1])

    def test_failed_cases_are_listed_in_the_order_of_their_numbers(self):
        failed = ("FAILED", "FAILED")
        lines, _ = judge(report(c10_1_1=failed, c2_10=failed, c2_9=failed), 7)
        self.assertEqual([line.split(":")[0] for line in lines[:3]], ["case 2.9", "case 2.10", "case 10.1.1"])


if __name__ == "__main__":
    unittest.main()
