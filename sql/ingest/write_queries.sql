-- Writes the queries of view dump to a Parquet file, in the order in which the dump's SQL gives them. The
-- empty rows supply the columns that a format lacks: where it says nothing else, the
-- text to template is the one in the dump, and each row counts once. A frequency that is no number counts
-- once too, and at most 10^12 times, so that no sum over them overflows.
-- parameters: destination, encoding, n_replaced
copy (
    with rows as (
        select
            null::bigint as ordinal,
            null::varchar as "sql",
            null::varchar as raw_sql,
            null::varchar as db_id,
            null::varchar as question,
            null::varchar as n_occurrences
        where false
        union all by name
        from dump
    )

    select
        ordinal,
        coalesce("sql", raw_sql, '') as "sql",
        raw_sql,
        db_id,
        question,
        greatest(1, least(1000000000000, coalesce(try_cast(n_occurrences as bigint), 1))) as n_occurrences
    from rows
)
to $destination (
    format parquet, compression zstd, kv_metadata {encoding: $encoding, n_replaced: $n_replaced}
)
