-- PostgreSQL's csvlog: the statements that clients sent. In the extended protocol, executions
-- count; the parse and bind steps before them do not. The third column is the database, the
-- fourteenth the message. The file has no header.
-- parameters: paths
with statements as (
    select
        column02 as db_id,
        regexp_extract(
            column13,
            '^(?:duration: [0-9.]+ ms\s+)?(?:statement|execute [^:]*): (.*)$',
            1,
            's'
        ) as statement
    from read_csv(
        $paths,
        header = false,
        all_varchar = true,
        delim = ',',
        quote = '"',
        escape = '"',
        comment = '',
        skip = 0,
        max_line_size = 33554432,
        hive_partitioning = false
    )
)

select
    row_number() over () - 1 as ordinal,
    statement as raw_sql,
    db_id,
    null as question
from statements
where statement != ''
