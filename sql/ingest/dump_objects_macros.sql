-- Macros for the formats that read JSON objects.
-- parameters: none

-- The items of a JSON list, or the value itself as the only item.
create or replace macro page_items(page, path) as
    if(json_type(page, path) = 'ARRAY', (page -> path)::json[], [page]);

-- The text of a message's content, which may be a list of parts.
create or replace macro content_text(content) as
    if(json_type(content) = 'ARRAY', array_to_string(content ->> '$[*].text', ''), content ->> '$');

-- The SQL of the last tool call that has some, given the arguments of each as JSON.
create or replace macro last_call_sql(calls) as
    list_filter(
        list_transform(
            calls,
            lambda arguments: if(
                json_valid(arguments),
                coalesce(
                    arguments ->> '$.sql',
                    arguments ->> '$.query',
                    arguments ->> '$.sql_query',
                    arguments ->> '$.statement'
                ),
                null
            )
        ),
        lambda found: found is not null
    )[-1];

-- A response with the SQL of its tool call, which cleaning takes from the JSON behind the text.
create or replace macro add_call(answer, call_sql) as
    if(
        answer != '' and call_sql is not null,
        answer || chr(10) || json_object('sql', call_sql),
        coalesce(nullif(answer, ''), call_sql)
    );

-- The messages of a chat, with their roles in lower case. A single text is the only message, in the given role.
create or replace macro read_messages(messages, role_of_text) as
    list_transform(
        from_json(
            case json_type(messages)
                when 'VARCHAR' then json_array(json_object('role', role_of_text, 'content', messages))
                when 'OBJECT' then json_array(messages)
                else messages
            end,
            '[{"role": "VARCHAR", "from": "VARCHAR", "content": "JSON", "value": "JSON"}]'
        ),
        lambda message: {
            role: lower(coalesce(message.role, message."from")),
            content: coalesce(message.content, message."value")
        }
    );

-- The text of the last message in one of some roles.
create or replace macro last_text(messages, roles) as
    content_text(list_filter(messages, lambda message: list_contains(roles, message.role))[-1].content);

-- The statements of one solution: a list, or a text with marks between them. Blank ones are dropped.
create or replace macro read_statements(solution) as
    list_filter(
        if(
            json_type(solution) = 'VARCHAR',
            regexp_split_to_array(solution ->> '$', '\[split\]'),
            from_json(solution, '["VARCHAR"]')
        ),
        lambda statement: trim(statement, e' \t\r\n;') != ''
    );

-- Statements that run one after the other as one text. A comment at the end of one must not hide the semicolon.
create or replace macro join_statements(statements) as
    if(
        len(statements) > 1,
        array_to_string(
            list_transform(
                statements,
                lambda statement: rtrim(statement, e' \t\r\n;')
                || if(regexp_matches(statement, '--[^\n]*$'), chr(10), '')
            ),
            ';' || chr(10)
        ),
        statements[1]
    );

-- The dialect of a database system, by its name or by a text that starts with it.
create or replace macro system_dialect(system) as
    case
        when regexp_matches(lower(system), '^postgres') then 'postgres'
        when regexp_matches(lower(system), '^(sql ?server|mssql)') then 'tsql'
        else nullif(regexp_extract(lower(system), '^(mysql|oracle|bigquery|sqlite|snowflake)', 1), '')
    end;
