-- The templates or reject reasons of some of a corpus's queries, in their order. A text that occurs first at a query's
-- own ordinal is joined by the ordinal; only texts that occur again are compared. Expects repeated_texts.
-- parameters: queries, templates, first_ordinal, last_ordinal
with ingested as (
    select
        ordinal,
        sql,
        reject_reason
    from read_parquet($queries)
    where ordinal between $first_ordinal and $last_ordinal
),

parsed as (
    select
        first_ordinal,
        template_id,
        reject_reason
    from read_parquet($templates)
    where first_ordinal between $first_ordinal and $last_ordinal
)

select
    coalesce(parsed.template_id, repeated.template_id) as template_id,
    coalesce(ingested.reject_reason, parsed.reject_reason, repeated.reject_reason) as reject_reason
from ingested
left join parsed on ingested.ordinal = parsed.first_ordinal
left join repeated_texts as repeated on ingested.sql = repeated.sql and ingested.ordinal != repeated.first_ordinal
order by ingested.ordinal
