"""Multiple imputations by miceforest, with mean matching, in the long form that `lacuna impute -m` writes.

    python3 benches/peers/draws.py IN.csv SCHEMA.json OUT.csv [m = 20] [iterations = 5]

Columns that the schema (as `lacuna schema` writes it) does not call numbers are categories, drawn by their predicted probabilities
(matching them, miceforest's default, stops where one is 0 or 1: its log odds are not finite). Needs miceforest 6 with LightGBM 4.5 (4.6
breaks its matching) and pandas."""
import json, sys, time
import miceforest, pandas

source, schema, out = sys.argv[1:4]
m, iterations = (int(x) for x in (sys.argv[4:6] + ['20', '5'][len(sys.argv) - 4:]))
number = {c['name'] for c in json.load(open(schema))['columns'] if c['kind'] in ('continuous', 'positive', 'count')}
table = pandas.read_csv(source, dtype=str, keep_default_na=False, na_values=[''])
names = list(table.columns)
text = table.copy()
for c in names:
    table[c] = table[c].astype(float) if c in number else table[c].astype('category')
    if table[c].nunique() == 1:  # LightGBM wants two classes
        table[c] = table[c].ffill().bfill()
table.columns = [f'c{i}' for i in range(len(names))]
start = time.time()
strategy = {c: 'fast' if hasattr(table[c], 'cat') else 'normal' for c in table.columns}
kernel = miceforest.ImputationKernel(table, num_datasets=m, random_state=1, mean_match_candidates=5, mean_match_strategy=strategy)
kernel.mice(iterations, num_threads=1)
seconds = time.time() - start
with open(out, 'w', newline='') as f:
    for i in range(m):
        done = kernel.complete_data(i)
        done.columns = names
        # Observed cells as they stand in the file.
        done = text.where(text.notna(), done.astype(object))
        done.insert(0, '.imp', i + 1)
        done.insert(1, '.id', range(1, len(done) + 1))
        done.to_csv(f, index=False, header=i == 0)
print(f'miceforest {miceforest.__version__}, m = {m}: {seconds:.0f} s')
