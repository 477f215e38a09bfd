"use strict";
// Shows the report from the JSON in #data. Vega draws the charts; this script makes the tables. All text becomes text
// nodes and attributes and is never parsed as HTML, and Vega interprets expressions (ast) instead of compiling them.

const data = JSON.parse(document.getElementById("data").textContent);
// All answers to one question count as one query
const corpora = data.corpora.map(({ question_weight: weight, ...one }) => ({ ...one, n_queries: one.n_queries / weight, n_templated: one.n_templated / weight, n_rejected: one.n_rejected / weight }));
const name = (i) => corpora[i].corpus;
const allCorpora = corpora.map((_, i) => i);
const comparable = allCorpora.filter((i) => data.alignment.js_nats[i]);
const withRole = (role) => comparable.filter((i) => corpora[i].role === role);
const targets = withRole("target").length ? withRole("target") : comparable;
const LN100 = Math.log(100);
// How many rows a long list shows at first
const MANY = 40;

function h(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("--")) node.style.setProperty(key, value);
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}
const body = (id) => document.querySelector(`#${id} .body`);
const count = (n) => n.toLocaleString("en");
const counted = (n, noun, plural = `${noun}s`) => `${count(n)} ${n === 1 ? noun : plural}`;
const percent = (share) => {
  const value = 100 * share;
  if (value === 0) return "0%";
  if (value < 0.1) return "under 0.1%";
  if (value > 99.9 && value < 100) return "over 99.9%";
  return value < 10 || (value > 99 && value < 100) ? `${value.toFixed(1)}%` : `${value.toFixed(0)}%`;
};
// With two significant digits, for the small shares of n-grams
const smallPercent = (share) => (share === 0 ? "0%" : `${Number((100 * share).toPrecision(2))}%`);
// The rule of tasks/views/digits.py: a number has the decimals that its interval allows, or three, and up to four where
// fewer would hide on which side of a border (1, for ratios) it is. If four hide it too, it is rounded away from the border.
const isKnown = (value) => value !== null && value !== undefined;
const fixed = (value, n = 3) => formatNumber(value, n);
const isHidden = (value, n, border) => isKnown(value) && border !== null && value !== border && value.toFixed(n) === border.toFixed(n);
function countDecimals(low, high, border = null, value = null) {
  let [n, shown] = [3, [value]];
  if (isKnown(low) && isKnown(high)) {
    const place = high > low ? -Number(((high - low) / 2).toExponential(0).split("e")[1]) : 4;
    [n, shown] = [Math.min(Math.max(place, 2), 4), [low, high]];
  }
  while (n < 4 && shown.some((one) => isHidden(one, n, border))) n += 1;
  return n;
}
function formatNumber(value, n, border = null) {
  if (!isKnown(value)) return "";
  return (n === 4 && isHidden(value, n, border) ? border + Math.sign(value - border) / 1e4 : value).toFixed(n);
}
// A ratio, with the decimals that its interval allows
const formatRatio = (value, low = null, high = null) => formatNumber(value, countDecimals(low, high, 1, value), 1);
// A number of a row with an interval: a ratio, or an alignment
const borderOf = (row) => (row?.alignment_ratio === undefined ? null : 1);
const rounded = (value, row) => formatNumber(value, countDecimals(row?.ci_low, row?.ci_high, borderOf(row), value), borderOf(row));
const intervalOf = (row) => (isKnown(row?.ci_low) ? `${rounded(row.ci_low, row)} to ${rounded(row.ci_high, row)}` : "");
const withInterval = (value, row) => (intervalOf(row) ? `${rounded(value, row)} (${intervalOf(row)})` : rounded(value, row));
const said = (position) => data.texts[position];

// The rows, as objects, of a table stored by columns
function rowsOf(columns) {
  const keys = Object.keys(columns);
  const n = keys.length ? columns[keys[0]].length : 0;
  return Array.from({ length: n }, (_, i) => Object.fromEntries(keys.map((key) => [key, columns[key][i]])));
}
const ratios = rowsOf(data.ratios);
const answerErrors = new Map(data.answer_errors);
const intervals = new Map(rowsOf(data.intervals).map((row) => [`${row.source} ${row.target}`, row]));
const ceilings = new Map(rowsOf(data.ceilings).map((row) => [row.target, row]));
const uneven = new Set(data.uneven.map(([s, t]) => `${s} ${t}`));
const parsedShare = (i) => corpora[i].parsed_share;
const contributions = new Map(data.contributions.map((pair) => [`${pair[0]} ${pair[1]}`, pair]));

// ---- measures ------------------------------------------------------------------------------------------------------

// With very many corpora, rows of other corpora than targets have values for the targets' columns only.
const columnOf = data.columns && new Map(data.columns.map((t, i) => [t, i]));
const published = (measure) => (s, t) => {
  const row = data.alignment[measure][s];
  const value = row && row[row.length === corpora.length ? t : columnOf.get(t)];
  return value === undefined || value === null || value < 0 ? null : value / 1e6; // below 0: unknown
};
const alignment = published("kl_alignment");
const METRICS = {
  kl_alignment: { label: "KL-alignment", value: alignment, low: Math.exp(-1), high: 1 },
  kl_nats: { label: "KL divergence (nats)", value: (s, t) => -LN100 * Math.log(alignment(s, t)), low: LN100, high: 0 },
  additive_kl_alignment: { label: "Additive KL-alignment", value: published("additive_kl_alignment"), low: Math.exp(-1), high: 1 },
  js_alignment: { label: "JS alignment", value: (s, t) => 1 - published("js_nats")(s, t) / Math.LN2, low: 0, high: 1 },
  js_nats: { label: "JS divergence (nats)", value: published("js_nats"), low: Math.LN2, high: 0 },
  ngram_coverage: { label: "N-gram coverage", value: published("ngram_coverage"), low: 0, high: 1 },
  template_coverage: { label: "Template coverage", value: published("template_coverage"), low: 0, high: 1 },
  exact_overlap: { label: "Exact overlap", value: published("exact_overlap"), low: 0, high: 1 },
};

// ---- controls ------------------------------------------------------------------------------------------------------

function chooser(label, options, value, onchange, id) {
  const select = h("select", { id, onchange: (event) => onchange(event.target.value) });
  for (const [key, text] of options) select.append(h("option", { value: key, selected: String(key) === String(value) }, text));
  return h("label", {}, label, select);
}
const asOptions = (indices) => indices.map((i) => [i, name(i)]);
const button = (text, onclick, attributes = {}) => h("button", { type: "button", onclick, ...attributes }, text);

// The first rows of a long list, with a button that shows all of them
function limited(rows, most, draw) {
  const box = h("div");
  const fill = (n) => {
    box.replaceChildren(draw(rows.slice(0, n)));
    if (n < rows.length) box.append(button(`Show all ${count(rows.length)}`, () => fill(rows.length), { class: "more" }));
  };
  fill(rows.length > most ? most : rows.length);
  return box;
}

// ---- files ---------------------------------------------------------------------------------------------------------

function save(label, suffix, blob) {
  const link = h("a", { download: `${label.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 100).toLowerCase()}.${suffix}`, href: URL.createObjectURL(blob) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
// Spreadsheets run texts that begin with one of these signs as formulas, unless an apostrophe comes first
const csvCell = (value) => {
  const text = value === null || value === undefined ? "" : typeof value === "string" ? value.replace(/^[=+\-@\t\r]/, "'$&") : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
function saveCsv(label, columns, rows) {
  const lines = [columns.map((column) => column.head), ...rows.map((row) => columns.map((column) => column.value(row)))];
  save(label, "csv", new Blob([lines.map((line) => `${line.map(csvCell).join(",")}\r\n`).join("")], { type: "text/csv" }));
}

// ---- tables --------------------------------------------------------------------------------------------------------

// A column of a table: its head, the value of a row for sorting and for CSV, and how to show it
const textColumn = (head, value, show = value) => ({ head, value, show });
const numberColumn = (head, value, show = (row) => fixed(value(row))) => ({ head, value, show, n: true });
const ratioColumn = (head, value) => numberColumn(head, value, (row) => formatRatio(value(row)));
const shareColumn = (head, value) => numberColumn(head, value, (row) => (value(row) === null || value(row) === undefined ? "" : percent(value(row))));
const countColumn = (head, value) => numberColumn(head, value, (row) => (value(row) === null || value(row) === undefined ? "" : count(value(row))));

// A table that is sorted by a click on a head, and saved as CSV; `label` names its measure, target and direction
function table(label, columns, rows, { most = MANY, chosen = () => false, foldable = false } = {}) {
  const compare = (a, b) => (a === b ? 0 : a === null || a === undefined || a === "" ? 1 : b === null || b === undefined || b === "" ? -1
    : typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));
  let sorted = rows;
  let [by, direction] = [null, 1];
  let shown = rows.length > most ? most : rows.length;
  const lines = h("tbody");
  const more = h("div");
  const heads = columns.map((column, i) => h("th", { scope: "col", class: column.n ? "n" : null }, column.head ? button(column.head, () => sort(i), { class: "sort", title: "Sort" }) : ""));
  const fill = () => {
    lines.replaceChildren(...sorted.slice(0, shown).map((row) => h("tr", { class: chosen(row) ? "chosen" : null },
      columns.map((column, i) => h(i ? "td" : "th", { scope: i ? null : "row", class: column.n ? "n" : null }, column.show(row) ?? "")))));
    more.replaceChildren(...(shown < rows.length ? [button(`Show all ${count(rows.length)}`, () => { shown = rows.length; fill(); }, { class: "more" })] : []));
  };
  // The best numbers first, then in reverse
  const sort = (i) => {
    direction = by === i ? -direction : columns[i].n ? -1 : 1;
    by = i;
    const known = (row) => ![null, undefined, ""].includes(columns[i].value(row));
    sorted = [...rows.filter(known).sort((a, b) => direction * compare(columns[i].value(a), columns[i].value(b))), ...rows.filter((row) => !known(row))];
    heads.forEach((head, k) => head.setAttribute("aria-sort", k !== i ? "none" : direction > 0 ? "ascending" : "descending"));
    fill();
  };
  fill();
  return h("div", { class: "data" }, scrolled(label, h("table", { class: "full" }, h("caption", { class: foldable ? "quiet" : null }, label), h("thead", {}, h("tr", {}, heads)), lines)), more,
    h("div", { class: "get" }, button("CSV", () => saveCsv(label, columns, sorted), { "aria-label": `CSV of: ${label}` })));
}
// Contents that may be wider than the page; the keyboard can scroll them
function scrolled(label, ...children) {
  return h("div", { class: "wide", tabindex: "0", role: "group", "aria-label": label }, ...children);
}
function asTable(label, columns, rows, options = {}) {
  const box = h("details", { ontoggle: () => { if (box.children.length === 1) box.append(table(label, columns, rows, { ...options, foldable: true })); } }, h("summary", {}, "As a table"));
  return box;
}

const VERDICTS = { gain: ["▲", "gain"], "no gain": ["▼", "no gain"], undecided: ["◆", "undecided"] };
const kind = (verdict) => (verdict || "undecided").replace(" ", "-");
function verdictOf(verdict, words = "") {
  if (!verdict) return h("span", { class: "soft" }, "no interval");
  const [sign, word] = VERDICTS[verdict];
  return h("span", { class: `verdict ${kind(verdict)}` }, `${sign} ${word}${words}`);
}

// Numbered texts; the numbers mark the rows that they are about
function makeNotes() {
  const numbers = new Map();
  return {
    mark: (positions) => {
      for (const position of positions) if (!numbers.has(position)) numbers.set(position, numbers.size + 1);
      return positions.length ? `${positions.map((position) => numbers.get(position)).sort((a, b) => a - b).join(",")})` : "";
    },
    list: () => (numbers.size ? h("ol", { class: "doubts" }, [...numbers.keys()].map((position) => h("li", {}, said(position)))) : null),
  };
}

// ---- charts --------------------------------------------------------------------------------------------------------

const main = document.getElementById("main");
const room = () => document.querySelector("main > section").clientWidth;
const isNarrow = () => room() < 600;
const isWide = () => room() > 1000;
// The length at which names are cut
const characters = () => (isNarrow() ? 18 : 36);
const pen = document.createElement("canvas").getContext("2d");
pen.font = `12px ${data.config.font}`;
const widthOf = (indices) => Math.max(...indices.map((i) => pen.measureText(name(i)).width * Math.min(1, characters() / name(i).length)));
let nDrawing = 0;

// Draws a chart of data.charts with these rows. `about` names its measure, target and direction, above the chart, to
// screen readers, and in its PNG. `change` overrides parts of its specification, `tooltip` makes the content of a row's
// tooltip, and `then` is called with the drawn chart.
function chart(kind, rows, about, { params = {}, change = {}, then = null, tooltip = (row) => [row.description], ...events } = {}) {
  const box = h("div", { class: `chart ${kind}` });
  const spec = { ...structuredClone(data.charts[kind]), ...change, description: about, datasets: { rows } };
  if (spec.autosize && spec.height.step) spec.height = spec.height.step * rows.length;
  spec.params = Object.entries({ ...Object.fromEntries((spec.params || []).map((one) => [one.name, one.value])), ...("params" in spec ? params : {}) })
    .map(([key, value]) => ({ name: key, value }));
  nDrawing += 1;
  delete document.documentElement.dataset.drawn;
  const options = { mode: "vega-lite", config: data.config, ast: true, renderer: "svg", actions: false, defaultStyle: false, tooltip: false };
  vegaEmbed(box, spec, options)
    .then(({ view }) => {
      view.addEventListener("mouseover", (event, item) => {
        if (!item?.datum?.description) return;
        // All of the row stays visible, not only the mark
        const mark = event.target.getBoundingClientRect();
        const [top, bottom] = [Math.min(mark.top, event.clientY) - 6, Math.max(mark.bottom, event.clientY) + 6];
        showTip({ left: event.clientX, width: 0, ...(bottom - top < 80 ? { top, bottom } : { top: event.clientY - 12, bottom: event.clientY + 12 }) }, ...tooltip(item.datum));
      });
      view.addEventListener("mouseout", hideTip);
      for (const [name, listener] of Object.entries(events)) view.addEventListener(name, (event, item) => item?.datum?.description && listener(item.datum, event));
      if (then) then(box);
    })
    .catch((error) => { box.replaceChildren(h("p", { class: "note" }, `This chart cannot be drawn: ${error.message}`)); })
    .finally(() => { nDrawing -= 1; if (!nDrawing) document.documentElement.dataset.drawn = "true"; });
  return h("figure", {}, h("figcaption", {}, about), box, h("div", { class: "get" }, button("PNG", () => savePng(spec, about), { "aria-label": `PNG of: ${about}` })));
}
const wrap = (text, most) => text.match(new RegExp(`.{1,${Math.max(30, most)}}(?:\\s|$)|\\S+`, "g")).map((line) => line.trim());
// Draws a chart once more, on a canvas, which knows no variables of the style sheet
function savePng(spec, about) {
  const style = getComputedStyle(document.documentElement);
  const plain = (part) => JSON.parse(JSON.stringify(part).replace(/var\((--[a-z-]+)\)/g, (_, variable) => style.getPropertyValue(variable).trim()));
  const config = { ...plain(data.config), background: style.getPropertyValue("--back").trim() };
  const options = { mode: "vega-lite", config, ast: true, renderer: "svg", actions: false, defaultStyle: false, tooltip: false };
  const { datasets, ...rest } = spec;
  const titled = { ...plain(rest), datasets, padding: 12, title: { text: wrap(about, Math.floor((Number(rest.width) || 480) / 7)), fontSize: 12, fontWeight: "normal", offset: 12, frame: "bounds" } };
  const box = h("div");
  vegaEmbed(box, titled, options).then(({ view }) => view.toCanvas(3).finally(() => view.finalize())).then((canvas) => canvas.toBlob((blob) => save(about, "png", blob)));
}
// For a chart that fills the room, including its labels and axes, up to a width
const fitted = (most) => ({ width: Math.min(room(), most), autosize: { type: "fit-x", contains: "padding" } });
const rangeOf = (values, margin) => {
  const known = values.filter((value) => value !== null && value !== undefined);
  return { x_low: Math.min(...known) - margin, x_high: Math.max(...known) + margin };
};

// ---- state ---------------------------------------------------------------------------------------------------------

const ranked = (target) =>
  withRole("train").filter((s) => s !== target).sort((a, b) => alignment(b, target) - alignment(a, target));
const firstWithRatio = targets.find((t) => ratios.some((row) => row.target === t));
const state = {
  target: firstWithRatio ?? targets[0],
  metric: "kl_alignment",
  direction: "",
  rows: comparable.length > MANY ? "train" : "all",
  columns: data.columns || (comparable.length > 12 && withRole("target").length) ? "target" : "all",
  order: "clustered",
  find: "",
  answers: "untuned",
  source: null,
  against: null,
};
state.against = state.target;
state.source = ranked(state.target)[0] ?? comparable.find((i) => i !== state.target) ?? null;

// The address names the section and all choices, so that a link opens the same view
const defaults = { ...state };
const ROLES = ["all", "train", "target", "predictions"];
const ALLOWED = {
  metric: Object.keys(METRICS), direction: ["", "swapped"], rows: ROLES, columns: data.columns ? ["target"] : ROLES, order: ["clustered", "listed", "name"],
};
const isCorpus = (key) => ["target", "source", "against"].includes(key);
const encoded = (key, value) => (isCorpus(key) || (key === "answers" && value in corpora) ? name(value) : value);
function decoded(key, text) {
  if (key in ALLOWED) return ALLOWED[key].includes(text) ? text : undefined;
  if (key === "find" || (key === "answers" && ["untuned", "tuned", "all"].includes(text))) return text;
  const i = corpora.findIndex((one) => one.corpus === text);
  return (key === "target" ? targets : key === "answers" ? allCorpora : comparable).includes(i) ? (key === "answers" ? String(i) : i) : undefined;
}
let sectionInView = "";
function keepInAddress() {
  // Another target has another pair by default
  const isOwn = (key) => ["source", "against"].includes(key) && state.target !== defaults.target;
  const chosen = Object.entries(state).filter(([key, value]) => value !== defaults[key] || isOwn(key));
  const view = new URLSearchParams(chosen.map(([key, value]) => [key, encoded(key, value)]));
  const address = `#${[sectionInView, view.toString()].filter(Boolean).join("&")}`;
  if (address !== (location.hash || "#")) history.replaceState(null, "", address);
}
// Takes the choices from the address, and returns its section
function readAddress() {
  const parts = location.hash.slice(1).split("&");
  const section = parts[0].includes("=") ? "" : parts.shift();
  const unknown = [];
  const given = new URLSearchParams(parts.join("&"));
  if ([...given].length) Object.assign(state, defaults);
  for (const [key, text] of given) {
    const value = key in defaults ? decoded(key, text) : undefined;
    if (value === undefined) unknown.push(`${key} "${text}"`);
    else state[key] = value;
  }
  if (!given.has("against")) state.against = state.target;
  if (!given.has("source")) state.source = ranked(state.against)[0] ?? state.source;
  document.getElementById("unknown").replaceChildren(unknown.length ? `The link names things that this report does not have: ${unknown.join(", ")}.` : "");
  document.getElementById("unknown").hidden = !unknown.length;
  return document.getElementById(section)?.matches("section") ? section : "";
}

// ---- the answer ----------------------------------------------------------------------------------------------------

const decisions = Object.fromEntries(Object.entries(data.decisions).map(([key, columns]) => [key, rowsOf(columns)]));
const headrooms = new Map(decisions.headroom.map((row) => [`${row.train} ${row.predictions}`, row]));
const headroomOf = (s, p) => headrooms.get(`${name(s)} ${name(p)}`)?.headroom_ratio ?? null;
const doubtsAbout = new Map(data.doubts.map(([s, t, positions, isFaulty]) => [`${s} ${t}`, { positions, isFaulty }]));
const doubtsOfPair = (s, t) => (doubtsAbout.get(`${s} ${t}`)?.positions || []).map(said);

// The part of the target that predictions answer, if they do not answer all of it
function partOf(row) {
  return row.is_part ? ` on ${count(row.n_answered)} of ${count(row.n_questions)} questions` : "";
}

// The best ratio of each set of answers to a target: of untuned models, or of all if all are tuned
function bestRatios(t) {
  const here = ratios.filter((row) => row.target === t);
  const untuned = here.filter((row) => row.trained_on === null);
  const best = new Map();
  for (const row of untuned.length ? untuned : here) if (!best.has(row.predictions)) best.set(row.predictions, row);
  return [...best.values()].sort((a, b) => b.alignment_ratio - a.alignment_ratio);
}

// For each target its closest training set, and for each model the verdict
function listAnswers() {
  const order = [...targets].sort((a, b) => ratios.some((row) => row.target === b) - ratios.some((row) => row.target === a));
  return order.flatMap((t) => {
    const best = ranked(t)[0];
    if (best === undefined) return [];
    const rows = bestRatios(t);
    return [{ t, best, rows }];
  });
}

function drawAnswer() {
  const section = body("answer");
  const answers = listAnswers();
  if (!answers.length) {
    section.replaceChildren(h("p", {}, "An answer needs a training set and a target to compare it with. The matrix shows the corpora that can be compared."));
    return;
  }
  const label = "The closest training set to each target, and the Alignment Ratio of each model";
  const columns = [
    textColumn("Target", ({ t }) => name(t)), textColumn("Closest training set", ({ row, best }) => name(row ? row.train : best)),
    numberColumn("KL-alignment", ({ t, row, best }) => alignment(row ? row.train : best, t)), numberColumn("JS", ({ t, row, best }) => METRICS.js_alignment.value(row ? row.train : best, t)), numberColumn("Ceiling", ({ t }) => ceilings.get(t)?.ceiling),
    textColumn("Answers", ({ row }) => row && name(row.predictions) + partOf(row)), numberColumn("Alignment Ratio", ({ row }) => row?.alignment_ratio),
    numberColumn("From", ({ row }) => row?.ci_low), numberColumn("To", ({ row }) => row?.ci_high), textColumn("Verdict", ({ row }) => row?.verdict),
    textColumn("Verdict by reach", ({ row }) => row?.reach_verdict), textColumn("Record", ({ row }) => row && said(row.record)),
    textColumn("Doubts", ({ t, best, row }) => (row ? row.doubts.map(said) : doubtsOfPair(best, t)).join("; ")),
  ];
  const flat = answers.flatMap((one) => (one.rows.length ? one.rows.map((row) => ({ ...one, row })) : [one]));
  const draw = (some) => scrolled(label, h("table", { class: "full answers" }, h("caption", { class: "quiet" }, label),
    h("thead", {}, h("tr", {}, ["Target", "Closest training set", "Model's answers", "Alignment Ratio", "Verdict", "Record of such ratios, and doubts"].map((head) => h("th", { scope: "col" }, head)))),
    some.map(answerRows)));
  section.replaceChildren(
    h("p", {}, "Above 1, a training set is closer to the target than the model's own answers, and fine-tuning on it should help. ",
      "The record counts how scores changed by 2 points or more after fine-tuning at such ratios, in a study."),
    limited(answers, 12, draw),
    h("div", { class: "get" }, button("CSV", () => saveCsv(label, columns, flat), { "aria-label": `CSV of: ${label}` })));
}

// The rows of one target: its closest training set beside the models' verdicts
function answerRows({ t, best, rows }) {
  const common = rows.length ? rows[0].doubts.filter((doubt) => rows.every((row) => row.doubts.includes(doubt))) : [];
  const sets = new Set(rows.map((row) => row.train));
  const span = Math.max(1, rows.length);
  const cell = (head, ...children) => h("td", { "data-head": head }, ...children);
  const first = [
    h("th", { scope: "rowgroup", rowspan: span }, button(name(t), () => { chooseTarget(t); jump("ranking"); }, { class: "plain" }),
      h("div", { class: "soft" }, counted(corpora[t].n_templated, "query", "queries"))),
    h("td", { rowspan: span, colspan: rows.length ? 1 : 5, "data-head": "Closest training set" }, closestTo(t, sets.size === 1 ? rows[0].train : best, common), rows.length ? null : h("div", { class: "soft" }, "no answers of models")),
  ];
  if (!rows.length) return h("tbody", {}, h("tr", {}, first));
  return h("tbody", {}, rows.map((row, i) => h("tr", {}, i ? [] : first,
    cell("Model's answers", name(row.predictions) + partOf(row), row.trained_on === null ? null : h("div", { class: "soft" }, `tuned on ${row.trained_on}`),
      sets.size > 1 ? h("div", { class: "soft" }, `closest to this part: ${name(row.train)}`) : null),
    cell("Alignment Ratio", rounded(row.alignment_ratio, row), intervalOf(row) ? h("div", { class: "soft" }, intervalOf(row)) : null),
    cell("Verdict", verdictOf(row.verdict), row.reach_verdict && row.reach_verdict !== row.verdict ? h("div", { class: "soft" }, `by reach: ${row.reach_verdict}`) : null,
      headroomOf(row.train, row.predictions) === null ? null : h("div", { class: "soft" }, `headroom: ${formatRatio(headroomOf(row.train, row.predictions))}`)),
    h("td", { "data-head": "Record", title: row.records.map(said).join(" ") }, said(row.record),
      row.doubts.filter((doubt) => !common.includes(doubt)).map((doubt) => h("div", { class: "flag" }, said(doubt)))))));
}

function closestTo(t, s, common) {
  const ceiling = ceilings.get(t)?.ceiling;
  const doubts = [...new Set([...common.map(said), ...doubtsOfPair(s, t)])];
  const isFaulty = (one) => doubtsAbout.get(`${one} ${t}`)?.isFaulty;
  const safe = isFaulty(s) ? ranked(t).find((other) => !isFaulty(other)) : undefined;
  const selections = [...new Map(decisions.selections.filter((row) => row.target === name(t)).map((row) => [row.method, row])).values()];
  // With weighted questions, the target is another one
  const selection = selections.sort((a, b) => a.weighs_questions - b.weighs_questions || b.kl_alignment - a.kl_alignment)[0];
  return [
    name(s), h("div", { class: "soft" }, `KL-alignment ${withInterval(alignment(s, t), intervals.get(`${s} ${t}`))}`, ceiling ? `; ceiling ${fixed(ceiling)}` : ""),
    doubts.length ? h("div", { class: "flag" }, `${doubts.join("; ")}`) : null,
    safe === undefined ? null : h("div", { class: "soft" }, `closest without a doubt: ${name(safe)}, ${fixed(alignment(safe, t))}`),
    selection ? h("div", { class: "soft" }, `selection of ${counted(selection.n_taken, "row")} (${methodOf(selection)}): ${fixed(selection.kl_alignment)}`) : null,
  ];
}

// ---- the training sets of a target ---------------------------------------------------------------------------------

function drawRanking() {
  const section = body("ranking");
  const t = state.target;
  const order = ranked(t);
  if (!withRole("train").length || !order.length) {
    section.replaceChildren(h("p", {}, "A ranking needs a training set to compare with a target."));
    return;
  }
  const predictions = bestRatios(t).map((row) => row.predictions);
  const ceiling = ceilings.get(t)?.ceiling;
  const label = `KL-alignment of training sets with ${name(t)}`;
  const ratioOf = (s, p) => ratios.find((row) => row.train === s && row.predictions === p && row.target === t);
  const reachOf = (s) => intervals.get(`${s} ${t}`)?.reach ?? null;
  const columns = [
    textColumn("Training set", name, (s) => [name(s), flags(s, t)]),
    numberColumn("KL-alignment", (s) => alignment(s, t), (s) => rounded(alignment(s, t), intervals.get(`${s} ${t}`))),
    { ...textColumn("95% interval", (s) => intervalOf(intervals.get(`${s} ${t}`))), n: true },
    numberColumn("JS", (s) => METRICS.js_alignment.value(s, t)),
    ...(order.some((s) => reachOf(s) !== null) ? [numberColumn("Reach", reachOf)] : []),
    ...predictions.map((p) => numberColumn(`AR of ${name(p)}${partOf(ratios.find((row) => row.predictions === p && row.target === t))}`, (s) => ratioOf(s, p)?.alignment_ratio, (s) => {
      const row = ratioOf(s, p);
      return row ? [rounded(row.alignment_ratio, row), " ", shortVerdict(row)] : "";
    })),
  ];
  section.replaceChildren(
    h("div", { class: "tools" }, chooser("Target", asOptions(targets), t, (value) => chooseTarget(Number(value), "target"), "target")),
    describeRanking(t, order),
    h("p", { class: "soft" }, "Dots are alignments, bars their 95% intervals. ", ceiling ? `The dashed line is the ceiling, ${fixed(ceiling)}: the alignment that another sample of the target would reach. ` : "",
      predictions.length ? "AR is the Alignment Ratio; its verdict is ▲ gain, ◆ undecided or ▼ no gain. " : "", "JS, the alignment by Jensen-Shannon divergence, is a second opinion."),
    limited(order, 20, (shown) => rankingChart(t, shown, ceiling, label)),
    table(`${label}, and Alignment Ratios`, columns, order, { most: 20, foldable: true }));
}

// Doubts about a pair, and signs of leakage that are too weak for a doubt
function flags(s, t) {
  const overlap = METRICS.exact_overlap.value(s, t);
  const doubts = doubtsOfPair(s, t);
  if (overlap >= 0.005 && !doubts.some((doubt) => doubt.includes("contains"))) doubts.push(`contains ${percent(overlap)} of the target's queries`);
  if (uneven.has(`${s} ${t}`) && !doubts.some((doubt) => doubt.includes("parses"))) doubts.push(`${percent(parsedShare(s))} of it parses, but ${percent(parsedShare(t))} of the target`);
  return doubts.map((doubt) => h("div", { class: "flag" }, doubt));
}

// The sign alone, to save room; the words are in the tooltip and the label for screen readers
function shortVerdict(row) {
  if (!row.verdict) return "";
  const [sign, words] = VERDICTS[row.verdict];
  return h("span", { class: kind(row.verdict), title: `${words}: ${intervalOf(row)}`, role: "img", "aria-label": words }, sign);
}

function rankingChart(t, shown, ceiling, label) {
  const rows = shown.map((s) => {
    const row = intervals.get(`${s} ${t}`);
    const value = alignment(s, t);
    const text = isNarrow() ? rounded(value, row) : withInterval(value, row);
    return { label: name(s), value, low: row?.ci_low ?? null, high: row?.ci_high ?? null, text, ceiling: ceiling ?? null, description: `${name(s)}: ${withInterval(value, row)}` };
  });
  return chart("ranking", rows, `${label}, with 95% intervals`, {
    change: fitted(900),
    params: { ...rangeOf(rows.flatMap((row) => [row.value, row.low, row.high, row.ceiling]), 0.02), characters: characters() },
  });
}

// The ranking in words
function describeRanking(t, order) {
  const [best, next] = order;
  const one = intervals.get(`${best} ${t}`);
  let sentence = `${name(best)} is the closest, with a KL-alignment of ${rounded(alignment(best, t), one)}`;
  if (next !== undefined) {
    const other = intervals.get(`${next} ${t}`);
    const apart = one && other && one.ci_low > other.ci_high;
    sentence += `; ${name(next)} is next, with ${rounded(alignment(next, t), other)}${one && other ? (apart ? ", and their intervals do not overlap" : ", but their intervals overlap") : ""}`;
  }
  return h("p", { class: "answer" }, `${sentence}.`);
}

// Shows another target everywhere, and returns the focus to the control with this id
function chooseTarget(t, focused = null) {
  state.target = t;
  state.answers = "untuned";
  drawRanking();
  drawRatios();
  drawSlices();
  drawDecisions();
  drawGaps();
  choosePair(ranked(t)[0] ?? state.source, t);
  if (focused) document.getElementById(focused)?.focus();
}
function jump(section) {
  document.getElementById(section).scrollIntoView();
  sectionInView = section;
  keepInAddress();
}

// ---- the matrix ----------------------------------------------------------------------------------------------------

function drawMatrix() {
  const roles = [["all", "all"], ...["train", "target", "predictions"].filter((role) => withRole(role).length).map((role) => [role, role])];
  const set = (key) => (value) => { state[key] = value; fillMatrix(); keepInAddress(); };
  body("matrix").replaceChildren(
    ...(data.columns ? [h("p", { class: "soft" }, `With ${count(corpora.length)} corpora, the report contains only the pairs with a target; nl2sql-align matrix prints all of them.`)] : []),
    h("p", {}, "Rows are sources, columns are targets. Hover over a cell, or use the arrow keys, to see all measures. Click on it, or press Enter, to see why the two corpora differ."),
    h("div", { class: "tools" },
      chooser("Measure", Object.entries(METRICS).map(([key, metric]) => [key, metric.label]), state.metric, set("metric"), "metric"),
      chooser("Direction", [["", "row compared with column"], ["swapped", "column compared with row"]], state.direction, set("direction"), "direction"),
      chooser("Rows", roles, state.rows, set("rows"), "rows"),
      chooser("Columns", data.columns ? [["target", "target"]] : roles, state.columns, set("columns"), "columns"),
      chooser("Order", [["clustered", "similar side by side"], ["listed", "as in the corpora file"], ["name", "by name"]], state.order, set("order"), "order"),
      h("label", {}, "Name contains", h("input", { type: "search", id: "find", value: state.find, oninput: (event) => set("find")(event.target.value) }))),
    h("div", { id: "heat" }));
  fillMatrix();
}

function inOrder(role) {
  const order = { clustered: data.clustered, listed: allCorpora, name: [...allCorpora].sort((a, b) => name(a).localeCompare(name(b), "en")) }[state.order];
  const chosen = new Set(role === "all" ? comparable : withRole(role));
  return order.filter((i) => chosen.has(i));
}

function fillMatrix() {
  const metric = METRICS[state.metric];
  const columns = inOrder(state.columns);
  const wanted = state.find.trim().toLowerCase();
  const rows = inOrder(state.rows).filter((i) => name(i).toLowerCase().includes(wanted));
  const valueOf = (s, t) => (state.direction ? metric.value(t, s) : metric.value(s, t));
  const about = `${metric.label} of ${state.direction ? "columns (sources) with rows (targets)" : "rows (sources) with columns (targets)"}`;
  const marked = (s, t, text) => (uneven.has(`${s} ${t}`) ? `${text}*` : text);
  const draw = (shown) => {
    // The slanted names of columns extend to the right
    const beside = widthOf(shown) + 24 + (isNarrow() ? 0 : widthOf(columns) / 2);
    const step = Math.max(20, Math.min(46, Math.floor((room() - beside) / columns.length)));
    const short = (value) => (step >= 30 ? value.toFixed(2) : value < 0.995 ? value.toFixed(2).slice(1) : value.toFixed(1));
    const cells = shown.flatMap((s) => columns.map((t) => {
      const value = valueOf(s, t);
      return { source: name(s), target: name(t), s, t, value, text: marked(s, t, value === null ? "?" : short(value)), description: `${name(s)} with ${name(t)}: ${fixed(value) || "unknown"}` };
    }));
    return chart("heat", cells, about, {
      change: { width: { step } },
      params: { far: metric.low, near: metric.high, characters: characters(), size: step >= 30 ? 11 : 9, angle: isNarrow() ? -90 : -60 },
      then: (box) => addKeys(box, cells, columns.length),
      tooltip: (cell) => pairTooltip(...pairOf(cell)),
      click: (cell, event) => showPair(...pairOf(cell), event.target.getBoundingClientRect(), null),
    });
  };
  const numbers = [textColumn("Corpus", name), ...columns.map((t) => numberColumn(name(t), (s) => valueOf(s, t), (s) => marked(s, t, fixed(valueOf(s, t)))))];
  document.getElementById("heat").replaceChildren(
    h("div", { class: "scale" }, fixed(metric.low), h("span", { class: "ramp" }), fixed(metric.high), data.uneven.length ? h("span", {}, "* much less of one corpus parses than of the other") : null),
    ...(rows.length && columns.length ? [limited(rows, MANY + 20, draw), asTable(about, numbers, rows, { most: MANY + 20 })] : [h("p", {}, "No corpus matches this choice.")]));
}
const pairOf = (cell) => (state.direction ? [cell.t, cell.s] : [cell.s, cell.t]);

// Makes cells reachable from the keyboard: the Tab key stops at one cell, arrow keys move from there
function addKeys(box, cells, nColumns) {
  const nodes = [...box.querySelectorAll(".mark-rect path")];
  nodes[0].setAttribute("tabindex", "0");
  const show = (i) => showTip(nodes[i].getBoundingClientRect(), ...pairTooltip(...pairOf(cells[i])));
  box.addEventListener("focusin", (event) => { const i = nodes.indexOf(event.target); if (i >= 0) show(i); });
  box.addEventListener("focusout", hideTip);
  box.addEventListener("keydown", (event) => {
    const i = nodes.indexOf(event.target);
    if (i < 0) return;
    const column = i % nColumns;
    const steps = {
      ArrowRight: column < nColumns - 1 ? 1 : 0, ArrowLeft: column ? -1 : 0, ArrowDown: nColumns, ArrowUp: -nColumns,
      Home: -column, End: nColumns - 1 - column,
    };
    if (event.key in steps) {
      event.preventDefault();
      const next = nodes[i + steps[event.key]];
      if (!next) return;
      nodes[i].removeAttribute("tabindex");
      next.setAttribute("tabindex", "0");
      next.focus();
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      showPair(...pairOf(cells[i]), event.target.getBoundingClientRect(), nodes[i]);
    }
  });
}

const tip = document.getElementById("tip");
function showTip(box, ...content) {
  if (!pairBox.hidden) return;
  tip.replaceChildren(...content);
  tip.hidden = false;
  placeBeside(tip, box);
}
// Places a panel above or below a box, where there is more room, and never over it
function placeBeside(panel, box) {
  panel.style.maxHeight = "none";
  const size = panel.getBoundingClientRect();
  const [above, below] = [box.top - 12, window.innerHeight - box.bottom - 12];
  const isAbove = size.height <= above || above > below;
  const height = Math.min(size.height, Math.max(isAbove ? above : below, 80));
  const [x, y] = getComputedStyle(panel).position === "absolute" ? [window.scrollX, window.scrollY] : [0, 0];
  panel.style.maxHeight = `${height}px`;
  panel.style.left = `${x + Math.max(4, Math.min(box.left + box.width / 2 - size.width / 2, document.documentElement.clientWidth - size.width - 4))}px`;
  panel.style.top = `${y + (isAbove ? box.top - 8 - height : box.bottom + 8)}px`;
}
function hideTip() { tip.hidden = true; }
window.addEventListener("scroll", hideTip, { passive: true, capture: true });

function pairTooltip(s, t) {
  const row = intervals.get(`${s} ${t}`);
  const ceiling = ceilings.get(t)?.ceiling;
  const lines = Object.values(METRICS).map((metric) => h("tr", {}, h("td", {}, metric.label), h("td", { class: "n" }, fixed(metric.value(s, t))), h("td", { class: "n" }, fixed(metric.value(t, s)))));
  return [h("strong", {}, name(s)), " compared with ", h("strong", {}, name(t)),
    row ? h("div", {}, `95% interval of the KL-alignment: ${intervalOf(row)}`) : "",
    ceiling && corpora[s].role === "train" ? h("div", {}, `Ceiling for ${name(t)}: ${fixed(ceiling)}`) : "",
    uneven.has(`${s} ${t}`) ? h("div", { class: "flag" }, `${percent(parsedShare(s))} and ${percent(parsedShare(t))} of their queries parse`) : "",
    h("table", {}, h("thead", {}, h("tr", {}, h("th", {}), h("th", { class: "n" }, "this"), h("th", { class: "n" }, "reverse"))), h("tbody", {}, lines))];
}

// ---- ratios --------------------------------------------------------------------------------------------------------

function drawRatios() {
  const withRatios = targets.filter((t) => ratios.some((row) => row.target === t));
  if (!withRatios.length) {
    body("ratios").replaceChildren(h("p", {}, "No Alignment Ratios: they need a corpus with the role train and one with the role predictions."));
    return;
  }
  const target = state.target;
  const rows = ratios.filter((row) => row.target === target);
  const predictions = [...new Set(rows.map((row) => row.predictions))];
  const isTuned = (p) => corpora[p].trained_on !== null;
  const kinds = [["untuned", "of untuned models"], ["tuned", "of tuned models"], ["all", "all"]];
  const filters = { untuned: (p) => !isTuned(p), tuned: isTuned, all: () => true };
  const keep = filters[state.answers] || ((p) => p === Number(state.answers));
  const shown = predictions.filter(keep);
  const around = rows.filter((row) => shown.includes(row.predictions)).flatMap((row) => [row.alignment_ratio, row.ci_low, row.ci_high, row.reach_ratio]).filter((value) => value !== null);
  const scale = { x_low: Math.min(0.95, ...around) / 1.03, x_high: Math.max(1.05, ...around) * 1.03 };
  body("ratios").replaceChildren(
    h("p", {}, "An Alignment Ratio compares a training set with a model's own answers: to the right of the line at 1, the training set is closer to the target, and fine-tuning on it should help. Bars are 95% intervals. ",
      "▲ gain: the interval is above 1. ▼ no gain: it is below 1. ◆ undecided: it contains 1, or the verdict is withheld. ○ is the ratio by reach: by the mixture of the training set's parts that is closest to the target."),
    h("div", { class: "tools" },
      chooser("Target", asOptions(targets), target, (value) => chooseTarget(Number(value), "ratio-target"), "ratio-target"),
      chooser("Answers", [...kinds, ...asOptions(predictions)], state.answers, (value) => { state.answers = value; drawRatios(); keepInAddress(); document.getElementById("answers").focus(); }, "answers")),
    shown.length ? "" : h("p", {}, `${name(target)} has no answers of this kind.`),
    limited(shown, 8, (some) => h("div", { class: "figures" }, some.map((p) => ratioPanel(p, rows.filter((row) => row.predictions === p), scale)))));
}

const reachOfRow = (row) => formatRatio(row.reach_ratio, row.reach_ci_low, row.reach_ci_high);
function byReach(row) {
  return row.reach_ratio === null ? "" : `; by reach ${reachOfRow(row)}, ${row.reach_verdict || "no interval"}`;
}

function ratioPanel(p, rows, scale) {
  const [first] = rows;
  const tuned = first.trained_on === null ? "" : `, tuned on ${first.trained_on}`;
  const about = `Alignment Ratios of training sets for ${name(p)} on ${name(first.target)}${partOf(first)}`;
  const common = first.doubts.filter((doubt) => rows.every((row) => row.doubts.includes(doubt)));
  const notes = makeNotes();
  const marks = new Map(rows.map((row) => [row, notes.mark(row.doubts.filter((doubt) => !common.includes(doubt)))]));
  const draw = (shown) => chart("ratios", shown.map((row) => {
    const verdict = row.verdict || "no interval";
    const text = withInterval(row.alignment_ratio, row);
    return {
      label: name(row.train), value: row.alignment_ratio, low: row.ci_low, high: row.ci_high, verdict, reach: row.reach_ratio,
      text: `${isNarrow() ? rounded(row.alignment_ratio, row) : text} ${marks.get(row)}`.trim(),
      description: `${name(row.train)}: ${text}, ${verdict}${byReach(row)}${row.doubts.map((doubt) => `; ${said(doubt)}`).join("")}`,
    };
  }), `${about}, with 95% intervals`, { change: fitted(isWide() ? room() / 2 - 16 : 800), params: { ...scale, characters: isNarrow() ? 18 : 28 } });
  const columns = [
    textColumn("Training set", (row) => name(row.train)), numberColumn("AR", (row) => row.alignment_ratio, (row) => rounded(row.alignment_ratio, row)),
    textColumn("Verdict", (row) => row.verdict || "", (row) => verdictOf(row.verdict)), { ...textColumn("95% interval", intervalOf), n: true },
    numberColumn("By reach", (row) => row.reach_ratio, reachOfRow), textColumn("Verdict by reach", (row) => row.reach_verdict || ""),
    ...(rows.some((row) => headroomOf(row.train, p) !== null) ? [ratioColumn("Headroom", (row) => headroomOf(row.train, p))] : []),
    textColumn("Record of such ratios", (row) => said(row.record)), textColumn("Doubts", (row) => row.doubts.map(said).join("; ")),
  ];
  const records = [...new Set(rows.filter((row) => row.verdict === "gain").concat(first).flatMap((row) => row.records))];
  return h("div", { class: "panel" }, h("h3", {}, `${name(p)} (model ${first.model}${tuned})${partOf(first)}`),
    h("p", { class: "soft" }, `KL-alignment of its answers: ${fixed(first.predictions_alignment)}. ${percent(first.predictions_parsed_share)} of them parse${first.n_cleaned ? `, after ${counted(first.n_cleaned, "answer")} had been cleaned` : ""}.`),
    common.map((doubt) => h("p", { class: "flag" }, `Doubtful: ${said(doubt)}.`)),
    answerErrors.has(p) ? h("p", { class: "soft" }, `Question by question: ${answerErrors.get(p).map(said).join(" ")}`) : null,
    limited(rows, 20, draw), notes.list(), records.map((record) => h("p", { class: "record" }, said(record))), asTable(about, columns, rows));
}

// ---- slices --------------------------------------------------------------------------------------------------------

const slices = rowsOf(data.slices);
function drawSlices() {
  showSection("slices", slices.length);
  if (!slices.length) return;
  const known = targets.filter((t) => slices.some((row) => row.target === t));
  const rows = slices.filter((row) => row.target === state.target);
  const answers = [...new Set(rows.map((row) => row.predictions))];
  body("slices").replaceChildren(
    h("p", {}, "Each slice of a target is compared like a target of its own, here with its closest training set. Small slices have low alignments, and no slice has an interval."),
    h("div", { class: "tools" }, chooser("Target", asOptions(rows.length ? known : [state.target, ...known]), state.target, (value) => chooseTarget(Number(value), "slices-target"), "slices-target")),
    rows.length ? limited(answers, 4, (some) => h("div", {}, some.map((p) => slicesTable(p, rows.filter((row) => row.predictions === p)))))
      : h("p", {}, `${name(state.target)} has no slices; targets with slices: ${known.map(name).join(", ")}.`));
}

function slicesTable(p, rows) {
  const [{ n_slices: n }] = rows;
  const some = n > rows.length ? `, the largest ${rows.length} of ${count(n)}` : "";
  return table(`Slices of ${name(state.target)}${p === null ? "" : ` for ${name(p)}`}${some}`, [
    textColumn("Slice", (row) => said(row.slice)), countColumn("Queries", (row) => row.n_queries), textColumn("Training set", (row) => name(row.train)),
    numberColumn("KL-alignment", (row) => row.train_alignment), numberColumn("Reach", (row) => row.reach),
    ...(p === null ? [] : [ratioColumn("AR", (row) => row.alignment_ratio), ratioColumn("By reach", (row) => row.reach_ratio)]),
    textColumn("Doubts", (row) => row.doubts.map(said).join("; ")),
  ], rows);
}

// ---- decisions -----------------------------------------------------------------------------------------------------

function showSection(id, isShown) {
  for (const node of document.querySelectorAll(`#${id}, nav a[href="#${id}"]`)) node.hidden = !isShown;
}
const ofTarget = (key) => decisions[key].filter((row) => row.target === name(state.target));

function drawDecisions() {
  const decided = [...new Set(["sample_size", "budget", "selections", "mixtures"].flatMap((key) => decisions[key].map((row) => row.target)))].sort();
  showSection("decisions", decided.length);
  if (!decided.length) return;
  const target = name(state.target);
  const chosen = allCorpora.filter((i) => decided.includes(name(i)));
  const here = decided.includes(target);
  body("decisions").replaceChildren(
    h("p", {}, "Results of the commands sample-size, select and mix."),
    h("div", { class: "tools" }, chooser("Target", asOptions(here ? chosen : [state.target, ...chosen]), state.target, (value) => chooseTarget(Number(value), "decided"), "decided")),
    here ? h("div", { class: "figures" }, [sizesPanel(target, ofTarget("sample_size")), budgetPanel(target, ofTarget("budget"), ofTarget("selections")), mixturePanel(target, ofTarget("mixtures"))])
      : h("p", {}, `Nothing is recorded for ${target}; targets with results: ${decided.join(", ")}.`));
}
const half = () => fitted(isWide() ? room() / 2 - 16 : 640);

function sizesPanel(target, rows) {
  if (!rows.length) return null;
  const about = `Kendall's tau of rankings of training sets for ${target}, by the number of its queries`;
  return h("div", { class: "panel" }, h("h3", {}, `How many queries of ${target} are enough`),
    h("p", { class: "soft" }, "How well a random sample of the target's queries reproduces the ranking of training sets by all queries: Kendall's tau, with the range of the middle 95% of the samples."),
    chart("sample_size", rows.map((row) => ({ ...row, description: `${row.smoothing}, ${count(row.n_queries)} queries: tau ${fixed(row.kendall_tau, 2)} (${fixed(row.tau_low, 2)} to ${fixed(row.tau_high, 2)})` })),
      about, { change: half(), params: { kinds: [...new Set(rows.map((row) => row.smoothing))] } }),
    asTable(about, [
      textColumn("Measure", (row) => row.smoothing), countColumn("Queries", (row) => row.n_queries), numberColumn("Kendall's tau", (row) => row.kendall_tau, (row) => fixed(row.kendall_tau, 2)),
      { ...textColumn("Interval", (row) => `${fixed(row.tau_low, 2)} to ${fixed(row.tau_high, 2)}`), n: true }, shareColumn("Same best training set", (row) => row.same_winner_share),
    ], rows));
}

const methodOf = (row) => (row.weighs_questions ? `${row.method}, weighted questions` : row.method);

function budgetPanel(target, curve, taken) {
  if (!curve.length) return null;
  const random = new Map(curve.filter((row) => row.method !== "random").map((row) => [row.n_rows, { ...row, method: "random", kl_alignment: row.random_alignment }]));
  const rows = [...curve, ...(curve.some((row) => row.method === "random") ? [] : random.values())];
  const methods = [...new Map(taken.map((row) => [row.method, row])).values()];
  const about = `KL-alignment of selected rows with ${target}, by their number`;
  return h("div", { class: "panel" }, h("h3", {}, `Rows selected for ${target}`),
    methods.map((one) => h("p", { class: "soft" }, `Method ${methodOf(one)}: KL-alignment ${fixed(one.kl_alignment)} with ${counted(one.n_taken, "row")} and ${counted(one.n_taken_templates, "template")}; all candidates together: ${fixed(one.pool_alignment)}.`)),
    chart("budget", rows.map((row) => ({ ...row, description: `${methodOf(row)}, ${count(row.n_rows)} rows: ${fixed(row.kl_alignment)}` })), about, { change: half(), params: { kinds: [...new Set(rows.map((row) => row.method))] } }),
    asTable(about, [textColumn("Method", methodOf), countColumn("Rows", (row) => row.n_rows), numberColumn("KL-alignment", (row) => row.kl_alignment)], rows),
    table(`Rows selected for ${target}, by training set`, [
      textColumn("Taken from", (row) => row.source), textColumn("Method", methodOf), countColumn("Rows", (row) => row.n_taken_from_source),
      countColumn("Left out: also in the target", (row) => row.n_overlapping), textColumn("License", (row) => row.license || "unknown"),
    ], taken, { foldable: true }));
}

function mixturePanel(target, rows) {
  if (!rows.length) return null;
  const weight = (share) => `${(100 * share).toFixed(1)}%`;
  const range = (row) => `${weight(row.row_weight_low)} to ${weight(row.row_weight_high)}`;
  const inWords = (row) => `${weight(row.row_weight)} (${range(row)})`;
  const about = `Shares of training sets in the mixture closest to ${target}, with 95% intervals`;
  return h("div", { class: "panel" }, h("h3", {}, `The best mixture for ${target}`),
    h("p", { class: "soft" }, `KL-alignment of this mixture: ${fixed(rows[0].kl_alignment)}; of all rows of these training sets: ${fixed(rows[0].pool_alignment)}.`),
    chart("mixture", rows.map((row) => ({ label: row.source, value: row.row_weight, low: row.row_weight_low, high: row.row_weight_high, text: isNarrow() ? weight(row.row_weight) : inWords(row), description: `${row.source}: ${inWords(row)}` })),
      about, { change: half(), params: { characters: isNarrow() ? 18 : 28 } }),
    asTable(about, [
      textColumn("Training set", (row) => row.source), numberColumn("Share of rows", (row) => row.row_weight, (row) => weight(row.row_weight)),
      { ...textColumn("95% interval", range), n: true }, numberColumn("KL-alignment alone", (row) => row.source_alignment),
    ], rows));
}

// ---- gaps ----------------------------------------------------------------------------------------------------------

function drawGaps() {
  const all = decisions.gaps;
  showSection("gaps", all.length);
  if (!all.length) return;
  const rows = ofTarget("gaps");
  const known = [...new Set(all.map((row) => row.target))];
  const chosen = allCorpora.filter((i) => known.includes(name(i)));
  body("gaps").replaceChildren(
    h("p", {}, "Results of the command gaps: the templates of a target whose rows raise the alignment of a training set most, in the order in which to add them."),
    h("div", { class: "tools" }, chooser("Target", asOptions(rows.length ? chosen : [state.target, ...chosen]), state.target, (value) => chooseTarget(Number(value), "gaps-target"), "gaps-target")),
    ...(rows.length ? [...new Set(rows.map((row) => row.source))].map((source) => gapsPanel(source, rows.filter((row) => row.source === source)))
      : [h("p", {}, `Nothing is recorded for ${name(state.target)}; targets with results: ${known.join(", ")}.`)]));
}

function gapsPanel(source, rows) {
  const [first] = rows;
  const hidden = first.n_templates_in_all - rows.length;
  const example = (row) => row.example_sql || row.template;
  return h("div", { class: "panel" }, h("h3", {}, `Rows that ${source} lacks for ${first.target}`),
    h("p", {}, `${counted(first.n_rows_in_all, "row")} of ${counted(first.n_templates_in_all, "template")} raise its KL-alignment from ${fixed(first.source_alignment)} to ${fixed(first.alignment_with_all)}.`,
      hidden ? ` Shown are the first ${rows.length} templates; nl2sql-align gaps lists all.` : ""),
    table(`Rows to add to ${source} for ${first.target}`, [
      textColumn("Structure", (row) => row.structure, (row) => h("details", {}, h("summary", {}, row.structure), row.example_sql ? h("div", {}, `Example from ${row.example_corpus}:`) : null, h("span", { class: "sql" }, example(row)))),
      countColumn("Rows to add", (row) => row.n_rows), countColumn("So far", (row) => row.n_rows_so_far), numberColumn("KL-alignment then", (row) => row.kl_alignment, (row) => fixed(row.kl_alignment, 4)),
      countColumn("In the target", (row) => row.n_in_target), countColumn("In the set", (row) => row.n_in_source), countColumn("In other sets", (row) => row.n_in_pool),
    ], rows, { foldable: true }));
}

// ---- differences ---------------------------------------------------------------------------------------------------

const MOST_DIFFERENT = 10;

function choosePair(source, target) {
  state.source = source;
  state.against = target;
  drawDifferences();
  drawTemplates();
  keepInAddress();
}

function pairTools(prefix) {
  const set = (key) => (value) => { state[key] = Number(value); choosePair(state.source, state.against); document.getElementById(`${prefix}-${key}`)?.focus(); };
  return h("div", { class: "tools" },
    chooser("Source", asOptions(comparable), state.source, set("source"), `${prefix}-source`),
    chooser("Target", asOptions(comparable), state.against, set("against"), `${prefix}-against`),
    button("Swap", () => { choosePair(state.against, state.source); document.getElementById(`${prefix}-swap`).focus(); }, { id: `${prefix}-swap` }));
}

function drawDifferences() {
  const [s, t] = [state.source, state.against];
  if (s === null) { body("differences").replaceChildren(h("p", {}, "Nothing to compare.")); return; }
  const parts = [pairTools("pair"), h("p", {}, alignment(s, t) === null ? `The alignment of ${name(s)} with ${name(t)} is not in the report.` :
    `KL-alignment of ${name(s)} with ${name(t)}: ${rounded(alignment(s, t), intervals.get(`${s} ${t}`))}. KL divergence: ${fixed(METRICS.kl_nats.value(s, t))} nats; in the reverse direction, ${fixed(METRICS.kl_nats.value(t, s))} nats.`)];
  if (s === t) parts.push(h("p", {}, "A corpus does not differ from itself."));
  else parts.push(h("p", { class: "legend" }, h("span", { class: "first" }, name(s)), h("span", { class: "second" }, name(t))), ...structureParts(s, t), ...ngramParts(s, t));
  body("differences").replaceChildren(...parts);
}

// The structures of two corpora, the largest difference first; of related ones with the same shares, one
function structuresOf(s, t) {
  // Cohen's h, on whose scale 12% and 0.3% are as far apart as 50% and 79%
  const effect = (a, b) => 2 * (Math.asin(Math.sqrt(Math.min(1, a))) - Math.asin(Math.sqrt(Math.min(1, b))));
  const rows = Object.entries(data.features)
    .filter(([, values]) => values[s] && values[t])
    .map(([label, values]) => ({ label, s: values[s], t: values[t], effect: effect(values[s][0], values[t][0]) }))
    .filter((row) => row.s[0] || row.t[0])
    .sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect));
  const family = (row) => data.related[row.label] ?? row.label;
  const alike = (a, b) => family(a) === family(b) && Math.abs(a.s[0] - b.s[0]) < 0.01 && Math.abs(a.t[0] - b.t[0]) < 0.01;
  const distinct = [];
  for (const row of rows) if (!row.label.startsWith("Spider hardness") && Math.abs(row.effect) >= 0.01 && !distinct.some((other) => alike(row, other))) distinct.push(row);
  return { rows, distinct: distinct.slice(0, MOST_DIFFERENT) };
}

function structureParts(s, t) {
  const { rows, distinct } = structuresOf(s, t);
  const about = `Share of the queries of ${name(s)} and of ${name(t)} that use each structure`;
  const list = h("div", { id: "pairs" }, distinct.map((row) => h("details", {},
    h("summary", {}, row.label, h("span", { class: "soft" }, ` ${percent(row.s[0])} of ${name(s)}, ${percent(row.t[0])} of ${name(t)}`)),
    [[s, row.s], [t, row.t]].map(([i, [share, , example]]) => (example === undefined
      ? h("div", {}, share ? `The report has no example from ${name(i)}.` : `No query of ${name(i)} uses it.`)
      : [h("div", {}, data.without_sql ? `A template of ${name(i)} with it:` : `A query of ${name(i)} with it:`), h("span", { class: "sql" }, said(example))])))));
  const columns = [
    textColumn("Structure", (row) => row.label), shareColumn(name(s), (row) => row.s[0]), shareColumn(name(t), (row) => row.t[0]),
    numberColumn(`Uses per query in ${name(s)}`, (row) => row.s[1], (row) => fixed(row.s[1], 2)), numberColumn(`Uses per query in ${name(t)}`, (row) => row.t[1], (row) => fixed(row.t[1], 2)),
    numberColumn("Cohen's h", (row) => row.effect, (row) => `${row.effect > 0 ? "+" : ""}${fixed(row.effect, 2)}`),
  ];
  return [h("h3", { id: "structures" }, "In words"),
    h("p", { class: "soft" }, "The share of queries that use each structure, the largest difference first. A click on a bar opens an example of both sides."),
    distinct.length ? chart("structures", distinct.flatMap((row, id) => [["source", s, row.s], ["target", t, row.t]].map(([side, i, [share, mean]]) => (
      { id, feature: row.label, side, share, text: percent(share), description: `${row.label}: ${percent(share)} of the queries of ${name(i)}, ${fixed(mean, 2)} per query` }))), about,
    { change: fitted(900), params: { characters: isNarrow() ? 22 : 40 }, click: ({ id }) => openDetails(list.children[id]) }) : h("p", {}, "They use the same structures equally often."),
    list, asTable(about, columns, rows)];
}
function openDetails(chosen) {
  chosen.open = true;
  chosen.querySelector("summary").focus();
}

// The n-grams of a pair for both sides. They are stored for one direction; turn them around for the other
function ngramsOf(s, t) {
  const turned = (rows) => rows.map(([ngram, nats, folded, p, q, sql, template]) => [ngram, nats, folded, q, p, sql, template]);
  const [pair, other] = [contributions.get(`${s} ${t}`), contributions.get(`${t} ${s}`)];
  const sides = pair ? [pair[2], pair[3]] : other ? [turned(other[3]), turned(other[2])] : null;
  return sides && sides.map((rows) => foldVariants(rows).slice(0, MOST_DIFFERENT));
}

// Folds variants: n-grams that share a run of at least half of the shorter one's tokens, with a word that few n-grams have
const COMMON = new Set(["SELECT", "FROM", "WHERE", "AND", "(", ")", ",", "=", "*"]);
function foldVariants(rows) {
  const runs = (tokens, n) => Array.from({ length: Math.max(0, tokens.length - n + 1) }, (_, i) => tokens.slice(i, i + n)).filter((run) => run.some((token) => !COMMON.has(token))).map((run) => run.join(" "));
  const isVariant = (a, b) => {
    const n = Math.ceil(Math.min(a.length, b.length) / 2);
    const known = new Set(runs(a, n));
    return runs(b, n).some((run) => known.has(run));
  };
  const groups = [];
  for (const row of rows) {
    const tokens = said(row[0]).split(" ");
    const group = groups.find((one) => isVariant(one.tokens, tokens));
    if (group) group.variants.push(row);
    else groups.push({ row, tokens, variants: [] });
  }
  return groups.map((group) => ({ ...group, nats: group.variants.reduce((sum, row) => sum + row[1], group.row[1]) })).sort((a, b) => b.nats - a.nats);
}

function ngramParts(s, t) {
  const sides = ngramsOf(s, t);
  if (!sides) return [h("h3", {}, "In n-grams"), h("p", {}, `The report has n-grams ${data.most_sources ? `for the ${count(data.most_sources)} closest corpora of each target` : "for pairs with a target"} only. To see those of this pair, run nl2sql-align explain DIR SOURCE TARGET.`)];
  const groups = sides.flatMap((some, side) => some.map((group) => ({ ...group, side })));
  const list = h("div", { id: "bars" }, groups.map((group) => ngramDetails(group, s, t)));
  return [h("h3", {}, "In n-grams"),
    h("p", { class: "soft" }, `Bars are terms of the KL divergence, in nats: to the right, of n-grams more frequent in ${name(s)}; to the left, of those more frequent in ${name(t)}. They come from the 20 largest terms of each direction. The terms of variants, which share half of their tokens, are added to that of the first. nl2sql-align explain uses all terms.`),
    groups.length ? chart("differences", groups.map(({ row, side, nats, variants }, id) => ({ id, ngram: said(row[0]), nats: ((side ? -1 : 1) * nats) / 1e6, side: side ? "target" : "source", description: `${said(row[0])}: ${fixed(nats / 1e6, 4)} nats${variants.length ? ` with ${counted(variants.length, "variant")}` : ""}; ${ngramShares(row, s, t)}` })),
      `Terms of the KL divergence in nats: n-grams more frequent in ${name(s)} to the right, in ${name(t)} to the left`, {
        change: fitted(1000), params: { text_limit: Math.min(room(), 1000) - 16 }, click: ({ id }) => openDetails(list.children[id]),
      }) : h("p", {}, "Their n-grams are equally frequent."), list];
}

function ngramShares([, , folded, p, q], s, t) {
  return `${smallPercent(p / 1e6)} of the n-grams of ${name(s)}, ${smallPercent(q / 1e6)} of those of ${name(t)}${folded ? `; includes ${counted(folded, "nested n-gram")}` : ""}`;
}

function ngramDetails({ row, side, nats, variants }, s, t) {
  const [ngram, , , , , sql, template] = row;
  return h("details", { class: side ? "under" : "over" },
    h("summary", {}, h("code", {}, said(ngram)), h("span", { class: "soft" }, ` ${side ? "−" : "+"}${fixed(nats / 1e6, 4)} nats`)),
    h("div", {}, ngramShares(row, s, t)),
    variants.length ? h("div", {}, "Variants: ", variants.map((one, i) => [i ? "; " : "", h("code", {}, said(one[0]))]).flat()) : null,
    said(sql) ? [h("div", {}, `Example query from ${name(side ? t : s)}:`), h("span", { class: "sql" }, said(sql))] : null,
    said(template) ? [h("div", {}, "Its template:"), h("span", { class: "sql" }, said(template))] : null);
}

// ---- why a pair differs, beside the cell that was chosen -------------------------------------------------------------

const pairBox = document.getElementById("pair");
let pairOpener = null;

function showPair(s, t, place, opener) {
  hideTip();
  const { distinct } = structuresOf(s, t);
  const sides = s === t ? null : ngramsOf(s, t);
  const ngrams = (sides || []).flatMap((some, side) => some.slice(0, 2).map((group) => h("li", {}, h("code", {}, said(group.row[0])), ` more in ${name(side ? t : s)}`)));
  pairBox.replaceChildren(
    h("h3", { id: "pair-title" }, `${name(s)} compared with ${name(t)}`),
    h("p", {}, `${METRICS.kl_alignment.label}: ${withInterval(alignment(s, t), intervals.get(`${s} ${t}`)) || "unknown"}`),
    ...flags(s, t),
    s === t ? h("p", {}, "A corpus does not differ from itself.")
      : distinct.length ? h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Share of queries with"), h("th", { scope: "col", class: "n" }, name(s)), h("th", { scope: "col", class: "n" }, name(t)))),
        h("tbody", {}, distinct.slice(0, 5).map((row) => h("tr", {}, h("th", { scope: "row" }, row.label), h("td", { class: "n" }, percent(row.s[0])), h("td", { class: "n" }, percent(row.t[0])))))) : h("p", {}, "They use the same structures equally often."),
    ngrams.length ? h("ul", {}, ngrams) : "",
    h("div", { class: "tools" }, button("All differences", () => { hidePair(); choosePair(s, t); jump("differences"); document.getElementById("pair-source").focus({ preventScroll: true }); }), button("Close", hidePair)));
  pairBox.hidden = false;
  pairOpener = opener;
  state.source = s;
  state.against = t;
  choosePair(s, t);
  placeBeside(pairBox, place);
  pairBox.focus({ preventScroll: true });
}
function hidePair() {
  if (pairBox.hidden) return;
  pairBox.hidden = true;
  pairOpener?.focus({ preventScroll: true });
}
document.addEventListener("keydown", (event) => { if (event.key === "Escape") { hidePair(); hideTip(); } });
document.addEventListener("pointerdown", (event) => { if (!pairBox.hidden && !pairBox.contains(event.target) && !event.target.closest(".heat")) pairBox.hidden = true; });

// ---- templates -----------------------------------------------------------------------------------------------------

function drawTemplates() {
  const [s, t] = [state.source, state.against];
  const drawn = allCorpora.filter((i) => data.curves[i][0].length);
  // Lines that are drawn last are on top
  const order = [...drawn.filter((i) => i !== s && i !== t), ...drawn.filter((i) => i === t && i !== s), ...drawn.filter((i) => i === s)];
  const points = order.flatMap((i) => data.curves[i][0].map((n, k) => (
    { corpus: name(i), n, share: data.curves[i][1][k], side: i === s ? "source" : i === t ? "target" : "other", description: name(i) })));
  const needed = (i, share) => { const [ns, shares] = data.curves[i]; const k = shares.findIndex((value) => value >= share - 1e-9); return k < 0 ? null : ns[k]; };
  const rows = [...new Set([s, t, ...allCorpora])].filter((i) => i !== null && data.curves[i][0].length);
  const about = `Share of the queries of ${s === null ? "each corpus" : `${name(s)}, ${name(t)} and the other corpora`} covered by the most frequent templates`;
  body("templates").replaceChildren(pairTools("templates"),
    s === null ? "" : h("p", { class: "legend" }, h("span", { class: "first" }, name(s)), h("span", { class: "second" }, `${name(t)} (dashed)`), h("span", { class: "others" }, "the other corpora")),
    points.length ? chart("templates", points, about, { change: { ...fitted(900), height: isNarrow() ? 240 : 340 } }) : "",
    h("p", { class: "soft" }, "In a corpus whose curve rises early, a few templates account for most of the queries. The table has the number of templates that cover at least a share of the queries, rounded up to a point of the curve."),
    asTable(about, [
      textColumn("Corpus", name), countColumn("Templates", (i) => corpora[i].n_distinct_templates),
      ...[0.5, 0.8, 0.95].map((share) => countColumn(`For ${percent(share)} of queries`, (i) => needed(i, share))),
    ], rows));
}

// ---- parsing -------------------------------------------------------------------------------------------------------

function drawParsing() {
  const reasons = new Map();
  for (const [i, reason, n, example] of data.rejects) reasons.set(i, [...(reasons.get(i) || []), { reason, n, example }]);
  const rows = [...allCorpora].sort((a, b) => parsedShare(a) - parsedShare(b) || a - b);
  const why = (i) => h("details", {}, h("summary", {}, count(corpora[i].n_rejected)), h("ul", {}, (reasons.get(i) || []).map((one) => h("li", {}, `${count(one.n)}: ${one.reason}`, data.without_sql ? null : h("span", { class: "sql" }, one.example || "(empty)")))));
  const columns = [
    textColumn("Corpus", name, (i) => [name(i), corpora[i].is_set_aside ? h("div", { class: "flag" }, "set aside, because no query has an n-gram") : null]),
    { ...shareColumn("Parsed", parsedShare), n: false, show: (i) => h("div", { class: "share", "--to": 100 * parsedShare(i) }, h("span", {}, percent(parsedShare(i)))) },
    countColumn("Queries", (i) => corpora[i].n_queries), { ...countColumn("Rejected, and why", (i) => corpora[i].n_rejected), n: false, show: (i) => (corpora[i].n_rejected ? why(i) : "0") },
    countColumn("Cleaned", (i) => corpora[i].n_cleaned || null), textColumn("Role", (i) => corpora[i].role), textColumn("Dialect", (i) => corpora[i].dialect),
  ];
  body("parsing").replaceChildren(h("p", {}, "Corpora by the share of their queries that parse, the lowest first. Rejected queries are counted here and left out of all measures."),
    data.run.notes.length ? h("ul", { class: "notes" }, data.run.notes.map((note) => h("li", {}, note))) : "", table("Corpora and their shares of parsed queries", columns, rows, { foldable: true }));
}

// ---- versions ------------------------------------------------------------------------------------------------------

function drawVersions() {
  const words = (value) => (value === null ? "default" : Array.isArray(value) ? value.join(", ") : typeof value === "object" ? Object.entries(value).map(([key, one]) => `${key} ${words(one)}`).join(", ") : String(value));
  const pairs = (title, values) => h("div", {}, h("h3", {}, title), scrolled(title, h("table", {}, h("tbody", {}, Object.entries(values).map(([key, value]) => h("tr", {}, h("th", { scope: "row" }, key), h("td", {}, words(value))))))));
  const aside = Object.entries(data.run.set_aside);
  const reading = (key) => (i) => { const value = data.run.reading[name(i)]?.[key]; return value === undefined ? "" : words(value); };
  body("versions").replaceChildren(
    ...(aside.length ? [h("h3", {}, "Set aside"), h("ul", {}, aside.map(([, reason]) => h("li", {}, reason)))] : []),
    h("div", { class: "figures" }, pairs("Run", { "first run with these results": data.run.id, finished: data.run.finished, ...data.run.parameters }), pairs("Versions", data.run.versions)),
    h("details", {}, h("summary", {}, "How each dump was read, with its SHA-256 digest"), table("How each dump was read", [
      textColumn("Corpus", name), textColumn("Format", (i) => corpora[i].format), textColumn("Dialect", (i) => corpora[i].dialect), textColumn("Cleaned as", reading("clean")),
      textColumn("Several statements", reading("statements")), textColumn("Kinds taken", reading("kinds")), textColumn("License", (i) => corpora[i].license || ""),
      textColumn("Digest", (i) => corpora[i].digest, (i) => h("code", {}, corpora[i].digest)),
    ], allCorpora, { foldable: true })));
}

// ---- all of it -----------------------------------------------------------------------------------------------------

document.getElementById("about").replaceChildren(
  `Alignment report of ${counted(corpora.length, "corpus", "corpora")}: ${counted(corpora.filter((one) => one.role === "train").length, "training set")}, ` +
  `${counted(corpora.filter((one) => one.role === "target").length, "target")}, ${counted(corpora.filter((one) => one.role === "predictions").length, "set")} of predictions; ` +
  `${counted(corpora.reduce((sum, one) => sum + one.n_queries, 0), "query", "queries")}. Published ${data.run.finished}.`);
function drawCharts() {
  if (comparable.length) for (const draw of [drawAnswer, drawRanking, drawRatios, drawMatrix, drawDifferences]) draw();
  else for (const id of ["answer", "ranking", "ratios", "matrix", "differences"]) body(id).replaceChildren(h("p", {}, "Nothing to compare: no corpus has a query with an n-gram."));
  drawSlices();
  drawDecisions();
  drawGaps();
  drawTemplates();
}
function openAddress() {
  const section = readAddress();
  drawCharts();
  if (section) jump(section);
}
drawParsing();
drawVersions();
openAddress();
window.addEventListener("hashchange", () => {
  // A link of the contents names a section only, and keeps the choices
  if (!location.hash.includes("=")) { sectionInView = location.hash.slice(1); keepInAddress(); } else openAddress();
});
// The section in view is marked in the contents
const links = [...document.querySelectorAll("nav a")];
const inView = new Set();
const observer = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) inView[isIntersecting ? "add" : "delete"](target.id);
  // At its end, the page cannot scroll the last section to the top
  const isAtEnd = window.scrollY > 0 && window.innerHeight + window.scrollY >= document.documentElement.scrollHeight - 2;
  const first = isAtEnd ? links.at(-1) : links.find((link) => inView.has(link.hash.slice(1)));
  if (first) first.parentNode.scrollLeft = first.offsetLeft - 40;
  for (const link of links) link === first ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current");
}, { rootMargin: "-15% 0px -60% 0px" });
for (const section of document.querySelectorAll("main > section")) observer.observe(section);
let width = room();
let waiting;
window.addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => { if (room() !== width) { width = room(); drawCharts(); } }, 200);
});
if (!nDrawing) document.documentElement.dataset.drawn = "true";
