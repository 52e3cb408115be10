// The fields of an input: a box for each text, one line a text for lists of texts, JSON for the rest.

import { el, labelled } from "./dom.js";

export class Inputs {
  constructor(predictor, values, changed) {
    this.boxes = [];
    const example = predictor.example;
    const needed = Object.keys(example);
    const given = Object.keys(values).filter((key) => !needed.includes(key));
    this.element = el("div", { class: "inputs" });
    const others = predictor.keys.filter((key) => !needed.includes(key) && !given.includes(key));
    for (const key of [...needed, ...given]) {
      this.element.append(this.box(key, values[key] ?? "", example[key] ?? values[key], changed));
    }
    if (others.length) {
      const more = el("details", {}, el("summary", {}, "More keys"));
      more.append(...others.map((key) => this.box(key, "", null, changed)));
      this.element.append(more);
    }
  }

  box(key, value, like, changed) {
    const kind = kindOf(like);
    const rows = kind === "text" ? 2 : kind === "texts" ? 4 : kind === "json" ? 4 : 1;
    const area = el("textarea", { rows, value: written(kind, value), name: key, dir: "auto", oninput: changed });
    this.boxes.push({ key, kind, area });
    const hints = { texts: "one a line", json: "JSON", other: "" };
    return labelled(key, area, hints[kind] ?? "");
  }

  read() {
    const found = {};
    for (const { key, kind, area } of this.boxes) {
      if (area.value === "" && kind !== "text") continue;
      found[key] = readBox(key, kind, area.value);
    }
    return found;
  }

  // The boxes that hold one text each, by key.
  texts() {
    return this.boxes.filter((box) => box.kind === "text").map((box) => [box.key, box.area]);
  }
}

function kindOf(like) {
  if (typeof like === "string") return "text";
  if (Array.isArray(like) && like.every((one) => typeof one === "string")) return "texts";
  return like !== null && typeof like === "object" ? "json" : "other";
}

function written(kind, value) {
  if (value === "") return "";
  if (kind === "texts" && Array.isArray(value)) return value.join("\n");
  if (typeof value === "string") return value;
  return kind === "json" ? JSON.stringify(value, null, 1) : JSON.stringify(value);
}

function readBox(key, kind, text) {
  if (kind === "text") return text;
  if (kind === "texts") return text.split("\n").filter((line) => line.trim());
  try {
    return JSON.parse(text);
  } catch {
    if (kind === "json") throw new Error(`${key} is JSON, and this is none`);
    return text;
  }
}
