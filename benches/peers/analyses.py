"""How often pooled intervals of analyses that are no straight line cover the truth: squares, interactions, subgroups, levels.

    python3 benches/peers/analyses.py 'lacuna impute {in} -o {out} -m {m} --seed {seed} --quiet' [cases] [--n 200] [--m 5] [--reps 200]
    python3 benches/peers/analyses.py 'Rscript benches/peers/draws.R {in} {schema} {out} {m}' [cases]

Any command that writes the long form (.imp, .id, columns) will do. Beside it, on the same tables: listwise deletion. Rubin's rules with
Barnard and Rubin's degrees of freedom. Needs numpy and scipy.
"""

import argparse
import csv
import json
import shlex
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import stats

LEVELS = {"g": "ab"}


def regression(columns, which):
    """The coefficient of one column of y's regression on some: estimate, variance, degrees of freedom."""

    def analyse(t):
        x, y = np.column_stack([np.ones(len(t["y"]))] + [column(t) for column in columns]), t["y"]
        b = np.linalg.lstsq(x, y, rcond=None)[0]
        e, df = y - x @ b, len(y) - x.shape[1]
        return b[which], e @ e / df * np.linalg.inv(x.T @ x)[which, which], df

    return analyse


def mean_of(name, some):
    def analyse(t):
        v = t[name][some(t)]
        return v.mean(), v.var(ddof=1) / len(v), len(v) - 1

    return analyse


SQUARE = (regression([lambda t: t["x"], lambda t: t["x"] ** 2], 2), 0.5)
INTERACTION = (regression([lambda t: t["x"], lambda t: t["g"], lambda t: t["x"] * t["g"]], 3), 1.0)
OF_LEVEL = (regression([lambda t: t["x"], lambda t: t["g"]], 2), 1.0)
SUBGROUP = (mean_of("y", lambda t: t["g"] == 1), 1.0)
SHARE = (mean_of("g", lambda t: t["g"] >= 0), 0.5)
# What is missing, how often (or None: at random given x), how y comes about, and the analysis with its truth.
CASES = {
    "square, y missing": ({"y": 0.3}, "square", SQUARE),
    "square, y missing given x": ({"y": None}, "square", SQUARE),
    "square, x missing": ({"x": 0.3}, "square", SQUARE),
    "square, both missing": ({"x": 0.2, "y": 0.2}, "square", SQUARE),
    "interaction, y missing": ({"y": 0.3}, "interaction", INTERACTION),
    "interaction, all missing": ({"x": 0.2, "g": 0.2, "y": 0.2}, "interaction", INTERACTION),
    "subgroup, y missing": ({"y": 0.5}, "plain", SUBGROUP),
    "subgroup, y missing given x": ({"y": None}, "plain", SUBGROUP),
    "level, g and y missing": ({"g": 0.3, "y": 0.3}, "plain", OF_LEVEL),
    "share, g missing given x": ({"g": None}, "share", SHARE),
}


def table(case, n, rng):
    missing, kind, _ = CASES[case]
    x, e = rng.standard_normal(n), rng.standard_normal(n)
    g = (rng.random(n) < (1 / (1 + np.exp(-1.5 * x)) if kind == "share" else 0.4)).astype(float)
    t = {"x": x}
    if kind != "square":
        t["g"] = g
    t["y"] = {"square": x + x * x / 2, "interaction": x * (1 + g), "plain": x + g, "share": x}[kind] + e
    at_random = lambda: 1 / (1 + np.exp(-x))
    gaps = {c: rng.random(n) < (at_random() if share is None else share) for c, share in missing.items()}
    return t, gaps


def pool(results):
    q, u, complete = np.array([r[0] for r in results]), np.array([r[1] for r in results]), results[0][2]
    m, between = len(q), q.var(ddof=1)
    total = u.mean() + (1 + 1 / m) * between
    share = (1 + 1 / m) * between / total
    observed = (complete + 1) / (complete + 3) * complete * (1 - share)
    df = observed if share == 0 else 1 / (share**2 / (m - 1) + 1 / observed)
    return q.mean(), total, df


def one(args, case, rep):
    analyse, truth = CASES[case][2]
    t, gaps = table(case, args.n, np.random.default_rng(5000 + rep))
    with tempfile.TemporaryDirectory() as folder:
        files = {name: f"{folder}/{name}" for name in ("in.csv", "out.csv", "schema.json")}
        text = lambda c, x: LEVELS[c][int(x)] if c in LEVELS else repr(float(x))
        with open(files["in.csv"], "w", newline="") as out:
            rows = csv.writer(out)
            rows.writerow(t)
            rows.writerows(["" if c in gaps and gaps[c][i] else text(c, t[c][i]) for c in t] for i in range(args.n))
        kinds = [{"name": c, "kind": "nominal" if c in LEVELS else "continuous"} for c in t]
        with open(files["schema.json"], "w") as out:
            json.dump({"columns": kinds}, out)
        places = {"in": files["in.csv"], "out": files["out.csv"], "schema": files["schema.json"], "m": args.m, "seed": rep}
        command = [part.format(**places) for part in shlex.split(args.command)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(files["out.csv"]) as file:
            head, *rows = csv.reader(file)
    number = lambda c, x: float(LEVELS[c].index(x)) if c in LEVELS else float(x)
    completed = [
        {c: np.array([number(c, row[head.index(c)]) for row in rows if row[0] == str(i + 1)]) for c in t} for i in range(args.m)
    ]
    whole = ~np.any(list(gaps.values()), axis=0)
    found = []
    for estimate, variance, df in (pool([analyse(c) for c in completed]), analyse({c: v[whole] for c, v in t.items()})):
        half = stats.t.ppf(0.975, df) * variance**0.5
        found += [100 * (estimate / truth - 1), abs(estimate - truth) <= half, 2 * half]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command")
    parser.add_argument("cases", nargs="*", default=list(CASES))
    for name, default in (("n", 200), ("m", 5), ("reps", 200), ("jobs", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    print("| analysis, what is missing | bias | coverage | width | listwise: bias | coverage | width |\n|---|---|---|---|---|---|---|")
    for case in args.cases:
        with ThreadPoolExecutor(args.jobs) as pool_of_threads:
            means = np.array(list(pool_of_threads.map(lambda rep: one(args, case, rep), range(args.reps))), float).mean(0)
        cells = [f"{x:.1f} %" if i % 3 == 0 else f"{x:.3f}" for i, x in enumerate(means)]
        print(f"| {case} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
