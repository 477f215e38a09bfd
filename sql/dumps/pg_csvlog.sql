-- PostgreSQL's csvlog: the entries of the log, from which ingest/pg_statements takes the statements. Columns are
-- numbered from 0: 2 is the database, 5 the session, 7 the command, 11 the severity, 13 the message, and 19 the statement
-- of an error. The file has no header.
-- parameters: paths
select
    row_number() over () - 1 as number,
    column05 as session,
    column02 as db_id,
    column07 as command,
    column11 as severity,
    column13 as message,
    column19 as failed_sql
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
