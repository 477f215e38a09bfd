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
    kv_metadata {
        encoding: $encoding,
        n_replaced: $n_replaced,
        left_out: $left_out,
        dialects: $dialects,
        reading: $reading
    }
)
