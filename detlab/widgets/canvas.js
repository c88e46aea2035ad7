// The drawing surface of every lab, the headline above it and the numbers about it. No build step,
// nothing fetched.
//
// Three layers lie over each other, all in screen pixels: the picture (img), thousands of
// read-only boxes (canvas, one byte of state per box), and the few things that can be touched
// (svg). All arithmetic about detection happens in Python; here is only drawing and dragging.
//
// A trait is set here only by a hand: a pointer or a key. Never because Python set one. Either way
// what shows it is painted by `follow`.

const SVG = "http://www.w3.org/2000/svg";
const KEYS_STAY = "data-lm-suppress-shortcuts"; // on the focused element itself: Jupyter's keys do not fire
const HALO = "rgba(4, 18, 26, .62)"; // the dark edge under every line
const HANDLES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];
const SOME = 40; // more boxes of one role are drawn without the dark edge, which would hide the picture
const QUIET = ["negative", "ignored", "suppressed"]; // these stand back: paler, and soon without the edge
const NAMED = ["truth", "prediction", "positive", "wrong", "missed"]; // these carry their text
const MANY = 600; // from here on without dashes too, which cost time

export default {
  render({ model, el }) {
    return { header, canvas, numbers }[model.get("_part")](model, el);
  },
};

// --- helpers ---------------------------------------------------------------------------------

function make(tag, className, attributes = {}, parent = null) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  set(node, attributes);
  parent?.append(node);
  return node;
}

function draw(tag, attributes = {}, parent = null) {
  const node = document.createElementNS(SVG, tag);
  set(node, attributes);
  parent?.append(node);
  return node;
}

function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
}

function bytes(model, name) {
  const view = model.get(name);
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function floats(model, name) {
  return new Float32Array(bytes(model, name).slice().buffer);
}

/** Listen to traits of the model; returns the function that stops listening. */
function follow(model, listeners) {
  for (const [names, act] of listeners)
    for (const name of names) model.on(`change:${name}`, act);
  return () => {
    for (const [names, act] of listeners)
      for (const name of names) model.off(`change:${name}`, act);
  };
}

// --- the headline: what to do, the task and its tick ---------------------------------------------

function header(model, el) {
  const title = make("div", "dl-title", {}, el);
  const task = make("div", "dl-task", {}, el);
  const note = make("div", "dl-note", { role: "status", "aria-live": "polite" }, el);
  const tick = make("span", "dl-tick", { "aria-hidden": "true" }, task);
  const text = make("span", "", { role: "status", "aria-live": "polite" }, task);

  function show() {
    title.textContent = model.get("title");
    task.hidden = !model.get("task");
    task.classList.toggle("dl-reached", model.get("reached"));
    tick.textContent = model.get("reached") ? "✓" : "";
    text.textContent = (model.get("reached") ? "Reached: " : "Task: ") + model.get("task");
    note.textContent = model.get("note");
    note.hidden = !model.get("note");
  }

  // Plain sliders and buttons of a lab do not know the attribute: they get it with the focus.
  const stop = new AbortController();
  const guard = (event) => {
    if (event.target.closest?.(".detlab-lab")) event.target.setAttribute(KEYS_STAY, "true");
  };
  document.addEventListener("focusin", guard, { signal: stop.signal, capture: true });

  const unfollow = follow(model, [[["title", "task", "reached", "note"], show]]);
  show();
  return () => (stop.abort(), unfollow());
}

// --- the numbers about a picture: they come in the picture's own message -------------------------

async function numbers(model, el) {
  const picture = await model.widget_manager.get_model(model.get("canvas").replace("IPY_MODEL_", ""));
  const place = model.get("place");
  const content = make("div", "dl-numbers", {}, el);
  const show = () => (content.innerHTML = picture.get(place));
  show();
  return follow(picture, [[[place], show]]);
}

// --- the canvas ------------------------------------------------------------------------------------

function canvas(model, el) {
  const stage = make("div", "dl-stage", {}, el);
  const picture = make("img", "dl-picture", { draggable: "false" }, stage);
  const overlay = make("img", "dl-overlay", { alt: "", draggable: "false" }, stage);
  const surface = make("canvas", "dl-boxes", { "aria-hidden": "true" }, stage);
  const svg = draw("svg", { class: "dl-hands" }, stage);
  const tip = make("div", "dl-tip", { hidden: "" }, stage);
  const result = make("div", "dl-result", { role: "status", "aria-live": "polite" }, el);
  const layers = {};
  for (const name of ["regions", "overlap", "mark", "arrows", "boxes", "cursor"])
    layers[name] = draw("g", {}, svg);

  const clip = `dl-clip-${Math.random().toString(36).slice(2)}`;
  const clipRect = draw("rect", {}, draw("clipPath", { id: clip }, draw("defs", {}, svg)));
  const stop = new AbortController();
  const on = (node, type, act) => node.addEventListener(type, act, { signal: stop.signal, passive: false });

  const cursor = draw("g", { class: "dl-cursor", tabindex: 0, role: "application", [KEYS_STAY]: "true" }, layers.cursor);
  draw("path", { stroke: HALO, "stroke-width": 5.5 }, cursor);
  draw("path", { stroke: "#fff", "stroke-width": 2.4 }, cursor);

  let boxes = floats(model, "_boxes");
  let states = bytes(model, "_states");
  let hover = -1;
  let scale = 1; // screen pixels per picture pixel
  let groups = []; // one svg group per editable box
  let drag = null;

  const size = () => model.get("image_size"); // [height, width]
  const roles = () => model.get("roles");
  const roleNamed = (name) => roles().find((role) => role.name === name);
  const save = (name, value) => (model.set(name, value), model.save_changes());

  // .. pictures ..

  const addresses = {};
  function showPicture(img, trait) {
    URL.revokeObjectURL(addresses[trait]);
    const data = bytes(model, trait);
    img.hidden = data.length === 0;
    if (data.length) img.src = addresses[trait] = URL.createObjectURL(new Blob([data]));
  }

  function fit() {
    const [height, width] = size();
    stage.style.aspectRatio = `${width} / ${height}`;
    picture.alt = model.get("alt");
    scale = stage.clientWidth / width;
    set(svg, { width: stage.clientWidth, height: stage.clientHeight });
    later(paintBoxes);
    paintHands();
  }

  // .. read-only boxes and points ..

  const waiting = new Set();
  function later(paint) {
    if (waiting.has(paint)) return;
    waiting.add(paint);
    requestAnimationFrame(() => (waiting.delete(paint), paint()));
  }

  function paintBoxes() {
    const ratio = window.devicePixelRatio;
    const [wide, high] = [stage.clientWidth * ratio, stage.clientHeight * ratio].map(Math.round);
    if (surface.width !== wide || surface.height !== high) [surface.width, surface.height] = [wide, high];
    const pen = surface.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, stage.clientWidth, stage.clientHeight);
    paintPoints(pen);
    const members = roles().map(() => []);
    for (let i = 0; i < states.length; i++) members[states[i]].push(i);
    for (const paint of [paintEdges, paintLines]) // all dark edges first: no line hides another
      for (const [state, role] of roles().entries())
        if (state && members[state].length) paint(pen, role, members[state]);
    paintTags(pen, members);
    stage.dataset.painted = String(performance.now()); // the benchmark reads it
  }

  function paintEdges(pen, role, members) {
    if (members.length > (QUIET.includes(role.name) ? SOME / 5 : SOME)) return;
    pen.strokeStyle = HALO;
    pen.lineWidth = role.width + 2;
    pen.setLineDash([]);
    outline(pen, members);
  }

  function paintLines(pen, role, members) {
    const many = members.length > MANY;
    pen.strokeStyle = role.colour;
    pen.lineWidth = many ? 1 : role.width;
    pen.setLineDash(many ? [] : role.dash);
    pen.globalAlpha = QUIET.includes(role.name) ? 0.8 : 1;
    outline(pen, members);
    pen.globalAlpha = 1;
  }

  /** Few boxes one by one: their dashes cost half of what they would in one path. Many in one path,
   *  on whole pixels: ten thousand cost half of what they would one by one. */
  function outline(pen, members) {
    const many = members.length > MANY;
    const at = many ? (k) => Math.round(boxes[k] * scale) + 0.5 : (k) => boxes[k] * scale;
    pen.beginPath();
    for (const i of members) {
      const [x, y] = [at(4 * i), at(4 * i + 1)];
      const [w, h] = [at(4 * i + 2) - x, at(4 * i + 3) - y];
      if (many) pen.rect(x, y, w, h);
      else pen.strokeRect(x, y, w, h);
    }
    if (many) pen.stroke();
  }

  /** Texts on the boxes, if they are few: none over another; who finds no room shows on hover. */
  function paintTags(pen, members) {
    pen.font = "600 11px system-ui, sans-serif";
    const taken = [];
    for (const [state, role] of [...roles().entries()].reverse()) {
      if (!NAMED.includes(role.name) || members[state].length > model.get("tags")) continue;
      for (const i of members[state]) {
        const text = model.get("texts")[i];
        if (text) paintTag(pen, role, text, boxes.subarray(4 * i, 4 * i + 4), taken);
      }
    }
  }

  function paintTag(pen, role, text, box, taken) {
    const [x1, y1, x2, y2] = Array.from(box, (value) => value * scale);
    const [w, h] = [pen.measureText(text).width + 8, 15];
    const places = [[x1, y1 - h - 1], [x1, y2 + 1], [x2 - w, y1 - h - 1], [x2 - w, y2 + 1], [x1, y1 + 1], [x1, y2 - h - 1]];
    const free = places
      .map(([x, y]) => [within(x, 0, stage.clientWidth - w), within(y, 0, stage.clientHeight - h)])
      .find(([x, y]) => !taken.some(([a, b, wide]) => x < a + wide && a < x + w && y < b + h && b < y + h));
    if (!free) return;
    taken.push([...free, w]);
    pen.fillStyle = role.colour;
    pen.fillRect(...free, w, h);
    pen.fillStyle = "#0b1d26";
    pen.fillText(text, free[0] + 4, free[1] + 11);
  }

  function paintPoints(pen) {
    const points = floats(model, "_points");
    const kinds = bytes(model, "_point_states");
    for (let i = 0; i < kinds.length; i++) {
      if (!kinds[i]) continue;
      const [x, y] = [points[2 * i] * scale, points[2 * i + 1] * scale];
      const role = roles()[kinds[i]];
      const half = role.name === "negative" ? 0.8 : 1.5;
      if (half > 1) pen.fillStyle = HALO, pen.fillRect(x - 2.3, y - 2.3, 4.6, 4.6);
      pen.fillStyle = role.colour;
      pen.fillRect(x - half, y - half, 2 * half, 2 * half);
    }
  }

  /** The smallest drawn box under a point: the one that is hardest to reach otherwise. */
  function boxAt(x, y) {
    let [best, least] = [-1, Infinity];
    for (let i = 0; i < states.length; i++) {
      if (!states[i]) continue;
      const [x1, y1, x2, y2] = boxes.subarray(4 * i, 4 * i + 4);
      const area = (x2 - x1) * (y2 - y1);
      if (x >= x1 && x <= x2 && y >= y1 && y <= y2 && area < least) [best, least] = [i, area];
    }
    return best;
  }

  // .. what lies above: regions, arrows, the marked box, the cursor, the editable boxes ..

  function place(node, [x1, y1, x2, y2]) {
    const [w, h] = [Math.max(0, x2 - x1) * scale, Math.max(0, y2 - y1) * scale];
    set(node, { x: x1 * scale, y: y1 * scale, width: w, height: h });
  }

  function outlined(role, parent, box) {
    const halo = draw("rect", { fill: "none", stroke: HALO, "stroke-width": role.width + 2.5 }, parent);
    const line = draw(
      "rect",
      { fill: role.colour, "fill-opacity": role.fill, stroke: role.colour, "stroke-width": role.width, "stroke-dasharray": role.dash.join(" ") },
      parent,
    );
    if (box) [halo, line].forEach((node) => place(node, box));
  }

  function paintHands() {
    paintRegions();
    paintMark();
    paintArrows();
    paintCursor();
    paintEditable();
  }

  function paintRegions() {
    layers.regions.replaceChildren();
    for (const { box, role, outside } of model.get("regions")) {
      if (outside) paintOutside(box);
      else outlined(roleNamed(role), layers.regions, box);
    }
  }

  function paintOutside([x1, y1, x2, y2]) {
    const [height, width] = size();
    const ring = (a, b, c, d) => `M${a * scale} ${b * scale}H${c * scale}V${d * scale}H${a * scale}Z`;
    const d = ring(0, 0, width, height) + ring(x1, y1, x2, y2);
    draw("path", { d, fill: "rgba(4, 18, 26, .72)", "fill-rule": "evenodd" }, layers.regions);
  }

  function paintArrows() {
    layers.arrows.replaceChildren();
    for (const { from, to, role } of model.get("arrows")) {
      const [x1, y1, x2, y2] = [...from, ...to].map((v) => v * scale);
      const length = Math.hypot(x2 - x1, y2 - y1);
      if (length < 2) continue;
      const [ux, uy] = [(x2 - x1) / length, (y2 - y1) / length];
      const head = Math.min(11, length);
      const [bx, by] = [x2 - ux * head, y2 - uy * head];
      const tipOf = `M${x2} ${y2}L${bx - uy * head * 0.55} ${by + ux * head * 0.55}L${bx + uy * head * 0.55} ${by - ux * head * 0.55}Z`;
      const d = `M${x1} ${y1}L${bx} ${by}`;
      const colour = roleNamed(role).colour;
      draw("path", { d: d + tipOf, fill: HALO, stroke: HALO, "stroke-width": 6, "stroke-linejoin": "round" }, layers.arrows);
      draw("path", { d, stroke: colour, "stroke-width": 3 }, layers.arrows);
      draw("path", { d: tipOf, fill: colour }, layers.arrows);
    }
  }

  function paintMark() {
    layers.mark.replaceChildren();
    const chosen = model.get("selected");
    for (const i of new Set([hover, chosen]))
      if (i >= 0 && i < states.length && states[i])
        outlined({ ...roleNamed("focus"), width: i === chosen ? 4 : 2.5 }, layers.mark, boxes.subarray(4 * i, 4 * i + 4));
  }

  function paintCursor() {
    const at = model.get("cursor");
    cursor.style.display = at.length ? "" : "none";
    if (!at.length) return;
    const [x, y] = at.map((v) => v * scale);
    const d = `M${x - 14} ${y}H${x - 4}M${x + 4} ${y}H${x + 14}M${x} ${y - 14}V${y - 4}M${x} ${y + 4}V${y + 14}`;
    for (const line of cursor.children) line.setAttribute("d", d);
    cursor.setAttribute("aria-label", `point at x ${round(at[0])}, y ${round(at[1])}; arrow keys move it`);
  }

  function paintEditable() {
    const edited = model.get("edited");
    if (groups.length !== edited.length) buildEditable();
    groups.forEach((group, i) => placeEditable(group, edited[i]));
    const two = model.get("overlap") && edited.length >= 2;
    layers.overlap.replaceChildren();
    if (!two) return;
    place(clipRect, edited[0]);
    const shared = roleNamed("shared");
    const look = { fill: shared.colour, "fill-opacity": shared.fill, "clip-path": `url(#${clip})` };
    place(draw("rect", look, layers.overlap), edited[1]);
  }

  function buildEditable() {
    layers.boxes.replaceChildren();
    groups = model.get("edited").map((_, i) => {
      const { name, role } = model.get("editable")[i];
      const group = draw("g", { class: "dl-box", tabindex: 0, role: "application", [KEYS_STAY]: "true" }, layers.boxes);
      group.setAttribute("aria-roledescription", "box");
      outlined({ ...roleNamed(role), fill: model.get("shade") }, group);
      const tag = draw("g", { class: "dl-tag" }, group);
      const back = draw("rect", { height: 18, rx: 3, fill: roleNamed(role).colour }, tag);
      const text = draw("text", { x: 6, y: 13 }, tag);
      text.textContent = name;
      back.setAttribute("width", 12 + (text.getComputedTextLength?.() || 8 * name.length));
      for (const edge of HANDLES) {
        const knob = draw("g", { class: "dl-handle", "data-edge": edge, style: `cursor:${edge}-resize` }, group);
        draw("circle", { class: "dl-reach" }, knob);
        draw("circle", { class: "dl-knob", r: 4.5, stroke: roleNamed(role).colour }, knob);
      }
      on(group, "keydown", (event) => pressed(event, i));
      on(group, "pointerdown", (event) => grabbed(event, i));
      on(group, "touchstart", (event) => event.preventDefault()); // else the page scrolls instead
      return group;
    });
  }

  function placeEditable(group, box) {
    const [x1, y1, x2, y2] = box;
    group.querySelectorAll(":scope > rect").forEach((node) => place(node, box));
    const tagY = y1 * scale > 20 ? y1 * scale - 20 : y1 * scale + 3;
    group.querySelector(".dl-tag").setAttribute("transform", `translate(${x1 * scale + 1} ${tagY})`);
    const reach = Math.max(7, Math.min(16, (Math.min(x2 - x1, y2 - y1) * scale) / 4));
    for (const knob of group.querySelectorAll(".dl-handle")) {
      const edge = knob.dataset.edge;
      const x = edge.includes("w") ? x1 : edge.includes("e") ? x2 : (x1 + x2) / 2;
      const y = edge.includes("n") ? y1 : edge.includes("s") ? y2 : (y1 + y2) / 2;
      knob.setAttribute("transform", `translate(${x * scale} ${y * scale})`);
      knob.firstChild.setAttribute("r", reach);
    }
    const name = group.querySelector("text").textContent;
    const where = `x ${round(x1)} to ${round(x2)}, y ${round(y1)} to ${round(y2)}`;
    group.setAttribute("aria-label", `${name}: ${where}; arrow keys move, with Shift resize, with Ctrl by 10`);
  }

  // .. hands: pointer and keys ..

  const round = (value) => Math.round(value * 10) / 10;
  const within = (value, low, high) => Math.min(Math.max(value, low), high);

  /** The box after its edges were pulled by (dx, dy), inside the picture and never inside out. */
  function pulled(box, edges, dx, dy) {
    const [height, width] = size();
    const snap = model.get("snap");
    const fix = (value) => (snap ? Math.round(value / snap) * snap : value);
    const least = snap || 1;
    let [x1, y1, x2, y2] = box;
    if (edges === "move") {
      const [w, h] = [x2 - x1, y2 - y1];
      x1 = within(fix(x1 + dx), 0, width - w);
      y1 = within(fix(y1 + dy), 0, height - h);
      return [x1, y1, x1 + w, y1 + h];
    }
    if (edges.includes("w")) x1 = within(fix(x1 + dx), 0, x2 - least);
    if (edges.includes("e")) x2 = within(fix(x2 + dx), x1 + least, width);
    if (edges.includes("n")) y1 = within(fix(y1 + dy), 0, y2 - least);
    if (edges.includes("s")) y2 = within(fix(y2 + dy), y1 + least, height);
    return [x1, y1, x2, y2];
  }

  function change(i, box) {
    save("edited", model.get("edited").map((old, k) => (k === i ? box : old)));
  }

  function grabbed(event, i) {
    if (event.button) return;
    const edges = event.target.closest(".dl-handle")?.dataset.edge ?? "move";
    drag = { i, edges, from: [event.clientX, event.clientY], box: model.get("edited")[i], pointer: event.pointerId };
    groups[i].setPointerCapture(event.pointerId);
    groups[i].focus({ preventScroll: true });
    groups[i].classList.add("dl-dragged");
    event.preventDefault();
    event.stopPropagation();
  }

  function moved(event) {
    if (!drag || event.pointerId !== drag.pointer) return hovered(event);
    const [dx, dy] = [event.clientX - drag.from[0], event.clientY - drag.from[1]].map((v) => v / scale);
    const box = pulled(drag.box, drag.edges, dx, dy);
    if (box.some((value, k) => value !== model.get("edited")[drag.i][k])) change(drag.i, box);
  }

  function released(event) {
    if (drag?.pointer !== event.pointerId) return; // another finger
    groups[drag.i]?.classList.remove("dl-dragged");
    drag = null;
  }

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  function pressed(event, i) {
    event.stopPropagation();
    if (!(event.key in ARROWS)) return;
    event.preventDefault();
    const step = (event.ctrlKey ? 10 : 1) * (model.get("snap") || 1);
    const [dx, dy] = ARROWS[event.key].map((v) => v * step);
    change(i, pulled(model.get("edited")[i], event.shiftKey ? "es" : "move", dx, dy));
  }

  function point(event) {
    const frame = stage.getBoundingClientRect();
    return [(event.clientX - frame.left) / scale, (event.clientY - frame.top) / scale];
  }

  function hovered(event) {
    const texts = model.get("texts");
    const now = texts.length && !event.target.closest(".dl-box") ? boxAt(...point(event)) : -1;
    if (now !== hover) {
      hover = now;
      paintMark();
    }
    tip.hidden = now < 0 || !texts[now];
    if (tip.hidden) return;
    const [x, y] = point(event).map((v) => v * scale);
    tip.textContent = texts[now];
    tip.style.left = `${Math.min(x + 14, stage.clientWidth - tip.offsetWidth)}px`;
    tip.style.top = `${y > 40 ? y - 32 : y + 18}px`;
  }

  function unhover() {
    hover = -1;
    tip.hidden = true;
    paintMark();
  }

  function putCursor(x, y) {
    const [height, width] = size();
    save("cursor", [within(x, 0, width - 1e-3), within(y, 0, height - 1e-3)]);
  }

  function clicked(event) {
    if (event.target.closest(".dl-box")) return;
    if (model.get("cursor").length) {
      putCursor(...point(event));
      cursor.focus({ preventScroll: true });
    }
    if (model.get("selectable")) save("selected", boxAt(...point(event)));
  }

  /** Arrow keys move the cursor, or walk through the boxes that are drawn. */
  function stageKey(event) {
    event.stopPropagation();
    if (!(event.key in ARROWS) || event.target.closest(".dl-box")) return;
    event.preventDefault();
    if (event.target.closest(".dl-cursor")) {
      const [x, y] = model.get("cursor");
      const [sx, sy] = model.get("cursor_step");
      putCursor(x + ARROWS[event.key][0] * sx, y + ARROWS[event.key][1] * sy);
    } else if (model.get("selectable")) {
      const drawn = Array.from(states.keys()).filter((i) => states[i]);
      const way = ARROWS[event.key][0] + ARROWS[event.key][1];
      const at = drawn.indexOf(model.get("selected"));
      if (drawn.length) save("selected", drawn[at < 0 ? 0 : (at + way + drawn.length) % drawn.length]);
    }
  }

  function offer() {
    const help = model.get("shortcuts").map(([key, act]) => `${key}: ${act}`);
    if (model.get("selectable")) help.unshift("arrow keys walk through the boxes");
    if (help.length) set(stage, { tabindex: 0, role: "application", [KEYS_STAY]: "true", "aria-label": [model.get("alt"), ...help].join("; ") });
    else for (const name of ["tabindex", "role", "aria-label"]) stage.removeAttribute(name);
  }

  /** Keys of the whole lab: they work on its picture and on its buttons. */
  function shortcut(event) {
    const here = stage.closest(".detlab-lab")?.contains(event.target);
    if (!here || event.ctrlKey || event.altKey || event.metaKey) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (!model.get("shortcuts").some(([known]) => known === key)) return;
    event.preventDefault();
    event.stopPropagation();
    model.send({ key }); // no trait: of several in a hurry only the last would arrive
  }

  on(stage, "pointermove", moved);
  on(stage, "pointerup", released);
  on(stage, "pointercancel", released);
  on(stage, "lostpointercapture", released);
  on(stage, "pointerleave", unhover);
  on(stage, "click", clicked);
  on(stage, "keydown", stageKey);
  document.addEventListener("keydown", shortcut, { signal: stop.signal, capture: true });
  on(surface, "contextrestored", () => later(paintBoxes)); // a browser short of memory drops drawings

  /** A page may be zoomed, or moved to a sharper screen; the question is about one sharpness. */
  function watchSharpness() {
    const now = matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`);
    const changed = () => (fit(), watchSharpness());
    now.addEventListener("change", changed, { once: true, signal: stop.signal });
  }

  const unfollow = follow(model, [
    [["_picture"], () => showPicture(picture, "_picture")],
    [["_overlay"], () => showPicture(overlay, "_overlay")],
    [["image_size", "alt"], fit],
    [["_boxes"], () => ((boxes = floats(model, "_boxes")), later(paintBoxes), unhover())],
    [["_states"], () => ((states = bytes(model, "_states")), later(paintBoxes), paintMark())],
    [["_points", "_point_states", "texts", "tags"], () => later(paintBoxes)],
    [["regions"], paintRegions],
    [["arrows"], paintArrows],
    [["selected"], paintMark],
    [["cursor"], paintCursor],
    [["editable", "shade"], () => ((groups = []), paintEditable())],
    [["edited", "overlap"], paintEditable],
    [["selectable", "shortcuts", "alt"], offer],
    [["result"], () => (result.textContent = model.get("result"))],
  ]);
  showPicture(picture, "_picture");
  showPicture(overlay, "_overlay");
  result.textContent = model.get("result");
  offer();
  const watch = new ResizeObserver(fit);
  watch.observe(stage);
  watchSharpness();
  fit();

  return () => {
    stop.abort();
    unfollow();
    watch.disconnect();
    Object.values(addresses).forEach((address) => URL.revokeObjectURL(address));
  };
}
