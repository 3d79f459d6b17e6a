#!/usr/bin/env python3
"""Predicted against measured, on this machine: trains a recipe on several layouts, plans each, and compares the
time of a step (the fastest one, so that other work on the machine counts little) and the memory of a worker.

  plan_against_runs.py FULGUR RECIPE FOLDER [--steps N] [--rounds N] [--plan ARGUMENT...]

All layouts are trained in turn, `rounds` times, because what else runs on the machine comes and goes. FOLDER
gets the runs, kept for `fulgur plan --calibrate`. Prints a table for docs/plan.md.
"""
import argparse
import json
import pathlib
import subprocess
import time

LAYOUTS = {
    "one rank": [],
    "recompute selective": ["memory.recompute=selective"],
    "recompute full": ["memory.recompute=full"],
    "dp 2": ["layout.dp=2"],
    "tp 2": ["layout.tp=2"],
    "cp 2": ["layout.cp=2"],
    "dp 2, ep 2": ["layout.dp=2", "layout.ep=2"],
    "dp 2, etp 2": ["layout.dp=2", "layout.etp=2"],
    "pp 2": ["layout.pp=2", "train.micro_batch=4"],
    "pp 2, zero bubble": ["layout.pp=2", "train.micro_batch=4", "pipeline.schedule=zero_bubble"],
}


def resident(pid):
    """Peak resident bytes of a process, 0 when it has gone."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def children(pid):
    try:
        return [int(c) for c in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def train(fulgur, recipe, run, steps, overrides):
    command = [fulgur, "train", recipe, f"run_directory={run}", f"train.steps={steps}", *overrides]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        most = {}
        while process.poll() is None:
            for child in children(process.pid):
                most[child] = max(most.get(child, 0), resident(child))
            time.sleep(0.02)
        if process.returncode != 0:
            raise RuntimeError(process.stderr.read().decode())
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return min(json.loads(line)["seconds"] for line in lines[2:]), max(most.values())


def plan(fulgur, recipe, folder, overrides, extra):
    path = folder / "predicted.json"
    subprocess.run([fulgur, "plan", recipe, *overrides, "--cluster", "cpu", "--json", path, *extra],
                   check=True, stdout=subprocess.DEVNULL)
    phase = json.loads(path.read_text())["phases"][0]
    return phase["step_seconds"], phase["fullest_bytes"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fulgur")
    parser.add_argument("recipe")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--plan", nargs="*", default=[], help="further arguments of fulgur plan")
    args = parser.parse_args()
    measured = {}
    for number in range(args.rounds):
        for name, overrides in LAYOUTS.items():
            run = args.folder / f"{name.replace(' ', '-').replace(',', '')}-{number}"
            if run.exists():
                raise SystemExit(f"{run} is there already")
            seconds, memory = train(args.fulgur, args.recipe, run, args.steps, overrides)
            before = measured.get(name, (seconds, memory))
            measured[name] = (min(before[0], seconds), max(before[1], memory))
    errors = {"time": [], "memory": []}
    print("| layout | step, ms: predicted | measured | error | MiB: predicted | measured | error |")
    print("|---|---|---|---|---|---|---|")
    for name, (seconds, memory) in measured.items():
        guess, guessed_memory = plan(args.fulgur, args.recipe, args.folder, LAYOUTS[name], args.plan)
        errors["time"].append(guess / seconds - 1)
        errors["memory"].append(guessed_memory / memory - 1)
        print(f"| {name} | {guess * 1e3:.0f} | {seconds * 1e3:.0f} | {errors['time'][-1]:+.0%} "
              f"| {guessed_memory / 2**20:.0f} | {memory / 2**20:.0f} | {errors['memory'][-1]:+.0%} |")
    for what, all_errors in errors.items():
        sizes = [abs(e) for e in all_errors]
        print(f"{what}: average error {sum(sizes) / len(sizes):.0%}, worst {max(sizes):.0%}")


if __name__ == "__main__":
    main()
