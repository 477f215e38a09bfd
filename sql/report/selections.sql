-- What the latest selection of each method took from each training set, for each target.
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
    selections.target,
    selections.method,
    selections.budget,
    selections.n_taken,
    selections.n_taken_templates,
    selections.kl_alignment,
    selections.pool_alignment,
    selections.source,
    selections.n_taken_from_source,
    selections.n_overlapping,
    selections.license
from selections
join latest on selections.selection = latest.selection
order by selections.target, selections.method, selections.n_taken_from_source desc, selections.source
