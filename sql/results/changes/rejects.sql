-- The corpora with rejected queries, the largest share first, with the most frequent reason of each.
-- parameters: none
with reasons as (
    select
        corpus,
        -- The position of the error differs from query to query.
        regexp_replace(reject_reason, ' \(line \d+, column \d+\)$', '') as reason,
        count(*) as n_rejected
    from queries
    where reject_reason is not null
    group by all
),

most_frequent as (
    select corpus, arg_min(reason, (-n_rejected, reason)) as reason
    from reasons
    group by corpus
)

select
    corpora.corpus,
    corpora.n_rejected,
    corpora.n_rejected / corpora.n_queries::double as share,
    most_frequent.reason
from corpora
join most_frequent using (corpus)
where corpora.n_rejected > 0
order by share desc, corpora.corpus
