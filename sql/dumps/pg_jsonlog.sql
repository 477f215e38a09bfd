-- PostgreSQL's jsonlog: the entries of the log, from which ingest/pg_statements takes the statements.
-- parameters: none
select
    number,
    coalesce(fields['session_id'], fields['pid']) as session,
    fields['dbname'] as db_id,
    fields['ps'] as command,
    fields['error_severity'] as severity,
    fields['message'] as message,
    fields['statement'] as failed_sql
from log_rows
