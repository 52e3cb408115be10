// What a model predicts, and what changes of it.

import { el, number } from "./dom.js";

const MOST = 12;
const LONGEST = 24;
const INNER = new Set(["token_ids", "tokens", "mask", "logits", "loss"]);

export function shownPrediction(prediction, labels) {
  const parts = [];
  const probabilities = byLabel(prediction, labels);
  const said = summary(prediction);
  if (said) parts.push(el("p", { class: "said" }, said));
  if (probabilities) parts.push(bars(probabilities));
  parts.push(
    el("details", {}, el("summary", {}, "The whole prediction"),
      el("pre", { tabIndex: 0 }, JSON.stringify(prediction, null, 1))),
  );
  return el("div", { class: "prediction" }, parts);
}

function summary(prediction) {
  for (const key of ["label", "best_span_str", "answer", "text", "predicted_text"]) {
    const value = prediction?.[key];
    if (typeof value === "string" || typeof value === "number") return String(value);
    if (Array.isArray(value) && value.length && value.every((one) => typeof one === "string")) {
      return value.join(", ");
    }
  }
  return "";
}

function byLabel(prediction, labels) {
  const values = prediction?.probs ?? prediction?.label_probs ?? prediction?.class_probabilities;
  if (!Array.isArray(values) || values.length !== labels.length) return null;
  if (!values.every((one) => typeof one === "number")) return null;
  return labels.map((label, index) => [label, values[index]]).sort((a, b) => b[1] - a[1]);
}

function bars(probabilities) {
  const rows = probabilities.slice(0, MOST).map(([label, value]) =>
    el("tr", {},
      el("th", { scope: "row" }, label),
      el("td", {}, el("meter", { min: 0, max: 1, value, "aria-label": `probability of ${label}` })),
      el("td", { class: "figure" }, number(value))),
  );
  return el("table", { class: "bars" }, el("tbody", {}, rows));
}

// The leaves that differ, by their place: [place, before, after].
export function changes(before, after) {
  const [one, other] = [leaves(before), leaves(after)];
  const found = [];
  for (const place of new Set([...one.keys(), ...other.keys()])) {
    const [was, is] = [one.get(place), other.get(place)];
    const close = typeof was === "number" && typeof is === "number" && Math.abs(was - is) < 1e-6;
    if (was !== is && !close) found.push([place, was, is]);
  }
  return found;
}

function leaves(value, place = "", found = new Map()) {
  if (Array.isArray(value) && value.length > LONGEST) {
    found.set(place, JSON.stringify(value).slice(0, 80));
  } else if (value !== null && typeof value === "object") {
    for (const [key, item] of Object.entries(value)) {
      if (place === "" && INNER.has(key)) continue;
      leaves(item, place ? `${place}.${key}` : key, found);
    }
  } else {
    found.set(place, value);
  }
  return found;
}

export function shownChanges(before, after, labels) {
  const named = (place) => {
    const match = /^(?:probs|label_probs|class_probabilities)\.(\d+)$/.exec(place);
    return match && labels[match[1]] !== undefined ? `probability of ${labels[match[1]]}` : place;
  };
  const found = changes(before, after);
  if (!found.length) return el("p", {}, "The prediction stays the same.");
  const rows = found.slice(0, MOST).map(([place, was, is]) =>
    el("tr", {},
      el("th", { scope: "row" }, named(place)),
      el("td", {}, was === undefined ? "–" : number(was)),
      el("td", {}, is === undefined ? "–" : number(is)),
      el("td", { class: "figure" }, difference(was, is))),
  );
  const head = ["", "before", "after", "difference"].map((text) => el("th", { scope: "col" }, text));
  const table = el("table", { class: "changes" }, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows));
  const more = found.length - MOST;
  return el("div", { class: "wide" }, table, more > 0 ? el("p", {}, `and ${more} more`) : null);
}

function difference(was, is) {
  if (typeof was !== "number" || typeof is !== "number") return "";
  return `${is > was ? "+" : "−"}${number(Math.abs(is - was))}`;
}
