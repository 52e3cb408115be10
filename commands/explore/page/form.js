// The form of a method, made of what the server says about its constructor. What is left empty is
// left out of the request, so the method's own default holds.

import { el, fresh, labelled, select } from "./dom.js";

const CORE = ["target", "baseline", "removal"];
const DEEPEST = 3;

export class Form {
  // `named` has what may stand for a target, a baseline and so on; `labels` are the model's.
  constructor(parameters, named, labels, values = {}, depth = 0) {
    this.controls = [];
    const shown = (one) => this.control(one, named, labels, values[one.name], depth);
    const core = parameters.filter((one) => CORE.includes(one.name));
    const own = parameters.filter((one) => !CORE.includes(one.name) && !one.advanced);
    const advanced = parameters.filter((one) => one.advanced);
    this.element = el("div", { class: "parameters" }, core.map(shown));
    if (depth > 0) {
      this.element.append(...own.map(shown), ...advanced.map(shown));
      return;
    }
    for (const [title, some] of [["Parameters", own], ["Advanced", advanced]]) {
      if (!some.length) continue;
      const open = some.some((one) => values[one.name] !== undefined);
      this.element.append(
        el("details", { open }, el("summary", {}, title), el("div", { class: "many" }, some.map(shown))),
      );
    }
  }

  control(parameter, named, labels, value, depth) {
    const made = named[parameter.kind] && depth < DEEPEST
      ? registered(parameter, named, labels, value, depth)
      : plain(parameter, labels, value);
    this.controls.push([parameter.name, made.read]);
    return made.element;
  }

  // What is filled in. Throws an error with a sentence where a value cannot be read.
  read() {
    const found = {};
    for (const [name, read] of this.controls) {
      const value = read();
      if (value !== undefined) found[name] = value;
    }
    return found;
  }
}

function registered(parameter, named, labels, value, depth) {
  const forms = named[parameter.kind];
  const given = typeof value === "string" ? { type: value } : (value ?? {});
  const names = [{ value: "", text: "default" }, ...forms.map((one) => ({ value: one.name, text: one.name }))];
  const below = el("div", { class: "below" });
  let form = null;
  const chosen = select(names, given.type ?? "", () => show({}));
  function show(values) {
    const own = forms.find((one) => one.name === chosen.value);
    form = own ? new Form(own.parameters, named, labels, values, depth + 1) : null;
    below.replaceChildren(...(form ? [el("small", {}, own.summary), form.element] : []));
  }
  show(given);
  return {
    element: el("div", { class: "registered" }, labelled(parameter.name, chosen, hintOf(parameter)), below),
    read: () => {
      if (!chosen.value) return undefined;
      const values = form.read();
      return Object.keys(values).length ? { type: chosen.value, ...values } : chosen.value;
    },
  };
}

function hintOf({ name, doc }) {
  const said = doc.replaceAll("`", "").split(/[:.;]/)[0];
  return name === "target" ? `${said}; choose one to name its label` : said;
}

function plain(parameter, labels, value) {
  const { name, kind } = parameter;
  if (kind === "boolean") {
    const options = ["default", "true", "false"].map((text) => ({ value: text, text }));
    if (parameter.default !== null) options[0].text = `default (${parameter.default})`;
    const chosen = select(options, value === undefined ? "default" : String(value));
    return {
      element: labelled(name, chosen, shortened(parameter.doc)),
      read: () => (chosen.value === "default" ? undefined : chosen.value === "true"),
    };
  }
  const words = kind === "label" ? labels : parameter.choices;
  const list = words.length ? fresh("words") : undefined;
  const input = el("input", {
    value: value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value),
    placeholder: parameter.required ? "required" : parameter.default === null ? "default" : String(parameter.default),
    inputMode: kind === "integer" ? "numeric" : kind === "number" ? "decimal" : "text",
    autocomplete: "off",
    spellcheck: false,
    list,
    name,
  });
  const options = list ? el("datalist", { id: list }, words.map((word) => el("option", { value: word }))) : null;
  return {
    element: el("div", {}, labelled(name, input, shortened(parameter.doc)), options),
    read: () => parsed(name, kind, input.value),
  };
}

function parsed(name, kind, text) {
  const trimmed = text.trim();
  if (!trimmed) return undefined;
  if (kind === "text" || kind === "label") return text;
  if (kind === "integer" || kind === "number") {
    const found = Number(trimmed);
    if (!Number.isFinite(found)) throw new Error(`${name} is a number, not ${trimmed}`);
    return found;
  }
  try {
    return JSON.parse(trimmed);
  } catch {
    if (/^[[{"]/.test(trimmed)) throw new Error(`${name} is JSON, and this is none: ${trimmed}`);
    return trimmed;
  }
}

function shortened(doc) {
  const first = (doc.replaceAll("`", "").split(/(?<=[.;])\s/)[0] ?? "").replace(/;$/, ".");
  return first.length > 160 ? `${first.slice(0, 157)} …` : first;
}
