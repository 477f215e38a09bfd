-- The Headroom Ratios, and the share of the training set in the closest mixture with the answers.
-- parameters: none
select
    train,
    predictions,
    target,
    headroom_ratio,
    best_weight
from headroom_ratio
where headroom_ratio is not null
order by target, predictions, train
