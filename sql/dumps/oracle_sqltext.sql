-- Oracle's V$SQLTEXT and V$SQLTEXT_WITH_NEWLINES: JSON, CSV, TSV or Parquet. A text is in pieces of 64 characters,
-- which are put together by PIECE. Where clients trimmed the blanks at the end of a piece of full width, one is put back.
-- parameters: none
with pieces as (
    select
        number,
        coalesce(fields['sql_id'], concat_ws(' ', fields['address'], fields['hash_value'])) as query_id,
        to_number(fields['piece'])::bigint as sequence,
        coalesce(fields['sql_text'], '') as piece
    from log_rows
),

widths as (
    select max(length(piece)) as width
    from pieces
),

-- A piece that a dump has twice counts once.
single_pieces as (
    select
        query_id,
        sequence,
        min(number) as number,
        any_value(piece) as piece
    from pieces
    group by query_id, sequence
),

texts as (
    select
        min(number) as number,
        string_agg(
            case when width = 64 and length(piece) between 1 and 63 then piece || ' ' else piece end,
            '' order by sequence
        ) as raw_sql,
        count(*) != max(sequence) + 1 or min(sequence) != 0 as lacks_pieces
    from single_pieces
    cross join widths
    group by query_id
)

select
    number as ordinal,
    rtrim(raw_sql) as raw_sql,
    missing_text(raw_sql) as left_out,
    case when lacks_pieces then 'cut off by its log' end as reject_reason
from texts
order by number
