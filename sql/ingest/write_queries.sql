-- Writes the queries of view dump to a Parquet file, in the order of the dump's SQL. Empty rows
-- supply the columns that a format lacks. By default, the text to template is the raw text, and
-- each row counts once. A frequency that is not a number counts as 1; one above 10^12 counts as
-- 10^12, so that sums cannot overflow. Blank questions become null. Ids are texts: 7, "7" and 7.0 are alike.
-- question_ordinal is null for a row that has a question of its own. part names the source of a row of a mixture. Several
-- queries of a row (answers) become one text, a list in JSON; tasks.ingest.lists takes it apart. A row
-- with a reject reason contains only a part of its query: it keeps its raw text, and its text to
-- template is empty.
-- Expects the macros of number_macros.
-- Rows are written as they come: to preserve their order, DuckDB would first store all of them on disk. They come in
-- order from one thread; sort_queries.sql mends a file that is not sorted.
-- Texts that repeat themselves are stored once a row group (of 122,880 rows), unless more than half of them differ.
-- parameters: destination, dialects, encoding, left_out, n_replaced, reading
copy (
    with rows as (
        select
            null::bigint as ordinal,
            null::varchar as "sql",
            null::varchar as raw_sql,
            null::varchar as db_id,
            null::varchar as question,
            null::varchar as n_occurrences,
            null::varchar as id,
            null::varchar as part,
            null::varchar[] as answers,
            null::varchar as reject_reason
        where false
        union all by name
        from dump
    )

    select
        ordinal,
        case when reject_reason is null then coalesce("sql", raw_sql, '') else '' end as "sql",
        if(len(answers) > 1, to_json(answers)::varchar, raw_sql) as raw_sql,
        db_id,
        case when regexp_matches(question, '\S') then question end as question,
        greatest(1, least(1000000000000, coalesce(try_cast(plain_number(n_occurrences) as bigint), 1))) as n_occurrences,
        nullif(regexp_replace(trim(id, chr(32) || chr(9) || chr(10) || chr(13)), '^(-?\d+)\.0+$', '\1'), '') as id,
        null::bigint as question_ordinal,
        nullif(part, '') as part,
        reject_reason
    from rows
)
to $destination (
    format parquet,
    compression zstd,
    preserve_order false,
    dictionary_size_limit 61440,
    string_dictionary_page_size_limit 33554432,
    kv_metadata {
        encoding: $encoding,
        n_replaced: $n_replaced,
        left_out: $left_out,
        dialects: $dialects,
        reading: $reading
    }
)
