-- The layout of text2sql-data: a list of entries with several wordings of one query, the first one
-- canonical, and the questions that it answers. The query counts once per question. Variables stay
-- in queries. In questions their values are filled in, longer names first, because name0 is also
-- the end of city_name0.
-- parameters: paths
with sentences as (
    select
        "sql"[1] as raw_sql,
        "sql" as answers,
        unnest(sentences) as sentence
    from read_json(
        $paths,
        columns = {
            "sql": 'varchar[]',
            sentences: 'struct(
                "text" varchar, variables map(varchar, varchar), "database" varchar, "table-id" varchar
            )[]'
        },
        records = true,
        maximum_object_size = 33554432,
        hive_partitioning = false
    )
),

named_sentences as (
    select
        raw_sql,
        answers,
        sentence,
        list_reverse_sort(
            list_transform(map_keys(sentence.variables), lambda name: (length(name), name))
        ) as names
    from sentences
)

select
    row_number() over () - 1 as ordinal,
    raw_sql,
    answers,
    -- In WikiSQL, each question is about one table.
    coalesce(sentence."database", sentence."table-id") as db_id,
    list_reduce(
        list_transform(coalesce(names, []), lambda name: name[2]),
        lambda question, name: replace(question, name, coalesce(sentence.variables[name], '')),
        sentence."text"
    ) as question
from named_sentences
