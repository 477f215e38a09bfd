-- The corpora with rejected queries, the largest share first, with the most frequent reason of each.
-- parameters: none
select
    corpus,
    n_rejected,
    n_rejected / n_queries::double as share,
    -- The reasons are ordered by how often they occur.
    json_keys(reject_reasons)[1] as reason
from corpora
where n_rejected > 0
order by share desc, corpus
