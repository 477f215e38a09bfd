-- The alignment that selections of training rows for a target reach as their number grows, of the latest of each method.
-- parameters: target
with latest as (
    select
        method,
        arg_max(selection, created_at) as selection
    from selections
    where target = $target
    group by method
)

select
    selection_curves.method,
    selection_curves.n_rows,
    selection_curves.kl_alignment,
    selection_curves.random_alignment
from selection_curves
join latest on selection_curves.selection = latest.selection
order by selection_curves.method, selection_curves.n_rows
