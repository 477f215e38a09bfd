-- The most frequent reasons why queries of each corpus were rejected, with the first query of each.
-- parameters: most
with reasons as (
    select
        corpus,
        -- Drop the position at which parsing failed, which differs from query to query.
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
        row_number() over (partition by corpus order by n_queries desc, reason) as reason_rank
    from reasons
)

select
    corpus,
    reason,
    n_queries,
    example
from ranked
where reason_rank <= $most
order by corpus, reason_rank
