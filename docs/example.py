"""From results to a decision, in Python: ``python docs/example.py warehouse``.

``make docs`` makes notebook.ipynb of these steps, executed on the samples.
"""

import sys

import polars as pl

from nl2sql_align.tasks.views.explain import explain
from nl2sql_align.tasks.views.notebook import load

# Read the results: frames when they are asked for, and an object that shows itself as the matrix.
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

# Why is the farthest training set so far away?
far = results.alignment.filter(source_role="train", target_role="target").sort("kl_alignment")
source, target = far.select("source", "target").row(0)
print(explain(warehouse, source, target).sentences[0])
