"""How cost grows with rows, columns and draws: time and memory of whole processes, as a table and a plot.

    cargo build --release
    python3 benches/growth.py [--lacuna target/release/lacuna] [--docs docs] [--series rows,columns,…]

Needs nothing but Python. Tables are simulated: numbers that depend on four others, a fifth of them missing; rows beyond 100 000
are the first ones again. One network of two epochs, after the choice of families, so that the effort is stated and every part of
the path shows: an epoch has n/256 steps, at least 50 and at most 500. `--effort ""` measures the default, which takes hours on a
table of 2 000 columns. Writes growth.md and growth.svg after each point, and keeps there what other runs measured of series that
are not asked for; CPU seconds are user and system time over all threads.
"""

import argparse
import math
import os
import platform
import random
import re
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
    return list(map(float, done.stdout.split()))


def measure(lacuna, effort, folder, wanted):
    """(series, size, CPU seconds, MB), one after the other."""
    table, out, model = (os.path.join(folder, name) for name in ["in.csv", "out.csv", "model"])
    fill = lambda *flags: run(lacuna, "impute", table, "-o", out, *flags, "--quiet", "--no-round")[1:]
    write(table, 10_000, 10)
    if {"draws", "apply"} & set(wanted):
        run(lacuna, "fit", table, "-o", model, "--quiet", "--epochs", "2")
    if "draws" in wanted:
        for m in DRAWS:
            yield "draws", m, *fill("--model", model, "-m", str(m))
    for series, flags in [("mean", ["--method", "mean"]), ("apply", ["--model", model]), ("rows", effort)]:
        for rows in ROWS if series in wanted else []:
            write(table, rows, 10)
            yield series, rows, *fill(*flags)
    for columns in COLUMNS if "columns" in wanted else []:
        write(table, 1_000, columns)
        yield "columns", columns, *fill(*effort)


def exponent(points):
    """Of each step from one size to the next: 1 is linear."""
    return [math.log(b[2] / a[2]) / math.log(b[1] / a[1]) for a, b in zip(points, points[1:])]


TITLES = {
    "rows": "rows × 10 columns, fit and fill",
    "columns": "1 000 rows × columns, fit and fill",
    "apply": "rows × 10 columns, filled by a saved model",
    "mean": "rows × 10 columns, means",
    "draws": "m draws of 10 000 × 10, from a saved model",
}


def kept(path, wanted):
    """The points of an earlier run, of the series that this one does not measure."""
    results, series = [], None
    titles = {title.capitalize(): series for series, title in TITLES.items()}
    for line in open(path) if os.path.exists(path) else []:
        series = titles.get(line.strip(" :\n").capitalize(), series)
        point = re.match(r"\| ([\d ]+) \| ([\d.]+) \| (\d+) \|", line)
        if point and series and series not in wanted:
            results.append((series, int(point[1].replace(" ", "")), float(point[2]), float(point[3])))
    return results


def markdown(results):
    for series, title in TITLES.items():
        points = [r for r in results if r[0] == series]
        if not points:
            continue
        grows = ["–"] + ["%.2f" % e for e in exponent(points)]
        yield "\n%s%s:\n\n| %s | CPU s | peak MB | exponent |\n|---|---|---|---|\n" % (title[0].upper(), title[1:], series)
        for (_, size, cpu, megabytes), e in zip(points, grows):
            yield "| %s | %.2f | %.0f | %s |\n" % (f"{size:,}".replace(",", " "), cpu, megabytes, e)


def svg(results):
    """A panel a series, of CPU seconds over size, both logarithmic; dashes are linear growth from the last point."""
    width, height, left = 240, 200, 52
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" width="900" height="560" font-family="sans-serif" font-size="11">']
    parts.append('<rect width="900" height="560" fill="white"/>')
    seconds = [r[2] for r in results]
    low, high = math.floor(math.log10(min(seconds))), math.ceil(math.log10(max(seconds)))
    for panel, (series, title) in enumerate(TITLES.items()):
        points = [r for r in results if r[0] == series]
        if len(points) < 2:
            continue
        x0, top = left + panel % 3 * 290, 34 + panel // 3 * 260
        first, last = math.log10(points[0][1]), math.log10(points[-1][1])
        x = lambda size: x0 + (math.log10(size) - first) / (last - first) * width
        y = lambda s: top + (high - math.log10(s)) / (high - low) * height
        parts.append(f'<text x="{x0}" y="{top - 14}">{title}</text>')
        parts.append(f'<rect x="{x0}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#999"/>')
        for power in range(low, high + 1):
            label = f"{10.0**power:g}"
            parts.append(f'<text x="{x0 - 6}" y="{y(10.0**power) + 4:.1f}" text-anchor="end">{label}</text>')
            parts.append(f'<line x1="{x0}" x2="{x0 + width}" y1="{y(10.0**power):.1f}" y2="{y(10.0**power):.1f}" stroke="#ddd"/>')
        end = points[-1]
        start = max(points[0][1], end[1] * 10.0**low / end[2])
        parts.append(
            f'<line x1="{x(start):.1f}" y1="{y(end[2] * start / end[1]):.1f}" x2="{x(end[1]):.1f}" y2="{y(end[2]):.1f}" '
            'stroke="#888" stroke-dasharray="4 3"/>'
        )
        line = " ".join(f"{x(size):.1f},{y(cpu):.1f}" for _, size, cpu, _ in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="#1f5fa8" stroke-width="1.5"/>')
        for _, size, cpu, _ in points:
            parts.append(f'<circle cx="{x(size):.1f}" cy="{y(cpu):.1f}" r="2.5" fill="#1f5fa8"/>')
            label = f"{size:,}".replace(",", " ")
            parts.append(f'<text x="{x(size):.1f}" y="{top + height + 16}" text-anchor="middle">{label}</text>')
    parts.append(f'<text x="{left}" y="545">CPU seconds of the whole process; dashes: linear growth up to the last point</text>')
    return "\n".join(parts + ["</svg>\n"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lacuna", default="target/release/lacuna")
    parser.add_argument("--docs", default="docs")
    parser.add_argument("--note", default="nothing else running", help="on the machine's state, for the text")
    parser.add_argument("--series", default=",".join(TITLES), help="what to measure")
    parser.add_argument("--effort", default="--epochs 2 --members 1", help="flags of the fits")
    args = parser.parse_args()
    text = """# How cost grows

Measured by `python3 benches/growth.py` (what is measured stands at its top) on %d cores, %s, %s; fits with
`%s`. The exponent of a step is ln(CPU s / CPU s before) / ln(size / size before): 1 is linear, less is better.
Networks of 4 000 cells and more have 256 units a layer, of less 96, so that the step from 5 to 20 columns is steeper than the whole.

![CPU seconds over rows, columns and draws, both logarithmic](growth.svg)
""" % (os.cpu_count(), platform.machine().replace("_", "-"), args.note, args.effort or "default effort")
    wanted = args.series.split(",")
    results = kept(os.path.join(args.docs, "growth.md"), wanted)
    with tempfile.TemporaryDirectory() as folder:
        for result in measure(args.lacuna, args.effort.split(), folder, wanted):
            results.append(result)
            print("%s %d: %.2f CPU s, %.0f MB" % result, flush=True)
            with open(os.path.join(args.docs, "growth.md"), "w") as out:
                out.write(text + "".join(markdown(results)))
            with open(os.path.join(args.docs, "growth.svg"), "w") as out:
                out.write(svg(results))
