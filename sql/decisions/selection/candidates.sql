-- The templated rows of the sources, in the order of the sources and their dumps. excluded is the
-- reason why a row is not a candidate. noise depends only on the seed, the corpus and the ordinal.
-- place ranks the candidates of a source and template: first a row of each text, then copies.
-- A query is accidental if it parses by accident: a name that should be quoted reads as SQL. Either the name contains
-- the mark of a comment, which hides the rest of the line, or brackets, which read as a call: Pick_#, Writer(s)_name.
-- Expects given_sources (position, corpus, dialect, templates_file), target_queries and literals_of.
-- parameters: is_whole, keep_accidental, overlap, seed, templates_files
create or replace temp macro is_accidental(text, dialect) as (
    with unquoted as (
        select
            regexp_replace(
                text,
                '''(?:[^'']|'''')*''|"(?:[^"]|"")*"|`[^`]*`|##[^#\n]*##'
                || if(dialect in ('tsql', 'fabric', 'sqlite'), '|\[[^\[\]]*\]', ''),
                ' q ',
                'g'
            ) as code
    )

    select
        regexp_matches(
            -- Hide calls such as MAX(s)-MIN(s), which look like the plural in RUNNER(S)-UP.
            regexp_replace(
                code,
                '(?i)\b(?:count|sum|avg|min|max|total|median|stddev|variance|abs|round|length|lower|upper|date|year)\(',
                'q (',
                'g'
            ),
            '\w_[(\[]|[)\]]_|\)[0-9]|[A-Za-z]\([sS]\)(?:\w|-[A-Za-z])'
            || '|\w--\w[^\n]*(?:\b(?:FROM|WHERE|AND)\b|[=<>])'
        )
        or dialect in ('bigquery', 'doris', 'mysql', 'singlestore', 'starrocks')
        and regexp_matches(code, '\w#|[^\s#][^\n#]*#[^\n]*(\b(?:FROM|WHERE|AND)\b|[=<>])[^\n]*\z')
    from unquoted
);

create or replace temp table candidates as
with texts as (
    select
        given.position,
        given.corpus,
        parsed.sql,
        parsed.template_id,
        parsed.comparable_key,
        case
            when $overlap = 'none' then null
            when parsed.comparable_key in (select comparable_key from target_queries)
                then 'exact overlap'
            when
                $overlap in ('near', 'strict')
                and parsed.template_id in (select template_id from target_queries)
                and (parsed.template_id, literals_of(parsed.sql)) in (
                    select (template_id, literals)
                    from target_queries
                    where len(literals) > 0 and ($overlap = 'strict' or are_telling(literals))
                )
                then 'near overlap'
        end as overlap,
        not $keep_accidental and is_accidental(parsed.sql, given.dialect) as is_accidental
    from read_parquet($templates_files, filename = true) as parsed
    join given_sources as given on parsed.filename = given.templates_file
    where parsed.template_id is not null
),

rows_of_sources as (
    select
        texts.position,
        asked.ordinal,
        texts.template_id,
        texts.comparable_key,
        texts.overlap,
        texts.is_accidental,
        if($is_whole, asked.n_occurrences, 1) as n_copies,
        md5_number_lower(concat_ws(chr(31), $seed, texts.corpus, asked.ordinal)) as noise,
        -- A repeated text is redundant if it answers the same question. Without a question, it may
        -- not.
        not $is_whole and asked.question is not null and row_number() over (
            partition by texts.comparable_key, asked.question
            order by texts.position, asked.ordinal
        ) > 1 as is_repeated
    from queries as asked
    join texts on asked.corpus = texts.corpus and asked.sql = texts.sql
),

judged as (
    select
        * exclude (overlap, is_accidental, is_repeated),
        coalesce(
            overlap, if(is_accidental, 'accidental', null), if(is_repeated, 'repeated', null)
        ) as excluded
    from rows_of_sources
),

copies as (
    select
        *,
        row_number() over (
            partition by position, template_id, excluded, comparable_key order by noise, ordinal
        ) as copy
    from judged
)

select
    position,
    ordinal,
    template_id,
    excluded,
    n_copies,
    noise,
    row_number() over (
        partition by position, template_id, excluded order by copy, noise, ordinal
    ) as place
from copies
order by position, ordinal;
