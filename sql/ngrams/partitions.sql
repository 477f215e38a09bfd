-- The partition of each n-gram counted, in their order. Expects counted (ngram) and the macro of partition_of.sql.
-- parameters: n_partitions
select partition_of(ngram, $n_partitions)::utinyint as partition
from counted
