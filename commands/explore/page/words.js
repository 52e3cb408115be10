// Edit a word and see what changes of the prediction.

import { post } from "./api.js";
import { el } from "./dom.js";
import { shownChanges } from "./prediction.js";

const SEGMENTER = new Intl.Segmenter(undefined, { granularity: "word" });

export class Words {
  // `request` is what was predicted: model, predictor, inputs. `take` gets the changed inputs.
  constructor(request, prediction, labels, keys, take) {
    Object.assign(this, { request, prediction, labels, keys, take });
    this.edits = new Map();
    this.list = el("div", {});
    this.outcome = el("div", { "aria-live": "polite" });
    this.element = el("details", { class: "words" },
      el("summary", {}, "Edit a word and see what changes"), this.list, this.outcome);
    this.draw();
  }

  // Words, and what stands between them, as the browser divides any language.
  pieces(key) {
    return Array.from(SEGMENTER.segment(this.request.inputs[key]), ({ segment }) => segment);
  }

  changed() {
    const inputs = { ...this.request.inputs };
    for (const key of this.keys) {
      const kept = this.pieces(key).map((piece, index) => this.edits.get(`${key} ${index}`) ?? piece);
      // The space behind a word that is gone goes with it.
      inputs[key] = kept.filter((piece, index) => index === 0 || piece.trim() || kept[index - 1] !== "").join("");
    }
    return inputs;
  }

  draw() {
    this.list.replaceChildren(
      ...this.keys.map((key) =>
        el("p", { class: "pieces", dir: "auto" },
          this.keys.length > 1 ? el("span", { class: "name" }, `${key}: `) : null,
          this.pieces(key).map((piece, index) => (piece.trim() ? this.word(key, index, piece) : " ")))),
    );
  }

  word(key, index, piece) {
    const place = `${key} ${index}`;
    const now = this.edits.get(place) ?? piece;
    const style = now === piece ? "word" : now === "" ? "word gone" : "word edited";
    const title = now === piece ? "click to edit" : `was: ${piece}`;
    const button = el("button", { type: "button", class: style, title }, now === "" ? piece : now);
    button.addEventListener("click", () => {
      const box = el("input", { value: now, size: Math.max(now.length, 4), "aria-label": `in place of ${piece}` });
      let left = false;
      const leave = (text) => {
        if (left) return;
        left = true;
        if (text === piece) this.edits.delete(place);
        else this.edits.set(place, text);
        this.draw();
        if (text !== now) this.predict();
      };
      box.addEventListener("keydown", (event) => {
        if (event.key === "Enter") leave(box.value.trim());
        if (event.key === "Escape") leave(now);
      });
      box.addEventListener("blur", () => leave(box.value.trim()));
      button.replaceWith(box);
      box.select();
    });
    return button;
  }

  async predict() {
    this.abort?.abort();
    this.abort = new AbortController();
    const inputs = this.changed();
    try {
      const found = await post("/predict", { ...this.request, inputs }, this.abort.signal);
      const buttons = el("p", {},
        el("button", { type: "button", onclick: () => this.take(inputs) }, "Explain both, side by side"),
        " ",
        el("button", { type: "button", onclick: () => this.reset() }, "Take it back"));
      this.outcome.replaceChildren(shownChanges(this.prediction, found.prediction, this.labels), buttons);
    } catch (error) {
      if (error.name !== "AbortError") this.outcome.replaceChildren(el("p", { class: "error" }, error.message));
    }
  }

  reset() {
    this.edits.clear();
    this.outcome.replaceChildren();
    this.draw();
  }
}
