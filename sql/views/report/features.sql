-- How often the queries of each corpus use each structural feature.
-- parameters: none
select
    corpus,
    feature,
    share,
    mean
from structural_features
order by corpus, feature
