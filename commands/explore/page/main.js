// The page: one side, or two beside each other.

import { get, keepToken } from "./api.js";
import { Side } from "./side.js";
import { readState, writeState } from "./state.js";
import { shownTogether } from "./view.js";

const at = (id) => document.getElementById(id);
const [sides, compare, both, notice] = ["sides", "compare", "run-both", "notice"].map(at);
const shown = [];
let served = null;

const page = {
  changed: () => {},
  done: () => {
    writeState(shown.map((side) => side.tryRead()));
    together();
  },
  // A changed text stands beside the one that it was made of.
  takes: (side, inputs) => {
    const first = side.tryRead();
    open([first, { ...first, inputs }]);
    shown.forEach((one) => one.run());
  },
};

let latest = 0;

async function together() {
  const number = (latest += 1);
  const place = at("together");
  place.hidden = true;
  if (shown.length !== 2) return;
  let view = null;
  try {
    view = await shownTogether(shown);
  } catch (error) {
    view = [error.message];
  }
  if (number !== latest || !view) return;
  place.replaceChildren(...view);
  place.hidden = false;
}

function open(states) {
  shown.forEach((side) => side.stop());
  shown.splice(0, shown.length, ...states.map((state, index) => new Side("AB"[index], served, state, page)));
  sides.replaceChildren(...shown.map((side) => side.element));
  sides.classList.toggle("two", shown.length === 2);
  compare.setAttribute("aria-pressed", String(shown.length === 2));
  compare.textContent = shown.length === 2 ? "One side only" : "Compare";
  both.hidden = shown.length !== 2;
  page.done();
}

compare.addEventListener("click", () => {
  if (shown.length === 2) {
    const [first] = shown;
    shown[1].stop();
    const asked = first.tryRead();
    open([asked]);
    shown[0].run();
  } else {
    const first = shown[0].tryRead();
    open([first, { ...first }]);
  }
});
both.addEventListener("click", () => shown.forEach((side) => side.run()));

async function begin() {
  const state = readState();
  if (state.token) keepToken(state.token);
  writeState(state.sides);
  try {
    const [models, methods] = await Promise.all([get("/models"), get("/methods")]);
    served = { ...models, ...methods };
  } catch (error) {
    notice.textContent = error.message;
    notice.hidden = false;
    return;
  }
  compare.disabled = false;
  open(state.sides.length ? state.sides : [null]);
  if (state.sides.length) shown.forEach((side) => side.run());
}

begin();
