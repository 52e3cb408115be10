// Running text whose units are coloured, and can be hovered, walked through and picked.

class RunningText {
  // layout: the text; level, settings: how to cut it; name: for screen readers;
  // told(unit): lines about a unit; pick(first, last): a span was picked, where that may be.
  constructor(layout, level, settings, { name, told, pick = null, tip }) {
    this.settings = settings;
    this.tip = tip;
    this.told = told;
    this.pick = pick;
    this.units = [];
    this.elements = [];
    this.element = el("div", {
      class: pick ? "text pickable" : "text",
      dir: "auto",
      role: "listbox",
      "aria-label": name,
      "aria-multiselectable": pick ? "true" : null,
    });
    for (const part of partsOf(layout, level)) {
      if (typeof part === "string") {
        this.element.append(visible(part));
        continue;
      }
      if (isHidden(part, settings)) continue;
      this.add(part);
    }
    if (this.elements.length) this.elements[0].tabIndex = 0;
    else this.element.removeAttribute("role");
    this.listen();
  }

  add(unit) {
    const beside = unit.kind === SPECIAL || unit.kind === ABSENT;
    const made = document.createElement("span");
    made.className = unit.kind ? `u ${KINDS[unit.kind]}` : "u";
    made.setAttribute("role", "option");
    made.setAttribute("aria-selected", "false");
    made.tabIndex = -1;
    made.textContent = unit.text.trim() ? visible(unit.text) : nameOf(unit);
    made.dataset.unit = this.units.length;
    this.units.push(unit);
    this.elements.push(made);
    if (beside) this.element.append(" ", made, " ");
    else this.element.append(made);
  }

  // Colours the units. ratios: between -1 and 1; strong: the numbers of those to mark.
  colour(ratios, strong, outlined = new Set()) {
    this.elements.forEach((element, n) => {
      const shown = !this.settings.only || strong.has(n);
      paint(element, shown ? ratios[n] : 0, this.settings.contrast);
      element.classList.toggle("strong", strong.has(n));
      element.classList.toggle("against", strong.has(n) && ratios[n] < 0);
      const marks = outlined.get ? outlined.get(n) : null;
      element.classList.toggle("marked", Boolean(marks));
      if (marks) element.dataset.mark = marks;
      else delete element.dataset.mark;
    });
  }

  selected(numbers) {
    this.elements.forEach((element, n) => {
      element.setAttribute("aria-selected", numbers.has(n) ? "true" : "false");
    });
  }

  listen() {
    const numberOf = (event) => {
      const unit = event.target.closest?.("[data-unit]");
      return unit && this.element.contains(unit) ? Number(unit.dataset.unit) : null;
    };
    const tell = (event) => {
      const number = numberOf(event);
      if (number === null) return;
      this.tip.show(this.elements[number], this.told(this.units[number], number));
      if (event.type === "focusin") {
        this.elements[number].setAttribute("aria-description", this.tip.words);
      }
    };
    this.element.addEventListener("mouseover", tell);
    this.element.addEventListener("focusin", tell);
    this.element.addEventListener("mouseleave", () => this.tip.hide());
    this.element.addEventListener("focusout", () => this.tip.hide());
    roving(this.element, this.elements, {
      onmove: (target, event) => {
        const number = Number(target.dataset.unit);
        if (this.pick && event.shiftKey) this.pick(this.anchor ?? number, number);
        else this.anchor = number;
      },
    });
    if (!this.pick) return;
    this.element.addEventListener("keydown", (event) => {
      const number = numberOf(event);
      if (number === null || (event.key !== "Enter" && event.key !== " ")) return;
      event.preventDefault();
      this.anchor = number;
      this.pick(number, number);
    });
    let dragged = null;
    this.element.addEventListener("pointerdown", (event) => {
      const number = numberOf(event);
      if (number === null || event.button) return;
      event.preventDefault();
      this.elements[number].focus();
      if (event.shiftKey && this.anchor !== undefined) {
        this.pick(this.anchor, number);
        return;
      }
      this.anchor = dragged = number;
      this.pick(number, number);
    });
    this.element.addEventListener("pointerover", (event) => {
      const number = numberOf(event);
      if (dragged === null || number === null || !event.buttons) return;
      this.pick(dragged, number);
    });
    addEventListener("pointerup", () => {
      dragged = null;
    });
  }
}

// A box beside a token; Escape hides it.
class Tip {
  constructor(root) {
    this.words = "";
    this.element = el("div", { class: "tip", role: "tooltip", id: freshId("tip"), hidden: true });
    root.append(this.element);
    root.addEventListener("keydown", (event) => event.key === "Escape" && this.hide());
    addEventListener("scroll", () => this.hide(), { passive: true, capture: true });
  }

  show(target, lines) {
    this.words = lines.join(", ");
    this.element.replaceChildren(
      ...lines.map((line, n) => el("div", n ? {} : { class: "name", dir: "auto" }, line)),
    );
    this.element.hidden = false;
    const at = target.getClientRects()[0] ?? target.getBoundingClientRect();
    const own = this.element.getBoundingClientRect();
    const left = Math.max(4, Math.min(at.left, innerWidth - own.width - 8));
    const below = at.bottom + own.height + 10 < innerHeight;
    this.element.style.left = `${left}px`;
    this.element.style.top = `${below ? at.bottom + 6 : at.top - own.height - 6}px`;
  }

  hide() {
    this.element.hidden = true;
  }
}
