-- The queries of a corpus that repeat the text of an earlier one, with the outcome of that text.
-- parameters: queries, templates
create or replace temp table repeated_queries as
select
    ingested.ordinal,
    parsed.template_id,
    parsed.reject_reason
from read_parquet($queries) as ingested
join read_parquet($templates) as parsed on ingested.sql = parsed.sql
where parsed.n_queries > 1 and ingested.ordinal != parsed.first_ordinal;
