"use strict";
// Draws the report from the JSON in #data. Everything becomes text nodes and attributes: no text is ever parsed as HTML.

const data = JSON.parse(document.getElementById("data").textContent);
const corpora = data.corpora;
const name = (i) => corpora[i].corpus;
const everyone = corpora.map((_, i) => i);
const comparable = everyone.filter((i) => data.alignment.js_nats[i]);
const withRole = (role) => comparable.filter((i) => corpora[i].role === role);
const targets = withRole("target").length ? withRole("target") : comparable;
const LN100 = Math.log(100);
// Above this many rows, lists begin with as many of the first.
const MANY = 40;

function h(tag, attributes, ...children) {
  const svg = ["svg", "path", "line", "text", "g"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
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
const percent = (share) => {
  const value = 100 * share;
  if (value === 0) return "0 %";
  if (value < 0.1) return "under 0.1 %";
  if (value > 99.9 && value < 100) return "over 99.9 %";
  return value < 10 || (value > 99 && value < 100) ? `${value.toFixed(1)} %` : `${value.toFixed(0)} %`;
};
// Of n-grams, whose shares are small
const precise = (share) => (share === 0 ? "0 %" : `${Number((100 * share).toPrecision(2))} %`);
const interval = (low, high) => (low === null || low === undefined ? "" : `${fixed(low)} to ${fixed(high)}`);

// A table of columns as rows, by key
function rowsOf(columns) {
  const keys = Object.keys(columns);
  const n = keys.length ? columns[keys[0]].length : 0;
  return Array.from({ length: n }, (_, i) => Object.fromEntries(keys.map((key) => [key, columns[key][i]])));
}
const ratios = rowsOf(data.ratios);
const intervals = new Map(rowsOf(data.intervals).map((row) => [`${row.source} ${row.target}`, row]));
const ceilings = new Map(rowsOf(data.ceilings).map((row) => [row.target, row]));
const uneven = new Set(data.uneven.map(([s, t]) => `${s} ${t}`));
const parsedShare = (i) => (corpora[i].n_queries ? corpora[i].n_templated / corpora[i].n_queries : 0);
const contributions = new Map(data.contributions.map((pair) => [`${pair[0]} ${pair[1]}`, pair]));

// ---- measures ------------------------------------------------------------------------------------------------------

const raw = (measure) => (s, t) => (data.alignment[measure][s] ? data.alignment[measure][s][t] / 1e6 : null);
const alignment = raw("kl_alignment");
const METRICS = {
  kl_alignment: { label: "KL-alignment", value: alignment, low: Math.exp(-1), high: 1 },
  kl_nats: { label: "KL divergence (nats)", value: (s, t) => -LN100 * Math.log(alignment(s, t)), low: LN100, high: 0 },
  additive_kl_alignment: { label: "Additive KL-alignment", value: raw("additive_kl_alignment"), low: Math.exp(-1), high: 1 },
  js_alignment: { label: "JS alignment", value: (s, t) => 1 - raw("js_nats")(s, t) / Math.LN2, low: 0, high: 1 },
  js_nats: { label: "JS divergence (nats)", value: raw("js_nats"), low: Math.LN2, high: 0 },
  ngram_coverage: { label: "N-gram coverage", value: raw("ngram_coverage"), low: 0, high: 1 },
  template_coverage: { label: "Template coverage", value: raw("template_coverage"), low: 0, high: 1 },
  exact_overlap: { label: "Exact overlap", value: raw("exact_overlap"), low: 0, high: 1 },
};

// ---- controls ------------------------------------------------------------------------------------------------------

function chooser(label, options, value, onchange, id) {
  const select = h("select", { id, onchange: (event) => onchange(event.target.value) });
  for (const [key, text] of options) select.append(h("option", { value: key, selected: String(key) === String(value) }, text));
  return h("label", {}, label, select);
}
const byName = (places) => places.map((i) => [i, name(i)]);

// The first rows of a long list, with a button for all of it
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

// Where there is no room for the words: they are in a title, and in what screen readers say
function shortVerdict(row) {
  if (!row.verdict) return "";
  const [sign, words] = VERDICTS[row.verdict];
  return h("span", { class: kind(row.verdict), title: `${words}: ${interval(row.ci_low, row.ci_high)}`, role: "img", "aria-label": words }, sign);
}

// ---- state ---------------------------------------------------------------------------------------------------------

const firstWithRatio = targets.find((t) => ratios.some((row) => row.target === t));
const state = {
  target: firstWithRatio ?? targets[0],
  metric: "kl_alignment",
  swapped: false,
  rows: comparable.length > MANY ? "train" : "all",
  columns: comparable.length > 12 && withRole("target").length ? "target" : "all",
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

// ---- which training set for which target ---------------------------------------------------------------------------

function drawChoose() {
  const place = body("choose");
  const trains = withRole("train");
  if (!trains.length || !targets.length) {
    place.replaceChildren(h("p", {}, "There is no corpus with the role train to choose, or none to compare it with: see the matrix."));
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
      h("td", { class: "n" }, fixed(ceiling)),
      h("td", {}, models.size ? `${gaining.size} of ${models.size}` : "no predictions"));
  });
  place.replaceChildren(
    h("p", {}, "The closest training set of each target by KL-alignment: 1 is the target's own distribution, 0.368 has nothing in common with it. ",
      "The ceiling is what another sample of the target itself would reach."),
    table(["Target", "Closest training set", "#Alignment", "#95 % interval", "#Ceiling", "Untuned models with a gain"], overview),
    h("div", { class: "tools" }, chooser("Target", byName(targets), state.target, (value) => chooseTarget(Number(value)), "target")),
    ranking(state.target));
}

function ranking(t) {
  const order = ranked(t);
  const predictions = [...new Set(ratios.filter((row) => row.target === t && row.trained_on === null).map((row) => row.predictions))];
  const ceiling = ceilings.get(t)?.ceiling;
  const low = METRICS.kl_alignment.low;
  const at = (value) => Math.max(0, Math.min(100, ((value - low) / (1 - low)) * 100));
  const axis = h("th", { scope: "col" }, "Alignment", h("div", { class: "axis", "aria-hidden": "true" },
    [0.4, 0.6, 0.8, 1].map((value) => h("span", { "--at": at(value) }, value.toFixed(1)))));
  const heads = ["Training set", axis, "#", "#95 % interval", ...predictions.map((p) => h("th", { scope: "col", class: "model" }, `AR of ${name(p)}`))];
  const lines = (shown) => table(heads, shown.map((s) => {
    const row = intervals.get(`${s} ${t}`);
    const overlap = METRICS.exact_overlap.value(s, t);
    return h("tr", {},
      h("th", { scope: "row" }, name(s), overlap >= 0.005 ? h("div", { class: "flag" }, `holds ${percent(overlap)} of the target's queries`) : null,
        uneven.has(`${s} ${t}`) ? h("div", { class: "flag" }, `${percent(parsedShare(s))} of it parses, ${percent(parsedShare(t))} of the target`) : null),
      h("td", { class: "plot" }, h("div", { class: "track plain", "aria-hidden": "true" },
        ceiling ? h("div", { class: "mark", "--at": at(ceiling) }) : null,
        row ? h("div", { class: "span", "--at": at(row.ci_low), "--to": at(row.ci_high) - at(row.ci_low) }) : null,
        h("div", { class: "dot", "--at": at(alignment(s, t)) }))),
      h("td", { class: "n" }, fixed(alignment(s, t))),
      h("td", { class: "n" }, row ? interval(row.ci_low, row.ci_high) : ""),
      predictions.map((p) => {
        const one = ratios.find((ratio) => ratio.train === s && ratio.predictions === p && ratio.target === t);
        return h("td", { class: "n" }, one ? [fixed(one.alignment_ratio), " ", shortVerdict(one)] : "");
      }));
  }), { "aria-label": `Training sets for ${name(t)}` });
  return h("div", { id: "ranking" }, h("h3", {}, `Training sets for ${name(t)}`), answer(t, order),
    h("p", { class: "soft" }, ceiling ? `The dashed line is the ceiling, ${fixed(ceiling)}. ` : "", predictions.length ? "AR is the Alignment Ratio: ▲ gain, ◆ undecided, ▼ no gain, by its 95 % interval." : ""),
    limited(order, 20, lines));
}

// What the ranking says, in words
function answer(t, order) {
  if (!order.length) return h("p", { class: "answer" }, "There is no other training set.");
  const [best, next] = order;
  const told = [`${name(best)} is the closest, at ${fixed(alignment(best, t))}`];
  const one = intervals.get(`${best} ${t}`);
  const other = next === undefined ? null : intervals.get(`${next} ${t}`);
  if (next !== undefined) {
    const apart = one && other && one.ci_low > other.ci_high;
    told.push(`; ${name(next)} follows at ${fixed(alignment(next, t))}${one && other ? (apart ? ", and their intervals lie apart" : ", and their intervals overlap") : ""}`);
  }
  const rows = ratios.filter((row) => row.target === t && row.trained_on === null && row.train === best);
  const said = (verdict) => rows.filter((row) => row.verdict === verdict).map((row) => name(row.predictions));
  const sentences = [`${told.join("")}.`];
  for (const [verdict, words] of [["gain", "A gain is to be expected for"], ["undecided", "Undecided for"], ["no gain", "No gain for"]]) {
    if (said(verdict).length) sentences.push(` ${words} ${said(verdict).join(", ")}.`);
  }
  return h("p", { class: "answer" }, sentences.join(""));
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
    h("p", {}, "Rows are sources, columns are targets. Point at a cell, or move with the arrow keys, to read all measures; a click, or Enter, shows below what differs."),
    h("div", { class: "tools" },
      chooser("Measure", Object.entries(METRICS).map(([key, metric]) => [key, metric.label]), state.metric, set("metric"), "metric"),
      chooser("Direction", [["", "row compared with column"], ["swapped", "column compared with row"]], state.swapped ? "swapped" : "",
        (value) => { state.swapped = value === "swapped"; fillMatrix(); }, "direction"),
      chooser("Rows", roles, state.rows, set("rows"), "rows"),
      chooser("Columns", roles, state.columns, set("columns"), "columns"),
      chooser("Order", [["clustered", "alike side by side"], ["listed", "as in the corpora file"], ["name", "by name"]], state.order, set("order"), "order"),
      h("label", {}, "Name contains", h("input", { type: "search", id: "find", oninput: (event) => set("find")(event.target.value) }))),
    h("div", { id: "heat" }));
  fillMatrix();
}

function places(role) {
  const order = { clustered: data.clustered, listed: everyone, name: [...everyone].sort((a, b) => name(a).localeCompare(name(b), "en")) }[state.order];
  const chosen = new Set(role === "all" ? comparable : withRole(role));
  return order.filter((i) => chosen.has(i));
}

// Which of three colours of text can be read on a shade, light or dark
function shadeClass(share) {
  return share > 0.62 ? "high" : share > 0.52 ? "mid" : "low";
}

function fillMatrix() {
  const metric = METRICS[state.metric];
  const columns = places(state.columns);
  const wanted = state.find.trim().toLowerCase();
  const rows = places(state.rows).filter((i) => name(i).toLowerCase().includes(wanted));
  const cell = (s, t) => {
    const value = state.swapped ? metric.value(t, s) : metric.value(s, t);
    const share = Math.max(0, Math.min(1, (value - metric.low) / (metric.high - metric.low)));
    const node = h("td", { "--v": (100 * share).toFixed(1), class: shadeClass(share), tabindex: "-1" }, value.toFixed(2), uneven.has(`${s} ${t}`) ? h("sup", {}, "*") : null);
    node.pair = state.swapped ? [t, s] : [s, t];
    return node;
  };
  const draw = (shown) => {
    const grid = h("tbody", {}, shown.map((s) => h("tr", {}, h("th", { scope: "row", title: name(s) }, h("div", {}, name(s))), columns.map((t) => cell(s, t)))));
    grid.querySelector("td")?.setAttribute("tabindex", "0");
    grid.addEventListener("keydown", moveInMatrix);
    grid.addEventListener("focusin", (event) => event.target.pair && showPair(event.target));
    grid.addEventListener("focusout", hideTip);
    grid.addEventListener("mouseover", (event) => event.target.pair && showPair(event.target));
    grid.addEventListener("mouseout", hideTip);
    grid.addEventListener("click", (event) => { if (event.target.pair) { event.target.focus(); choosePair(...event.target.pair); } });
    return h("div", { class: "heat" }, h("table", { "aria-label": `${metric.label} of ${state.swapped ? "columns with rows" : "rows with columns"}` },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, h("div", {}, state.swapped ? "target ↓" : "source ↓"), h("div", {}, state.swapped ? "source →" : "target →")), columns.map((t) => h("th", { scope: "col", title: name(t) }, h("div", {}, name(t)))))), grid));
  };
  document.getElementById("heat").replaceChildren(
    h("div", { class: "scale" }, fixed(metric.low), h("span", { class: "ramp" }), fixed(metric.high), data.uneven.length ? h("span", {}, "* one side parses much less than the other") : null),
    rows.length && columns.length ? limited(rows, MANY + 20, draw) : h("p", {}, "No corpus is left by this choice."));
}

function moveInMatrix(event) {
  const node = event.target;
  if (!node.pair) return;
  const row = node.parentElement;
  const column = node.cellIndex;
  const to = {
    ArrowRight: () => row.cells[column + 1], ArrowLeft: () => (column > 1 ? row.cells[column - 1] : null),
    ArrowDown: () => row.nextElementSibling?.cells[column], ArrowUp: () => row.previousElementSibling?.cells[column],
    Home: () => row.cells[1], End: () => row.cells[row.cells.length - 1],
  }[event.key];
  if (to) {
    event.preventDefault();
    const next = to();
    if (!next) return;
    node.setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  } else if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    choosePair(...node.pair);
  } else if (event.key === "Escape") hideTip();
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

function showPair(node) {
  const [s, t] = node.pair;
  const row = intervals.get(`${s} ${t}`);
  const lines = Object.values(METRICS).map((metric) => h("tr", {}, h("td", {}, metric.label), h("td", { class: "n" }, fixed(metric.value(s, t))), h("td", { class: "n" }, fixed(metric.value(t, s)))));
  showTip(node.getBoundingClientRect(), h("strong", {}, name(s)), " compared with ", h("strong", {}, name(t)),
    row ? h("div", {}, `95 % interval of the alignment: ${interval(row.ci_low, row.ci_high)}`) : "",
    uneven.has(`${s} ${t}`) ? h("div", { class: "flag" }, `${percent(parsedShare(s))} and ${percent(parsedShare(t))} of their queries parse`) : "",
    h("table", {}, h("thead", {}, h("tr", {}, h("th", {}), h("th", { class: "n" }, "this"), h("th", { class: "n" }, "reverse"))), h("tbody", {}, lines)));
}

// ---- ratios --------------------------------------------------------------------------------------------------------

function drawRatios() {
  const withRatios = targets.filter((t) => ratios.some((row) => row.target === t));
  if (!withRatios.length) {
    body("ratios").replaceChildren(h("p", {}, "There is no ratio: it needs a corpus with the role train and one with the role predictions."));
    return;
  }
  const target = withRatios.includes(state.target) ? state.target : withRatios[0];
  const rows = ratios.filter((row) => row.target === target);
  const predictions = [...new Set(rows.map((row) => row.predictions))];
  const isTuned = (p) => corpora[p].trained_on !== null;
  const kinds = [["untuned", "of untuned models"], ["tuned", "of tuned models"], ["all", "all"]];
  const few = { untuned: (p) => !isTuned(p), tuned: isTuned, all: () => true };
  const keep = few[state.predictions] || ((p) => p === Number(state.predictions));
  const shown = predictions.filter(keep);
  const values = rows.filter((row) => shown.includes(row.predictions)).flatMap((row) => [row.alignment_ratio, row.ci_low ?? row.alignment_ratio, row.ci_high ?? row.alignment_ratio]);
  const low = Math.min(0.9, ...values) / 1.03;
  const high = Math.max(1.1, ...values) * 1.03;
  const at = (value) => (Math.log(value / low) / Math.log(high / low)) * 100;
  const candidates = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.5, 2, 2.5, 3].filter((tick) => tick > low && tick < high);
  const ticks = candidates.filter((tick) => tick === 1 || Math.abs(at(tick) - at(1)) > 9).filter((tick, i, all) => tick === 1 || i % 2 === 0 || all.length < 6);
  body("ratios").replaceChildren(
    h("p", {}, "How much closer a training set is to the target than a model's own answers are. Dots right of the line at 1 promise a gain; the bar is the 95 % interval. ",
      "Dot: gain. Square: no gain. Open diamond: undecided."),
    h("div", { class: "tools" },
      chooser("Target", byName(withRatios), target, (value) => chooseTarget(Number(value)), "ratio-target"),
      chooser("Answers", [...kinds, ...byName(predictions)], state.predictions, (value) => { state.predictions = value; drawRatios(); document.getElementById("answers").focus(); }, "answers")),
    shown.length ? "" : h("p", {}, "There are no such answers for this target."),
    limited(shown, 8, (some) => h("div", {}, some.map((p) => ratioFigure(p, rows.filter((row) => row.predictions === p), at, ticks)))));
}

function ratioFigure(p, rows, at, ticks) {
  const [first] = rows;
  const tuned = first.trained_on === null ? "" : `, tuned on ${first.trained_on}`;
  const axis = h("th", { scope: "col" }, h("div", { class: "axis", "aria-hidden": "true" }, ticks.map((tick) => h("span", { "--at": at(tick) }, String(tick)))));
  const draw = (shown) => table(["Training set", axis, "#AR", "Verdict", "#95 % interval"], shown.map((row) => h("tr", {},
    h("th", { scope: "row" }, name(row.train)),
    h("td", { class: "plot" }, h("div", { class: `track ${kind(row.verdict)}`, "aria-hidden": "true" },
      h("div", { class: "mark solid", "--at": at(1) }),
      row.ci_low === null ? null : h("div", { class: "span", "--at": at(row.ci_low), "--to": at(row.ci_high) - at(row.ci_low) }),
      h("div", { class: `dot ${kind(row.verdict)}`, "--at": at(row.alignment_ratio) }))),
    h("td", { class: "n" }, fixed(row.alignment_ratio)),
    h("td", {}, verdictOf(row)),
    h("td", { class: "n" }, interval(row.ci_low, row.ci_high)))), { "aria-label": `Alignment Ratios of ${name(p)}` });
  return h("figure", {}, h("h3", {}, `${name(p)} (model ${first.model}${tuned})`),
    h("p", { class: "soft" }, `Its answers are aligned at ${fixed(first.predictions_alignment)}; ${percent(first.predictions_parsed_share)} of them parse.${first.n_cleaned ? ` ${count(first.n_cleaned)} were cleaned first.` : ""}`),
    limited(rows, 20, draw));
}

// ---- what differs --------------------------------------------------------------------------------------------------

function choosePair(source, target) {
  // N-grams are kept for pairs with a target on one side: a pair the other way round is shown from that side.
  state.source = source;
  state.against = target;
  drawDifferences();
  drawStructures();
  drawTemplates();
}

function pairTools(prefix) {
  const set = (key) => (value) => { state[key] = Number(value); choosePair(state.source, state.against); document.getElementById(`${prefix}-${key}`)?.focus(); };
  return h("div", { class: "tools" },
    chooser("Source", byName(comparable), state.source, set("source"), `${prefix}-source`),
    chooser("Target", byName(comparable), state.against, set("against"), `${prefix}-against`),
    h("button", { type: "button", onclick: () => choosePair(state.against, state.source) }, "Swap"));
}

function drawDifferences() {
  const [s, t] = [state.source, state.against];
  if (s === null) { body("differences").replaceChildren(h("p", {}, "There is nothing to compare.")); return; }
  let pair = contributions.get(`${s} ${t}`);
  let sides = pair ? [pair[2], pair[3]] : null;
  if (!pair && (pair = contributions.get(`${t} ${s}`))) {
    const turned = (rows) => rows.map(([ngram, nats, folded, p, q, sql, template]) => [ngram, nats, folded, q, p, sql, template]);
    sides = [turned(pair[3]), turned(pair[2])];
  }
  const parts = [pairTools("pair"), h("p", {},
    `${name(s)} is aligned with ${name(t)} at ${fixed(alignment(s, t))} (${fixed(METRICS.kl_nats.value(s, t))} nats; the other way round ${fixed(METRICS.kl_nats.value(t, s))}).`)];
  if (s === t) parts.push(h("p", {}, "A corpus does not differ from itself."));
  else if (!sides) parts.push(h("p", {}, "The n-grams of this pair are not in the report, which holds those with a target: nl2sql-align explain DIR SOURCE TARGET shows them."));
  else {
    const most = Math.max(...sides.flat().map((row) => row[1]), 1);
    parts.push(
      h("p", { class: "legend" }, h("span", { class: "first" }, `${name(s)} has more of it`), h("span", { class: "second" }, `${name(t)} has more of it`)),
      h("p", { class: "soft" }, "Of the 20 largest terms of each direction, in nats; shorter n-grams that say the same are added to the one that contains them. Right: terms of the divergence of the source from the target. Left: terms of the other direction. nl2sql-align explain takes all terms together."),
      h("ul", { class: "bars", id: "bars" }, sides.flatMap((rows, side) => rows.map((row) => bar(row, side, most, s, t)))));
  }
  body("differences").replaceChildren(...parts);
}

function bar([ngram, nats, folded, p, q, sql, template], side, most, s, t) {
  const more = side === 0 ? s : t;
  return h("li", {},
    h("div", { class: "line" },
      h("code", {}, data.texts[ngram]),
      h("div", { class: `track ${side === 0 ? "over" : "under"}`, "aria-hidden": "true" }, h("div", { class: "mark solid", "--at": 50 }), h("div", { class: "bar", "--to": (100 * nats) / most })),
      h("span", { class: "n" }, fixed(nats / 1e6, 4))),
    h("details", {},
      h("summary", {}, `${precise(p / 1e6)} of the n-grams of ${name(s)}, ${precise(q / 1e6)} of ${name(t)}${folded ? `; with ${folded} inside it` : ""}`),
      data.texts[sql] ? [h("div", {}, `A query of ${name(more)} that has it:`), h("span", { class: "sql" }, data.texts[sql])] : null,
      data.texts[template] ? [h("div", {}, "Its template:"), h("span", { class: "sql" }, data.texts[template])] : null));
}

// ---- structures ----------------------------------------------------------------------------------------------------

function drawStructures() {
  const [s, t] = [state.source, state.against];
  if (s === null) return;
  // Cohen's h: from 12 % to 0.3 % is as far as from 50 % to 79 %
  const effect = (a, b) => 2 * (Math.asin(Math.sqrt(Math.min(1, a))) - Math.asin(Math.sqrt(Math.min(1, b))));
  const rows = Object.entries(data.features)
    .filter(([, values]) => values[s] && values[t])
    .map(([label, values]) => ({ label, s: values[s], t: values[t], effect: effect(values[s][0], values[t][0]) }))
    .filter((row) => row.s[0] || row.t[0])
    .sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect) || a.label.localeCompare(b.label, "en"));
  const share = (side, value) => h("td", { class: `share ${side}` }, h("div", { "--to": 100 * value[0] }, h("span", {}, percent(value[0]))));
  const draw = (shown) => table(["Structure", name(s), name(t), "#Mean in source", "#Mean in target", "#Effect"], shown.map((row) => h("tr", {},
    h("th", { scope: "row" }, row.label), share("first", row.s), share("second", row.t),
    h("td", { class: "n" }, fixed(row.s[1], 2)), h("td", { class: "n" }, fixed(row.t[1], 2)),
    h("td", { class: "n" }, `${row.effect > 0 ? "+" : ""}${fixed(row.effect, 2)}`))), { "aria-label": `Structures of ${name(s)} and ${name(t)}` });
  body("structures").replaceChildren(pairTools("structures"),
    h("p", { class: "soft" }, "The share of queries that use each structure, the largest difference first, and how often a query uses it on average. The effect is Cohen's h: 0.2 is small, 0.8 large."),
    limited(rows, 14, draw));
}

// ---- templates -----------------------------------------------------------------------------------------------------

function drawTemplates() {
  const [s, t] = [state.source, state.against];
  const place = body("templates");
  const width = Math.max(280, Math.min(place.clientWidth || 800, 900));
  const height = Math.min(380, Math.max(240, width * 0.55));
  const edge = { left: 44, right: 12, top: 10, bottom: 36 };
  const drawn = everyone.filter((i) => data.curves[i][0].length);
  const most = Math.max(10, ...drawn.map((i) => data.curves[i][0].at(-1)));
  const x = (n) => edge.left + (Math.log(n) / Math.log(most)) * (width - edge.left - edge.right);
  const y = (share) => height - edge.bottom - share * (height - edge.top - edge.bottom);
  const svg = h("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Share of queries covered by the most frequent templates; the table below has the numbers" });
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    svg.append(h("line", { class: "grid", x1: edge.left, x2: width - edge.right, y1: y(share), y2: y(share) }),
      h("text", { x: edge.left - 6, y: y(share) + 4, "text-anchor": "end" }, `${100 * share}%`));
  }
  for (let n = 1; n <= most; n *= 10) {
    svg.append(h("line", { class: "grid", x1: x(n), x2: x(n), y1: edge.top, y2: height - edge.bottom }),
      h("text", { x: x(n), y: height - edge.bottom + 16, "text-anchor": "middle" }, count(n)));
  }
  svg.append(h("text", { x: (edge.left + width - edge.right) / 2, y: height - 4, "text-anchor": "middle" }, "most frequent templates"));
  const curve = (i, cls) => {
    const [ns, shares] = data.curves[i];
    const path = h("path", { class: `curve ${cls}`, d: ns.map((n, k) => `${k ? "L" : "M"}${x(n).toFixed(1)} ${y(shares[k]).toFixed(1)}`).join("") });
    path.addEventListener("mousemove", (event) => showTip({ left: event.clientX, top: event.clientY, bottom: event.clientY, width: 0 }, name(i)));
    path.addEventListener("mouseout", hideTip);
    return path;
  };
  for (const i of drawn) if (i !== s && i !== t) svg.append(curve(i, ""));
  if (s !== null) for (const [i, cls] of [[t, "second"], [s, "first"]]) if (data.curves[i][0].length) svg.append(curve(i, cls));
  const needed = (i, share) => { const [ns, shares] = data.curves[i]; const k = shares.findIndex((value) => value >= share - 1e-9); return k < 0 ? "" : count(ns[k]); };
  const rows = [...new Set([s, t, ...everyone])].filter((i) => i !== null && data.curves[i][0].length);
  place.replaceChildren(pairTools("templates"),
    h("figure", {}, s === null ? "" : h("p", { class: "legend" }, h("span", { class: "first" }, name(s)), h("span", { class: "second" }, `${name(t)} (dashed)`), h("span", { class: "others" }, "the other corpora")), svg),
    h("p", { class: "soft" }, "A curve that rises early belongs to a corpus in which few templates are most of the queries. The table gives the number of templates, at the steps of the curve, that cover at least the share."),
    h("details", {}, h("summary", {}, "As a table"), limited(rows, MANY, (shown) => table(["Corpus", "#Templates", "#Half of its queries", "#80 %", "#95 %"], shown.map((i) => h("tr", {},
      h("th", { scope: "row" }, name(i)), h("td", { class: "n" }, count(corpora[i].n_distinct_templates)), [0.5, 0.8, 0.95].map((share) => h("td", { class: "n" }, needed(i, share)))))))));
}

// ---- parsing -------------------------------------------------------------------------------------------------------

function drawParsing() {
  const reasons = new Map();
  for (const [i, reason, n, example] of data.rejects) reasons.set(i, [...(reasons.get(i) || []), { reason, n, example }]);
  const rows = [...everyone].sort((a, b) => parsedShare(a) - parsedShare(b) || a - b);
  const draw = (shown) => table(["Corpus", "Parsed", "#Queries", "Rejected, and why", "#Cleaned", "Role", "Dialect"], shown.map((i) => {
    const one = corpora[i];
    const share = parsedShare(i);
    return h("tr", {}, h("th", { scope: "row" }, one.corpus, one.is_set_aside ? h("div", { class: "flag" }, "set aside: no query has an n-gram") : null),
      h("td", { class: "share first" }, h("div", { "--to": 100 * share }, h("span", {}, percent(share)))),
      h("td", { class: "n" }, count(one.n_queries)),
      h("td", {}, one.n_rejected ? h("details", {}, h("summary", {}, count(one.n_rejected)), h("ul", {}, (reasons.get(i) || []).map((why) => h("li", {}, `${count(why.n)}: ${why.reason}`, h("span", { class: "sql" }, why.example || "(empty)"))))) : "0"),
      h("td", { class: "n" }, one.n_cleaned ? count(one.n_cleaned) : ""),
      h("td", {}, one.role), h("td", {}, one.dialect));
  }), { "aria-label": "Corpora and how much of them parses" });
  body("parsing").replaceChildren(h("p", {}, "The corpora with the least parsed queries first. Rejected queries are counted, and left out of every measure."),
    data.run.notes.length ? h("ul", { class: "notes" }, data.run.notes.map((note) => h("li", {}, note))) : "", limited(rows, MANY, draw));
}

// ---- versions ------------------------------------------------------------------------------------------------------

function drawVersions() {
  const pairs = (title, values) => [h("h3", {}, title), h("div", { class: "wide" }, h("table", {}, h("tbody", {}, Object.entries(values).map(([key, value]) => h("tr", {}, h("th", { scope: "row" }, key), h("td", {}, value === null ? "by default" : typeof value === "object" ? JSON.stringify(value) : String(value)))))))];
  const aside = Object.entries(data.run.set_aside);
  body("versions").replaceChildren(
    ...pairs("Run", { "first run with these results": data.run.id, finished: data.run.finished }),
    ...(aside.length ? [h("h3", {}, "Set aside"), h("ul", {}, aside.map(([, reason]) => h("li", {}, reason)))] : []),
    ...pairs("Parameters", data.run.parameters),
    ...pairs("Versions", data.run.versions),
    h("details", {}, h("summary", {}, "Digests of the dumps (SHA-256)"), table(["Corpus", "Format", "Licence", "Digest"], corpora.map((one) => h("tr", {}, h("th", { scope: "row" }, one.corpus), h("td", {}, one.format), h("td", {}, one.license || ""), h("td", {}, h("code", {}, one.digest)))))));
}

// ---- all of it -----------------------------------------------------------------------------------------------------

const counted = (n, noun) => `${count(n)} ${noun}${n === 1 ? "" : "s"}`;
document.getElementById("about").textContent =
  `${counted(corpora.length, "corpus").replace("corpuss", "corpora")}: ${counted(corpora.filter((one) => one.role === "train").length, "training set")}, ` +
  `${counted(corpora.filter((one) => one.role === "target").length, "target")}, ${counted(corpora.filter((one) => one.role === "predictions").length, "set")} of predictions; ` +
  `${count(corpora.reduce((sum, one) => sum + one.n_queries, 0))} queries. Made ${data.run.finished}.`;
if (comparable.length) {
  drawChoose();
  drawMatrix();
  drawRatios();
  drawDifferences();
  drawStructures();
} else {
  for (const id of ["choose", "matrix", "ratios", "differences", "structures"]) body(id).replaceChildren(h("p", {}, "No corpus has a query with an n-gram: there is nothing to compare."));
}
drawTemplates();
drawParsing();
drawVersions();
let width = window.innerWidth;
window.addEventListener("resize", () => { if (window.innerWidth !== width) { width = window.innerWidth; drawTemplates(); } });
document.documentElement.dataset.drawn = "true";
