-- The sums of one partition, to be written to Parquet, which has no type for hugeint.
-- parameters: none
select columns(*)::decimal(38, 0)
from pair_sums
