// One side of the page: what is asked, and what came of it.

import { stream } from "./api.js";
import { el, labelled, number, select } from "./dom.js";
import { Form } from "./form.js";
import { Inputs } from "./inputs.js";
import { shownPrediction } from "./prediction.js";
import { shownReport } from "./view.js";
import { Words } from "./words.js";

const FAMILIES = ["path", "gradient", "propagation", "perturbation", "attention", "interactions", "other"];

export class Side {
  // `served` has models, methods and named; `page` is told what happens: done(side), takes(side, inputs).
  constructor(served, state, page) {
    Object.assign(this, { served, page, result: null });
    this.ask = el("div", { class: "ask", onkeydown: (event) => this.pressed(event) });
    this.status = el("p", { class: "status", role: "status" });
    this.bar = el("progress", { max: 100, hidden: true, "aria-label": "share of the work that is done" });
    this.outcome = el("div", { class: "outcome" });
    const told = el("div", { class: "told" }, this.status, this.bar);
    this.element = el("section", { class: "side" }, this.ask, told, this.outcome);
    this.draw(state ?? {});
  }

  named(name) {
    this.element.setAttribute("aria-label", name);
  }

  get model() {
    return this.served.models.find((one) => one.name === this.state.model) ?? this.served.models[0];
  }

  get predictor() {
    const { predictors } = this.model;
    return predictors.find((one) => one.name === this.state.predictor) ?? predictors[0];
  }

  get method() {
    const { methods } = this.served;
    const named = (name) => methods.find((one) => one.name === name);
    return named(this.state.interpreter.type) ?? named("integrated-gradients") ?? methods[0];
  }

  draw(state) {
    this.state = { ...state, interpreter: state.interpreter ?? { type: "integrated-gradients" } };
    const { model, predictor } = this;
    this.state.model = model.name;
    this.state.predictor = predictor.name;
    this.state.inputs ??= model.examples[0] ?? predictor.example;
    this.inputs = new Inputs(predictor, this.state.inputs, () => this.page.changed());
    this.form = new Form(this.method.parameters, this.served.named, model.labels, this.state.interpreter);
    const again = (change) => this.draw({ ...this.tryRead(), ...change });
    const models = this.served.models.map((one) => ({ value: one.name, text: one.name }));
    const predictors = model.predictors.map((one) => ({ value: one.name, text: `${one.name} (${one.class})` }));
    this.explain = el("button", { type: "button", class: "primary", onclick: () => this.run() }, "Explain");
    this.cancel = el("button", { type: "button", hidden: true, onclick: () => this.stop() }, "Cancel");
    this.ask.replaceChildren(
      el("div", { class: "line-up" },
        models.length > 1
          ? labelled("Model", select(models, model.name, (event) =>
            again({ model: event.target.value, predictor: null, inputs: undefined })))
          : null,
        predictors.length > 1
          ? labelled("Predictor", select(predictors, predictor.name, (event) =>
            again({ predictor: event.target.value, inputs: undefined })))
          : null,
        this.examples()),
      this.inputs.element,
      labelled("Method", select(this.methods(), this.method.name, (event) =>
        again({ interpreter: this.kept(event.target.value) }))),
      el("p", { class: "summary" }, el("span", { class: "class-name" }, this.method.class_name), " ", this.method.summary),
      this.unsuited(),
      this.form.element,
      el("div", { class: "buttons" }, this.explain, this.cancel),
    );
  }

  examples() {
    const { model, predictor } = this;
    const all = [...model.examples, predictor.example];
    const texts = all.map((one) => Object.values(one).filter((value) => typeof value === "string").join(" · "));
    const options = [{ value: "", text: "pick one" }, ...texts.map((text, index) => ({
      value: String(index),
      text: text.length > 80 ? `${text.slice(0, 78)} …` : text,
    }))];
    return labelled("Example", select(options, "", (event) => {
      if (event.target.value) this.draw({ ...this.tryRead(), inputs: all[Number(event.target.value)] });
    }));
  }

  methods() {
    const { methods } = this.served;
    return FAMILIES.map((family) => ({
      label: family,
      options: methods.filter((one) => one.family === family).map(({ name }) => ({
        value: name,
        text: this.predictor.unsuited[name] ? `${name} (not for this model)` : name,
      })),
    })).filter((group) => group.options.length);
  }

  // Why a method is none for this model, where that is known.
  unsuited() {
    const why = this.predictor.unsuited[this.method.name];
    return why ? el("p", { class: "unsuited" }, `Not for this model: ${why}`) : [];
  }

  // What was filled in and the other method takes, too.
  kept(name) {
    const own = this.served.methods.find((one) => one.name === name).parameters.map((one) => one.name);
    const values = Object.entries(this.tryRead().interpreter).filter(([key]) => own.includes(key));
    return { type: name, ...Object.fromEntries(values) };
  }

  read() {
    return {
      model: this.state.model,
      predictor: this.state.predictor,
      inputs: this.inputs.read(),
      interpreter: { type: this.method.name, ...this.form.read() },
    };
  }

  tryRead() {
    try {
      return this.read();
    } catch {
      return this.state;
    }
  }

  // Enter in a line, Ctrl+Enter in a box of lines.
  pressed(event) {
    const line = event.target.tagName === "INPUT";
    const box = event.target.tagName === "TEXTAREA" && (event.ctrlKey || event.metaKey);
    if (event.key === "Enter" && (line || box) && !event.isComposing) {
      event.preventDefault();
      this.run();
    }
  }

  async run() {
    this.stop();
    let asked;
    try {
      asked = this.read();
    } catch (error) {
      this.failed(error);
      return;
    }
    const abort = (this.abort = new AbortController());
    this.result = null;
    this.outcome.replaceChildren();
    this.busy(true);
    this.say("asking …");
    this.page.done(this);
    try {
      const found = await stream("/interpret", asked, abort.signal, (name, data) => this.progress(name, data));
      if (this.abort !== abort) return;
      this.result = found;
      this.show(asked, found);
    } catch (error) {
      if (this.abort !== abort) return;
      if (error.name === "AbortError") this.say("cancelled");
      else this.failed(error);
    }
    this.busy(false);
    this.page.done(this);
  }

  // What came with a link is shown, and not run: whoever opens a link has not asked for work.
  waits() {
    this.say("from a link; “Explain” asks the model");
  }

  stop() {
    this.abort?.abort();
  }

  busy(is) {
    this.cancel.hidden = !is;
    this.element.setAttribute("aria-busy", String(is));
    this.element.classList.toggle("busy", is);
    this.bar.hidden = true;
  }

  progress(name, data) {
    if (name === "queued") {
      this.say(data.ahead ? `waiting: ${data.ahead} before this one` : "waiting for the model");
    } else {
      const known = data.percent !== null;
      const share = known ? `${data.percent} % · ` : "";
      this.say(`${share}${data.passes} passes of the model, ${data.seconds.toFixed(1)} s`);
      this.bar.hidden = !known;
      if (known) this.bar.value = data.percent;
    }
  }

  say(text) {
    this.status.className = "status";
    this.status.textContent = text;
  }

  failed(error) {
    this.outcome.replaceChildren();
    this.status.className = "status error";
    this.status.textContent = error.message;
  }

  show(asked, found) {
    this.say(`done in ${number(found.seconds)} s`);
    const keys = this.inputs.texts().map(([key]) => key).filter((key) => asked.inputs[key]);
    const { interpreter, ...request } = asked;
    const words = new Words(request, found.prediction, this.model.labels, keys, (inputs) => this.page.takes(this, inputs));
    this.outcome.replaceChildren(
      el("h2", {}, "Prediction"),
      shownPrediction(found.prediction, this.model.labels),
      el("h2", {}, "Why"),
      shownReport(found.report),
      ...(keys.length ? [words.element] : []),
      this.copies(found),
    );
  }

  copies(found) {
    const { snippets, seconds, report, ...json } = found;
    const texts = [["JSON", JSON.stringify(json)], ["Python", snippets.python], ["command line", snippets.command]];
    const shown = el("pre", { hidden: true, tabIndex: 0 });
    const buttons = texts.map(([name, text]) =>
      el("button", {
        type: "button",
        onclick: async (event) => {
          shown.hidden = false;
          shown.textContent = text;
          try {
            await navigator.clipboard.writeText(text);
            event.target.textContent = `${name}: copied`;
          } catch {
            getSelection().selectAllChildren(shown);
          }
        },
      }, name));
    return el("div", { class: "copies" }, el("span", {}, "Copy as"), buttons, shown);
  }
}
