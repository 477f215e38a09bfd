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
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}
const body = (id) => document.querySelector(`#${id} .body`);
const fixed = (value, digits = 3) => (value === null || value === undefined ? "" : value.toFixed(digits));
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
const interval = (low, high) => (low === null || low === undefined ? "" : `${fixed(low)} to ${fixed(high)}`);

// The rows, as objects, of a table stored by columns
function rowsOf(columns) {
  const keys = Object.keys(columns);
  const n = keys.length ? columns[keys[0]].length : 0;
  return Array.from({ length: n }, (_, i) => Object.fromEntries(keys.map((key) => [key, columns[key][i]])));
}
const ratios = rowsOf(data.ratios);
const intervals = new Map(rowsOf(data.intervals).map((row) => [`${row.source} ${row.target}`, row]));
const ceilings = new Map(rowsOf(data.ceilings).map((row) => [row.target, row]));
const uneven = new Set(data.uneven.map(([s, t]) => `${s} ${t}`));
const doubtsAbout = new Map(data.doubts.map(([s, t, doubts]) => [`${s} ${t}`, doubts]));
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

// The first rows of a long list, with a button that shows all of them
function limited(rows, most, draw) {
  const box = h("div");
  const fill = (n) => {
    box.replaceChildren(draw(rows.slice(0, n)));
    if (n < rows.length) {
      box.append(h("button", { type: "button", class: "more", onclick: () => fill(rows.length) }, `Show all ${count(rows.length)}`));
    }
  };
  fill(rows.length > most ? most : rows.length);
  return box;
}
function table(heads, rows, attributes = {}) {
  return h("div", { class: "wide" }, h("table", { class: "full", ...attributes },
    h("thead", {}, h("tr", {}, heads.map((head) => (head instanceof Node ? head : h("th", { scope: "col", class: head.startsWith("#") ? "n" : null }, head.replace(/^#/, "")))))),
    h("tbody", {}, rows)));
}

const VERDICTS = { gain: ["▲", "gain"], "no gain": ["▼", "no gain"], undecided: ["◆", "undecided"] };
const kind = (verdict) => (verdict || "undecided").replace(" ", "-");
function verdictOf(row) {
  if (!row.verdict) return h("span", { class: "soft" }, "no interval");
  const [sign, words] = VERDICTS[row.verdict];
  return h("span", { class: `verdict ${kind(row.verdict)}` }, `${sign} ${words}`);
}

// The sign alone, to save room; the words are in the tooltip and the label for screen readers
function shortVerdict(row) {
  if (!row.verdict) return "";
  const [sign, words] = VERDICTS[row.verdict];
  return h("span", { class: kind(row.verdict), title: `${words}: ${interval(row.ci_low, row.ci_high)}`, role: "img", "aria-label": words }, sign);
}

// ---- charts --------------------------------------------------------------------------------------------------------

const main = document.getElementById("main");
const room = () => main.clientWidth - 32;
const isNarrow = () => room() < 600;
const isWide = () => room() > 1000;
// The length at which names are cut
const characters = () => (isNarrow() ? 18 : 36);
const pen = document.createElement("canvas").getContext("2d");
pen.font = `12px ${data.config.font}`;
const widthOf = (indices) => Math.max(...indices.map((i) => pen.measureText(name(i)).width * Math.min(1, characters() / name(i).length)));
let nDrawing = 0;

// Draws a chart of data.charts with these rows. `about` describes it to screen readers, `change` overrides parts of its
// specification, `tooltip` makes the content of a row's tooltip, and `then` is called with the drawn chart.
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
        if (item?.datum?.description) showTip({ left: event.clientX, top: event.clientY - 6, bottom: event.clientY + 6, width: 0 }, ...tooltip(item.datum));
      });
      view.addEventListener("mouseout", hideTip);
      for (const [name, listener] of Object.entries(events)) view.addEventListener(name, (event, item) => item?.datum?.description && listener(item.datum));
      if (then) then(box);
    })
    .catch((error) => { box.replaceChildren(h("p", { class: "note" }, `This chart cannot be drawn: ${error.message}`)); })
    .finally(() => { nDrawing -= 1; if (!nDrawing) document.documentElement.dataset.drawn = "true"; });
  return box;
}
// For a chart that fills the room, including its labels and axes, up to a width
const fitted = (most) => ({ width: Math.min(room(), most), autosize: { type: "fit-x", contains: "padding" } });
function asTable(draw) {
  const box = h("details", { ontoggle: () => { if (box.children.length === 1) box.append(draw()); } }, h("summary", {}, "As a table"));
  return box;
}
const rangeOf = (values, margin) => {
  const known = values.filter((value) => value !== null && value !== undefined);
  return { x_low: Math.min(...known) - margin, x_high: Math.max(...known) + margin };
};

// ---- state ---------------------------------------------------------------------------------------------------------

const firstWithRatio = targets.find((t) => ratios.some((row) => row.target === t));
const state = {
  target: firstWithRatio ?? targets[0],
  metric: "kl_alignment",
  swapped: false,
  rows: comparable.length > MANY ? "train" : "all",
  columns: data.columns || (comparable.length > 12 && withRole("target").length) ? "target" : "all",
  order: "clustered",
  find: "",
  predictions: "untuned",
  source: null,
  against: null,
};
const ranked = (target) =>
  withRole("train").filter((s) => s !== target).sort((a, b) => alignment(b, target) - alignment(a, target));
state.against = state.target;
state.source = ranked(state.target)[0] ?? comparable.find((i) => i !== state.target) ?? null;

// ---- the closest training sets -------------------------------------------------------------------------------------

function drawChoose() {
  const section = body("choose");
  const trains = withRole("train");
  if (!trains.length || !targets.length) {
    section.replaceChildren(h("p", {}, "There is no training set, or no target to compare one with. The matrix shows the corpora that can be compared."));
    return;
  }
  const overview = targets.map((t) => {
    const order = ranked(t);
    const [best] = order;
    if (best === undefined) return null;
    const row = intervals.get(`${best} ${t}`) || {};
    const ceiling = ceilings.get(t)?.ceiling;
    const untuned = ratios.filter((one) => one.target === t && one.trained_on === null);
    const models = new Set(untuned.map((one) => one.predictions));
    const gaining = new Set(untuned.filter((one) => one.verdict === "gain").map((one) => one.predictions));
    return h("tr", { class: t === state.target ? "chosen" : null },
      h("th", { scope: "row" }, h("button", { type: "button", class: "plain", "aria-pressed": String(t === state.target), onclick: () => chooseTarget(t) }, name(t))),
      h("td", {}, name(best)),
      h("td", { class: "n" }, fixed(alignment(best, t))),
      h("td", { class: "n" }, interval(row.ci_low, row.ci_high)),
      h("td", { class: "n" }, fixed(METRICS.js_alignment.value(best, t))),
      h("td", { class: "n" }, fixed(ceiling)),
      h("td", {}, models.size ? `${gaining.size} of ${models.size}` : "no predictions"));
  });
  section.replaceChildren(
    h("p", {}, "The training set with the highest KL-alignment for each target. An alignment of 1 means the same distribution, 0.368 nothing in common. ",
      "The ceiling is the alignment that another sample of the target itself would reach. JS, the alignment by Jensen-Shannon divergence, is a second opinion. The last column counts the untuned models for which some training set has the verdict gain."),
    table(["Target", "Closest training set", "#KL-alignment", "#95% interval", "#JS", "#Ceiling", "Untuned models with a gain"], overview),
    h("div", { class: "tools" }, chooser("Target", asOptions(targets), state.target, (value) => chooseTarget(Number(value)), "target")),
    ranking(state.target));
}

// The part of the target that predictions answer, if they do not answer all of it
function partOf(row) {
  return row.is_part ? ` on ${count(row.n_answered)} of ${count(row.n_questions)} questions` : "";
}

function ranking(t) {
  const order = ranked(t);
  const predictions = [...new Set(ratios.filter((row) => row.target === t && row.trained_on === null).map((row) => row.predictions))];
  const ceiling = ceilings.get(t)?.ceiling;
  const heads = ["Training set", "#KL-alignment", "#95% interval", "#JS", ...predictions.map((p) => h("th", { scope: "col", class: "model" }, `AR of ${name(p)}${partOf(ratios.find((row) => row.predictions === p && row.target === t))}`))];
  const lines = (shown) => table(heads, shown.map((s) => {
    const row = intervals.get(`${s} ${t}`);
    const overlap = METRICS.exact_overlap.value(s, t);
    return h("tr", {},
      h("th", { scope: "row" }, name(s), overlap >= 0.005 ? h("div", { class: "flag" }, `contains ${percent(overlap)} of the target's queries`) : null,
        uneven.has(`${s} ${t}`) ? h("div", { class: "flag" }, `${percent(parsedShare(s))} of it parses, but ${percent(parsedShare(t))} of the target`) : null),
      h("td", { class: "n" }, fixed(alignment(s, t))),
      h("td", { class: "n" }, row ? interval(row.ci_low, row.ci_high) : ""),
      h("td", { class: "n" }, fixed(METRICS.js_alignment.value(s, t))),
      predictions.map((p) => {
        const one = ratios.find((ratio) => ratio.train === s && ratio.predictions === p && ratio.target === t);
        return h("td", { class: "n" }, one ? [fixed(one.alignment_ratio), " ", shortVerdict(one)] : "");
      }));
  }), { "aria-label": `Training sets for ${name(t)}` });
  return h("div", { id: "ranking" }, h("h3", {}, `Training sets for ${name(t)}`), answer(t, order),
    h("p", { class: "soft" }, "Dots are alignments, bars their 95% intervals. ", ceiling ? `The dashed line is the ceiling, ${fixed(ceiling)}. ` : "", predictions.length ? "AR is the Alignment Ratio; its verdict is ▲ gain, ◆ undecided or ▼ no gain." : ""),
    limited(order, 20, (shown) => h("div", {}, rankingChart(t, shown, ceiling), lines(shown))));
}

function rankingChart(t, shown, ceiling) {
  const rows = shown.map((s) => {
    const { ci_low: low = null, ci_high: high = null } = intervals.get(`${s} ${t}`) || {};
    const value = alignment(s, t);
    const text = low === null || isNarrow() ? fixed(value) : `${fixed(value)}  (${interval(low, high)})`;
    return { label: name(s), value, low, high, text, ceiling: ceiling ?? null, description: `${name(s)}: ${fixed(value)}${low === null ? "" : `, ${interval(low, high)}`}` };
  });
  return chart("ranking", rows, `KL-alignments of training sets with ${name(t)}; the table below has the numbers`, {
    change: fitted(900),
    params: { ...rangeOf(rows.flatMap((row) => [row.value, row.low, row.high, row.ceiling]), 0.02), characters: characters() },
  });
}

// The ranking in words
function answer(t, order) {
  if (!order.length) return h("p", { class: "answer" }, "There is no other training set.");
  const [best, next] = order;
  let sentence = `${name(best)} is the closest, with a KL-alignment of ${fixed(alignment(best, t))}`;
  const one = intervals.get(`${best} ${t}`);
  const other = next === undefined ? null : intervals.get(`${next} ${t}`);
  if (next !== undefined) {
    const apart = one && other && one.ci_low > other.ci_high;
    sentence += `; ${name(next)} is next, with ${fixed(alignment(next, t))}${one && other ? (apart ? ", and their intervals do not overlap" : ", but their intervals overlap") : ""}`;
  }
  const rows = ratios.filter((row) => row.target === t && row.trained_on === null && row.train === best);
  const sentences = [`${sentence}.`];
  for (const [verdict, words] of [["gain", "A gain is expected for"], ["undecided", "The verdict is undecided for"], ["no gain", "No gain is expected for"]]) {
    const models = rows.filter((row) => row.verdict === verdict).map((row) => name(row.predictions) + partOf(row));
    if (models.length) sentences.push(`${words} ${models.join(", ")}.`);
  }
  sentences.push(...(doubtsAbout.get(`${best} ${t}`) || []).map((doubt) => `Doubtful: ${doubt}.`));
  return h("p", { class: "answer" }, sentences.join(" "));
}

function chooseTarget(t) {
  const focused = document.activeElement && document.activeElement.textContent;
  state.target = t;
  state.predictions = "untuned";
  drawChoose();
  drawRatios();
  choosePair(ranked(t)[0] ?? state.source, t);
  const button = [...document.querySelectorAll("#choose button.plain")].find((one) => one.textContent === focused);
  if (button) button.focus();
  else if (focused) document.getElementById("target")?.focus();
}

// ---- the matrix ----------------------------------------------------------------------------------------------------

function drawMatrix() {
  const roles = [["all", "all"], ...["train", "target", "predictions"].filter((role) => withRole(role).length).map((role) => [role, role])];
  const set = (key) => (value) => { state[key] = value; fillMatrix(); };
  body("matrix").replaceChildren(
    ...(data.columns ? [h("p", { class: "soft" }, `With ${count(corpora.length)} corpora, the report contains only the pairs with a target; nl2sql-align matrix prints all of them.`)] : []),
    h("p", {}, "Rows are sources, columns are targets. Hover over a cell, or use the arrow keys, to see all measures. Click on it, or press Enter, to see below how the two corpora differ."),
    h("div", { class: "tools" },
      chooser("Measure", Object.entries(METRICS).map(([key, metric]) => [key, metric.label]), state.metric, set("metric"), "metric"),
      chooser("Direction", [["", "row compared with column"], ["swapped", "column compared with row"]], state.swapped ? "swapped" : "",
        (value) => { state.swapped = value === "swapped"; fillMatrix(); }, "direction"),
      chooser("Rows", roles, state.rows, set("rows"), "rows"),
      chooser("Columns", data.columns ? [["target", "target"]] : roles, state.columns, set("columns"), "columns"),
      chooser("Order", [["clustered", "similar side by side"], ["listed", "as in the corpora file"], ["name", "by name"]], state.order, set("order"), "order"),
      h("label", {}, "Name contains", h("input", { type: "search", id: "find", oninput: (event) => set("find")(event.target.value) }))),
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
  const valueOf = (s, t) => (state.swapped ? metric.value(t, s) : metric.value(s, t));
  const about = `${metric.label} of ${state.swapped ? "columns with rows" : "rows with columns"}`;
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
    return chart("heat", cells, `${about}; arrow keys move between cells, Enter shows how the two corpora differ`, {
      change: { width: { step } },
      params: { far: metric.low, near: metric.high, characters: characters(), size: step >= 30 ? 11 : 9, angle: isNarrow() ? -90 : -60 },
      then: (box) => addKeys(box, cells, columns.length),
      tooltip: (cell) => pairTooltip(...pairOf(cell)),
      click: (cell) => choosePair(...pairOf(cell)),
    });
  };
  const inNumbers = (shown) => table(["", ...columns.map((t) => `#${name(t)}`)], shown.map((s) => h("tr", {}, h("th", { scope: "row" }, name(s)),
    columns.map((t) => h("td", { class: "n" }, marked(s, t, fixed(valueOf(s, t))))))), { "aria-label": about });
  document.getElementById("heat").replaceChildren(
    h("div", { class: "scale" }, fixed(metric.low), h("span", { class: "ramp" }), fixed(metric.high), data.uneven.length ? h("span", {}, "* much less of one corpus parses than of the other") : null),
    ...(rows.length && columns.length ? [limited(rows, MANY + 20, draw), asTable(() => limited(rows, MANY + 20, inNumbers))] : [h("p", {}, "No corpus matches this choice.")]));
}
const pairOf = (cell) => (state.swapped ? [cell.t, cell.s] : [cell.s, cell.t]);

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
      choosePair(...pairOf(cells[i]));
    } else if (event.key === "Escape") hideTip();
  });
}

const tip = document.getElementById("tip");
function showTip(box, ...content) {
  tip.replaceChildren(...content);
  tip.hidden = false;
  const size = tip.getBoundingClientRect();
  const left = Math.max(4, Math.min(box.left + box.width / 2 - size.width / 2, document.documentElement.clientWidth - size.width - 4));
  const above = box.top - size.height - 8;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > 4 ? above : Math.min(box.bottom + 8, window.innerHeight - size.height - 4)}px`;
}
function hideTip() { tip.hidden = true; }
window.addEventListener("scroll", hideTip, { passive: true, capture: true });

function pairTooltip(s, t) {
  const row = intervals.get(`${s} ${t}`);
  const ceiling = ceilings.get(t)?.ceiling;
  const lines = Object.values(METRICS).map((metric) => h("tr", {}, h("td", {}, metric.label), h("td", { class: "n" }, fixed(metric.value(s, t))), h("td", { class: "n" }, fixed(metric.value(t, s)))));
  return [h("strong", {}, name(s)), " compared with ", h("strong", {}, name(t)),
    row ? h("div", {}, `95% interval of the KL-alignment: ${interval(row.ci_low, row.ci_high)}`) : "",
    ceiling && corpora[s].role === "train" ? h("div", {}, `Ceiling for ${name(t)}: ${fixed(ceiling)}`) : "",
    uneven.has(`${s} ${t}`) ? h("div", { class: "flag" }, `${percent(parsedShare(s))} and ${percent(parsedShare(t))} of their queries parse`) : "",
    h("table", {}, h("thead", {}, h("tr", {}, h("th", {}), h("th", { class: "n" }, "this"), h("th", { class: "n" }, "reverse"))), h("tbody", {}, lines))];
}

// ---- ratios --------------------------------------------------------------------------------------------------------

function drawRatios() {
  const withRatios = targets.filter((t) => ratios.some((row) => row.target === t));
  if (!withRatios.length) {
    body("ratios").replaceChildren(h("p", {}, "There are no ratios: they need a corpus with the role train and one with the role predictions."));
    return;
  }
  const target = withRatios.includes(state.target) ? state.target : withRatios[0];
  const rows = ratios.filter((row) => row.target === target);
  const predictions = [...new Set(rows.map((row) => row.predictions))];
  const isTuned = (p) => corpora[p].trained_on !== null;
  const kinds = [["untuned", "of untuned models"], ["tuned", "of tuned models"], ["all", "all"]];
  const filters = { untuned: (p) => !isTuned(p), tuned: isTuned, all: () => true };
  const keep = filters[state.predictions] || ((p) => p === Number(state.predictions));
  const shown = predictions.filter(keep);
  const around = rows.filter((row) => shown.includes(row.predictions)).flatMap((row) => [row.alignment_ratio, row.ci_low, row.ci_high, row.reach_ratio]).filter((value) => value !== null);
  const scale = { x_low: Math.min(0.95, ...around) / 1.03, x_high: Math.max(1.05, ...around) * 1.03 };
  body("ratios").replaceChildren(
    h("p", {}, "An Alignment Ratio compares a training set with a model's own answers: to the right of the line at 1, the training set is closer to the target, and fine-tuning on it should help. Bars are 95% intervals. ",
      "▲ gain: the interval is above 1. ▼ no gain: it is below 1. ◆ undecided: it contains 1, or the verdict is withheld. ○ is the ratio by reach: by the mixture of the training set's parts that is closest to the target."),
    h("div", { class: "tools" },
      chooser("Target", asOptions(withRatios), target, (value) => chooseTarget(Number(value)), "ratio-target"),
      chooser("Answers", [...kinds, ...asOptions(predictions)], state.predictions, (value) => { state.predictions = value; drawRatios(); document.getElementById("answers").focus(); }, "answers")),
    shown.length ? "" : h("p", {}, "There are no answers of this kind for this target."),
    limited(shown, 8, (some) => h("div", { class: "figures" }, some.map((p) => ratioFigure(p, rows.filter((row) => row.predictions === p), scale)))));
}

function byReach(row) {
  return row.reach_ratio === null ? "" : `; by reach ${fixed(row.reach_ratio)}, ${row.reach_verdict || "no interval"}`;
}

function doubtsOf(rows) {
  const trains = new Map();
  for (const row of rows) for (const doubt of row.doubts) trains.set(doubt, [...(trains.get(doubt) || []), name(row.train)]);
  return [...trains].map(([doubt, names]) => names.length === rows.length ? doubt : `${names.slice(0, 3).join(", ")}${names.length > 3 ? ` and ${names.length - 3} others` : ""}: ${doubt}`);
}

function ratioFigure(p, rows, scale) {
  const [first] = rows;
  const tuned = first.trained_on === null ? "" : `, tuned on ${first.trained_on}`;
  const about = `Alignment Ratios of ${name(p)}${partOf(first)}`;
  const draw = (shown) => chart("ratios", shown.map((row) => {
    const verdict = row.verdict || "no interval";
    const text = row.ci_low === null ? fixed(row.alignment_ratio) : `${fixed(row.alignment_ratio)} (${interval(row.ci_low, row.ci_high)})`;
    return { label: name(row.train), value: row.alignment_ratio, low: row.ci_low, high: row.ci_high, verdict, reach: row.reach_ratio, text: isNarrow() ? fixed(row.alignment_ratio) : text, description: `${name(row.train)}: ${text}, ${verdict}${byReach(row)}${row.doubts.map((doubt) => `; ${doubt}`).join("")}` };
  }), about, { change: fitted(isWide() ? room() / 2 - 16 : 800), params: { ...scale, characters: isNarrow() ? 18 : 28 } });
  const inNumbers = () => table(["Training set", "#AR", "Verdict", "#95% interval", "#By reach", "Verdict by reach", "Doubts"], rows.map((row) => h("tr", {},
    h("th", { scope: "row" }, name(row.train)),
    h("td", { class: "n" }, fixed(row.alignment_ratio)),
    h("td", {}, verdictOf(row)),
    h("td", { class: "n" }, interval(row.ci_low, row.ci_high)),
    h("td", { class: "n" }, row.reach_ratio === null ? "" : fixed(row.reach_ratio)),
    h("td", {}, row.reach_verdict || ""),
    h("td", {}, row.doubts.join("; ")))), { "aria-label": about });
  return h("figure", {}, h("h3", {}, `${name(p)} (model ${first.model}${tuned})${partOf(first)}`),
    h("p", { class: "soft" }, `KL-alignment of its answers: ${fixed(first.predictions_alignment)}. ${percent(first.predictions_parsed_share)} of them parse${first.n_cleaned ? `, after ${counted(first.n_cleaned, "answer")} had been cleaned` : ""}.`),
    doubtsOf(rows).map((doubt) => h("p", { class: "flag" }, `Doubtful: ${doubt}.`)),
    limited(rows, 20, draw), asTable(inNumbers));
}

// ---- decisions -----------------------------------------------------------------------------------------------------

const decisions = Object.fromEntries(Object.entries(data.decisions).map(([key, columns]) => [key, rowsOf(columns)]));
const decided = [...new Set(Object.values(decisions).flat().map((row) => row.target))].sort();

function drawDecisions() {
  for (const node of document.querySelectorAll("#decisions, nav a[href='#decisions']")) node.hidden = !decided.length;
  if (!decided.length) return;
  const target = state.decided ?? (decided.includes(name(state.target)) ? name(state.target) : decided[0]);
  const here = (key) => decisions[key].filter((row) => row.target === target);
  body("decisions").replaceChildren(
    h("p", {}, "Results of the commands sample-size, select and mix."),
    h("div", { class: "tools" }, chooser("Target", decided.map((one) => [one, one]), target, (value) => { state.decided = value; drawDecisions(); document.getElementById("decided").focus(); }, "decided")),
    h("div", { class: "figures" }, [sizesFigure(target, here("sample_size")), budgetFigure(target, here("budget"), here("selections")), mixtureFigure(target, here("mixtures"))]));
}
const half = () => fitted(isWide() ? room() / 2 - 16 : 640);

function sizesFigure(target, rows) {
  if (!rows.length) return null;
  return h("figure", {}, h("h3", {}, `How many queries of ${target} are enough`),
    h("p", { class: "soft" }, "How well a random sample of the target's queries reproduces the ranking of training sets by all queries: Kendall's tau, with the range of the middle 95% of the samples."),
    chart("sample_size", rows.map((row) => ({ ...row, description: `${row.smoothing}, ${count(row.n_queries)} queries: tau ${fixed(row.kendall_tau, 2)} (${fixed(row.tau_low, 2)} to ${fixed(row.tau_high, 2)})` })),
      `Kendall's tau of rankings for ${target} by number of queries`, { change: half(), params: { kinds: [...new Set(rows.map((row) => row.smoothing))] } }),
    asTable(() => table(["Measure", "#Queries", "#Kendall's tau", "#Interval", "#Same best training set"], rows.map((row) => h("tr", {}, h("th", { scope: "row" }, row.smoothing), h("td", { class: "n" }, count(row.n_queries)),
      h("td", { class: "n" }, fixed(row.kendall_tau, 2)), h("td", { class: "n" }, `${fixed(row.tau_low, 2)} to ${fixed(row.tau_high, 2)}`), h("td", { class: "n" }, percent(row.same_winner_share)))))));
}

function budgetFigure(target, curve, taken) {
  if (!curve.length) return null;
  const random = new Map(curve.filter((row) => row.method !== "random").map((row) => [row.n_rows, { ...row, method: "random", kl_alignment: row.random_alignment }]));
  const rows = [...curve, ...(curve.some((row) => row.method === "random") ? [] : random.values())];
  const methods = [...new Map(taken.map((row) => [row.method, row])).values()];
  return h("figure", {}, h("h3", {}, `Rows selected for ${target}`),
    methods.map((one) => h("p", { class: "soft" }, `Method ${one.method}: KL-alignment ${fixed(one.kl_alignment)} with ${counted(one.n_taken, "row")} and ${counted(one.n_taken_templates, "template")}; all candidates together: ${fixed(one.pool_alignment)}.`)),
    chart("budget", rows.map((row) => ({ ...row, description: `${row.method}, ${count(row.n_rows)} rows: ${fixed(row.kl_alignment)}` })), `KL-alignment with ${target} by number of rows`, { change: half(), params: { kinds: [...new Set(rows.map((row) => row.method))] } }),
    asTable(() => h("div", {},
      table(["Method", "#Rows", "#KL-alignment"], rows.map((row) => h("tr", {}, h("th", { scope: "row" }, row.method), h("td", { class: "n" }, count(row.n_rows)), h("td", { class: "n" }, fixed(row.kl_alignment))))),
      table(["Taken from", "Method", "#Rows", "#Left out: also in the target", "License"], taken.map((row) => h("tr", {}, h("th", { scope: "row" }, row.source), h("td", {}, row.method), h("td", { class: "n" }, count(row.n_taken_from_source)), h("td", { class: "n" }, count(row.n_overlapping)), h("td", {}, row.license || "unknown")))))));
}

function mixtureFigure(target, rows) {
  if (!rows.length) return null;
  const weight = (share) => `${(100 * share).toFixed(1)}%`;
  const range = (row) => `${weight(row.row_weight_low)} to ${weight(row.row_weight_high)}`;
  const inWords = (row) => `${weight(row.row_weight)} (${range(row)})`;
  return h("figure", {}, h("h3", {}, `The best mixture for ${target}`),
    h("p", { class: "soft" }, `KL-alignment of this mixture: ${fixed(rows[0].kl_alignment)}; of all rows of these training sets: ${fixed(rows[0].pool_alignment)}. Bars are 95% intervals.`),
    chart("mixture", rows.map((row) => ({ label: row.source, value: row.row_weight, low: row.row_weight_low, high: row.row_weight_high, text: isNarrow() ? weight(row.row_weight) : inWords(row), description: `${row.source}: ${inWords(row)}` })),
      `Shares of training sets in the mixture for ${target}`, { change: half(), params: { characters: isNarrow() ? 18 : 28 } }),
    asTable(() => table(["Training set", "#Share of rows", "#95% interval", "#KL-alignment alone"], rows.map((row) => h("tr", {}, h("th", { scope: "row" }, row.source), h("td", { class: "n" }, weight(row.row_weight)),
      h("td", { class: "n" }, range(row)), h("td", { class: "n" }, fixed(row.source_alignment)))))));
}

// ---- differences ---------------------------------------------------------------------------------------------------

function choosePair(source, target) {
  state.source = source;
  state.against = target;
  drawDifferences();
  drawStructures();
  drawTemplates();
}

function pairTools(prefix) {
  const set = (key) => (value) => { state[key] = Number(value); choosePair(state.source, state.against); document.getElementById(`${prefix}-${key}`)?.focus(); };
  return h("div", { class: "tools" },
    chooser("Source", asOptions(comparable), state.source, set("source"), `${prefix}-source`),
    chooser("Target", asOptions(comparable), state.against, set("against"), `${prefix}-against`),
    h("button", { type: "button", onclick: () => choosePair(state.against, state.source) }, "Swap"));
}

function drawDifferences() {
  const [s, t] = [state.source, state.against];
  if (s === null) { body("differences").replaceChildren(h("p", {}, "There is nothing to compare.")); return; }
  // N-grams are stored for one direction of a pair only; turn them around for the other.
  let pair = contributions.get(`${s} ${t}`);
  let sides = pair ? [pair[2], pair[3]] : null;
  if (!pair && (pair = contributions.get(`${t} ${s}`))) {
    const turned = (rows) => rows.map(([ngram, nats, folded, p, q, sql, template]) => [ngram, nats, folded, q, p, sql, template]);
    sides = [turned(pair[3]), turned(pair[2])];
  }
  const parts = [pairTools("pair"), h("p", {}, alignment(s, t) === null ? `The alignment of ${name(s)} with ${name(t)} is not in the report.` :
    `KL-alignment of ${name(s)} with ${name(t)}: ${fixed(alignment(s, t))}. KL divergence: ${fixed(METRICS.kl_nats.value(s, t))} nats; in the reverse direction, ${fixed(METRICS.kl_nats.value(t, s))} nats.`)];
  if (s === t) parts.push(h("p", {}, "A corpus does not differ from itself."));
  else if (!sides) parts.push(h("p", {}, "The report has n-grams for pairs with a target only. To see those of this pair, run nl2sql-align explain DIR SOURCE TARGET."));
  else {
    const rows = sides.flatMap((rows, side) => rows.map((row) => ({ row, side })));
    const list = h("div", { id: "bars" }, rows.map(({ row, side }) => ngramDetails(row, side, s, t)));
    parts.push(
      h("p", { class: "legend" }, h("span", { class: "first" }, `right: more frequent in ${name(s)}`), h("span", { class: "second" }, `left: more frequent in ${name(t)}`)),
      h("p", { class: "soft" }, "Bars are terms of the KL divergence, in nats: to the right, of the source from the target; to the left, of the target from the source. They come from the 20 largest terms of each direction. The terms of nested n-grams that express the same difference are added to the n-gram that contains them. nl2sql-align explain uses all terms."),
      chart("differences", rows.map(({ row, side }, id) => ({ id, ngram: data.texts[row[0]], nats: ((side ? -1 : 1) * row[1]) / 1e6, side: side ? "target" : "source", description: `${data.texts[row[0]]}: ${fixed(row[1] / 1e6, 4)} nats; ${ngramShares(row, s, t)}` })),
        `N-grams more frequent in ${name(s)} or in ${name(t)}; the list below has the numbers and example queries`, {
          change: fitted(1000), params: { text_limit: Math.min(room(), 1000) - 16 },
          click: ({ id }) => { const chosen = list.children[id]; chosen.open = true; chosen.querySelector("summary").focus(); },
        }),
      h("h3", {}, "Example queries"), list);
  }
  body("differences").replaceChildren(...parts);
}

function ngramShares([, , folded, p, q], s, t) {
  return `${smallPercent(p / 1e6)} of the n-grams of ${name(s)}, ${smallPercent(q / 1e6)} of those of ${name(t)}${folded ? `; includes ${counted(folded, "nested n-gram")}` : ""}`;
}

function ngramDetails(row, side, s, t) {
  const [ngram, nats, , , , sql, template] = row;
  return h("details", { class: side ? "under" : "over" },
    h("summary", {}, h("code", {}, data.texts[ngram]), h("span", { class: "soft" }, ` ${side ? "−" : "+"}${fixed(nats / 1e6, 4)} nats`)),
    h("div", {}, ngramShares(row, s, t)),
    data.texts[sql] ? [h("div", {}, `Example query from ${name(side ? t : s)}:`), h("span", { class: "sql" }, data.texts[sql])] : null,
    data.texts[template] ? [h("div", {}, "Its template:"), h("span", { class: "sql" }, data.texts[template])] : null);
}

// ---- structures ----------------------------------------------------------------------------------------------------

function drawStructures() {
  const [s, t] = [state.source, state.against];
  if (s === null) return;
  // Cohen's h, on whose scale 12% and 0.3% are as far apart as 50% and 79%
  const effect = (a, b) => 2 * (Math.asin(Math.sqrt(Math.min(1, a))) - Math.asin(Math.sqrt(Math.min(1, b))));
  const rows = Object.entries(data.features)
    .filter(([, values]) => values[s] && values[t])
    .map(([label, values]) => ({ label, s: values[s], t: values[t], effect: effect(values[s][0], values[t][0]) }))
    .filter((row) => row.s[0] || row.t[0])
    .sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect) || a.label.localeCompare(b.label, "en"));
  const about = `Structures of ${name(s)} and ${name(t)}`;
  const draw = (shown) => chart("structures", shown.flatMap((row) => [["source", s, row.s], ["target", t, row.t]].map(([side, i, [share, mean]]) => (
    { feature: row.label, side, share, text: percent(share), description: `${row.label}: ${percent(share)} of the queries of ${name(i)}, ${fixed(mean, 2)} per query` }))), about,
  { change: fitted(900), params: { characters: isNarrow() ? 22 : 40 } });
  const inNumbers = () => table(["Structure", `#${name(s)}`, `#${name(t)}`, `#Uses per query in ${name(s)}`, `#Uses per query in ${name(t)}`, "#Cohen's h"], rows.map((row) => h("tr", {},
    h("th", { scope: "row" }, row.label), h("td", { class: "n" }, percent(row.s[0])), h("td", { class: "n" }, percent(row.t[0])),
    h("td", { class: "n" }, fixed(row.s[1], 2)), h("td", { class: "n" }, fixed(row.t[1], 2)),
    h("td", { class: "n" }, `${row.effect > 0 ? "+" : ""}${fixed(row.effect, 2)}`))), { "aria-label": about });
  body("structures").replaceChildren(pairTools("structures"),
    h("p", { class: "soft" }, "The share of queries that use each structure, the largest difference first. The table adds the average number of uses per query, and the size of the difference as Cohen's h: 0.2 is small, 0.8 is large."),
    h("p", { class: "legend" }, h("span", { class: "first" }, name(s)), h("span", { class: "second" }, name(t))),
    limited(rows, 14, draw), asTable(inNumbers));
}

// ---- templates -----------------------------------------------------------------------------------------------------

function drawTemplates() {
  const [s, t] = [state.source, state.against];
  const drawn = allCorpora.filter((i) => data.curves[i][0].length);
  // Lines that are drawn last are on top
  const order = [...drawn.filter((i) => i !== s && i !== t), ...drawn.filter((i) => i === t && i !== s), ...drawn.filter((i) => i === s)];
  const points = order.flatMap((i) => data.curves[i][0].map((n, k) => (
    { corpus: name(i), n, share: data.curves[i][1][k], side: i === s ? "source" : i === t ? "target" : "other", description: name(i) })));
  const needed = (i, share) => { const [ns, shares] = data.curves[i]; const k = shares.findIndex((value) => value >= share - 1e-9); return k < 0 ? "" : count(ns[k]); };
  const rows = [...new Set([s, t, ...allCorpora])].filter((i) => i !== null && data.curves[i][0].length);
  body("templates").replaceChildren(pairTools("templates"),
    h("figure", {}, s === null ? "" : h("p", { class: "legend" }, h("span", { class: "first" }, name(s)), h("span", { class: "second" }, `${name(t)} (dashed)`), h("span", { class: "others" }, "the other corpora")),
      points.length ? chart("templates", points, "Share of queries covered by the most frequent templates; the table below has the numbers", { change: { ...fitted(900), height: isNarrow() ? 240 : 340 } }) : ""),
    h("p", { class: "soft" }, "In a corpus whose curve rises early, a few templates account for most of the queries. The table has the number of templates that cover at least a share of the queries, rounded up to a point of the curve."),
    asTable(() => limited(rows, MANY, (shown) => table(["Corpus", "#Templates", "#For 50% of queries", "#For 80%", "#For 95%"], shown.map((i) => h("tr", {},
      h("th", { scope: "row" }, name(i)), h("td", { class: "n" }, count(corpora[i].n_distinct_templates)), [0.5, 0.8, 0.95].map((share) => h("td", { class: "n" }, needed(i, share)))))))));
}

// ---- parsing -------------------------------------------------------------------------------------------------------

function drawParsing() {
  const reasons = new Map();
  for (const [i, reason, n, example] of data.rejects) reasons.set(i, [...(reasons.get(i) || []), { reason, n, example }]);
  const rows = [...allCorpora].sort((a, b) => parsedShare(a) - parsedShare(b) || a - b);
  const draw = (shown) => table(["Corpus", "Parsed", "#Queries", "Rejected, and why", "#Cleaned", "Role", "Dialect"], shown.map((i) => {
    const one = corpora[i];
    const share = parsedShare(i);
    return h("tr", {}, h("th", { scope: "row" }, one.corpus, one.is_set_aside ? h("div", { class: "flag" }, "set aside, because no query has an n-gram") : null),
      h("td", { class: "share" }, h("div", { "--to": 100 * share }, h("span", {}, percent(share)))),
      h("td", { class: "n" }, count(one.n_queries)),
      h("td", {}, one.n_rejected ? h("details", {}, h("summary", {}, count(one.n_rejected)), h("ul", {}, (reasons.get(i) || []).map((why) => h("li", {}, `${count(why.n)}: ${why.reason}`, data.without_sql ? null : h("span", { class: "sql" }, why.example || "(empty)"))))) : "0"),
      h("td", { class: "n" }, one.n_cleaned ? count(one.n_cleaned) : ""),
      h("td", {}, one.role), h("td", {}, one.dialect));
  }), { "aria-label": "Corpora and their shares of parsed queries" });
  body("parsing").replaceChildren(h("p", {}, "Corpora by the share of their queries that parse, the lowest first. Rejected queries are counted here and left out of all measures."),
    data.run.notes.length ? h("ul", { class: "notes" }, data.run.notes.map((note) => h("li", {}, note))) : "", limited(rows, MANY, draw));
}

// ---- versions ------------------------------------------------------------------------------------------------------

function drawVersions() {
  const pairs = (title, values) => [h("h3", {}, title), h("div", { class: "wide" }, h("table", {}, h("tbody", {}, Object.entries(values).map(([key, value]) => h("tr", {}, h("th", { scope: "row" }, key), h("td", {}, value === null ? "default" : typeof value === "object" ? JSON.stringify(value) : String(value)))))))];
  const aside = Object.entries(data.run.set_aside);
  body("versions").replaceChildren(
    ...pairs("Run", { "first run with these results": data.run.id, finished: data.run.finished }),
    ...(aside.length ? [h("h3", {}, "Set aside"), h("ul", {}, aside.map(([, reason]) => h("li", {}, reason)))] : []),
    ...pairs("Parameters", data.run.parameters),
    ...pairs("Versions", data.run.versions),
    h("details", {}, h("summary", {}, "SHA-256 digests of the dumps"), table(["Corpus", "Format", "License", "Digest"], corpora.map((one) => h("tr", {}, h("th", { scope: "row" }, one.corpus), h("td", {}, one.format), h("td", {}, one.license || ""), h("td", {}, h("code", {}, one.digest)))))));
}

// ---- all of it -----------------------------------------------------------------------------------------------------

document.getElementById("about").textContent =
  `${counted(corpora.length, "corpus", "corpora")}: ${counted(corpora.filter((one) => one.role === "train").length, "training set")}, ` +
  `${counted(corpora.filter((one) => one.role === "target").length, "target")}, ${counted(corpora.filter((one) => one.role === "predictions").length, "set")} of predictions; ` +
  `${counted(corpora.reduce((sum, one) => sum + one.n_queries, 0), "query", "queries")}. Published ${data.run.finished}.`;
function drawCharts() {
  if (comparable.length) for (const draw of [drawChoose, drawMatrix, drawRatios, drawDifferences, drawStructures]) draw();
  else for (const id of ["choose", "matrix", "ratios", "differences", "structures"]) body(id).replaceChildren(h("p", {}, "There is nothing to compare, because no corpus has a query with an n-gram."));
  drawDecisions();
  drawTemplates();
}
drawCharts();
drawParsing();
drawVersions();
let width = room();
let waiting;
window.addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => { if (room() !== width) { width = room(); drawCharts(); } }, 200);
});
if (!nDrawing) document.documentElement.dataset.drawn = "true";
