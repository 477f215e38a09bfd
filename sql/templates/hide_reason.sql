-- Macro for the reason of a reject without words of the query, which the parser may quote.
-- parameters: none
create or replace temp macro hide_reason(reason) as
    case
        when starts_with(reason, 'not a query, DML or DDL statement: ')
            then 'not a query, DML or DDL statement: its kind is left out'
        when reason in ('empty', 'cut off by its log') or starts_with(reason, 'left out by kinds: ') then reason
        when reason is not null then 'rejected: the reason is left out'
    end
