-- The queries of one corpus, with what became of them.
-- parameters: corpus, queries, templates
insert into queries
select
    $corpus as corpus,
    ingested.ordinal,
    ingested.sql,
    ingested.raw_sql,
    ingested.db_id,
    ingested.question,
    1 as n_occurrences,
    parsed.template_id,
    parsed.reject_reason
from read_parquet($queries) as ingested
join read_parquet($templates) as parsed using (sql)
order by ingested.ordinal;
