-- The change in alignment from the predictions before to those after tuning, for each model.
-- parameters: none
select *
from tuning_effect
order by model, target, predictions_before, predictions_after
