-- Writes the queries of one corpus again, sorted by ordinal.
-- parameters: destination, dialects, encoding, left_out, n_replaced, path, reading
copy (
    select *
    from read_parquet($path)
    order by ordinal
)
to $destination (
    format parquet,
    compression zstd,
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
