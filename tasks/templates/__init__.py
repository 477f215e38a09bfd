"""From a query to its template, and the processes that parse."""
