"""Long files: memory and pace of fits and fills, and what a fit on a part of the rows costs in accuracy, as a table.

    cargo build --release
    python3 benches/streaming.py [--lacuna target/release/lacuna] [--only NAME …]

Needs nothing but Python. Tables are simulated: twenty numbers, cells as `%.6f` and a tenth of them missing, that depend on four others;
and eight numbers that bend, whose emptied cells are known. Files take up to half a gigabyte of the temporary folder. Memory is
the largest resident set of the process (ru_maxrss) in units of 1 000 000 bytes, as --max-memory counts them.
"""

import argparse
import math
import os
import random
import subprocess
import sys
import tempfile
import time

COLUMNS = 20
# Rows that are simulated; beyond them a long file has rows of these with other gaps.
DISTINCT = 50_000


def write_long(path, rows):
    rng = random.Random(1)
    loading = [[rng.gauss(0, 1) for _ in range(4)] for _ in range(COLUMNS)]
    lines = []
    for _ in range(min(rows, DISTINCT)):
        f = [rng.gauss(0, 1) for _ in range(4)]
        lines.append(["%.6f" % (f[0] * w[0] + f[1] * w[1] + f[2] * w[2] * f[3] + w[3] * rng.gauss(0, 1)) for w in loading])
    with open(path, "w") as out:
        out.write(",".join("x%d" % j for j in range(COLUMNS)) + "\n")
        for i in range(rows):
            cells = list(lines[i % DISTINCT])
            for j in range(COLUMNS):
                if rng.random() < 0.1:
                    cells[j] = ""
            out.write(",".join(cells) + "\n")


def write_bent(table, truth, rows):
    """Eight numbers: four at random, four that bend with them; a fifth of the cells of each emptied. The truth has all."""
    rng = random.Random(2)
    header = ",".join("x%d" % j for j in range(8)) + "\n"
    with open(table, "w") as gaps, open(truth, "w") as whole:
        gaps.write(header)
        whole.write(header)
        for _ in range(rows):
            a, b, c = rng.gauss(0, 1), rng.gauss(0, 1), rng.gauss(0, 1)
            d = a * b + 0.3 * rng.gauss(0, 1)
            cells = [a, b, c, d, math.sin(2 * a) + 0.2 * rng.gauss(0, 1), b * b + c + 0.3 * rng.gauss(0, 1)]
            cells += [abs(c) - a + 0.3 * rng.gauss(0, 1), math.exp(0.5 * b) * c + 0.2 * rng.gauss(0, 1)]
            cells = ["%.6f" % x for x in cells]
            whole.write(",".join(cells) + "\n")
            gaps.write(",".join("" if rng.random() < 0.2 else x for x in cells) + "\n")


def rmse(table, truth, filled):
    """Of the emptied cells, in standard deviations of their columns, the mean square over columns."""
    sums = [[0.0, 0.0, 0, 0.0, 0] for _ in range(8)]
    with open(table) as gaps, open(truth) as whole, open(filled) as out:
        for lines in list(zip(gaps, whole, out))[1:]:
            for s, gap, true, fill in zip(sums, *(line.rstrip("\n").split(",") for line in lines)):
                x = float(true)
                s[0], s[1], s[2] = s[0] + x, s[1] + x * x, s[2] + 1
                if not gap:
                    s[3], s[4] = s[3] + (float(fill) - x) ** 2, s[4] + 1
    shares = [(e / k) / (xx / n - (x / n) ** 2) for x, xx, n, e, k in sums]
    return math.sqrt(sum(shares) / len(shares))


# From a small process, since a child's memory begins as its parent's.
RUN = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(done.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)
sys.stderr.write(done.stderr)
"""


def run(*command):
    """Exit code, seconds, CPU seconds, MB at most, and what was said."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", RUN, *command], capture_output=True, text=True, check=True)
    code, cpu, memory = done.stdout.split()
    return int(code), time.perf_counter() - start, float(cpu), float(memory), done.stderr


def told(what, result):
    code, seconds, cpu, memory, said = result
    last = " / ".join(line for line in said.splitlines() if "drawn at random" in line or line.startswith("lacuna:"))
    print("| %s | %.0f | %.0f | %.0f | %s |" % (what, seconds, cpu, memory, "exit code %d %s" % (code, last)), flush=True)
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lacuna", default="target/release/lacuna")
    parser.add_argument("--only", nargs="*", default=["memory", "fill", "pipe", "accuracy"])
    parser.add_argument("--folder", help="where the tables are kept for another run")
    args = parser.parse_args()
    lacuna = args.lacuna
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or temporary
        place = lambda name: os.path.join(folder, name)

        def long(rows):
            path = place("%d.csv" % rows)
            if not os.path.exists(path):
                write_long(path, rows)
            return path

        print("| command | s | CPU s | peak MB | |\n|---|---|---|---|---|")
        model = place("model")
        if "memory" in args.only:
            table = long(1_000_000)
            for memory in ["150M", "300M"]:
                told("fit, 1 000 000 × 20, --max-memory " + memory, run(lacuna, "fit", table, "-o", model, "--max-memory", memory))
            told("impute --model, --max-memory 300M", run(lacuna, "impute", table, "--model", model, "--max-memory", "300M", "-o", place("out.csv")))
            told("impute --model, --max-memory 50M", run(lacuna, "impute", table, "--model", model, "--max-memory", "50M", "-o", place("out.csv")))
            table = long(2_000_000)
            told("fit, 2 000 000 × 20, --max-memory 500M", run(lacuna, "fit", table, "-o", model, "--max-memory", "500M"))
            os.remove(table)
        if "fill" in args.only or "pipe" in args.only:
            table = long(1_000_000)
            if not os.path.exists(model):
                run(lacuna, "fit", table, "-o", model, "--max-memory", "300M")
        if "fill" in args.only:
            result = told("impute --model, 1 000 000 × 20", run(lacuna, "impute", table, "--model", model, "-o", place("out.csv")))
            print("%.0f rows a CPU second" % (1e6 / result[2]), flush=True)
        if "pipe" in args.only:
            line = "set -o pipefail; cat %s | %s impute --model %s - | head -5 > /dev/null" % (table, lacuna, model)
            done = subprocess.run(["bash", "-c", line + "; echo ${PIPESTATUS[1]}"], capture_output=True, text=True)
            print("cat | impute --model - | head -5: exit code %s, said %r" % (done.stdout.strip(), done.stderr), flush=True)
        if "accuracy" in args.only:
            table, truth = place("gaps.csv"), place("truth.csv")
            write_bent(table, truth, 200_000)
            errors = []
            # About a third of the rows.
            for memory in [None, "212M"]:
                limit = ["--max-memory", memory] if memory else []
                told("fit, 200 000 × 8 %s" % " ".join(limit), run(lacuna, "fit", table, "-o", place("bent"), *limit))
                run(lacuna, "impute", table, "--model", place("bent"), "--no-round", "-o", place("filled.csv"))
                errors.append(rmse(table, truth, place("filled.csv")))
            whole, part = errors
            print("RMSE of the fills %.4f sd by all rows, %.4f by a part: %+.2f %%" % (whole, part, 100 * (part / whole - 1)))
