-- The queries of some corpora, or of a range of one, with their templates or reject reasons. The first query with a
-- text is joined by its ordinal, and only the later ones by their text, which is slower. Where no query of a corpus has
-- a template, it is not known to be SQL at all, and its texts are left out. Expects given_corpora.
-- parameters: corpora, queries_files, templates_files, first_ordinal, last_ordinal
insert into queries
with parsed as (
    select
        filename,
        first_ordinal,
        template_id,
        reject_reason
    from read_parquet($templates_files, filename = true)
    where first_ordinal between $first_ordinal and $last_ordinal
),

parsed_again as (
    select
        filename,
        sql,
        template_id,
        reject_reason
    from read_parquet($templates_files, filename = true)
    where n_queries > 1 and first_ordinal <= $last_ordinal
)

select
    given.corpus,
    ingested.ordinal,
    if(given.has_sql, ingested.sql, '') as sql,
    if(given.has_sql, ingested.raw_sql, null) as raw_sql,
    if(given.has_sql, ingested.db_id, null) as db_id,
    if(given.has_sql, ingested.question, null) as question,
    ingested.n_occurrences,
    coalesce(parsed.template_id, parsed_again.template_id) as template_id,
    coalesce(ingested.reject_reason, parsed.reject_reason, parsed_again.reject_reason) as reject_reason,
    if(given.has_sql, ingested.id, null) as id,
    coalesce(ingested.question_ordinal, ingested.ordinal) as question_ordinal,
    ingested.part
from read_parquet($queries_files, filename = true) as ingested
join given_corpora as given on ingested.filename = given.queries_file
left join parsed
    on given.templates_file = parsed.filename and ingested.ordinal = parsed.first_ordinal
left join parsed_again
    on given.templates_file = parsed_again.filename and ingested.sql = parsed_again.sql
where
    ingested.ordinal between $first_ordinal and $last_ordinal
    and given.corpus in $corpora
order by given.position, ingested.ordinal;
