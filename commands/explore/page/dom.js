// Elements. Text is always set as text: nothing here, or elsewhere on the page, parses HTML.

export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && name !== "list") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(3).filter((child) => child !== null && child !== undefined));
  return made;
}

let numbers = 0;

export function fresh(prefix) {
  numbers += 1;
  return `${prefix}-${numbers}`;
}

export function labelled(text, control, hint = "") {
  control.id ||= fresh("field");
  const parts = [el("label", { htmlFor: control.id }, text), control];
  if (hint) {
    const id = fresh("hint");
    control.setAttribute("aria-describedby", id);
    parts.push(el("small", { id }, hint));
  }
  return el("div", { class: "entry" }, parts);
}

export function select(options, value, onchange) {
  const made = el("select", { onchange });
  for (const option of options) {
    if (option.options) {
      const group = el("optgroup", { label: option.label });
      group.append(...option.options.map((one) => el("option", { value: one.value }, one.text)));
      made.append(group);
    } else {
      made.append(el("option", { value: option.value }, option.text));
    }
  }
  made.value = value;
  return made;
}

export function number(value) {
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e6)) return value.toExponential(2);
  return String(Number(value.toPrecision(4)));
}
