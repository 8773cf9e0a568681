// Elements, made by hand. Text goes in as text nodes only: what the page shows came out of click events,
// and anyone can send those.

const SVG = 'http://www.w3.org/2000/svg';

/** An element. `props` are attributes, besides `data` (a map), `on` (a map of listeners), and booleans. */
export function el(tag, props = {}, ...children) {
  const made = tag === 'svg' || tag === 'path'
    ? document.createElementNS(SVG, tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'data') Object.assign(made.dataset, value);
    else if (name === 'on') for (const [kind, heard] of Object.entries(value)) made.addEventListener(kind, heard);
    else if (name === 'value') made.value = value;
    else made.setAttribute(name, value === true ? '' : value);
  }
  put(made, children);
  return made;
}

function put(parent, children) {
  for (const child of children.flat(Infinity)) {
    if (child !== undefined && child !== null && child !== false) parent.append(child);
  }
}

/** Puts `children` in place of what `parent` holds. */
export function fill(parent, ...children) {
  parent.replaceChildren();
  put(parent, children);
  return parent;
}

/** Sets text only where it differs, so that a selection survives an update that changes nothing. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export const byId = (id) => document.getElementById(id);
