-- The faults in the structure of answers, the most frequent of each kind first.
-- parameters: none
select
    predictions,
    target,
    kind,
    feature,
    n_answers,
    share
from answer_errors
order by rowid
