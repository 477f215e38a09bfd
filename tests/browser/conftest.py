"""A real browser, and a report of corpora with hostile names and queries."""

import os
import shutil
from contextlib import contextmanager
from datetime import UTC, datetime

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nl2sql_align.tasks.decisions.gaps import gaps
from nl2sql_align.tasks.decisions.mixture import mix
from nl2sql_align.tasks.decisions.sample_size import sample_size
from nl2sql_align.tasks.decisions.selection import SelectionOptions, select
from nl2sql_align.tasks.measures.options import Resampling
from nl2sql_align.tasks.results.publish import RunRecord, publish
from nl2sql_align.tasks.results.versions import list_versions
from nl2sql_align.tasks.run import steps
from nl2sql_align.tasks.views.report import report_file, write_report
from nl2sql_align.tasks.warehouse.folder import Warehouse

# If not treated as text, each causes an element, a dialog or an error.
HOSTILE_SQL = "SELECT '</script><script>broken=1</script><img src=x onerror=broken=1>' FROM t"
HOSTILE_NAME = """x"'><img src=x onerror="broken=1">%%DATA%%"""
HOSTILE_MODEL = "<b onclick=alert(1)>model</b>&amp;"

JOINED = "SELECT FROM JOIN ON = WHERE ="
COUNTED = "SELECT COUNT ( * ) FROM GROUP BY HAVING COUNT ( * ) >"
NESTED = "SELECT FROM WHERE IN ( SELECT FROM WHERE > )"
WINDOW = "SELECT RANK ( ) OVER ( PARTITION BY ORDER BY DESC ) FROM"


def settle(page):
    """Wait until all charts are drawn."""
    page.wait_for_selector("html[data-drawn]", timeout=20_000)


@pytest.fixture(scope="session")
def published(tmp_path_factory, make_corpus):
    """Return a warehouse of six corpora, one with a hostile name, with intervals and verdicts."""
    warehouse = Warehouse(tmp_path_factory.mktemp("reported"))

    def corpus(name, queries, **keys):
        return make_corpus(warehouse.folder, name, queries, **keys)

    hostile = (HOSTILE_SQL, WINDOW)
    corpora = [
        corpus("near", [JOINED] * 12 + [COUNTED] * 8 + [NESTED]),
        corpus("far", [WINDOW] * 9 + [NESTED] * 3 + ["SELECT FROM"]),
        corpus("odd", [hostile] * 7 + [JOINED] * 2 + [None], license="<i>MIT</i>"),
        corpus("dev", [JOINED] * 10 + [COUNTED] * 9 + [NESTED] * 2, role="target"),
        corpus("test", [WINDOW] * 6 + [COUNTED] * 5, role="target"),
        corpus(
            "base",
            ["SELECT FROM"] * 12 + [COUNTED] * 6 + [None] * 3,
            role="predictions",
            target="dev",
            model=HOSTILE_MODEL,
        ),
    ]
    matrix = steps.measure_pairs(corpora, warehouse)
    how = Resampling(100, "query")
    intervals = steps.resample_pairs(corpora, matrix, warehouse, how)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    record = RunRecord("run-1", at, steps.list_parameters(), list_versions())
    publish(warehouse, corpora, matrix.pairs, matrix.contributions, record, intervals)
    sample_size(warehouse.folder, "dev", n_trials=5)
    select(warehouse.folder, "dev", (), warehouse.folder.parent / "chosen", SelectionOptions(5))
    mix(warehouse.folder, "dev", ())
    gaps(warehouse.folder, "far", "dev", budget=20, replicates=0)
    # A corpora file cannot contain this name, but a database from somebody else can.
    with duckdb.connect(str(warehouse.database)) as con:
        for table, column in con.execute(
            "select table_name, column_name from duckdb_columns() "
            "where column_name in ('corpus', 'source', 'target', 'train') "
            "and table_name in (select table_name from duckdb_tables())"
        ).fetchall():
            con.execute(
                f"update {table} set {column} = ? where {column} = ?", [HOSTILE_NAME, "odd"]
            )
    [file] = warehouse.packed_queries.glob("odd-*")
    rows = pq.read_table(file)
    names = pa.array([HOSTILE_NAME] * len(rows))
    pq.write_table(rows.set_column(0, "corpus", names), file)
    return warehouse


@pytest.fixture(scope="session")
def report(published):
    """Return the path of the report."""
    write_report(published.folder)
    return report_file(published.folder)


@pytest.fixture(scope="package")
def chromium():
    """Start a headless Chromium; skip tests that need it if it is not installed.

    The scope is this package, because Playwright keeps an event loop running, in which Prefect's
    synchronous calls no longer block.
    """
    found = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    path = next(found, None)
    if path is None:
        pytest.skip("needs a browser: install chromium (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    # The sandbox does not work as root, the usual user in containers.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@contextmanager
def opening(chromium, report):
    """Yield a function that opens the report, and the errors and console messages of its pages."""
    contexts, complaints = [], []

    def open_page(path=report, fragment="", **options):
        context = chromium.new_context(offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("requestfailed", lambda request: complaints.append(request.url))
        page.goto(f"{path.as_uri()}#{fragment}")
        settle(page)
        return page

    yield open_page, complaints
    for context in contexts:
        context.close()


@pytest.fixture
def opened(chromium, report):
    """Return a function that opens the report offline, with Playwright's options for a context.

    Any error or console message of the page fails the test.
    """
    with opening(chromium, report) as (open_page, complaints):
        yield open_page
    assert complaints == []


@pytest.fixture(scope="module")
def _page(chromium, report):
    with opening(chromium, report) as (open_page, complaints):
        yield open_page(), complaints


@pytest.fixture
def page(_page):
    """One page of the report for all tests that choose all that they look at: drawing takes long.

    Any error or console message of the page fails the test.
    """
    shared, complaints = _page
    yield shared
    found = complaints.copy()
    complaints.clear()
    assert found == []
