-- The texts of several queries of a corpus, with their template or reject reason.
-- parameters: templates
select
    first_ordinal,
    sql,
    n_queries,
    template_id,
    reject_reason
from read_parquet($templates)
where n_queries > 1
