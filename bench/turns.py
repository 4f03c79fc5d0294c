"""Contenders that take turns.

Each is a process of its own and waits until it is asked: a round asks every one once, so that load and clock of the
machine meet all alike. Times are CPU times of the process: what other programs take does not count. The requests are
lines of JSON on standard input, the answers lines on what was standard output:

    {"open": CELL}                          facts of the cell, {"refused": WHY} where there is nothing to run
    {"run": CELL, "count": N, "warm": M}    seconds of a call, the mean of N behind M that are not timed
    {"close": CELL}                         {}, its memory is free

Behind the turn of another, caches and branch predictors are cold: a call of 0.3 ms is as fast as it gets behind six or
seven of its like.
"""

import gc
import json
import os
import statistics
import subprocess
import sys
import time

GROUP = 1e-3  # seconds of a sample: short calls are timed in groups
WARM = 4e-3  # seconds in front of it
FEWEST = 5  # rounds, however long they take


def timed(function):
    """count -> CPU seconds of a call of a Python function."""

    def seconds(count):
        begin = time.process_time()
        for _ in range(count):
            function()
        return (time.process_time() - begin) / count

    return seconds


def serve(open_cell, hello):
    """The loop of a contender. `open_cell(name)` gives (count -> seconds, facts), or raises with the reason."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer

    def answer(value):
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    cells = {}
    answer(hello)
    for line in sys.stdin:
        request = json.loads(line)
        if "open" in request:
            try:
                cells[request["open"]], facts = open_cell(request["open"])
            except Exception as problem:
                facts = {"refused": f"{type(problem).__name__}: {problem}"[:300]}
            answer(facts)
        elif "close" in request:
            cells.pop(request["close"], None)
            gc.collect()
            answer({})
        else:
            seconds = cells[request["run"]]
            seconds(request["warm"])
            answer(seconds(request["count"]))


class Ended(Exception):
    """A contender has ended where an answer was expected."""

    def __init__(self, contender, code):
        super().__init__(f"ends with {code}")
        self.contender = contender


class Contender:
    """The other end: a process, started now; what it prints goes to the file `log`."""

    def __init__(self, name, command, log=os.devnull, environment=None):
        self.name, self.command, self.log, self.environment = name, command, log, environment
        self.start()

    def start(self):
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self.environment,
                text=True,
            )
        self.hello = self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise Ended(self, self.process.wait())
        return json.loads(line)

    def _ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def open(self, cell):
        return self._ask(open=cell)

    def run(self, cell, count, warm=1):
        return self._ask(run=cell, count=count, warm=warm)

    def close(self, cell):
        self._ask(close=cell)

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def take_turns(turns, rounds, most_seconds=float("inf")):
    """{turn: samples in seconds} of turns (contender, cell). Fewer rounds, but not below FEWEST, behind most_seconds."""
    counts = {}
    for contender, cell in turns:
        once = min(contender.run(cell, 2) for _ in range(3))
        counts[contender, cell] = [max(1, int(time_of / max(once, 1e-8))) for time_of in (GROUP, WARM)]
    samples = {turn: [] for turn in turns}
    begin = time.monotonic()
    for number in range(rounds):
        if number >= FEWEST and time.monotonic() - begin > most_seconds:
            break
        for contender, cell in turns:
            samples[contender, cell].append(contender.run(cell, *counts[contender, cell]))
    return samples


def shortest_and_median(samples):
    return min(samples), statistics.median(samples)
