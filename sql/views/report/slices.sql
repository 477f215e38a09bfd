-- The largest slices of each target, each with its closest training set for each set of answers. slice_number is the
-- position of the slice among all those of its target by name.
-- parameters: most
with numbered as (
    select
        *,
        dense_rank() over (partition by target order by slice) as slice_number,
        row_number() over (
            partition by target, predictions, slice order by train_alignment desc nulls last, train
        ) as place
    from alignment_by_slice
),

closest as (
    select
        *,
        count(*) over answers as n_slices,
        row_number() over (answers order by n_queries desc, slice) as size_rank
    from numbered
    where place = 1
    window answers as (partition by target, predictions)
)

select
    train,
    target,
    predictions,
    slice,
    slice_number,
    n_slices,
    n_queries,
    train_alignment,
    reach,
    alignment_ratio,
    reach_ratio,
    doubts
from closest
where size_rank <= $most
order by target, predictions, size_rank
