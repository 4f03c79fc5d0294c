"""Prints `N passed, N failed, N skipped` for the results of one `./dev test`; fails if a test failed or none ran.

    python3 tests/summary.py build/release/results

ctest.xml lists what ctest ran. A suite that counts its own tests (lit) also writes SUITE.xml, which then replaces its line.
"""
import pathlib
import sys
import xml.etree.ElementTree as xml


def outcomes(path):
    """(name, passed | failed | skipped) for each test case of a JUnit file."""
    for case in xml.parse(path).getroot().iter("testcase"):
        skipped = case.find("skipped")
        missing = skipped is not None and "Unable to find" in skipped.get("message", "")
        if case.find("failure") is not None or case.get("status") == "fail" or missing:
            yield case.get("name"), "failed"
        elif skipped is None and case.get("status") not in ("notrun", "disabled"):
            yield case.get("name"), "passed"
        elif skipped is None or "not selected" not in skipped.get("message", ""):  # not selected: by -k
            yield case.get("name"), "skipped"


def main(folder):
    folder = pathlib.Path(folder)
    count = {"passed": 0, "failed": 0, "skipped": 0}
    names = []
    for name, outcome in outcomes(folder / "ctest.xml"):
        suite = folder / f"{name}.xml"
        inner = list(outcomes(suite)) if suite.exists() else [] if name.startswith("lit.") else [(name, outcome)]
        if outcome == "failed" and all(each != "failed" for _, each in inner):
            inner.append((name, "failed"))  # the suite broke outside its tests
        for test, result in inner:
            count[result] += 1
            if result == "failed":
                names.append(test if test == name else f"{name}: {test}")
    for name in names:
        print(f"FAILED {name}")
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 1 if count["failed"] or not count["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
