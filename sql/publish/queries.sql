-- The queries of all corpora, with what became of them. Expects given_corpora. One statement for all: an
-- insert per corpus took several times as long.
-- parameters: queries_files, templates_files
insert into queries
select
    given.corpus,
    ingested.ordinal,
    ingested.sql,
    ingested.raw_sql,
    ingested.db_id,
    ingested.question,
    1 as n_occurrences,
    parsed.template_id,
    parsed.reject_reason
from read_parquet($queries_files, filename = true) as ingested
join given_corpora as given on ingested.filename = given.queries_file
join read_parquet($templates_files, filename = true) as parsed
    on given.templates_file = parsed.filename and ingested.sql = parsed.sql
order by given.position, ingested.ordinal;
