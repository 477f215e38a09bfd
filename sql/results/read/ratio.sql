-- The Alignment Ratios with the 95% intervals of both alignments and the target's ceiling. For each set of
-- predictions, the closest training set comes first.
-- parameters: none
select
    ratios.*,
    of_train.ci_low as train_ci_low,
    of_train.ci_high as train_ci_high,
    of_predictions.ci_low as predictions_ci_low,
    of_predictions.ci_high as predictions_ci_high,
    ceilings.ceiling as target_ceiling
from alignment_ratio as ratios
left join alignment_intervals as of_train
    on ratios.train = of_train.source and ratios.target = of_train.target
left join alignment_intervals as of_predictions
    on ratios.predictions = of_predictions.source and ratios.target = of_predictions.target
left join ceilings on ratios.target = ceilings.target
order by ratios.target, ratios.predictions, ratios.alignment_ratio desc, ratios.train
