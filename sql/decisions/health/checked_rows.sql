-- The queries of a corpus whose names can be checked. Answers have the databases of their questions.
-- parameters: corpus
with asked as (
    select
        queries.question_ordinal,
        min(queries.db_id) as db_id
    from queries
    join (select distinct target from answer_errors where predictions = $corpus) as paired
        on queries.corpus = paired.target
    group by queries.question_ordinal
)

select
    queries.corpus as source,
    queries.ordinal,
    queries.sql,
    queries.raw_sql,
    coalesce(queries.db_id, asked.db_id) as db_id
from queries
left join asked on queries.question_ordinal = asked.question_ordinal
where queries.corpus = $corpus and queries.template_id is not null
order by queries.ordinal
