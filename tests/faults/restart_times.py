#!/usr/bin/env python3
"""How long a run takes to notice that a worker is gone, and to do its next new step.

    tests/faults/restart_times.py build/bin/fulgur --faults 20 --seed 1

trains recipes/quickstart.yaml (with a text of its own) on this machine, and kills or stops one worker after the
other, each at a random moment. Prints, for each kind of fault, median and largest time from the fault to the
verdict, from the fault to the first step of the next attempt, and how many steps were done again.
"""

import argparse
import json
import os
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
KINDS = {"killed": signal.SIGKILL, "frozen": signal.SIGSTOP}


def children(pid):
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            stat = pathlib.Path(f"/proc/{entry}/stat").read_text()
        except OSError:
            continue
        if int(stat[stat.rindex(")") + 2 :].split()[1]) == pid:
            found.append(int(entry))
    return found


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.005)
    sys.exit("a run does not get on")


def lines_of(path):
    try:
        return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    except FileNotFoundError:
        return []


class Run:
    def __init__(self, fulgur, folder):
        text = folder / "text.txt"
        text.write_text("".join(f"The square of {n} is {n * n}.\n%\n" for n in range(1, 20000)))
        self.directory = folder / "run"
        self.verdicts = []
        self.process = subprocess.Popen(
            [fulgur, "train", ROOT / "recipes/quickstart.yaml", f"run_directory={self.directory}",
             f"data.files=[{text}]", "train.steps=1000000", "checkpoint.every=20", "layout.dp=2",
             "cluster.heartbeat=100ms", "cluster.dead_after=500ms", "faults.restarts=1000000",
             "faults.no_progress=1000"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stderr:
            if line.startswith("fulgur: rank"):
                self.verdicts.append(time.monotonic())

    def steps(self):
        return [line["step"] for line in lines_of(self.directory / "metrics.jsonl")]

    def attempt(self):
        try:
            return json.loads((self.directory / "run.json").read_text())["attempt"]
        except (OSError, ValueError):
            return 0

    def strike(self, number):
        """Returns seconds to the verdict, seconds to the next step, steps done again."""
        attempt, verdicts = self.attempt(), len(self.verdicts)
        before = self.steps()[-1]
        begin = time.monotonic()
        os.kill(random.choice(children(self.process.pid)), number)
        wait_for(lambda: len(self.verdicts) > verdicts)
        wait_for(lambda: self.attempt() > attempt)
        from_step = json.loads((self.directory / "run.json").read_text()).get("resumed_from", 0)
        wait_for(lambda: (self.steps() or [0])[-1] > from_step)
        return self.verdicts[verdicts] - begin, time.monotonic() - begin, before - from_step


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fulgur")
    parser.add_argument("--faults", type=int, default=20, help="of each kind")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    random.seed(options.seed)
    for kind, number in KINDS.items():
        with tempfile.TemporaryDirectory() as folder:
            run = Run(os.path.abspath(options.fulgur), pathlib.Path(folder))
            results = []
            for _ in range(options.faults):
                start = (run.steps() or [0])[-1]
                wait_for(lambda: (run.steps() or [0])[-1] > start + 20)
                time.sleep(random.random())
                results.append(run.strike(number))
            run.process.send_signal(signal.SIGKILL)
            run.process.wait()
        for name, values in zip(("to the verdict, s", "to the next step, s", "steps done again"),
                                zip(*results)):
            print(f"{kind}: {name}: median {statistics.median(values):.2f}, largest {max(values):.2f}"
                  f" of {len(values)}")


if __name__ == "__main__":
    main()
