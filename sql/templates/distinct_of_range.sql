-- Distinct texts of a range of a corpus's queries, with the number of queries that have each and the ordinal of the
-- first. They are sorted by partition, which the MD5 of the text decides among n_partitions (a power of two).
-- parameters: queries, first_ordinal, last_ordinal, n_partitions
select
    ('0x' || md5(sql)[:4])::integer % $n_partitions as partition,
    sql,
    min(ordinal) as first_ordinal,
    sum(n_occurrences)::bigint as n_queries
from read_parquet($queries)
where ordinal between $first_ordinal and $last_ordinal
group by sql
order by partition
