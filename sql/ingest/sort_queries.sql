-- Writes the queries of one corpus anew, by their ordinals.
-- parameters: destination, encoding, n_replaced, path
copy (
    select *
    from read_parquet($path)
    order by ordinal
)
to $destination (
    format parquet, compression zstd, kv_metadata {encoding: $encoding, n_replaced: $n_replaced}
)
