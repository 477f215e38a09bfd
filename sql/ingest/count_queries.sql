-- Counts over an ingested file, to check that its dump matches its entry. The comparison of
-- neighbors shows whether the file is sorted and, in a sorted file, whether ordinals repeat.
-- parameters: path
with rows as (
    select
        *,
        lag(ordinal) over () as previous
    from read_parquet($path)
)

select
    count(*) as n_queries,
    count(*) filter (ordinal < previous) as n_descents,
    count(*) filter (ordinal = previous) as n_repeats,
    count(raw_sql) as n_raw_sql,
    count(db_id) as n_db_ids,
    count(question) as n_questions,
    count(*) filter (n_occurrences > 1) as n_frequencies,
    count(id) as n_ids,
    count(part) as n_parts,
    count(*) filter (starts_with(ltrim(raw_sql), '[')) as n_lists
from rows
