-- The Alignment Ratios; per predictions, the closest training set first.
-- parameters: none
select *
from alignment_ratio
order by target, predictions, alignment_ratio desc, train
