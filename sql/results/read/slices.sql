-- The measures of the slices of targets, the largest slices of each set of predictions first. For each slice, the
-- closest training set comes first.
-- parameters: none
from alignment_by_slice
order by target, predictions, n_queries desc, slice, train_alignment desc nulls last, train
