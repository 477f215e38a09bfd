-- The share of queries that the n most frequent templates of each corpus cover, for n = 1, 2, 3, 5, 8, ... and all.
-- parameters: none
with counts as (
    select
        corpus,
        template_id,
        sum(n_occurrences) as n
    from queries
    where template_id is not null
    group by all
),

running as (
    select
        corpus,
        row_number() over by_frequency as n_templates,
        count(*) over (partition by corpus) as n_all,
        sum(n) over by_frequency / (sum(n) over (partition by corpus))::double as share
    from counts
    window by_frequency as (
        partition by corpus order by n desc, template_id
        rows between unbounded preceding and current row
    )
)

select
    corpus,
    n_templates,
    share
from running
-- Keep five points per factor of e, which are evenly spaced on a logarithmic axis.
where n_templates = n_all or n_templates <= 3 or floor(5 * ln(n_templates)) > floor(5 * ln(n_templates - 1))
order by corpus, n_templates
