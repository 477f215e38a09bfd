-- Writes the queries of view dump to a Parquet file. Their order makes the file's bytes the same for any
-- number of threads.
-- parameters: destination
copy (
    select
        ordinal::bigint as ordinal,
        coalesce(raw_sql, '')::varchar as "sql",
        raw_sql::varchar as raw_sql,
        db_id::varchar as db_id,
        question::varchar as question
    from dump
    order by ordinal
)
to $destination (format parquet, compression zstd)
