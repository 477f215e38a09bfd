-- What an ingested file holds, to tell whether its dump was what it was said to be.
-- parameters: path
select
    count(*) as n_queries,
    count(distinct ordinal) as n_ordinals,
    count(raw_sql) as n_raw_sql,
    count(db_id) as n_db_ids,
    count(question) as n_questions,
    count(*) filter (n_occurrences > 1) as n_frequencies
from read_parquet($path)
