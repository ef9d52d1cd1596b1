"""How often gaps are taken for such as follow their own cells, and what that is worth, by what they really follow.

    python3 benches/peers/gaps.py 'lacuna impute {in} -o {out} --effort fast --quiet' [cases] [--n 1000] [--reps 5]

Each table is filled by the command, and by it with --at-random: where the two differ, its gaps were taken for missing not at random.
Both are compared with the truth: the mean of fill less truth, signed so that it is negative where large cells are missing and fills are too small,
and the root mean square error, in standard deviations. Needs numpy.
"""

import argparse
import csv
import shlex
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np


def logistic(x):
    return 1 / (1 + np.exp(-x))


def factor(rng, n, d, share):
    return np.sqrt(share) * rng.standard_normal((n, 1)) + np.sqrt(1 - share) * rng.standard_normal((n, d))


def sums(rng, n):
    """Three numbers, and four sums and differences of theirs with noise."""
    z = rng.standard_normal((n, 3))
    signs = np.array([[1, 1, 1], [1, -1, 1], [1, 1, -1], [-1, 1, 1]])
    return np.hstack([z, z @ signs.T / np.sqrt(3) + 0.4 * rng.standard_normal((n, 4))])


def by(drive, first):
    """Gaps of the columns from `first` by one drive of the rows."""

    def missing(rng, x):
        gaps = rng.random(x.shape) < logistic(drive(x) - 0.8)[:, None]
        gaps[:, :first] = False
        return gaps

    return missing


def curved(x):
    """All but the first column as steps, ramps, squares and exponentials of the first."""
    out, first = x.copy(), x[:, 0]
    shapes = [lambda v: 2 * (v > 0.8), lambda v: 2 * np.maximum(v, 0), np.square, np.exp]
    for j in range(1, x.shape[1]):
        out[:, j] = shapes[(j - 1) % 4](first) + 0.6 * x[:, j]
    return out


def dropout(rng, x):
    gaps = rng.random(x.shape) < 0.05
    gaps[:, 1:] |= (rng.random(len(x)) < logistic(1.5 * x[:, 0] - 1))[:, None]
    gaps[:, 0] = False
    return gaps


def chained(rng, x):
    """Each column's gaps by the first one, as far as that is seen."""
    gaps = rng.random(x.shape) < 0.3
    seen = np.where(gaps[:, 0], 0, x[:, 0])
    gaps[:, 1:] = rng.random((len(x), x.shape[1] - 1)) < logistic(1.2 * seen - 1)[:, None]
    return gaps


def themselves(rng, x):
    return rng.random(x.shape) < logistic((x - x.mean(0)) / x.std(0) - 0.9)


CASES = {
    "nothing": (lambda r, n: factor(r, n, 6, 0.5), lambda r, x: r.random(x.shape) < 0.3),
    "a whole column": (lambda r, n: factor(r, n, 6, 0.5), by(lambda x: 1.2 * x[:, 0], 1)),
    "two whole columns": (lambda r, n: factor(r, n, 6, 0.5), by(lambda x: 0.9 * (x[:, 0] + x[:, 1]), 2)),
    "three whole columns, close ones": (lambda r, n: factor(r, n, 7, 0.7), by(lambda x: 0.6 * x[:, :3].sum(1), 3)),
    "a column with gaps": (lambda r, n: factor(r, n, 6, 0.5), chained),
    "dropout by a column": (lambda r, n: factor(r, n, 6, 0.5), dropout),
    "a step of a column, curved table": (lambda r, n: curved(factor(r, n, 6, 0.3)), by(lambda x: 2.0 * (x[:, 0] > 0.8), 1)),
    "a square of a column, curved table": (lambda r, n: curved(factor(r, n, 6, 0.3)), by(lambda x: x[:, 0] ** 2 - 1, 1)),
    "themselves": (lambda r, n: factor(r, n, 6, 0.6), themselves),
    "two columns, table of sums": (sums, by(lambda x: 1.2 * x[:, 0] - 0.8 * x[:, 1], 2)),
    "themselves, table of sums": (sums, themselves),
    "themselves, curved table": (lambda r, n: curved(factor(r, n, 6, 0.3)), themselves),
}


def write(path, x, gaps):
    with open(path, "w", newline="") as f:
        w = csv.writer(f)
        w.writerow([f"x{j}" for j in range(x.shape[1])])
        w.writerows([["" if g else f"{v:.6f}" for v, g in zip(row, flags)] for row, flags in zip(x, gaps)])


def run(command, case, n, rep):
    make, lose = CASES[case]
    rng = np.random.default_rng([rep, *map(ord, case)])
    x = make(rng, n)
    gaps = lose(rng, x)
    gaps[gaps.all(1), 0] = False
    out = []
    with tempfile.TemporaryDirectory() as folder:
        write(f"{folder}/in.csv", x, gaps)
        for more in "", " --at-random":
            places = {"in": f"{folder}/in.csv", "out": f"{folder}/out.csv"}
            subprocess.run(shlex.split(command.format(**places) + more), check=True, capture_output=True)
            filled = np.loadtxt(places["out"], delimiter=",", skiprows=1)
            e = ((filled - x) / x.std(0))[gaps]
            out += [e.mean(), np.sqrt((e**2).mean())]
    return [float(out[:2] != out[2:])] + out


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("command")
    p.add_argument("cases", nargs="*", default=list(CASES))
    p.add_argument("--n", type=int, default=1000)
    p.add_argument("--reps", type=int, default=5)
    p.add_argument("--jobs", type=int, default=2)
    a = p.parse_args()
    print(f"{'gaps follow':36s} {'taken so':>8s} {'bias':>7s} {'rmse':>6s}   at random: {'bias':>6s} {'rmse':>6s}   n = {a.n}")
    for case in a.cases:
        with ThreadPoolExecutor(a.jobs) as pool:
            rows = list(pool.map(lambda rep: run(a.command, case, a.n, rep), range(a.reps)))
        taken, bias, rmse, bias_at_random, rmse_at_random = np.mean(rows, axis=0)
        print(f"{case:36s} {taken:8.2f} {bias:7.3f} {rmse:6.3f} {bias_at_random:18.3f} {rmse_at_random:6.3f}", flush=True)


if __name__ == "__main__":
    main()
