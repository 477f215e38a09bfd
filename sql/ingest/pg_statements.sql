-- The statements in the entries of a PostgreSQL log. In the extended protocol, executions count; the parse and bind
-- steps before them do not, nor does fetching more rows of an execution. If statements are logged before they run, one
-- that fails has an entry of its own, and its error follows in the same session: the error is kept, as left out.
-- Expects the view log_entries.
-- parameters: none
with statements as not materialized (
    select
        number,
        session,
        db_id,
        command,
        severity in ('ERROR', 'FATAL', 'PANIC') as is_error,
        starts_with(message, 'duration: ') as has_ended,
        rtrim(
            case
                when severity in ('ERROR', 'FATAL', 'PANIC') then failed_sql
                when
                    severity = 'LOG'
                    and not regexp_matches(message, '^(?:duration: [0-9.]+ ms\s+)?execute fetch from ')
                    then regexp_extract(
                        message, '^(?:duration: [0-9.]+ ms\s+)?(?:statement|execute [^:]*): (.*)$', 1, 's'
                    )
            end,
            chr(10) || ' '
        ) as raw_sql
    from log_entries
),

-- Digests replace texts here, because a window function keeps all of its rows in memory.
followed as (
    select
        number,
        is_error,
        has_ended,
        hash(raw_sql) as digest,
        lead(is_error) over sessions as is_followed_by_error,
        lead(hash(raw_sql)) over sessions as next_digest,
        lead(command) over sessions as next_command
    from statements
    where raw_sql != ''
    window sessions as (partition by session order by number)
),

failed as (
    select number
    from followed
    where
        not is_error
        and not has_ended
        and is_followed_by_error
        and digest = next_digest
        and coalesce(next_command, '') not in ('PARSE', 'BIND')
)

select
    number as ordinal,
    raw_sql,
    db_id,
    case when is_error then 'failed' end as left_out
from statements
where raw_sql != '' and number not in (select number from failed)
order by number
