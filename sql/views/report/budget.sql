-- The alignment of the latest selection of each method by its number of rows, for each target.
-- parameters: none
with latest as (
    select selection
    from selections
    qualify selection = arg_max(selection, created_at) over (partition by target, method)
)

select
    target,
    method,
    n_rows,
    kl_alignment,
    random_alignment
from selection_curves
where selection in (from latest)
order by target, method, n_rows
