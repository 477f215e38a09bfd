-- A fingerprint: the templates of a log with their frequencies, as nl2sql-align fingerprint writes them. The rows of
-- the log that had a template are rows again, up to 1,000, so that intervals resample queries rather than templates.
-- Queries whose template is left out count, with the reason.
-- parameters: paths
with lines as (
    select
        row_number() over () as number,
        template,
        left_out,
        greatest(1, n_occurrences) as n_occurrences,
        if(left_out is null, greatest(1, least(n_rows, n_occurrences, 1000)), 1) as n_parts
    from read_parquet($paths, hive_partitioning = false)
),

parts as (
    select
        *,
        unnest(range(n_parts)) as part
    from lines
)

select
    row_number() over (order by number, part) - 1 as ordinal,
    template as raw_sql,
    null as db_id,
    null as question,
    n_occurrences // n_parts + (part < n_occurrences % n_parts)::bigint as n_occurrences,
    left_out as reject_reason
from parts
