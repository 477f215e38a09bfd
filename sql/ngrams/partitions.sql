-- Partition of each counted n-gram, in order. Needs the table counted (ngram) and the macro of partition_of.sql.
-- parameters: n_partitions
select partition_of(ngram, $n_partitions)::utinyint as partition
from counted
