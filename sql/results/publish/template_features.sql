-- Count how often the templates of some corpora use each named structure, a row for each template: a feature is a
-- number (of joins, of nested levels). docs/explain.md defines all of them. Expects queries and the filled table
-- templates.
-- parameters: corpora
create or replace temp table template_features as
with recursive given_templates as (
    select template_id, template, n_tokens
    from templates
    where template_id in (select template_id from queries where corpus in $corpora)
),

-- Brackets are replaced from the inside out by p, or by s for a subquery; words of templates are in upper case.
-- Subqueries wait until no other bracket is left, so that n_peeled counts how deep they nest.
-- Column peeled has the content of the replaced brackets.
reduced as (
    select
        template_id,
        ' ' || regexp_replace(template, '\( (SELECT|WITH)\b', '‹ \1', 'g') || ' ' as text,
        0 as n_peeled,
        []::varchar[] as peeled
    from given_templates

    union all

    select
        template_id,
        if(
            regexp_matches(text, '\( [^()‹]*\)'),
            regexp_replace(text, '\( [^()‹]*\)', 'p', 'g'),
            regexp_replace(text, '‹ [^()‹]*\)', 's', 'g')
        ) as text,
        n_peeled + if(regexp_matches(text, '\( [^()‹]*\)'), 0, 1) as n_peeled,
        peeled || if(
            regexp_matches(text, '\( [^()‹]*\)'),
            regexp_extract_all(text, '\( [^()‹]*\)'),
            regexp_extract_all(text, '‹ [^()‹]*\)')
        ) as peeled
    from reduced
    where regexp_matches(text, '[(‹] [^()‹]*\)')
),

outermost as materialized (
    select
        template_id,
        n_peeled,
        list_append(peeled, text) as queries,
        regexp_replace(text, '^ WITH (RECURSIVE )?((, )?(p )?((NOT )?MATERIALIZED )?s )+', ' ') as text
    from reduced
    where not regexp_matches(text, '[(‹] [^()‹]*\)')
),

-- The first SELECT, for Spider's hardness, which counts all that follows a set operation as nested.
first_selects as (
    select
        template_id,
        regexp_matches(text, ' (UNION|INTERSECT|EXCEPT|MINUS) ')::bigint as n_set_operations,
        if(
            n_set_operations > 0, regexp_extract(text, '^(.*?) (?:UNION|INTERSECT|EXCEPT|MINUS) ', 1), ''
        ) as before_set_operation,
        if(before_set_operation = '', text, before_set_operation || ' ') as head
    from outermost
),

clauses as (
    select
        *,
        regexp_extract(head, '^ SELECT(.*?) (?:FROM |$)', 1) as select_text,
        regexp_extract(head, ' FROM( .*?)(?:WHERE |GROUP BY |HAVING |ORDER BY |LIMIT |$)', 1) as from_text,
        regexp_extract(head, ' WHERE( .*?)(?:GROUP BY |HAVING |ORDER BY |LIMIT |$)', 1) as where_text,
        regexp_extract(head, ' GROUP BY( .*?)(?:HAVING |ORDER BY |LIMIT |$)', 1) as group_text,
        regexp_extract(head, ' HAVING( .*?)(?:ORDER BY |LIMIT |$)', 1) as having_text,
        regexp_extract(head, ' ORDER BY( .*?)(?:LIMIT |$)', 1) as order_text
    from first_selects
),

-- The counts component1, component2 and others of Spider's official evaluation.
hardness_counts as (
    select
        template_id,
        starts_with(head, ' SELECT ') as is_select,
        contains(head, ' WHERE ')::bigint + contains(head, ' GROUP BY ')::bigint
        + contains(head, ' ORDER BY ')::bigint + contains(head, ' LIMIT ')::bigint
        + len(regexp_extract_all(from_text, '\bJOIN\b|,'))
        + len(regexp_extract_all(from_text || where_text || having_text, '\b(OR|LIKE)\b')) as component1,
        n_set_operations + len(regexp_extract_all(where_text || having_text, '\bs\b')) as component2,
        (
            len(regexp_extract_all(select_text || order_text, '\b(COUNT|SUM|AVG|MIN|MAX) p'))
            + len(regexp_extract_all(where_text || having_text, '\bNOT\b')) > 1
        )::bigint
        + contains(select_text, ',')::bigint
        + (
            len(regexp_extract_all(where_text, '\b(AND|OR)\b'))
            > len(regexp_extract_all(where_text, '\bBETWEEN\b'))
        )::bigint
        + contains(group_text, ',')::bigint as others
    from clauses
),

hardness as (
    select
        template_id,
        case
            when not is_select then null
            when component1 <= 1 and component2 = 0 and others = 0 then 'easy'
            when component2 = 0 and (component1 <= 1 and others <= 2 or component1 <= 2 and others < 2)
                then 'medium'
            when
                component2 = 0 and component1 <= 2 and others > 2
                or component2 = 0 and component1 = 3 and others <= 2
                or component2 <= 1 and component1 <= 1 and others = 0
                then 'hard'
            else 'extra'
        end as hardness
    from hardness_counts
),

-- The commas between tables. Brackets are gone, so that all commas up to the next clause are such
-- ones; IS DISTINCT FROM is a comparison.
from_lists as (
    select
        template_id,
        unnest(list_transform(
            queries,
            lambda query: regexp_replace(query, '\[ [^\[\]]*\]|\{ [^{}]*\}|\bIS (NOT )?DISTINCT FROM\b', '', 'g')
        )) as query,
        regexp_extract_all(
            query,
            '\bFROM .*?(?:\b(?:PREWHERE|WHERE|GROUP BY|HAVING|QUALIFY|WINDOW|ORDER BY|SORT BY|CLUSTER BY|'
            || 'DISTRIBUTE BY|CONNECT BY|START WITH|LIMIT|OFFSET|FETCH|UNION|INTERSECT|EXCEPT|MINUS|'
            || 'SELECT|INSERT|INTO|SET|RETURNING|VALUES|WHEN|OPTION|SETTINGS|ARRAY JOIN|LATERAL VIEW|'
            || 'ON (?:CONFLICT|DUPLICATE)|FOR (?:NO KEY |KEY )?(?:UPDATE|SHARE|XML|JSON|BROWSE))\b|\|>|$)'
        ) as lists
    from outermost
),

comma_joins as (
    select
        template_id,
        sum(len(regexp_extract_all(array_to_string(lists, ' '), ',')))::bigint as comma_join
    from from_lists
    group by template_id
),

-- Features of the outermost level.
levels as (
    select
        outermost.template_id,
        outermost.n_peeled as nesting_depth,
        regexp_matches(outermost.text, ' ORDER BY ')::bigint as ordering,
        regexp_matches(outermost.text, ' (LIMIT|TOP|FETCH) ')::bigint as row_limit,
        ordering * row_limit as ordering_with_limit,
        coalesce(hardness.hardness = 'easy', false)::bigint as hardness_easy,
        coalesce(hardness.hardness = 'medium', false)::bigint as hardness_medium,
        coalesce(hardness.hardness = 'hard', false)::bigint as hardness_hard,
        coalesce(hardness.hardness = 'extra', false)::bigint as hardness_extra
    from outermost
    join hardness using (template_id)
),

-- Constructs of several words become one word.
respelled as (
    select
        template_id,
        regexp_replace(regexp_replace(
            template,
            '\b(INNER|LEFT|RIGHT|FULL|CROSS)( OUTER)? JOIN\b', '\1_JOIN', 'g'),
            '\bWITH (RECURSIVE )?(\( (, )*\) )?((NOT )?MATERIALIZED )?\( (SELECT|WITH|VALUES)\b', 'CTE \6', 'g')
            as template
    from given_templates
),

words as (
    select template_id, unnest(string_split(template, ' ')) as word
    from respelled
),

word_counts as (
    select
        template_id,
        count(*) filter (
            word in (
                'JOIN', 'INNER_JOIN', 'LEFT_JOIN', 'RIGHT_JOIN', 'FULL_JOIN', 'CROSS_JOIN', 'STRAIGHT_JOIN'
            )
        ) as joins,
        count(*) filter (word = 'JOIN') as plain_join,
        count(*) filter (word = 'INNER_JOIN') as inner_join,
        count(*) filter (word in ('LEFT_JOIN', 'RIGHT_JOIN', 'FULL_JOIN')) as outer_join,
        count(*) filter (word = 'CROSS_JOIN') as cross_join,
        count(*) filter (word = 'CTE') as cte,
        count(*) filter (word in ('UNION', 'INTERSECT', 'EXCEPT', 'MINUS')) as set_operation,
        count(*) filter (
            word in (
                'COUNT', 'SUM', 'AVG', 'MIN', 'MAX', 'TOTAL', 'MEDIAN', 'STDDEV', 'VARIANCE',
                'GROUP_CONCAT', 'STRING_AGG', 'ARRAY_AGG', 'LISTAGG', 'COUNT_BIG', 'COUNTIF', 'COUNT_IF'
            )
        ) as aggregate,
        count(*) filter (word = 'GROUP') as grouping,
        count(*) filter (word = 'HAVING') as having,
        count(*) filter (word = 'DISTINCT') as distinct_values,
        count(*) filter (word = 'CASE') as case_expression,
        count(*) filter (word = 'OVER') as window_function,
        count(*) filter (word in ('CAST', 'TRY_CAST', 'SAFE_CAST', 'CONVERT', 'TRY_CONVERT', '::')) as type_conversion,
        count(*) filter (word in ('/', '+', '-', '%')) as arithmetic,
        count(*) filter (
            word in (
                '=', '!=', '<', '>', '<=', '>=', 'IN', 'BETWEEN', 'LIKE', 'ILIKE', 'GLOB', 'REGEXP',
                'RLIKE', 'SIMILAR', 'IS', 'EXISTS'
            )
        ) as predicates,
        count(*) filter (word in ('LIKE', 'ILIKE', 'GLOB', 'REGEXP', 'RLIKE', 'SIMILAR')) as text_pattern,
        count(*) filter (word in ('IN', 'EXISTS')) as membership,
        count(*) filter (word = 'OR') as alternative,
        count(*) filter (word = 'NULL') as null_value
    from words
    group by template_id
),

features as (
    select
        word_counts.* replace (joins + comma_join as joins),
        comma_joins.comma_join,
        levels.* exclude (template_id),
        given_templates.n_tokens as length_tokens
    from word_counts
    join comma_joins using (template_id)
    join levels using (template_id)
    join given_templates using (template_id)
)

from features;
