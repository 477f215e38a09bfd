-- The alignment that selections of training rows for each target reach as their number grows, of the latest of each method.
-- parameters: none
with latest as (
    select
        target,
        method,
        arg_max(selection, created_at) as selection
    from selections
    group by target, method
)

select
    latest.target,
    latest.method,
    selection_curves.n_rows,
    selection_curves.kl_alignment,
    selection_curves.random_alignment
from selection_curves
join latest on selection_curves.selection = latest.selection
order by latest.target, latest.method, selection_curves.n_rows
