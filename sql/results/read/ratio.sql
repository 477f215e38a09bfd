-- The Alignment Ratios with the 95% intervals of both alignments and the target's ceiling. For each set of
-- predictions, the closest training set comes first.
-- parameters: none
from alignment_ratio
order by target, predictions, alignment_ratio desc, train
