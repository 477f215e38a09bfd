-- How often the queries of two corpora use each structural feature.
-- parameters: source, target
select
    of_source.feature,
    of_source.share as source_share,
    of_target.share as target_share,
    of_source.mean as source_mean,
    of_target.mean as target_mean
from structural_features as of_source
join structural_features as of_target on of_source.feature = of_target.feature
where of_source.corpus = $source and of_target.corpus = $target
order by of_source.feature
