-- The alignment of the latest selection of each method by its number of rows, for each target.
-- parameters: none
with latest as (
    select distinct
        selection,
        json_exists(parameters, '$.weights') as weighs_questions
    from selections
    qualify selection = arg_max(selection, created_at) over (partition by target, method)
)

select
    target,
    method,
    weighs_questions,
    n_rows,
    kl_alignment,
    random_alignment
from selection_curves
inner join latest using (selection)
order by target, method, n_rows
