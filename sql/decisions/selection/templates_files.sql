-- The corpora of some names: where the templates of their texts stand, and what there is to say of them. Names
-- that are not there give no row.
-- parameters: names
select
    corpus,
    role,
    dialect,
    license,
    format,
    path,
    digest,
    n_queries,
    n_rejected,
    n_templated,
    templates_file
from corpora
where corpus in (select unnest($names::varchar[]))
