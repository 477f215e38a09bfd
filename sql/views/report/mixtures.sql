-- The latest mixture of training sets for each target.
-- parameters: none
with latest as (
    select
        target,
        arg_max(mixture, created_at) as mixture
    from mixtures
    group by target
)

select
    mixtures.target,
    mixtures.source,
    mixtures.row_weight,
    mixtures.row_weight_low,
    mixtures.row_weight_high,
    mixtures.source_alignment,
    mixtures.kl_alignment,
    mixtures.pool_alignment
from mixtures
join latest on mixtures.mixture = latest.mixture
order by mixtures.target, mixtures.row_weight desc, mixtures.source
