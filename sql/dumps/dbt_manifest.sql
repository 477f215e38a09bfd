-- dbt's target/manifest.json: the models and analyses of the project and of its packages. dbt fills
-- compiled_code (compiled_sql before version 1.3) when it compiles or runs a model; the code in
-- Jinja is not SQL. A manifest is one object, and may be larger than the largest row of JSON, so it
-- is read as a text.
-- parameters: paths
with manifests as (
    select
        row_number() over () as place,
        from_json(content, '{
            "metadata": {"adapter_type": "text"},
            "nodes": "map(text, struct(resource_type text, language text, compiled_code text, compiled_sql text))",
            "disabled": "map(text, json)"
        }') as manifest
    from read_text($paths)
),

nodes as (
    select
        place,
        manifest.metadata.adapter_type as dialect,
        generate_subscripts(map_keys(manifest.nodes), 1) as node_place,
        unnest(map_keys(manifest.nodes)) as id,
        unnest(map_values(manifest.nodes)) as node
    from manifests
),

disabled_nodes as (
    select
        place,
        unnest(map_keys(manifest.disabled)) as id
    from manifests
),

rows as (
    select
        place,
        node_place,
        id,
        dialect,
        coalesce(node.compiled_code, node.compiled_sql) as raw_sql,
        case
            when node.resource_type not in ('model', 'analysis') then 'of type ' || node.resource_type
            when node."language" = 'python' then 'in Python'
            when coalesce(trim(raw_sql), '') = '' then 'not compiled (run dbt compile)'
        end as left_out
    from nodes
    union all
    select
        place,
        null as node_place,
        id,
        null as dialect,
        null as raw_sql,
        'disabled' as left_out
    from disabled_nodes
    where regexp_matches(id, '^(model|analysis)\.')
)

select
    row_number() over (order by place, node_place, id) - 1 as ordinal,
    raw_sql,
    null as db_id,
    null as question,
    id,
    dialect,
    left_out
from rows
order by ordinal
