-- The share of answers with the template of a query of their question, for predictions whose questions are known.
-- Expects the filled table answer_errors.
-- parameters: none
select predictions, coalesce(max(share) filter (kind = 'right_template'), 0) as share
from answer_errors
group by predictions
order by predictions
