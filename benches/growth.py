"""How cost grows with rows, columns and draws: time and memory of whole processes, as a table and a plot.

    cargo build --release
    python3 benches/growth.py [--lacuna target/release/lacuna] [--docs docs]

Needs nothing but Python. Tables are simulated: numbers that depend on four others, a fifth of them missing; rows beyond 100 000
are the first ones again. One network of two epochs, after the choice of families, so that the effort is stated and every part of
the path shows: an epoch has n/256 steps, at least 50 and at most 500. `--effort ""` measures the default, which takes hours on a
table of 2 000 columns. Writes growth.md and growth.svg after each point; CPU seconds are user and system time over all threads.
"""

import argparse
import math
import os
import platform
import random
import subprocess
import sys
import tempfile

ROWS = [1_000, 10_000, 100_000, 1_000_000]
COLUMNS = [5, 20, 100, 500, 2_000]
DRAWS = [1, 5, 20, 50]


def write(path, rows, columns):
    rng = random.Random(1)
    loading = [[rng.gauss(0, 1) for _ in range(4)] for _ in range(columns)]
    distinct = min(rows, 100_000)
    lines = []
    for _ in range(distinct):
        f = [rng.gauss(0, 1) for _ in range(4)]
        cells = (f[0] * w[0] + f[1] * w[1] + f[2] * w[2] + f[3] * w[3] + rng.random() for w in loading)
        lines.append(",".join("" if rng.random() < 0.2 else "%.4f" % x for x in cells) + "\n")
    with open(path, "w") as out:
        out.write(",".join("x%d" % j for j in range(columns)) + "\n")
        for start in range(0, rows, distinct):
            out.writelines(lines[: min(distinct, rows - start)])


# From a small process, since a child's memory begins as its parent's.
RUN = """
import resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], check=True)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
"""


def run(*command):
    """Seconds, CPU seconds, MB at most."""
    done = subprocess.run([sys.executable, "-c", RUN, *command], check=True, capture_output=True, text=True)
    return map(float, done.stdout.split())


def measure(lacuna, effort, folder):
    """(series, size, seconds, CPU seconds, MB), one after the other."""
    table, out, model = (os.path.join(folder, name) for name in ["in.csv", "out.csv", "model"])
    quiet = ["--quiet", "--no-round"]
    for rows in ROWS:
        write(table, rows, 10)
        yield "rows", rows, *run(lacuna, "impute", table, "-o", out, *effort, *quiet)
    for columns in COLUMNS:
        write(table, 1_000, columns)
        yield "columns", columns, *run(lacuna, "impute", table, "-o", out, *effort, *quiet)
    write(table, 10_000, 10)
    run(lacuna, "fit", table, "-o", model, "--quiet", "--epochs", "2")
    for m in DRAWS:
        yield "draws", m, *run(lacuna, "impute", table, "--model", model, "-o", out, "-m", str(m), *quiet)


def exponent(points):
    """Of each step from one size to the next: 1 is linear."""
    return [math.log(b[3] / a[3]) / math.log(b[1] / a[1]) for a, b in zip(points, points[1:])]


TITLES = {
    "rows": "rows × 10 columns, fit and fill",
    "columns": "1 000 rows × columns, fit and fill",
    "draws": "m draws of 10 000 × 10, from a saved model",
}


def markdown(results):
    for series, title in TITLES.items():
        points = [r for r in results if r[0] == series]
        if not points:
            continue
        grows = ["–"] + ["%.2f" % e for e in exponent(points)]
        yield "\n%s%s:\n\n| %s | CPU s | peak MB | exponent |\n|---|---|---|---|\n" % (title[0].upper(), title[1:], series)
        for (_, size, _, cpu, megabytes), e in zip(points, grows):
            yield "| %s | %.1f | %.0f | %s |\n" % (f"{size:,}".replace(",", " "), cpu, megabytes, e)


def svg(results):
    """Three panels of CPU seconds over size, both logarithmic; dashes are linear growth from the last point."""
    width, height, left, top = 240, 200, 52, 34
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" width="900" height="290" font-family="sans-serif" font-size="11">']
    parts.append('<rect width="900" height="290" fill="white"/>')
    seconds = [r[3] for r in results]
    low, high = math.floor(math.log10(min(seconds))), math.ceil(math.log10(max(seconds)))
    for panel, (series, title) in enumerate(TITLES.items()):
        points = [r for r in results if r[0] == series]
        if len(points) < 2:
            continue
        x0, first, last = left + panel * 290, math.log10(points[0][1]), math.log10(points[-1][1])
        x = lambda size: x0 + (math.log10(size) - first) / (last - first) * width
        y = lambda s: top + (high - math.log10(s)) / (high - low) * height
        parts.append(f'<text x="{x0}" y="{top - 14}">{title}</text>')
        parts.append(f'<rect x="{x0}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#999"/>')
        for power in range(low, high + 1):
            label = f"{10.0**power:g}"
            parts.append(f'<text x="{x0 - 6}" y="{y(10.0**power) + 4:.1f}" text-anchor="end">{label}</text>')
            parts.append(f'<line x1="{x0}" x2="{x0 + width}" y1="{y(10.0**power):.1f}" y2="{y(10.0**power):.1f}" stroke="#ddd"/>')
        end = points[-1]
        start = max(points[0][1], end[1] * 10.0**low / end[3])
        parts.append(
            f'<line x1="{x(start):.1f}" y1="{y(end[3] * start / end[1]):.1f}" x2="{x(end[1]):.1f}" y2="{y(end[3]):.1f}" '
            'stroke="#888" stroke-dasharray="4 3"/>'
        )
        line = " ".join(f"{x(size):.1f},{y(cpu):.1f}" for _, size, _, cpu, _ in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="#1f5fa8" stroke-width="1.5"/>')
        for _, size, _, cpu, _ in points:
            parts.append(f'<circle cx="{x(size):.1f}" cy="{y(cpu):.1f}" r="2.5" fill="#1f5fa8"/>')
            label = f"{size:,}".replace(",", " ")
            parts.append(f'<text x="{x(size):.1f}" y="{top + height + 16}" text-anchor="middle">{label}</text>')
    parts.append(f'<text x="{left}" y="{top + height + 40}">CPU seconds of the whole process; dashes: linear growth up to the last point</text>')
    return "\n".join(parts + ["</svg>\n"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lacuna", default="target/release/lacuna")
    parser.add_argument("--docs", default="docs")
    parser.add_argument("--note", default="nothing else running", help="on the machine's state, for the text")
    parser.add_argument("--effort", default="--epochs 2 --members 1", help="flags of the fits")
    args = parser.parse_args()
    text = """# How cost grows

Measured by `python3 benches/growth.py` (what is measured stands at its top) on %d cores, %s, %s; fits with
`%s`. The exponent of a step is ln(CPU s / CPU s before) / ln(size / size before): 1 is linear, less is better.

![CPU seconds over rows, columns and draws](growth.svg)
""" % (os.cpu_count(), platform.machine().replace("_", "-"), args.note, args.effort or "default effort")
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for result in measure(args.lacuna, args.effort.split(), folder):
            results.append(result)
            print("%s %d: %.1f s, %.1f CPU s, %.0f MB" % result, flush=True)
            with open(os.path.join(args.docs, "growth.md"), "w") as out:
                out.write(text + "".join(markdown(results)))
            with open(os.path.join(args.docs, "growth.svg"), "w") as out:
                out.write(svg(results))
