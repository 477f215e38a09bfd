-- The corpora with some names: their templates and what describes them. Unknown names give no row.
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
    keeps_sql,
    templates_file
from corpora
where corpus in (select unnest($names::varchar[]))
