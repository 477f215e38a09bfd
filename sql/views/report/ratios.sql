-- The Alignment Ratios. For each set of predictions, the closest training set comes first.
-- parameters: none
select
    train,
    target,
    predictions,
    model,
    trained_on,
    predictions_alignment,
    predictions_parsed_share,
    alignment_ratio,
    ci_low,
    ci_high,
    verdict,
    reach_ratio,
    reach_ci_low,
    reach_ci_high,
    reach_verdict,
    n_cleaned,
    n_answered,
    n_questions,
    is_part,
    doubts
from alignment_ratio
order by target, predictions, alignment_ratio desc, train
