-- How tuning moved the predictions of the models.
-- parameters: none
select *
from tuning_effect
order by model, target, predictions_before, predictions_after
