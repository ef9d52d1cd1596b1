"""Nearest neighbours beside scikit-learn's KNNImputer: time, memory and the fills themselves.

    pip install scikit-learn
    cargo build --release
    python3 benches/peers/knn.py [--lacuna target/release/lacuna] [TABLE.csv ...]

Each table is filled by both with five neighbours, weighted by distance, numbers divided by their standard deviations, on as
many threads. Without tables, one of 50 000 x 20 is simulated. Lacuna is a whole process that reads and writes CSV, scikit-learn
the calls of fit and transform alone. Where the two differ by more than 1e-6 standard deviations, the cell's distances are computed
once more, directly: either the fill is theirs, and scikit-learn rounded, or donors are tied or at distance zero.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--lacuna", default="target/release/lacuna")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--rows", type=int, default=50_000, help="of the simulated table")
parser.add_argument("--part", type=int, help="rows that scikit-learn fills, from all; its time is multiplied accordingly")
parser.add_argument("tables", nargs="*")
args = parser.parse_args()
for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]:
    os.environ[name] = str(args.threads)

import numpy as np
from sklearn.impute import KNNImputer

K = 5
RUN = """
import resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], check=True)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
"""


def simulated(n, d):
    """Numbers that depend on four latent ones, a fifth of them missing."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, 4)) @ rng.normal(size=(4, d)) + 0.5 * rng.normal(size=(n, d))
    x[rng.random((n, d)) < 0.2] = np.nan
    return x


def read(path):
    with open(path) as file:
        return np.genfromtxt(file, delimiter=",", skip_header=1)


def by_lacuna(x):
    """The filled table, seconds, CPU seconds and MB at most of the whole process."""
    names = [f"x{j}" for j in range(x.shape[1])]
    with tempfile.TemporaryDirectory() as folder:
        before, after = os.path.join(folder, "in.csv"), os.path.join(folder, "out.csv")
        with open(before, "w") as file:
            file.write(",".join(names) + "\n")
            for row in x:
                file.write(",".join("" if np.isnan(v) else repr(float(v)) for v in row) + "\n")
        command = [args.lacuna, "impute", before, "-o", after, "--method", "knn", "--no-round", "--quiet"]
        command += ["--threads", str(args.threads), "--k", str(K)]
        command += [f"--kind={name}=continuous" for name in names]
        # Memory is counted from a small process: a child begins with that of its parent.
        run = [sys.executable, "-c", RUN, *command]
        seconds, cpu, kilobytes = map(float, subprocess.run(run, check=True, capture_output=True, text=True).stdout.split())
        return read(after), seconds, cpu, kilobytes / 1024


def by_scikit_learn(x):
    part = x[: args.part]
    share = len(part) / len(x)
    start, cpu = time.perf_counter(), time.process_time()
    filled = KNNImputer(n_neighbors=K, weights="distance").fit(x).transform(part)
    return filled, (time.perf_counter() - start) / share, (time.process_time() - cpu) / share


def judge(x, i, j, fill):
    """Why a fill is not scikit-learn's, by the distances themselves."""
    common = ~np.isnan(x) & ~np.isnan(x[i])
    count = common.sum(1)
    square = (np.where(common, x - x[i], 0.0) ** 2).sum(1) / np.where(count > 0, count, np.nan)
    donors = np.flatnonzero(~np.isnan(x[:, j]) & ~np.isnan(square))
    donors = donors[np.argsort(square[donors], kind="stable")]
    near = donors[:K]
    if square[near[0]] > 0 and abs(fill - np.average(x[near, j], weights=square[near] ** -0.5)) <= 1e-6:
        return "rounding of scikit-learn's"
    # Distances are differences of sums of squares there.
    rounding = 4e-15 * (1 + np.nansum(x[i] ** 2))
    equal = x[donors[square[donors] <= square[near[-1]] + rounding], j]
    tied = square[near[0]] <= rounding or len(equal) > K
    return "tied or at distance zero" if tied and equal.min() - 1e-6 <= fill <= equal.max() + 1e-6 else "wrong"


def compare(name, x):
    unit = np.nanstd(x, axis=0)
    filled, seconds, cpu, megabytes = by_lacuna(x)
    theirs, their_seconds, their_cpu = by_scikit_learn(x / unit)
    ours = filled / unit
    gaps = np.argwhere(np.isnan(x[: args.part]))
    apart = [judge(x / unit, i, j, ours[i, j]) for i, j in gaps if not abs(ours[i, j] - theirs[i, j]) <= 1e-6]
    print(f"{name}, {x.shape[0]} x {x.shape[1]}, {np.isnan(x).sum()} gaps, {args.threads} threads")
    print(f"  lacuna        {seconds:8.2f} s  {cpu:8.2f} CPU s  {megabytes:6.0f} MB, whole process")
    print(f"  scikit-learn  {their_seconds:8.2f} s  {their_cpu:8.2f} CPU s, fit and transform" + (f", by {args.part} rows" if args.part else ""))
    print(f"  {their_seconds / seconds:.0f} x as fast, {their_cpu / cpu:.0f} x by CPU time")
    print(f"  fills more than 1e-6 sd apart: {len(apart)} of {len(gaps)}", {why: apart.count(why) for why in sorted(set(apart))})
    return "wrong" not in apart


tables = [(os.path.basename(os.path.dirname(path)) or path, read(path)) for path in args.tables]
tables = tables or [("simulated", simulated(args.rows, 20))]
sys.exit(0 if all([compare(name, x) for name, x in tables]) else 1)
