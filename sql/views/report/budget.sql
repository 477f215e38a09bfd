-- The alignment that selections of training rows for each target reach as their number grows, of the latest of each method.
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
