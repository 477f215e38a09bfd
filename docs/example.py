"""Go from results to a decision in Python: ``python docs/example.py warehouse``.

``make docs`` turns these steps into notebook.ipynb, executed on the samples.
"""

import sys

import polars as pl

from nl2sql_align import explain, load

# Load the results of a run. The object reads data frames on first use, and displays as a matrix.
warehouse = sys.argv[1]
results = load(warehouse)

# Which training set is closest to each target?
closest = (
    results.alignment.filter(pl.col("source_role") == "train", pl.col("target_role") == "target")
    .sort("kl_alignment", descending=True)
    .group_by("target", maintain_order=True)
    .first()
)
for row in closest.iter_rows(named=True):
    print(f"{row['target']}: {row['source']} is closest, at {row['kl_alignment']:.3f}")

# Which models should gain from which training set?
gains = results.ratios.filter(verdict="gain").select("predictions", "train", "alignment_ratio")
print(gains)

# All Alignment Ratios as a chart.
results.plot_ratios()

# Why is the most distant training set so different from the target?
far = results.alignment.filter(source_role="train", target_role="target").sort("kl_alignment")
source, target = far.select("source", "target").row(0)
print(explain(warehouse, source, target).sentences[0])
