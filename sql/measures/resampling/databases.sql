-- How many queries of a corpus have a template, how many of these have a known database, and how
-- many databases they have. A text that occurs first at a query's own ordinal is joined by the
-- ordinal.
-- parameters: queries, templates
with parsed as (
    select first_ordinal, true as is_templated
    from read_parquet($templates)
    where template is not null
),

parsed_again as (
    select sql, true as is_templated
    from read_parquet($templates)
    where template is not null and n_queries > 1
)

select
    count(*) as n_queries,
    count(given.db_id) as n_with_database,
    count(distinct given.db_id) as n_databases
from read_parquet($queries) as given
left join parsed on given.ordinal = parsed.first_ordinal
left join parsed_again on given.sql = parsed_again.sql
where coalesce(parsed.is_templated, parsed_again.is_templated)
