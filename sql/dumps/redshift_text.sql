-- Redshift's SYS_QUERY_TEXT, STL_QUERYTEXT and SVL_STATEMENTTEXT: JSON, CSV, TSV or Parquet. A text is in pieces, which
-- are put together by sequence. Where clients trimmed the blanks at the end of a piece of full width, one is put back.
-- Line breaks are written as \n. User 1 is Redshift itself.
-- parameters: none
with pieces as (
    select
        number,
        coalesce(
            fields['query_id'],
            nullif(trim(fields['query']), '-1'),
            concat_ws(' ', fields['xid'], fields['pid'], fields['starttime'])
        ) as query_id,
        to_number(fields['sequence'])::bigint as sequence,
        coalesce(fields['text'], '') as piece,
        rtrim(coalesce(fields['database_name'], fields['database'])) as db_id,
        coalesce(
            bad_status(fields['status'], 'success'),
            case when is_on(fields['aborted']) then 'failed' end,
            case when trim(coalesce(fields['user_id'], fields['userid'])) = '1' then 'internal' end
        ) as left_out
    from log_rows
),

widths as (
    select max(strlen(piece)) as width
    from pieces
),

-- A piece that a dump has twice counts once.
single_pieces as (
    select
        query_id,
        sequence,
        min(number) as number,
        any_value(piece) as piece,
        any_value(db_id) as db_id,
        max(left_out) as left_out
    from pieces
    group by query_id, sequence
),

texts as (
    select
        min(number) as number,
        string_agg(
            case
                when width in (200, 4000) and strlen(piece) between 1 and width - 1 then piece || ' '
                else piece
            end,
            '' order by sequence
        ) as raw_sql,
        any_value(db_id) as db_id,
        max(left_out) as left_out,
        count(*) != max(sequence) + 1 or min(sequence) != 0 as lacks_pieces
    from single_pieces
    cross join widths
    group by query_id
)

select
    number as ordinal,
    unescape_breaks(rtrim(raw_sql)) as raw_sql,
    db_id,
    coalesce(left_out, missing_text(raw_sql)) as left_out,
    case when lacks_pieces then 'cut off by its log' end as reject_reason
from texts
order by number
