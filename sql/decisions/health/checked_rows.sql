-- The queries of a corpus whose names can be checked.
-- parameters: corpus
select
    corpus as source,
    ordinal,
    sql,
    raw_sql,
    db_id
from queries
where corpus = $corpus and template_id is not null
order by ordinal
