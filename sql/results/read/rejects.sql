-- The queries of a corpus that have no template, with their reject reasons.
-- parameters: corpus
select
    ordinal,
    reject_reason,
    raw_sql,
    n_occurrences
from queries
where corpus = $corpus and template_id is null
order by ordinal
