-- Adds, for each pair, the number of queries of each content with a template, and with a text, that
-- the other content also has. The texts of some contents are unknown. Takes only the templates and
-- texts of one of n_partitions partitions. Expects the table contents.
-- parameters: templates_files, partition, n_partitions
create or replace temp table units as
with templated as not materialized (
    select
        contents.content_id,
        contents.is_new,
        parsed.n_queries,
        parsed.template_id,
        parsed.comparable_key
    from read_parquet($templates_files, filename = true) as parsed
    join contents on parsed.filename = contents.templates_file
    where parsed.template_id is not null
),

parsed as materialized (
    select content_id, is_new, n_queries, 'template' as kind, unhex(template_id) as unit
    from templated
    where $n_partitions = 1 or hash(template_id) % $n_partitions::ubigint = $partition::ubigint
    union all
    select content_id, is_new, n_queries, 'text' as kind, comparable_key as unit
    from templated
    where
        comparable_key is not null
        and (
            $n_partitions = 1
            or hash(comparable_key) % $n_partitions::ubigint = $partition::ubigint
        )
),

of_new as materialized (
    select content_id, kind, unit, sum(n_queries)::bigint as n_queries
    from parsed
    where is_new
    group by content_id, kind, unit
)

select content_id, true as is_new, kind, unit, n_queries
from of_new
union all
select content_id, false as is_new, kind, unit, sum(n_queries)::bigint as n_queries
from parsed
semi join of_new using (kind, unit)
where not is_new
group by content_id, kind, unit;

insert into pair_sums by name
select
    a.content_id as a_id,
    b.content_id as b_id,
    coalesce(sum(a.n_queries) filter (where kind = 'template'), 0)::bigint as a_in_templates,
    coalesce(sum(b.n_queries) filter (where kind = 'template'), 0)::bigint as b_in_templates,
    coalesce(sum(a.n_queries) filter (where kind = 'text'), 0)::bigint as a_in_texts,
    coalesce(sum(b.n_queries) filter (where kind = 'text'), 0)::bigint as b_in_texts
from units as a
join units as b using (kind, unit)
where a.is_new and (not b.is_new or a.content_id < b.content_id)
group by a_id, b_id;

drop table units;
