// The view of the report, drawn by the report's own script.

import { post } from "./api.js";
import { el, fresh } from "./dom.js";

// `data` is what the server made of explanations, null where there are none.
export function shownReport(data) {
  const root = el("div", { class: "asal" });
  if (!data) {
    root.append(el("p", {}, "This interpreter gives scores alone; they are in the JSON."));
    return root;
  }
  const { list } = globalThis.allennlpSaliency.mount(root, data);
  // It is a part of this page, which has a main element.
  list.setAttribute("role", "group");
  list.setAttribute("aria-label", "explanations");
  rename(root);
  return root;
}

// The script names its controls as if its page were the only one.
function rename(root) {
  const names = new Map();
  for (const one of root.querySelectorAll("[id]")) {
    names.set(one.id, fresh(one.id));
    one.id = names.get(one.id);
  }
  for (const attribute of ["for", "aria-labelledby", "aria-describedby"]) {
    for (const one of root.querySelectorAll(`[${attribute}]`)) {
      const before = one.getAttribute(attribute);
      one.setAttribute(attribute, names.get(before) ?? before);
    }
  }
}

// Two results of the same texts by two methods, with their agreement; null where that is not so.
export async function shownTogether(sides) {
  const [one, other] = sides.map((side) => side.result);
  if (!one?.report || !other?.report) return null;
  const texts = (found) => found.instances.map(({ explanation }) => explanation.inputs.map((field) => field.text));
  const methods = (found) => found.instances.map(({ explanation }) => explanation.interpreter);
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
  if (!same(texts(one), texts(other)) || same(methods(one), methods(other))) return null;
  const report = await post("/report", { lines: [one, other].map(line) });
  return [el("h2", {}, "A and B together"), shownReport(report)];
}

function line({ instances }) {
  return Object.fromEntries(instances.map(({ explanation: { matrices, ...rest } }, index) => [`instance_${index + 1}`, { explanation: rest }]));
}
