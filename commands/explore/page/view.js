// Heat maps.

import { el, number } from "./dom.js";

export function shownExplanations(instances) {
  if (!instances.length) return el("p", {}, "The model predicted nothing that can be explained.");
  return el("div", {}, instances.map((instance) => heatMap(instance.explanation)));
}

function heatMap(explanation) {
  const { target } = explanation;
  const most = Math.max(1e-12, ...explanation.inputs.flatMap((one) => one.attributions.map(Math.abs)));
  return el("div", { class: "explanation" },
    el("p", {}, `${target.type}: ${number(target.value)}`),
    explanation.inputs.map((one) =>
      el("p", { class: "heat" }, one.tokens.map((token, index) => {
        const score = one.attributions[index];
        const strength = Math.ceil((Math.abs(score) / most) * 10);
        return [el("span", { class: `token ${score < 0 ? "against" : "for"}${strength}`, title: number(score) }, token), " "];
      }))));
}
