-- How many rows the latest selection of each method took from each training set, for each target.
-- parameters: none
select
    target,
    method,
    json_exists(parameters, '$.weights') as weighs_questions,
    budget,
    n_taken,
    n_taken_templates,
    kl_alignment,
    pool_alignment,
    source,
    n_taken_from_source,
    n_overlapping,
    license
from selections
qualify selection = arg_max(selection, created_at) over (partition by target, method)
order by target, method, n_taken_from_source desc, source
