-- The templates or reject reasons of a batch of a corpus's queries, in their order. Expects ingested (ordinal,
-- reject_reason) and repeated_queries.
-- parameters: templates, first_ordinal, last_ordinal
with parsed as (
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
left join repeated_queries as repeated on ingested.ordinal = repeated.ordinal
order by ingested.ordinal
