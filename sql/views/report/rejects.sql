-- Why queries of each corpus have no template: the most frequent reasons, each with its first query.
-- parameters: most
with reasons as (
    select
        corpus,
        -- Where the parser gave up differs from query to query: no reason of its own.
        regexp_replace(reject_reason, ' \(line \d+, column \d+\)$', '') as reason,
        count(*) as n_queries,
        arg_min(raw_sql, ordinal) as example
    from queries
    where template_id is null
    group by all
),

ranked as (
    select
        *,
        row_number() over (partition by corpus order by n_queries desc, reason) as place
    from reasons
)

select
    corpus,
    reason,
    n_queries,
    example
from ranked
where place <= $most
order by corpus, place
