-- The Alignment Ratios, with the target's ceiling; per predictions, the closest training set first.
-- parameters: none
select
    ratios.*,
    ceilings.ceiling as target_ceiling
from alignment_ratio as ratios
left join ceilings on ratios.target = ceilings.target
order by ratios.target, ratios.predictions, ratios.alignment_ratio desc, ratios.train
